using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace MlExperiments.Testing;

/// <summary>
/// A way to the database server that can fall silent: connections stay and new ones are taken, but no byte comes through, as when
/// the server's processes are stopped or the network loses everything.
/// </summary>
public sealed class SilentProxy : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _closed = new();
    private readonly NpgsqlConnectionStringBuilder _server;
    private readonly Task _accepting;
    private TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private SilentProxy(string connectionString, IPAddress address, int port)
    {
        _listener = new TcpListener(address, port);
        _server = new NpgsqlConnectionStringBuilder(connectionString);
        _listener.Start();
        _open.SetResult();
        _accepting = AcceptAsync();
    }

    /// <summary>The database, by way of this proxy.</summary>
    public string ConnectionString => new NpgsqlConnectionStringBuilder(_server.ConnectionString)
    {
        Host = ((IPEndPoint)_listener.LocalEndpoint).Address.ToString(),
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port,
    }.ConnectionString;

    /// <summary>At once, on an address of this machine (loopback unless given) and a free port, or the given one.</summary>
    public static SilentProxy To(string connectionString, IPAddress? address = null, int port = 0) => new(connectionString, address ?? IPAddress.Loopback, port);

    public void Silence() => _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Everything that was held back comes through.</summary>
    public void Resume() => _open.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync();
        _listener.Stop();
        await _accepting;
        _closed.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
            {
                connections.RemoveAll(connection => connection.IsCompleted);
                connections.Add(ForwardAsync(await _listener.AcceptTcpClientAsync(_closed.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ForwardAsync(TcpClient client)
    {
        using (client)
        using (var server = new TcpClient())
        {
            try
            {
                await server.ConnectAsync(_server.Host!, _server.Port, _closed.Token);
                await await Task.WhenAny(PumpAsync(client, server), PumpAsync(server, client));
            }
            catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
            {
                // One of the two is gone: so is the other, in a moment.
            }
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to)
    {
        var buffer = new byte[64 * 1024];
        while (await from.GetStream().ReadAsync(buffer, _closed.Token) is var count and > 0)
        {
            await _open.Task.WaitAsync(_closed.Token);
            await to.GetStream().WriteAsync(buffer.AsMemory(0, count), _closed.Token);
        }

        // An end is no sign of life either.
        await _open.Task.WaitAsync(_closed.Token);
    }
}
