using System.Text.Json;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Cli;

/// <summary>Writes events as JSON lines, each in one piece.</summary>
internal sealed class EventOutput(Stream stream)
{
    /// <exception cref="IOException">Nobody reads any more.</exception>
    public void Send(TrainerEvent happened)
    {
        using var line = new MemoryStream();
        JsonSerializer.Serialize(line, happened, ContractJson.Options);
        line.WriteByte((byte)'\n');
        stream.Write(line.GetBuffer().AsSpan(0, (int)line.Length));
    }
}
