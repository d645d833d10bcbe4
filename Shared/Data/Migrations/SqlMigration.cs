using System.Reflection;
using Microsoft.EntityFrameworkCore.Migrations;

namespace MlExperiments.Shared.Data.Migrations;

/// <summary>A migration whose steps are the SQL file of its id, in this folder. There is no way back but a backup.</summary>
internal abstract class SqlMigration : Migration
{
    /// <summary>Whether it runs outside the transaction of the others.</summary>
    protected virtual bool HasOwnTransaction => false;

    protected override void Up(MigrationBuilder migrationBuilder)
    {
        var id = GetType().GetCustomAttribute<MigrationAttribute>()!.Id;
        var resource = $"{typeof(SqlMigration).Namespace}.{id}.sql";
        using var stream = typeof(SqlMigration).Assembly.GetManifestResourceStream(resource)
            ?? throw new InvalidOperationException($"The migration {id} lacks its file {resource}.");
        using var reader = new StreamReader(stream);
        migrationBuilder.Sql(reader.ReadToEnd(), suppressTransaction: HasOwnTransaction);
    }
}
