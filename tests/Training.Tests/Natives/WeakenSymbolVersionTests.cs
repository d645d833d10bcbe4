using System.Diagnostics;
using System.Reflection;
using System.Text;
using MlExperiments.Testing;

namespace MlExperiments.Training.Tests.Natives;

/// <summary>The build step that lets TorchSharp's library load with Debian 12's C++ library. On Debian 12 all other tests show that it loads.</summary>
public sealed class WeakenSymbolVersionTests
{
    private const string Version = "GLIBCXX_3.4.32";
    private const string OnlySymbol = "_ZSt21ios_base_library_initv";

    private TemporaryFolder _folder = null!;

    private static string Built => Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so");

    private string Copy => Path.Combine(_folder.Path, "copy", "lib.so");

    [SetUp]
    public void CreateFolder() => _folder = new();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public void BuiltLibrary_ComparedWithThePackages_DiffersInOneFlag()
    {
        var (built, original) = (File.ReadAllBytes(Built), File.ReadAllBytes(Original()));
        Assert.That(built, Has.Length.EqualTo(original.Length));
        var differences = Enumerable.Range(0, built.Length).Where(at => built[at] != original[at]).ToList();
        using (Assert.EnterMultipleScope())
        {
            // The flags of a record that needs a version are two bytes; weak is bit 1 of the first.
            Assert.That(differences, Has.Count.EqualTo(1));
            Assert.That((original[differences[0]], built[differences[0]]), Is.EqualTo((0, 2)));
        }
    }

    [Test]
    public void Execute_VersionThatIsNotNeeded_CopiesTheLibrary()
    {
        var (code, output) = Run(Built, "GLIBCXX_9.9.9", OnlySymbol);
        Assert.That(code, Is.Zero, output);
        Assert.That(File.ReadAllBytes(Copy), Is.EqualTo(File.ReadAllBytes(Built)));
    }

    [Test]
    public void Execute_AnotherSymbolNeedsTheVersion_FailsWithItsName()
    {
        var (code, output) = Run(Built, Version, "_ZSt4cout");
        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Not.Zero);
            Assert.That(output, Does.Contain($"needs {Version} for {OnlySymbol}"));
            Assert.That(Copy, Does.Not.Exist);
        }
    }

    [Test]
    public void Execute_FileThatIsNoLibrary_Fails()
    {
        var text = Path.Combine(_folder.Path, "text.so");
        File.WriteAllText(text, new string('x', 1000));
        var (code, output) = Run(text, Version, OnlySymbol);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(code, Is.Not.Zero);
            Assert.That(output, Does.Contain($"{text} is not a 64-bit little-endian ELF library"));
        }
    }

    /// <summary>The library as the package has it.</summary>
    private static string Original()
    {
        var package = typeof(WeakenSymbolVersionTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(metadata => metadata.Key == "TorchSharpPackage").Value!;
        return Path.Combine(package, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
    }

    private (int Code, string Output) Run(string library, string version, string onlySymbol)
    {
        var project = Path.Combine(_folder.Path, "weaken.proj");
        File.WriteAllText(
            project,
            $"""
            <Project>
              <UsingTask TaskName="WeakenSymbolVersion" TaskFactory="RoslynCodeTaskFactory" AssemblyFile="$(MSBuildToolsPath)/Microsoft.Build.Tasks.Core.dll">
                <Task><Code Type="Class" Language="cs" Source="{ServiceProcess.ProjectRoot}/Training/Natives/WeakenSymbolVersion.cs" /></Task>
              </UsingTask>
              <Target Name="Run"><WeakenSymbolVersion Library="{library}" Version="{version}" OnlySymbol="{onlySymbol}" Output="{Copy}" /></Target>
            </Project>
            """);
        using var process = Process.Start(new ProcessStartInfo("dotnet", ["msbuild", project, "-nologo", "-nodeReuse:false"]) { RedirectStandardOutput = true })!;
        var output = new StringBuilder(process.StandardOutput.ReadToEnd());
        process.WaitForExit();
        return (process.ExitCode, output.ToString());
    }
}
