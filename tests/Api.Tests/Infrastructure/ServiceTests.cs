namespace MlExperiments.Api.Tests.Infrastructure;

public sealed class ServiceTests : ApiFixture
{
    [Test]
    public async Task Workers_Listed_AreAliveOnesFirst()
    {
        await Database.WorkerAsync("silent", seenSecondsAgo: 300);
        await Database.WorkerAsync("working", slots: 1, busySlots: 1);

        var workers = (await JsonAsync(await Client.GetAsync("/api/workers"))).GetProperty("items").EnumerateArray()
            .Select(worker => $"{worker.GetProperty("name")} {worker.GetProperty("status")}");
        var model = await Database.ModelAsync();
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{model}/experiments", null));
        var about = await JsonAsync(await Client.GetAsync("/api/about"));

        Assert.That(workers, Is.EqualTo(new[] { "working alive", "silent lost" }));
        Assert.That(study.GetProperty("experiments")[0].GetProperty("waitingFor").GetString(), Is.EqualTo("a free slot: the only one is busy"));
        Assert.That(about.GetProperty("torchEngines").ToString(), Is.EqualTo("""["TorchSharp 0.107.0 on libtorch 2.10.0 (cpu)"]"""));
        Assert.That(about.GetProperty("database").GetString(), Does.StartWith("PostgreSQL "));
        Assert.That(about.GetProperty("version").GetString(), Is.EqualTo("0.1.0"));
        await InvalidAsync(await Client.GetAsync("/api/workers?limit=0"), "limit");
    }
}
