using System.Buffers.Binary;
using System.IO.Compression;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Tests.Images;

public sealed class IdxUploadTests : ImagesFixture
{
    private const string TrainImages = "train-images-idx3-ubyte.gz";
    private const string TrainLabels = "train-labels-idx1-ubyte.gz";
    private const string TestImages = "t10k-images-idx3-ubyte.gz";
    private const string TestLabels = "t10k-labels-idx1-ubyte.gz";

    private static readonly ImageShape Shape = new(7, 9, 1);

    protected override IEnumerable<KeyValuePair<string, string>> Settings =>
    [
        new("Upload:MaxImageBytes", "20000"),
        new("Upload:MaxEntries", "3000"),
        new("Upload:MaxUnpackedBytes", "1000000"),
    ];

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public async Task FourFiles_InAnyOrder_BecomeTheirImages(int first)
    {
        var model = await NewModelAsync();
        (string, object)[] files =
            [(TrainImages, Gzip(Images(5))), (TrainLabels, Gzip(Labels(5))), (TestImages, Gzip(Images(3, seed: 100))), (TestLabels, Gzip(Labels(3)))];

        var answer = await UploadAsync(model, [.. files[first..], .. files[..first]]);
        var train = await ListAsync(model, "split=train");
        var test = await ListAsync(model, "split=test");

        Assert.That(answer.Counts, Is.EqualTo((8, 0, 0)), answer.Refused.FirstOrDefault()?.Reason);
        Assert.That(train.Select(image => $"{image.GetProperty("fileName")} {image.GetProperty("label")}"), Is.EqualTo(Enumerable.Range(0, 5).Select(at => $"{TrainImages}/0000{at}.png {Label(at)}")));
        Assert.That(test.Select(image => image.GetProperty("fileName").GetString()), Is.EqualTo(Enumerable.Range(0, 3).Select(at => $"{TestImages}/0000{at}.png")));
        Assert.That((train[2].GetProperty("width").GetInt32(), train[2].GetProperty("height").GetInt32()), Is.EqualTo((Shape.Width, Shape.Height)));
        var png = await Client.GetByteArrayAsync(train[2].GetProperty("content").GetString());
        var pixels = new byte[Shape.Size];
        Assert.That(ImageDecoder.TryDecode(png, Shape, pixels, out _));
        Assert.That(pixels, Is.EqualTo(Pixels(2)));
    }

    [Test]
    public async Task SamePair_Again_CountsAsDuplicates()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, (TrainImages, Gzip(Images(5))), (TrainLabels, Gzip(Labels(5))));

        var again = await UploadAsync(model, ("train-labels-idx1-ubyte", Labels(6)), ("train-images-idx3-ubyte", Images(6)));

        Assert.That(again.Counts, Is.EqualTo((1, 5, 0)), "also when it is not packed");
    }

    [TestCase("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz", "train")]
    [TestCase("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte.gz", "train")]
    [TestCase("emnist-letters-test-images-idx3-ubyte.gz", "emnist-letters-test-labels-idx1-ubyte.gz", "test")]
    [TestCase("T10K-IMAGES-IDX3-UBYTE.GZ", "t10k-labels-idx1-ubyte.gz", "test")]
    [TestCase("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte", "test")]
    [TestCase("val-images-idx3-ubyte", "val-labels-idx1-ubyte", "validation")]
    [TestCase("mnist/t10k-images-idx3-ubyte", "mnist/t10k-labels-idx1-ubyte", "test")]
    [TestCase("extra-images-idx3-ubyte", "extra-labels-idx1-ubyte", "train")]
    public async Task Names_OfAPair_GiveTheSplit(string images, string labels, string split)
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(model, (labels, Labels(2)), (images, Gzip(Images(2))));
        Assert.That(answer.Counts, Is.EqualTo((2, 0, 0)), answer.Refused.FirstOrDefault()?.Reason);
        Assert.That(await ListAsync(model, $"split={split}"), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task Split_OfTheForm_GoesBeforeTheNames()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, (TrainImages, Gzip(Images(2))), (TrainLabels, Gzip(Labels(2))), (TestImages, Gzip(Images(2, seed: 9))), (TestLabels, Gzip(Labels(2))), ("split", "validation"));
        Assert.That(await ListAsync(model, "split=validation"), Has.Count.EqualTo(4));
    }

    [Test]
    public async Task Pair_BesideOtherFiles_LeavesThemTheirs()
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(
            model, ("label", "cat"), ("split", "test"), (TrainLabels, Gzip(Labels(2))), ("a.png", Png(1)), ("x.zip", Zip(("owl/1.png", Png(2)))), ("b.png", Png(3)), (TrainImages, Gzip(Images(2))));
        Assert.That(answer.Counts, Is.EqualTo((5, 0, 0)), answer.Refused.FirstOrDefault()?.Reason);
        Assert.That((await ListAsync(model)).Select(image => image.GetProperty("label").GetString()), Is.EquivalentTo(new[] { "cat", "cat", "owl", $"{Label(0)}", $"{Label(1)}" }));
    }

    [Test]
    public async Task Images_WithoutLabels_NameWhatIsMissing()
    {
        var answer = await UploadAsync(await NewModelAsync(), (TrainImages, Gzip(Images(2))), (TestLabels, Gzip(Labels(2))));
        Assert.That(answer.Counts, Is.EqualTo((0, 0, 2)));
        Assert.That(answer.ReasonFor(TrainImages), Does.Contain("labels are missing").And.Contain(TrainLabels));
        Assert.That(answer.ReasonFor(TestLabels), Does.Contain("images are missing").And.Contain(TestImages));
    }

    [Test]
    public async Task Files_OfTheSameName_AreRefusedButTheFirst()
    {
        var answer = await UploadAsync(
            await NewModelAsync(), (TrainImages, Gzip(Images(2))), ("train-images-idx3-ubyte", Images(2, seed: 50)), (TrainLabels, Gzip(Labels(2))));
        Assert.That(answer.Counts, Is.EqualTo((2, 0, 1)));
        Assert.That(answer.ReasonFor("train-images-idx3-ubyte"), Does.Contain("came before"));
    }

    private static readonly (string Name, byte[] Images, string Reason)[] Damaged =
    [
        ("empty", [], "ends within its header"),
        ("header only half", Images(3)[..10], "ends within its header"),
        ("labels", Labels(30), "begins with 0x00000801"),
        ("floats", Change(Images(3), 0, 0x00000D03), "begins with 0x00000D03"),
        ("png", Png(1), "begins with 0x89504E47"),
        ("cut short", Images(3)[..^1], "1 bytes are missing"),
        ("too long", [.. Images(3), 0], "goes on after"),
        ("gzip cut short", Gzip(Images(3))[..^30], "cut short"),
        ("gzip of one cut short", Gzip(Images(3)[..^1]), "1 bytes are missing"),
        ("gzip of one too long", Gzip([.. Images(3), 0]), "goes on after"),
        ("gzip damaged", Break(Gzip(Images(3))), "damaged"),
        ("no images", Change(Images(0), 4, 0), "it has 0 images"),
        ("more than accepted", Change(Images(3), 4, 3001), "3001 images; 1 to 3000"),
        ("negative", Change(Images(3), 4, -1), "4294967295 images"),
        ("no rows", Change(Images(3), 8, 0), "0 rows"),
        ("wide", Change(Images(3), 12, 1025), "1025 columns"),
        ("more than is unpacked", Change(Change(Change(Images(3), 4, 2000), 8, 1000), 12, 1000), "unpacks to more than 1000000 bytes"),
        ("another count", Images(4), "has 3 labels"),
    ];

    [TestCaseSource(nameof(DamagedNames))]
    public async Task Images_Damaged_AreRefusedWhole(string name)
    {
        var (_, images, reason) = Damaged.Single(entry => entry.Name == name);
        var model = await NewModelAsync();

        var answer = await UploadAsync(model, (TrainImages, images), (TrainLabels, Gzip(Labels(3))));

        Assert.That(answer.Counts, Is.EqualTo((0, 0, 2)));
        Assert.That(answer.ReasonFor(TrainImages), Does.Contain(reason));
        Assert.That(answer.ReasonFor(TrainLabels), Does.Contain(TrainImages));
        Assert.That(await ListAsync(model), Is.Empty);
    }

    [Test]
    public async Task Labels_Damaged_AreRefusedWithTheirImages()
    {
        var answer = await UploadAsync(await NewModelAsync(), (TrainImages, Gzip(Images(3))), (TrainLabels, Gzip(Images(3))));
        Assert.That(answer.Counts, Is.EqualTo((0, 0, 2)));
        Assert.That(answer.ReasonFor(TrainLabels), Does.Contain("of labels").And.Contain("0x00000803"));
    }

    [Test]
    public async Task Image_ThatIsTooLong_IsRefusedByItself()
    {
        var noise = new byte[300 * 300];
        new Random(1).NextBytes(noise);
        byte[] images = [.. Words(0x00000803, 2, 300, 300), .. new byte[300 * 300], .. noise];
        var answer = await UploadAsync(await NewModelAsync(), (TrainImages, Gzip(images)), (TrainLabels, Labels(2)));
        Assert.That(answer.Counts, Is.EqualTo((1, 0, 1)));
        Assert.That(answer.ReasonFor($"{TrainImages}/00001.png"), Does.Contain("longer than 20000 bytes"));
    }

    [Test]
    public async Task Gzip_OfAnotherName_SaysWhatItShouldBeCalled()
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(model, ("label", "cat"), ("digits.gz", Gzip(Images(3))));
        Assert.That(answer.ReasonFor("digits.gz"), Does.Contain("train-images-idx3-ubyte.gz"));
        Assert.That((await UploadAsync(model, ("digits.gz", Gzip(Images(3))))).Counts, Is.EqualTo((0, 0, 1)), "no label would help");
    }

    private static IEnumerable<string> DamagedNames => Damaged.Select(entry => entry.Name);

    private static byte[] Images(int count, int seed = 0) =>
        [.. Words(0x00000803, count, Shape.Height, Shape.Width), .. Enumerable.Range(seed, count).SelectMany(Pixels)];

    private static byte[] Labels(int count) => [.. Words(0x00000801, count), .. Enumerable.Range(0, count).Select(at => (byte)Label(at))];

    private static int Label(int at) => at * 50 % 256;

    private static byte[] Pixels(int seed)
    {
        var pixels = new byte[Shape.Size];
        new Random(seed).NextBytes(pixels);
        return pixels;
    }

    private static byte[] Words(params int[] words)
    {
        var bytes = new byte[words.Length * sizeof(int)];
        for (var place = 0; place < words.Length; place++)
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(place * sizeof(int)), words[place]);
        return bytes;
    }

    private static byte[] Change(byte[] file, int position, int word)
    {
        BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(position), word);
        return file;
    }

    private static byte[] Break(byte[] gzip)
    {
        gzip.AsSpan(15, 20).Fill(0xFF);
        return gzip;
    }

    private static byte[] Gzip(byte[] file)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            gzip.Write(file);
        return packed.ToArray();
    }
}
