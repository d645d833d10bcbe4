using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Cli;

/// <summary>The environment that a trainer starts itself again with.</summary>
public sealed class ProcessSettingsTests
{
    private const string Allocator = "libmimalloc";

    [Test]
    public async Task Trainer_StartedWithoutSettings_HasThemAndItsProcessId()
    {
        using var trainer = await TrainerProcess.ServeAsync();
        var environment = Environment(trainer);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(environment["OMP_NUM_THREADS"], Is.EqualTo("1"));
            Assert.That(environment["MKL_NUM_THREADS"], Is.EqualTo("1"));
            Assert.That(environment["MKL_CBWR"], Is.EqualTo("AUTO"));
            Assert.That(environment["DOTNET_GCgen0size"], Is.EqualTo("0x200000"));
            Assert.That(environment["LD_PRELOAD"], Does.Contain(Allocator));
            Assert.That(File.ReadAllText($"/proc/{trainer.Id}/maps"), Does.Contain(Allocator));
            Assert.That(Directory.GetFiles(Path.GetTempPath(), $"*-{trainer.Id}-*"), Is.Empty, "debugger ports of the process that started itself again");
        }
    }

    [Test]
    public async Task Trainer_StartedWithOtherSettings_KeepsWhatIsNotItsOwn()
    {
        using var trainer = await TrainerProcess.ServeAsync(("OMP_NUM_THREADS", "8"), ("LD_PRELOAD", "/lib/x86_64-linux-gnu/libm.so.6"), ("NAME", "ä = b"));
        var environment = Environment(trainer);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(environment["OMP_NUM_THREADS"], Is.EqualTo("1"));
            Assert.That(environment["LD_PRELOAD"], Does.StartWith("/lib/x86_64-linux-gnu/libm.so.6 ").And.Contain(Allocator));
            Assert.That(environment["NAME"], Is.EqualTo("ä = b"));
        }
    }

    private static Dictionary<string, string> Environment(TrainerProcess trainer) => File.ReadAllText($"/proc/{trainer.Id}/environ")
        .Split('\0', StringSplitOptions.RemoveEmptyEntries).Select(variable => variable.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
}
