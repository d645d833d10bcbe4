using System.Security.Cryptography;
using System.Text;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Data;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests.Contracts;

public sealed class DataSetManifestTests
{
    private static readonly string PackA = new('a', 64);
    private static readonly string PackB = new('b', 64);

    [Test]
    public void TryCreate_NoValidationSplit_HoldsOutByHash()
    {
        var manifest = Create(Images(1000));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(manifest.Count, Is.EqualTo(1000));
            Assert.That(manifest.ValidationCount, Is.InRange(150, 250));
            Assert.That(manifest.TrainCount, Is.EqualTo(1000 - manifest.ValidationCount));
        }

        for (var row = 0; row < manifest.Count; row++)
            Assert.That(manifest.Split(row) == ImageSplit.Validation, Is.EqualTo(Splits.IsHeldOut(manifest.Sha256(row))));
    }

    [Test]
    public void TryCreate_ValidationSplitUploaded_HoldsNothingOut()
    {
        var images = Images(100);
        images[7] = images[7] with { Split = ImageSplit.Validation };
        images[8] = images[8] with { Split = ImageSplit.Test };
        var manifest = Create(images);
        Assert.That((manifest.TrainCount, manifest.ValidationCount, manifest.TestCount), Is.EqualTo((98, 1, 1)));
        Assert.That(manifest.Sha256(98).ToArray(), Is.EqualTo(images[7].Sha256));
    }

    [Test]
    public void TryCreate_AnyOrder_GivesRowsBySplitAndHash()
    {
        var images = Images(200);
        var manifest = Create(images);
        images.Reverse();
        var reversed = Create(images);
        Assert.That(reversed.Hash, Is.EqualTo(manifest.Hash));
        for (var row = 1; row < manifest.Count; row++)
        {
            Assert.That(reversed.Sha256(row).SequenceEqual(manifest.Sha256(row)));
            if (manifest.Split(row) == manifest.Split(row - 1))
                Assert.That(manifest.Sha256(row - 1).SequenceCompareTo(manifest.Sha256(row)), Is.Negative);
        }
    }

    [Test]
    public void ReadHashes_OfSomeRows_ReadsThoseAlone()
    {
        using var folder = new TemporaryFolder();
        var manifest = Create(Images(100));
        var path = Path.Combine(folder.Path, "manifest");
        manifest.Save(path);

        var hashes = DataSetManifest.ReadHashes(path, [99, 0, 100, -1, 0]);
        Assert.That(hashes, Is.EqualTo(new[] { Hash(99), Hash(0), null, null, Hash(0) }));
        File.WriteAllBytes(path, [1, 2, 3]);
        Assert.That(() => DataSetManifest.ReadHashes(path, [0]), Throws.TypeOf<InvalidDataException>());

        string Hash(int row) => Convert.ToHexStringLower(manifest.Sha256(row));
    }

    [TestCase(0x00, 0x01, TestName = "TryCreate_AllWouldBeHeldOut_OneStays")]
    [TestCase(0xFE, 0xFF, TestName = "TryCreate_NoneWouldBeHeldOut_OneIs")]
    public void TryCreate_TinySet_HasBothSplits(byte low, byte high)
    {
        var manifest = Create([Image(Enumerable.Repeat(high, 32).ToArray(), "x"), Image(Enumerable.Repeat(low, 32).ToArray(), "y")]);
        using (Assert.EnterMultipleScope())
        {
            Assert.That((manifest.TrainCount, manifest.ValidationCount), Is.EqualTo((1, 1)));
            Assert.That(manifest.Sha256(0)[0], Is.EqualTo(high));
        }
    }

    [Test]
    public void TryCreate_Classes_AreSortedOrdinallyAndLabelsArePlacesInThem()
    {
        var manifest = Create([Image(0, "b"), Image(1, "a"), Image(2, "B"), Image(3, "ä"), Image(4, "10"), Image(5, "9")]);
        Assert.That(manifest.Classes, Is.EqualTo(new[] { "10", "9", "B", "a", "b", "ä" }));
        var labels = Enumerable.Range(0, 6).Select(row => manifest.Classes[manifest.Label(row)]);
        Assert.That(labels, Is.EquivalentTo(manifest.Classes));
    }

    [Test]
    public void Hash_OnlyWhatIsTrainedOn_ChangesIt()
    {
        var images = Images(50);
        var hash = Create(images).Hash;
        var renamed = images.Select(image => image with { Label = $"{image.Label}!" }).ToList();
        var moved = images.Select(image => image with { Pack = PackB, Offset = image.Offset + 1 }).ToList();
        var split = images.ToList();
        split[3] = split[3] with { Split = ImageSplit.Test };
        using (Assert.EnterMultipleScope())
        {
            Assert.That(hash, Does.Match("^[0-9a-f]{64}$"));
            Assert.That(Create(moved).Hash, Is.EqualTo(hash));
            Assert.That(Create(renamed).Hash, Is.Not.EqualTo(hash));
            Assert.That(Create(split).Hash, Is.Not.EqualTo(hash));
            Assert.That(Create(images[1..]).Hash, Is.Not.EqualTo(hash));
        }
    }

    [Test]
    public void Open_SavedManifest_GivesEveryRow()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "manifest");
        var manifest = Create(Images(300));
        manifest.Save(path);
        var opened = DataSetManifest.Open(path);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(opened.Hash, Is.EqualTo(manifest.Hash));
            Assert.That(opened.Classes, Is.EqualTo(manifest.Classes));
            Assert.That(opened.Packs, Is.EquivalentTo(new[] { PackA, PackB }));
        }

        for (var row = 0; row < manifest.Count; row++)
        {
            Assert.That(opened.Sha256(row).ToArray(), Is.EqualTo(manifest.Sha256(row).ToArray()));
            Assert.That((opened.Label(row), opened.Split(row), opened.Location(row)), Is.EqualTo((manifest.Label(row), manifest.Split(row), manifest.Location(row))));
        }
    }

    [Test]
    public void Open_AlteredManifest_IsRefused()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "manifest");
        Create(Images(300)).Save(path);
        var bytes = File.ReadAllBytes(path);
        // The columns are the offsets, labels, packs, lengths and hashes, one behind another.
        var columns = bytes.Length - (300 * 52);
        var packName = bytes.AsSpan().IndexOf("aaaa"u8);
        foreach (var place in new[] { packName, columns + 5, columns + (300 * 8) + 1, columns + (300 * 12) + 1, columns + (300 * 16) + 1, bytes.Length - 1 })
        {
            var altered = bytes.ToArray();
            altered[place] ^= 1;
            File.WriteAllBytes(path, altered);
            Assert.That(() => DataSetManifest.Open(path), Throws.TypeOf<InvalidDataException>(), $"byte {place}");
        }
    }

    [Test]
    public void TryCreate_NegativeOffset_IsRefused() =>
        Assert.That(
            () => DataSetManifest.TryCreate([Image(1, "x") with { Offset = -1 }, Image(2, "y")], out _, out _),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("negative"));

    [Test]
    public void TryCreate_TooFewImages_SaysWhatIsMissing()
    {
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Refuse([]), Does.Contain("no images"));
            Assert.That(Refuse([Image(1, "x"), Image(2, "x")]), Does.Contain("\"x\""));
            Assert.That(Refuse([Image(1, "x") with { Split = ImageSplit.Test }, Image(2, "y") with { Split = ImageSplit.Test }]), Does.Contain("train"));
            Assert.That(Refuse([Image(1, "x"), Image(2, "y") with { Split = ImageSplit.Test }]), Does.Contain("only one"));
        }
    }

    private static DataSetManifest Create(IReadOnlyList<ManifestImage> images)
    {
        Assert.That(DataSetManifest.TryCreate(images, out var manifest, out var reason), Is.True, reason);
        return manifest!;
    }

    private static string Refuse(IReadOnlyList<ManifestImage> images)
    {
        Assert.That(DataSetManifest.TryCreate(images, out _, out var reason), Is.False);
        return reason!;
    }

    private static List<ManifestImage> Images(int count) => [.. Enumerable.Range(0, count).Select(number => Image(number, $"{number % 3}"))];

    private static ManifestImage Image(int number, string label) =>
        Image(SHA256.HashData(Encoding.UTF8.GetBytes($"{number}")), label) with { Pack = number % 2 == 0 ? PackA : PackB, Offset = number * 10L };

    private static ManifestImage Image(byte[] sha256, string label) => new(sha256, label, ImageSplit.Train, PackA, 0, 10);
}
