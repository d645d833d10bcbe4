using MlExperiments.Worker.Slots;

namespace MlExperiments.Worker.Tests;

[TestFixture]
public sealed class BoundedLineReaderTests
{
    [TestCase("", new string[0])]
    [TestCase("one\ntwo\n", new[] { "one", "two" })]
    [TestCase("one\n\ntwo", new[] { "one", "", "two" })]
    [TestCase("123456789\nnext\n", new[] { "12345", "next" }, Description = "what is beyond the limit is dropped")]
    [TestCase("12345\n67890\n", new[] { "12345", "67890" })]
    public async Task Lines_AreReadUpToTheLimit(string text, string[] expected)
    {
        var reader = new BoundedLineReader(new StringReader(text), maxLength: 5);
        List<string> lines = [];
        while (await reader.ReadLineAsync() is { } line)
            lines.Add(line);
        Assert.That(lines, Is.EqualTo(expected));
    }

    [Test]
    public async Task Line_AcrossManyBuffers_IsWhole()
    {
        var text = new string('a', 10_000) + "\n" + new string('b', 4096) + "\nend";
        var reader = new BoundedLineReader(new StringReader(text), maxLength: 1_000_000);
        Assert.Multiple(async () =>
        {
            Assert.That(await reader.ReadLineAsync(), Has.Length.EqualTo(10_000));
            Assert.That(await reader.ReadLineAsync(), Has.Length.EqualTo(4096));
            Assert.That(await reader.ReadLineAsync(), Is.EqualTo("end"));
            Assert.That(await reader.ReadLineAsync(), Is.Null);
        });
    }
}
