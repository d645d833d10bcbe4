using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

[DbContext(typeof(ExperimentsDbContext))]
[Migration("0005_live")]
internal sealed class Live : SqlMigration;
