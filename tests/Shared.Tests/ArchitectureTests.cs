using System.Xml.Linq;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests;

/// <summary>Who may know whom.</summary>
[TestFixture]
public sealed class ArchitectureTests
{
    private static readonly string[] Programs = ["Api", "Worker", "Training"];

    [TestCaseSource(nameof(Programs))]
    public void Program_RefersToSharedAlone(string project) => Assert.That(References(project), Is.EqualTo(new[] { "Shared" }));

    [Test]
    public void Shared_RefersToNoProject() => Assert.That(References("Shared"), Is.Empty);

    [TestCase("Api")]
    [TestCase("Worker")]
    [TestCase("Shared")]
    public void OnlyTraining_LoadsTheTensorEngine(string project)
    {
        var sources = Directory.EnumerateFiles(Path.Combine(ServiceProcess.ProjectRoot, project), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal));
        Assert.That(sources.Where(file => File.ReadAllText(file).Contains("using TorchSharp", StringComparison.Ordinal)), Is.Empty);
    }

    private static IEnumerable<string> References(string project) =>
        XDocument.Load(Path.Combine(ServiceProcess.ProjectRoot, project, $"{project}.csproj"))
            .Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));
}
