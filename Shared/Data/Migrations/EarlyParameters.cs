using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

[DbContext(typeof(ExperimentsDbContext))]
[Migration("0011_early_parameters")]
internal sealed class EarlyParameters : SqlMigration
{
    // All migrations that are due share a transaction otherwise, and what changed the table locks its readers out until the rows are changed.
    // Its SQL is one transaction all the same, and may be run again.
    protected override bool HasOwnTransaction => true;
}
