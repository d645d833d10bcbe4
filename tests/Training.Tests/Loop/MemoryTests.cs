using MlExperiments.Shared.Contracts;
using MlExperiments.Testing;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Loop;

/// <summary>A trainer's memory as its machine sees it: the real executable, started as workers start it.</summary>
[NonParallelizable]
public sealed class MemoryTests
{
    private const double Mebibyte = 1 << 20;
    private const int WarmUpSteps = 2000;
    private const int MaxGrowthMebibytes = 5;

    /// <summary>20,000 steps where tests may take minutes, else 1,000.</summary>
    private static readonly int Steps = Environment.GetEnvironmentVariable("MLEXPERIMENTS_LONG") == "1" ? 20_000 : 1000;

    [Test]
    public async Task Trainer_OverManySteps_KeepsItsMemory()
    {
        using var digits = new DigitData();
        using var trainer = await TrainerProcess.ServeAsync();
        trainer.Send(new TrainCommand(
            Guid.NewGuid(), DigitData.Small, digits.Pack(train: 1000, validation: 500, test: 100), [500, 1500, WarmUpSteps + (Steps / 2), WarmUpSteps + Steps], null, digits.NewFolder(),
            EvaluateEvery: 50, CheckpointEverySeconds: 0.5));

        var memory = new List<long>();
        TrainerEvent said;
        do
        {
            said = await trainer.NextAsync();
            Assert.That(said, Is.Not.TypeOf<FailedEvent>());
            if (said is MetricsEvent { Step: >= WarmUpSteps }) memory.Add(ProcessMemory.ResidentOf(trainer.Id));
        }
        while (said is not DoneEvent);

        // Against the most of the first few: a checkpoint that is being written takes some for a moment.
        var growth = (memory.Max() - memory.Take(5).Max()) / Mebibyte;
        await TestContext.Progress.WriteLineAsync(
            $"A trainer's memory over {Steps} steps: {growth:0.0} MiB more, {memory[^1] / Mebibyte:0} MiB in the end, {ProcessMemory.PeakOf(trainer.Id) / Mebibyte:0} MiB at the peak");
        Assert.That(memory, Has.Count.EqualTo((Steps / 50) + 1));
        Assert.That(growth, Is.LessThan(MaxGrowthMebibytes));
    }
}
