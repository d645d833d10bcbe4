using System.Text;
using MlExperiments.Shared.Contracts;
using MlExperiments.Testing;

namespace MlExperiments.Shared.Tests.Contracts;

public sealed class SafetensorsTests
{
    private TemporaryFolder _files = null!;

    private string Path => System.IO.Path.Combine(_files.Path, "a.safetensors");

    [SetUp]
    public void CreateFolder() => _files = new();

    [TearDown]
    public void RemoveFolder() => _files.Dispose();

    [Test]
    public void File_WrittenAndRead_IsTheSame()
    {
        string? hash;
        using (var writer = new SafetensorsWriter(
            Path,
            [new("b", SafetensorsType.U8, [3]), new("é", SafetensorsType.F32, [2, 1]), new("none", SafetensorsType.I64, [0, 4]), new("one", SafetensorsType.I32, [])],
            new Dictionary<string, string> { ["text"] = "\"quoted\"\n" },
            checksum: true))
        {
            writer.Write("é", 4, BitConverter.GetBytes(2f));
            writer.Write("b", 0, [1, 2, 3]);
            writer.Write("é", 0, BitConverter.GetBytes(1f));
            writer.Write("one", 0, BitConverter.GetBytes(-7));
            hash = writer.Commit();
        }

        using var reader = SafetensorsReader.Open(Path);
        Assert.That(reader.Metadata["text"], Is.EqualTo("\"quoted\"\n"));
        Assert.That(reader.Tensors.Select(tensor => tensor.Name), Is.EquivalentTo(new[] { "b", "é", "none", "one" }));
        Assert.That(reader.ReadAll<byte>(reader.Tensor("b", SafetensorsType.U8, 1)), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(reader.ReadAll<float>(reader.Tensor("é", SafetensorsType.F32, 2)), Is.EqualTo(new float[] { 1, 2 }));
        Assert.That(reader.ReadAll<int>(reader.Tensor("one", SafetensorsType.I32, 0)), Is.EqualTo(new[] { -7 }));
        Assert.That(reader.ReadAll<long>(reader.Tensor("none", SafetensorsType.I64, 2)), Is.Empty);
        Assert.That(reader.ComputeChecksum(), Is.EqualTo(hash));
        Assert.That(() => reader.VerifyChecksum(), Throws.Nothing);
        Assert.That(Directory.GetFiles(_files.Path), Is.EqualTo(new[] { Path }), "a temporary file stayed");
    }

    [Test]
    public void Read_OfAFileThatWasCutShortMeanwhile_IsRefused()
    {
        Write(1);
        using var reader = SafetensorsReader.Open(Path);
        using (var file = new FileStream(Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(file.Length - 1);
        Assert.That(() => reader.ComputeChecksum(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("cut short"));
    }

    [Test]
    public void File_WithoutCommit_LeavesNothing()
    {
        using (var writer = new SafetensorsWriter(Path, [new("a", SafetensorsType.U8, [1])], new Dictionary<string, string>()))
            writer.Write("a", 0, [1]);
        Assert.That(Directory.GetFiles(_files.Path), Is.Empty);
    }

    [Test]
    public void Commit_OverAnEarlierFile_ReplacesIt()
    {
        Write(1);
        Write(2);
        using var reader = SafetensorsReader.Open(Path);
        Assert.That(reader.ReadAll<byte>(reader.Tensors[0]), Is.EqualTo(new byte[] { 2 }));
    }

    [Test]
    public void Access_BeyondATensor_IsRefused()
    {
        using (var writer = new SafetensorsWriter(Path, [new("a", SafetensorsType.U8, [2]), new("b", SafetensorsType.U8, [2])], new Dictionary<string, string>()))
        {
            Assert.That(() => writer.Write("a", 1, [1, 2]), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => writer.Write("a", -1, [1]), Throws.InstanceOf<ArgumentOutOfRangeException>());
            writer.Commit();
        }

        using var reader = SafetensorsReader.Open(Path);
        Assert.That(() => reader.Read(reader.Tensors[0], 1, new byte[2]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => reader.Tensor("a", SafetensorsType.F32, 1), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => reader.Tensor("c", SafetensorsType.U8, 1), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void File_CutAtAnyByte_IsRefused()
    {
        Write(1);
        var whole = File.ReadAllBytes(Path);
        for (var length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(Path, whole[..length]);
            Assert.That(() => SafetensorsReader.Open(Path).Dispose(), Throws.TypeOf<InvalidDataException>().With.Message.Contains(Path));
        }

        File.WriteAllBytes(Path, [.. whole, 0]);
        Assert.That(() => SafetensorsReader.Open(Path).Dispose(), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void Checksum_OfAnAlteredTensor_IsRefused()
    {
        Write(1);
        var bytes = File.ReadAllBytes(Path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(Path, bytes);
        using var reader = SafetensorsReader.Open(Path);
        Assert.That(() => reader.VerifyChecksum(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("altered"));
    }

    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", ExpectedResult = null)]
    [TestCase("""{}""", ExpectedResult = "4")]
    [TestCase("""[]""", ExpectedResult = "object")]
    [TestCase("""{"a":""", ExpectedResult = "can't be read")]
    [TestCase("""{"a":7}""", ExpectedResult = "can't be read")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4]}}""", ExpectedResult = "can't be read")]
    [TestCase("""{"a":{"dtype":"F64","shape":[4],"data_offsets":[0,4]}}""", ExpectedResult = "F64")]
    [TestCase("""{"a":{"dtype":"0","shape":[4],"data_offsets":[0,4]}}""", ExpectedResult = "type '0'")]
    [TestCase("""{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}""", ExpectedResult = "negative")]
    [TestCase("""{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}}""", ExpectedResult = "shape needs 5")]
    [TestCase("""{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}""", ExpectedResult = "5 bytes")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}""", ExpectedResult = "impossible")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[-4,0]}}""", ExpectedResult = "impossible")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}}""", ExpectedResult = "impossible")]
    [TestCase("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", ExpectedResult = "instead of 3")]
    [TestCase("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", ExpectedResult = "instead of 1")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", ExpectedResult = "can't be read")]
    [TestCase("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", ExpectedResult = "can't be read")]
    [TestCase("""{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,4]}}""", ExpectedResult = "can't be read")]
    [TestCase("""{"__metadata__":{"x":1},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", ExpectedResult = "can't be read")]
    [TestCase("""{"__metadata__":{"x":null},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", ExpectedResult = "no text")]
    public string? Header_ThatIsHostile_IsRefused(string header)
    {
        WriteRaw(Encoding.UTF8.GetByteCount(header), header);
        try
        {
            using var reader = SafetensorsReader.Open(Path);
            return null;
        }
        catch (InvalidDataException error)
        {
            // The expected words, where the message has them: a mismatch shows the whole message.
            var expected = (string?)TestContext.CurrentContext.Test.ExpectedResult;
            return expected is not null && error.Message.Contains(expected, StringComparison.Ordinal) ? expected : error.Message;
        }
    }

    [TestCase(-1)]
    [TestCase(0)]
    [TestCase(1000)]
    [TestCase(long.MaxValue)]
    public void HeaderLength_ThatDoesNotFit_IsRefused(long length)
    {
        WriteRaw(length, "{}");
        Assert.That(() => SafetensorsReader.Open(Path).Dispose(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("length"));
    }

    private void Write(byte value)
    {
        using var writer = new SafetensorsWriter(Path, [new("a", SafetensorsType.U8, [1])], new Dictionary<string, string>(), checksum: true);
        writer.Write("a", 0, [value]);
        writer.Commit();
    }

    private void WriteRaw(long length, string header) =>
        File.WriteAllBytes(Path, [.. BitConverter.GetBytes(length), .. Encoding.UTF8.GetBytes(header), 1, 2, 3, 4]);
}
