using System.IO.Compression;
using MlExperiments.Shared.Imaging;
using MlExperiments.Testing;
using MlExperiments.Training.Tests.Support;

namespace MlExperiments.Training.Tests.Cli;

public sealed class DigitsTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [Test]
    public async Task Digits_ToAZip_HoldsAFolderPerClass()
    {
        var path = Path.Combine(_folder.Path, "new", "digits.zip");
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
        var (code, _, errors) = await TrainerProcess.RunAsync("digits", "--output", _folder.Path, "--count", "10");
        Assert.That(code, Is.Zero, errors);
        Assert.That(_folder.Files, Is.EqualTo(Enumerable.Range(0, 10).Select(digit => $"{digit}/00000.png")));
    }

    [Test]
    public async Task Digits_ToAZipAndAFolder_AreTheSame()
    {
        var (zip, folder) = (Path.Combine(_folder.Path, "digits.zip"), Path.Combine(_folder.Path, "digits"));
        var (code, _, errors) = await TrainerProcess.RunAsync("digits", "--count", "10", "--output", zip, folder);
        Assert.That(code, Is.Zero, errors);

        await using var archive = await ZipFile.OpenReadAsync(zip);
        await archive.ExtractToDirectoryAsync(Path.Combine(_folder.Path, "unpacked"));
        for (var digit = 0; digit < 10; digit++)
            Assert.That(
                await File.ReadAllBytesAsync(Path.Combine(folder, $"{digit}/00000.png")),
                Is.EqualTo(await File.ReadAllBytesAsync(Path.Combine(_folder.Path, $"unpacked/{digit}/00000.png"))));
    }

    [Test]
    public async Task Digits_TooFew_SaysSo()
    {
        var (code, _, errors) = await TrainerProcess.RunAsync("digits", "--output", _folder.Path, "--count", "9");
        Assert.That(code, Is.EqualTo(1));
        Assert.That(errors, Does.Contain("--count is 9; it must be 10 to 1000000."));
    }
}
