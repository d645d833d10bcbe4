using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>The walk with curl, <c>postman/tour.sh</c>.</summary>
[TestFixture]
public sealed class TourTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Test]
    public async Task Tour_Taken_NamesTheBestAndLeavesNothing()
    {
        var before = await Walks.CountModelsAsync();

        var (code, output) = await TakeAsync("--images", Path.Combine(Walks.Digits, "digits.zip"));

        Assert.That(code, Is.Zero, output);
        Assert.That(output, Does.Contain("27 drafts, which take 9 trainings"));
        Assert.That(output, Does.Contain("100 %, 27 of 27 completed"));
        Assert.That(output, Does.Match(@"The best parameters\s+learningRate 0\.\d+, layers [124], steps (20|50|100)\s+accuracy 0\.\d+"));
        Assert.That(output, Does.Match(@"The image shows \d, by \d+ %"));
        Assert.That(await Walks.CountModelsAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task Tour_WithWhatIsNoZip_EndsWithTheServicesWords()
    {
        var before = await Walks.CountModelsAsync();

        var (code, output) = await TakeAsync("--images", Path.Combine(Walks.Digits, "digits", "7", "00001.png"));

        Assert.That(code, Is.EqualTo(1), output);
        Assert.That(output, Does.Match(@"POST /api/models/\S+/images: 400: 00001\.png needs a label"));
        Assert.That(output, Does.Not.Contain("drafts"));
        Assert.That(await Walks.CountModelsAsync(), Is.EqualTo(before));
    }

    private static async Task<(int Code, string Output)> TakeAsync(params string[] options)
    {
        await using var tour = ServiceProcess.StartProgram(
            "tour.sh", "bash", [Path.Combine(NodeTools.Folder, "tour.sh"), "--api", Walks.Api.GetLeftPart(UriPartial.Authority), .. options]);
        return (await tour.WaitAsync(Patience), tour.Output);
    }
}
