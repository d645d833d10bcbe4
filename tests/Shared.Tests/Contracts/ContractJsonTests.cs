using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Tests.Contracts;

public sealed class ContractJsonTests
{
    [Test]
    public void Event_WithItsTypeLast_IsRead()
    {
        var happened = Read("""{"trajectoryId":"01234567-89ab-cdef-0123-456789abcdef","step":3,"type":"done"}""");
        Assert.That(happened, Is.EqualTo(new DoneEvent(Guid.Parse("01234567-89ab-cdef-0123-456789abcdef"), 3)));
    }

    // What readers of the protocol have to catch.
    [Test]
    public void Event_WithoutATypeOrOfAnUnknownOne_IsRefused()
    {
        Assert.That(() => Read("{}"), Throws.TypeOf<NotSupportedException>());
        Assert.That(() => Read("""{"type":"dance"}"""), Throws.TypeOf<JsonException>());
        Assert.That(() => Read("garbage"), Throws.TypeOf<JsonException>());
    }

    private static TrainerEvent? Read(string line) => JsonSerializer.Deserialize<TrainerEvent>(line, ContractJson.Options);
}
