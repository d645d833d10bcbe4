using System.Diagnostics;
using System.Net.NetworkInformation;

namespace MlExperiments.Faults.Tests;

/// <summary>
/// A network namespace of the test's own, joined to this machine by a pair of virtual cables whose end can be taken down. Needs
/// root and <c>ip</c>.
/// </summary>
internal sealed class SeparatedNetwork : IDisposable
{
    // Of those that RFC 2544 keeps for measurements.
    private const string Prefix = "198.18.";
    private const string Here = $"{Prefix}77.1";
    private const string There = $"{Prefix}77.2";

    private readonly string _name = $"mlx{Environment.ProcessId % 100_000}";

    private SeparatedNetwork()
    {
    }

    /// <summary>What runs a program in there.</summary>
    public IReadOnlyList<string> Launcher => ["ip", "netns", "exec", _name];

    /// <summary>This machine, as seen from there.</summary>
    public static string Host => Here;

    /// <returns>Null where the system doesn't allow it, or uses such addresses itself.</returns>
    public static SeparatedNetwork? TryCreate()
    {
        var network = new SeparatedNetwork();
        var isTaken = NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(card => card.GetIPProperties().UnicastAddresses)
            .Any(address => $"{address.Address}".StartsWith(Prefix, StringComparison.Ordinal));
        if (Environment.IsPrivilegedProcess
            && !isTaken
            && Try("netns", "add", network._name)
            && Try("link", "add", $"{network._name}a", "type", "veth", "peer", "name", $"{network._name}b", "netns", network._name)
            && Try("address", "add", $"{Here}/30", "dev", $"{network._name}a")
            && Try("link", "set", $"{network._name}a", "up")
            && Try("-n", network._name, "address", "add", $"{There}/30", "dev", $"{network._name}b")
            && Try("-n", network._name, "link", "set", $"{network._name}b", "up")
            && Try("-n", network._name, "link", "set", "lo", "up"))
            return network;
        network.Dispose();
        return null;
    }

    public void Cut() => Try("link", "set", $"{_name}a", "down");

    public void Heal() => Try("link", "set", $"{_name}a", "up");

    // The pair goes with either end.
    public void Dispose() => Try("netns", "delete", _name);

    private static bool Try(params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // There is no such program.
            return false;
        }
    }
}
