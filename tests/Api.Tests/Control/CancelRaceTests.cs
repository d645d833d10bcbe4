using System.Net;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Testing;
using MlExperiments.Worker;
using MlExperiments.Worker.Jobs;

namespace MlExperiments.Api.Tests.Control;

/// <summary>A person cancels at the very moment at which the worker completes: one of the two, and for ever.</summary>
public sealed class CancelRaceTests : ApiFixture
{
    [Test]
    public async Task Cancel_RacingCompletion_EndsInOneState()
    {
        var rounds = Environment.GetEnvironmentVariable("MLEXPERIMENTS_LONG") == "1" ? 1000 : 200;
        var options = Options.Create(new WorkerOptions { Name = "worker" });
        var identity = new WorkerIdentity(options);
        var databases = Services.GetRequiredService<IDbContextFactory<ExperimentsDbContext>>();
        var queue = Services.GetRequiredService<TicketQueue>();
        var claims = new Claims(databases, queue, identity, options);
        var writer = new TrajectoryWriter(databases, queue, identity, options);
        var rows = await Rows.AddAsync(Database);
        var completed = 0;
        var random = new Random(1);
        for (var round = 0; round < rounds; round++)
        {
            var trajectory = await rows.AddTrajectoryAsync(new TrajectoryParameters { LearningRate = 0.001, Layers = 1 }, [100]);
            var id = await Database.ScalarAsync<Guid>("SELECT id FROM experiments WHERE trajectory_id = $1", trajectory.Id);
            var claim = await claims.NextAsync(CancellationToken.None) ?? throw new AssertionException("There was nothing to claim.");
            var milestone = new MilestoneEvent(claim.TrajectoryId, 100, 0.9, 0.1, 0.01, null, false, "", Rows.Hash("values"), 1, true);

            // Sometimes one has a start on the other.
            var start = random.Next(-2, 3);
            var completing = Task.Run(async () =>
            {
                await Task.Delay(Math.Max(0, start));
                await writer.CompleteMilestoneAsync(claim, 0, [], milestone, Rows.Hash("weights"), CancellationToken.None);
                await writer.ReleaseAsync(claim, AttemptOutcome.Completed, 100, CancellationToken.None);
            });
            await Task.Delay(Math.Max(0, -start));
            var answer = await Client.PostAsync($"/api/experiments/{id}/cancel", null);
            var said = answer.StatusCode == HttpStatusCode.OK ? "cancelled" : "completed";
            await completing;

            Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.OK).Or.EqualTo(HttpStatusCode.Conflict));
            var state = await Database.ScalarAsync<string>(
                """
                SELECT concat_ws(' ', status, accuracy IS NOT NULL, weights_blob IS NOT NULL, finished_at IS NOT NULL,
                                 (SELECT status FROM trajectories WHERE id = trajectory_id))
                FROM experiments WHERE id = $1
                """,
                id);
            Assert.That(state, Is.EqualTo(said == "cancelled" ? "cancelled f f t idle" : "completed t t t idle"), $"round {round}");
            completed += said == "completed" ? 1 : 0;
        }

        await TestContext.Progress.WriteLineAsync($"Cancel against complete, {rounds} times: {completed} completed, {rounds - completed} cancelled");
        Assert.That(completed, Is.InRange(1, rounds - 1), "otherwise they did not race");
    }
}
