using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace MlExperiments.Shared.Tests.Data;

[TestFixture]
public sealed class SchemaTests
{
    private sealed record Column(string TableName, string ColumnName, bool IsNullable, string Type);

    [Test]
    public async Task Migrations_MakeWhatTheEntitiesSay()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var db = database.NewContext();
        var actual = await db.Database.SqlQuery<Column>(
            $"""
            SELECT c.relname AS "TableName", a.attname AS "ColumnName", NOT a.attnotnull AS "IsNullable",
                   format_type(a.atttypid, NULL) AS "Type"
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND c.relname <> '__EFMigrationsHistory'
            """).ToListAsync();

        var expected = db.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties().Select(property => new Column(
            entity.GetTableName()!,
            property.GetColumnName(StoreObjectIdentifier.Table(entity.GetTableName()!))!,
            property.IsNullable,
            StoreType(property))));
        Assert.That(actual.Select(column => column with { Type = Plain(column.Type) }), Is.EquivalentTo(expected));
    }

    [Test]
    public async Task EarlyEnds_OverExperimentsOfBefore_GivesThemTheDefaultsOfNewParameters()
    {
        await using var database = await TestDatabase.CreateAsync();
        var rows = await Rows.AddAsync(database);
        await rows.AddTrajectoryAsync(new TrajectoryParameters { LearningRate = 0.1, Layers = 2 }, [10]);
        await using var db = database.NewContext();
        await db.Database.ExecuteSqlAsync($$"""UPDATE experiments SET parameters = parameters || '{"patience": 3}'""");
        var now = await db.Experiments.AsNoTracking().SingleAsync();
        // As the version before left them.
        await db.Database.ExecuteSqlAsync($"ALTER TABLE experiments DISABLE TRIGGER experiments_changed");
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE experiments SET parameters = parameters - ARRAY['schedule', 'decayEvery', 'decayFactor', 'warmUpSteps', 'augmentShift', 'augmentRotate',
                'augmentScale', 'classWeights', 'patienceMetric', 'precision']
            """);
        await db.Database.ExecuteSqlAsync($"ALTER TABLE experiments ENABLE TRIGGER experiments_changed");
        await db.Database.ExecuteSqlAsync($"ALTER TABLE experiments DROP COLUMN stopped_early, DROP COLUMN ended_at_step");
        await db.Database.ExecuteSqlAsync($"""DELETE FROM "__EFMigrationsHistory" WHERE "MigrationId" >= '0010'""");

        await Database.MigrateAsync(db, CancellationToken.None);

        var after = await db.Experiments.AsNoTracking().SingleAsync();
        Assert.That(JsonElement.DeepEquals(after.Parameters, now.Parameters), $"{after.Parameters}");
        Assert.That(after.Parameters.GetProperty("patience").GetInt32(), Is.EqualTo(3), "what was given stays");
        Assert.That(after.ChangedAt, Is.EqualTo(now.ChangedAt), "nobody is told");
        await db.Experiments.ExecuteUpdateAsync(set => set.SetProperty(experiment => experiment.Name, "another"));
        Assert.That((await db.Experiments.AsNoTracking().SingleAsync()).ChangedAt, Is.GreaterThan(now.ChangedAt), "but of what comes after");
    }

    [Test]
    public async Task Precision_OverExperimentsOfBefore_IsFloat32_AndStaysWhereItIsGiven()
    {
        await using var database = await TestDatabase.CreateAsync();
        var rows = await Rows.AddAsync(database);
        await rows.AddTrajectoryAsync(new TrajectoryParameters { LearningRate = 0.1, Layers = 2 }, [10, 20]);
        await using var db = database.NewContext();
        await db.Database.ExecuteSqlAsync($$"""UPDATE experiments SET parameters = parameters || '{"precision": "bfloat16"}' WHERE total_steps = 20""");
        var now = await ReadAsync();
        // As the version before left it.
        await db.Database.ExecuteSqlAsync($"ALTER TABLE experiments DISABLE TRIGGER experiments_changed");
        await db.Database.ExecuteSqlAsync($"UPDATE experiments SET parameters = parameters - 'precision' WHERE total_steps = 10");
        await db.Database.ExecuteSqlAsync($"ALTER TABLE experiments ENABLE TRIGGER experiments_changed");
        Assert.That((await ReadAsync())[0].Parameters, Does.Not.Contain("precision"));

        // The second time there is nothing left to do.
        for (var time = 1; time <= 2; time++)
        {
            await db.Database.ExecuteSqlAsync($"""DELETE FROM "__EFMigrationsHistory" WHERE "MigrationId" >= '0013'""");
            await Database.MigrateAsync(db, CancellationToken.None);
            Assert.That(await ReadAsync(), Is.EqualTo(now), "nobody is told");
        }

        Assert.That(now[0].Parameters, Does.Contain("\"precision\": \"float32\""));
        Assert.That(now[1].Parameters, Does.Contain("\"precision\": \"bfloat16\""));

        async Task<List<(string Parameters, DateTimeOffset ChangedAt)>> ReadAsync() =>
            [.. (await db.Experiments.AsNoTracking().OrderBy(experiment => experiment.TotalSteps).ToListAsync())
                .Select(experiment => (experiment.Parameters.ToString(), experiment.ChangedAt))];
    }

    [Test]
    public async Task Migrations_RunTwiceAndAtOnce_ChangeNothingMore()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            await using var db = database.NewContext();
            await Database.MigrateAsync(db, CancellationToken.None);
        }));
        await using var check = database.NewContext();
        await Database.CheckVersionAsync(check, CancellationToken.None);
    }

    [Test]
    public async Task CheckVersion_OnAnEmptyDatabase_SaysWhatToRun()
    {
        await using var database = await TestDatabase.CreateEmptyAsync();
        await using var db = database.NewContext();
        var refusal = Assert.ThrowsAsync<SchemaVersionException>(() => Database.CheckVersionAsync(db, CancellationToken.None));
        Assert.That(refusal!.Message, Does.Contain("migrate"));
    }

    private static string StoreType(IProperty property) => Plain(property.GetRelationalTypeMapping().StoreType);

    // Text, varchar and char hold the same strings; lengths are checked by the database.
    private static string Plain(string type) =>
        type.StartsWith("character", StringComparison.Ordinal) ? "text" : type.Split('(')[0];
}
