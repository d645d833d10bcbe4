using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

[DbContext(typeof(ExperimentsDbContext))]
[Migration("0010_early_ends")]
internal sealed class EarlyEnds : SqlMigration;
