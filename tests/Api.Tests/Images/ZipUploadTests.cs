using System.Buffers.Binary;
using System.IO.Compression;

namespace MlExperiments.Api.Tests.Images;

public sealed class ZipUploadTests : ImagesFixture
{
    protected override IEnumerable<KeyValuePair<string, string>> Settings =>
    [
        new("Upload:MaxImageBytes", "100000"),
        new("Upload:MaxEntries", "2000"),
        new("Upload:MaxUnpackedBytes", "1000000"),
        new("Upload:MaxRequestBytes", "3000000"),
    ];

    [TestCase("cat/x.png", "cat", "train")]
    [TestCase("my digits/7/x.png", "7", "train")]
    [TestCase("train/cat/x.png", "cat", "train")]
    [TestCase("val/cat/x.png", "cat", "validation")]
    [TestCase("Validation/cat/x.png", "cat", "validation")]
    [TestCase("animals/test/cat/x.png", "cat", "test")]
    [TestCase("animals/./test//cat/x.png", "cat", "test")]
    [TestCase("animals\\test\\cat\\x.png", "cat", "test")]
    [TestCase("test/valid/cat/x.png", "cat", "validation")]
    [TestCase("Über/日本/x.png", "日本", "train")]
    public async Task Path_OfAClass_GivesLabelAndSplit(string path, string label, string split)
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(model, ("x.zip", Zip((path, Png(1)))));
        Assert.That(answer.Counts, Is.EqualTo((1, 0, 0)), answer.Refused.FirstOrDefault()?.Reason);
        var image = (await ListAsync(model)).Single();
        Assert.That((image.GetProperty("label").GetString(), image.GetProperty("split").GetString()), Is.EqualTo((label, split)));
    }

    [Test]
    public async Task Split_OfTheForm_IsForPathsThatNameNone()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("x.zip", Zip(("cat/1.png", Png(1)), ("train/cat/2.png", Png(2)))), ("split", "test"));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(await ListAsync(model, "split=test"), Has.Count.EqualTo(1));
            Assert.That(await ListAsync(model, "split=train"), Has.Count.EqualTo(1));
        }
    }

    [TestCase("x.png", "class folder")]
    [TestCase("a/b/c/x.png", "too deep")]
    [TestCase("train/x.png", "class folder")]
    [TestCase("../cat/x.png", "out of the archive")]
    [TestCase("cat/../../x.png", "out of the archive")]
    [TestCase("/etc/x.png", "out of the archive")]
    [TestCase("C:/cat/x.png", "out of the archive")]
    [TestCase("cat\u0001/x.png", "out of the archive")]
    public async Task Path_ThatMakesNoSense_IsRefused(string path, string reason)
    {
        var answer = await UploadAsync(await NewModelAsync(), ("x.zip", Zip((path, Png(1)), ("cat/ok.png", Png(2)), ("dog/ok.png", Png(3)))));
        Assert.That(answer.Counts, Is.EqualTo((2, 0, 1)));
        Assert.That(answer.Refused.Single().Reason, Does.Contain(reason));
    }

    [Test]
    public async Task Junk_OfSystems_IsIgnored()
    {
        var answer = await UploadAsync(await NewModelAsync(), ("x.zip", Zip(
            ("pets/", []), ("pets/cat/", []), ("pets/.DS_Store", Png(1)), ("__MACOSX/pets/cat/._1.png", Png(2)), ("pets/cat/Thumbs.db", Png(3)),
            ("pets/cat/1.png", Png(4)), ("pets/dog/2.png", Png(5)))));
        Assert.That(answer.Counts, Is.EqualTo((2, 0, 0)));
    }

    [TestCase(CompressionLevel.NoCompression)]
    [TestCase(CompressionLevel.SmallestSize)]
    public async Task Entries_StoredOrDeflated_AreRead(CompressionLevel level)
    {
        var answer = await UploadAsync(await NewModelAsync(), ("x.zip", Zip(level, ("cat/1.png", Png(1)), ("dog/2.png", Png(2)))));
        Assert.That(answer.Counts, Is.EqualTo((2, 0, 0)));
    }

    [Test]
    public async Task Zips_SeveralAndAnImage_AreAllTaken()
    {
        var answer = await UploadAsync(
            await NewModelAsync(), ("a.zip", Zip(("cat/1.png", Png(1)))), ("x.png", Png(2)), ("b.zip", Zip(("dog/2.png", Png(3)))), ("label", "owl"));
        Assert.That(answer.Counts, Is.EqualTo((3, 0, 0)));
    }

    [Test]
    public async Task Entry_Encrypted_IsRefused() => await RefusesAsync(Patch(8, 1), "encrypted");

    [Test]
    public async Task Entry_OfAnUnknownMethod_IsRefused() => await RefusesAsync(Patch(10, 14), "method 14");

    [Test]
    public async Task Entry_LongerThanItSays_IsRefused() => await RefusesAsync(Patch(24, 10), "length that the zip says");

    [Test]
    public async Task Entry_ThatLiesElsewhere_IsRefused() => await RefusesAsync(Patch(42, 30_000), "damaged");

    [Test]
    public async Task Entry_TooLong_IsRefused() =>
        await RefusesAsync(Zip(("cat/x.png", new byte[100_001])), "longer than 100000 bytes");

    [Test]
    public async Task Zip_ThatUnpacksToTooMuch_IsRefusedWhole()
    {
        var bomb = Zip([.. Enumerable.Range(0, 20).Select(number => ($"cat/{number}.png", new byte[90_000]))]);
        Assert.That(bomb, Has.Length.LessThan(20_000));
        await RefusesAsync(bomb, "unpacks to more than");
    }

    [Test]
    public async Task Zip_WithTooManyEntries_IsRefusedWhole() =>
        await RefusesAsync(Zip([.. Enumerable.Range(0, 2001).Select(number => ($"cat/{number}.png", Array.Empty<byte>()))]), "2001 entries");

    [Test]
    public async Task Zip_CutShort_IsRefused() => await RefusesAsync(Zip(("cat/x.png", Png(1)))[..^40], "cut short");

    [Test]
    public async Task Zip_WithADamagedDirectory_IsRefused() => await RefusesAsync(Patch(0, 0), "directory is damaged");

    [Test]
    public async Task Zip_WithinAZip_IsNoImage() => await RefusesAsync(Zip(("cat/x.zip", Zip(("cat/x.png", Png(1))))), "not a PNG");

    [Test]
    public async Task Refused_Thousands_AreCountedButNotAllNamed()
    {
        var answer = await UploadAsync(await NewModelAsync(), ("x.zip", Zip([.. Enumerable.Range(0, 1500).Select(number => ($"cat/{number}.txt", Text("x")))])));
        Assert.That((answer.RefusedCount, answer.Refused.Length), Is.EqualTo((1500, 1000)));
    }

    [Test]
    public async Task File_TooLong_IsRefusedAndTheNextOneTaken()
    {
        var answer = await UploadAsync(await NewModelAsync(), ("label", "cat"), ("big.png", new byte[200_000]), ("ok.png", Png(1)));
        Assert.That(answer.Counts, Is.EqualTo((1, 0, 1)));
        Assert.That(answer.ReasonFor("big.png"), Does.Contain("100000 bytes"));
    }

    [Test]
    public async Task Request_TooLong_IsRefused()
    {
        using var response = await PostAsync(await NewModelAsync(), ("label", "cat"), ("a.png", new byte[32 * 1024 * 1024]));
        await ProblemAsync(response, System.Net.HttpStatusCode.RequestEntityTooLarge);
    }

    private async Task RefusesAsync(byte[] zip, string reason)
    {
        var answer = await UploadAsync(await NewModelAsync(), ("x.zip", zip));
        Assert.That(answer.Counts, Is.EqualTo((0, 0, 1)));
        Assert.That(answer.Refused.Single().Reason, Does.Contain(reason));
    }

    /// <summary>A zip of one image whose directory has another 16-bit value at one place of its entry.</summary>
    private static byte[] Patch(int at, ushort value)
    {
        var zip = Zip(("cat/x.png", Png(1)));
        var entry = zip.AsSpan().LastIndexOf("PK\x01\x02"u8);
        BinaryPrimitives.WriteUInt16LittleEndian(zip.AsSpan(entry + at), value);
        return zip;
    }
}
