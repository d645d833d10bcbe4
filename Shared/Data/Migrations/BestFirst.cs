using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

[DbContext(typeof(ExperimentsDbContext))]
[Migration("0012_best_first")]
internal sealed class BestFirst : SqlMigration;
