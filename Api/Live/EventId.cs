using System.Globalization;

namespace MlExperiments.Api.Live;

/// <summary>
/// The id of an event: the time, in microseconds since 1970 by the database's clock, up to which a client that has the event has everything.
/// </summary>
internal static class EventId
{
    public const string Example = "1772355607000000";

    private static readonly long Last = Of(DateTimeOffset.MaxValue);

    public static long Of(DateTimeOffset position) => (position - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    public static bool TryParse(string text, out DateTimeOffset position)
    {
        var isId = long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var microseconds) && microseconds <= Last;
        position = DateTimeOffset.UnixEpoch.AddTicks(isId ? microseconds * TimeSpan.TicksPerMicrosecond : 0);
        return isId;
    }
}
