using System.Net;
using System.Net.Sockets;

namespace MlExperiments.Testing;

public static class Ports
{
    /// <summary>A port of 127.0.0.1 that nobody listened on a moment ago, below those that the kernel gives to connections by itself.</summary>
    public static int Free()
    {
        while (true)
        {
            var port = Random.Shared.Next(20_000, 30_000);
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // It is taken.
            }
        }
    }
}
