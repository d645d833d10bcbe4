using MlExperiments.Testing;
using MlExperiments.Training.Tests.Support;
using static TorchSharp.torch;

namespace MlExperiments.Training.Tests.Natives;

/// <summary>The native libraries beside the program.</summary>
public sealed class NativesTests
{
    private static string Program => Path.GetDirectoryName(ServiceProcess.Assembly("Training"))!;

    [Test]
    public void Output_OfTorchsLibraries_HasThoseThatAreUsed() => Assert.That(
        // libgomp's name has a hash of its own in each version.
        Directory.GetFiles(Program, "*.so*").Select(file => Path.GetFileName(file).Split('-')[0]).Where(name => !name.Contains("Skia", StringComparison.Ordinal)),
        Is.EquivalentTo(["libLibTorchSharp.so", "libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp"]));

    [Test]
    public void Engine_Started_ComputesWithOneThread() => Assert.That(get_num_threads(), Is.EqualTo(1));

    /// <summary>TorchSharp by itself would copy 490 MB of libraries beside the program.</summary>
    [TestCase("libc10.so")]
    [TestCase("libLibTorchSharp.so")]
    public async Task Trainer_WithoutALibrary_EndsWithItsNameAndCopiesNothing(string library)
    {
        using var folder = new TemporaryFolder();
        foreach (var file in Directory.GetFiles(Program).Where(file => Path.GetFileName(file) != library))
        {
            var copy = Path.Combine(folder.Path, Path.GetFileName(file));
            // 460 MB. The program itself must not be a link, which .NET would follow to the folder that is whole.
            if (Path.GetFileName(file) == "libtorch_cpu.so")
                File.CreateSymbolicLink(copy, file);
            else
                File.Copy(file, copy);
        }

        var before = Directory.GetFileSystemEntries(folder.Path);

        var (code, output, errors) = await TrainerProcess.RunProgramAsync(Path.Combine(folder.Path, "MlExperiments.Training.dll"), "serve");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.EqualTo(1));
            Assert.That(output, Is.Empty);
            Assert.That(errors, Does.StartWith("error: libtorch can't be loaded: ").And.Contain(library));
            Assert.That(Directory.GetFileSystemEntries(folder.Path), Is.EquivalentTo(before));
        }
    }
}
