using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

[DbContext(typeof(ExperimentsDbContext))]
[Migration("0013_precision")]
internal sealed class Precision : SqlMigration
{
    // The index that the migration before it drops would lock the table's readers out until all rows are changed. It may be run again.
    protected override bool HasOwnTransaction => true;
}
