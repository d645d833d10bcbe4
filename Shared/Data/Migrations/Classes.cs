using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

[DbContext(typeof(ExperimentsDbContext))]
[Migration("0008_classes")]
internal sealed class Classes : SqlMigration;
