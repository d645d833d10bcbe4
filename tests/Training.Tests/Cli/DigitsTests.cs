using System.IO.Compression;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Cli;

public sealed class DigitsTests
{
    private string _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("digits-tests-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public async Task Digits_ToAZip_HoldsAFolderPerClass()
    {
        var path = Path.Combine(_folder, "new", "digits.zip");
        var (code, _, errors) = await TrainerProcess.RunAsync("digits", "--output", path, "--count", "25");
        Assert.That(code, Is.Zero, errors);

        await using var zip = await ZipFile.OpenReadAsync(path);
        Assert.That(zip.Entries.GroupBy(entry => entry.FullName.Split('/')[0]).Select(label => label.Count()), Is.EqualTo(new[] { 3, 3, 3, 3, 3, 2, 2, 2, 2, 2 }));
        await using var entry = await zip.GetEntry("4/00001.png")!.OpenAsync();
        using var png = new MemoryStream();
        await entry.CopyToAsync(png);
        Assert.That(png.ToArray(), Is.EqualTo(DigitPainter.PaintPng(4, 1)));
    }

    [Test]
    public async Task Digits_ToAFolder_WritesAFolderPerClass()
    {
        var (code, _, errors) = await TrainerProcess.RunAsync("digits", "--output", _folder, "--count", "10");
        Assert.That(code, Is.Zero, errors);
        Assert.That(Directory.EnumerateFiles(_folder, "*.png", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(_folder, file)).Order(),
            Is.EqualTo(Enumerable.Range(0, 10).Select(digit => $"{digit}/00000.png")));
    }

    [Test]
    public async Task Digits_TooFew_SaysSo()
    {
        var (code, _, errors) = await TrainerProcess.RunAsync("digits", "--output", _folder, "--count", "9");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(errors, Does.Contain("--count is 9; it must be 10 to 1000000."));
    }
}
