using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Hangfire;
using Hangfire.Logging;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;
using MlExperiments.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using LogLevel = Microsoft.Extensions.Logging.LogLevel;

namespace MlExperiments.Shared.Tests.Queue;

/// <summary>Tickets from their transaction to the workers.</summary>
[TestFixture]
public sealed class TicketQueueTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private TestDatabase _database = null!;
    private IHost _enqueuer = null!;

    private TicketQueue Queue => _enqueuer.Services.GetRequiredService<TicketQueue>();

    [SetUp]
    public async Task SetUp()
    {
        _database = await TestDatabase.CreateAsync();
        _enqueuer = NewHost(services => services.AddTicketQueue());
    }

    [TearDown]
    public async Task TearDown()
    {
        _enqueuer.Dispose();
        await _database.DisposeAsync();
    }

    [Test]
    public async Task Enqueue_Committed_Waits()
    {
        await EnqueueAsync(3);
        Assert.That(await Queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(3));
    }

    [Test]
    public async Task Enqueue_RolledBack_LeavesNeitherRowNorTicket()
    {
        await using var db = _database.NewContext();
        Assert.ThrowsAsync<InvalidDataException>(() => db.TransactAsync(
            async token =>
            {
                db.Models.Add(NewModel());
                await db.SaveChangesAsync(token);
                Queue.Enqueue(db, 2, token);
                throw new InvalidDataException("changed my mind");
            },
            CancellationToken.None));

        Assert.Multiple(() =>
        {
            Assert.That(Queue.CountWaitingAsync(CancellationToken.None).Result, Is.Zero);
            Assert.That(db.Models.Count(), Is.Zero);
        });
    }

    [Test]
    public async Task Enqueue_OutsideATransaction_IsRefused()
    {
        await using var db = _database.NewContext();
        Assert.Throws<InvalidOperationException>(() => Queue.Enqueue(db, 1, CancellationToken.None));
    }

    [Test]
    public async Task Enqueue_MoreThanATransactionMayHold_IsCut()
    {
        await EnqueueAsync(TicketQueue.MaxTicketsPerTransaction + 10);
        Assert.That(await Queue.CountWaitingAsync(CancellationToken.None), Is.EqualTo(TicketQueue.MaxTicketsPerTransaction));
    }

    [Test]
    public async Task CheckVersion_BeforeTheMigration_SaysWhatToRun()
    {
        await Queue.CheckVersionAsync(CancellationToken.None);
        await using var empty = await TestDatabase.CreateEmptyAsync();
        using var host = NewHost(services => services.AddTicketQueue(), empty);
        var refusal = Assert.ThrowsAsync<SchemaVersionException>(
            () => host.Services.GetRequiredService<TicketQueue>().CheckVersionAsync(CancellationToken.None));
        Assert.That(refusal!.Message, Does.Contain("migrate"));
    }

    [Test]
    public async Task Hosts_OneAfterTheOther_EnqueueAndLog()
    {
        var logged = new LoggedWarnings();
        using (var first = NewHost(services => services.AddTicketQueue()))
            await EnqueueAsync(1, first);
        // What Hangfire initializes only now finds the log provider of a host that is gone.
        LogProvider.GetLogger("Hangfire.Between").Warn("between the hosts");
        RuntimeHelpers.RunClassConstructor(typeof(GlobalJobFilters).TypeHandle);
        using var second = NewHost(services => services.AddTicketQueue().AddSingleton<ILoggerProvider>(logged));
        await EnqueueAsync(1, second);
        LogProvider.GetLogger("Hangfire.Second").Info("below the level that the host logs");
        LogProvider.GetLogger("Hangfire.Second").Warn("in the second host");

        Assert.Multiple(() =>
        {
            Assert.That(Queue.CountWaitingAsync(CancellationToken.None).Result, Is.EqualTo(2));
            Assert.That(logged.Messages, Does.Contain("in the second host").And.Not.Contain("below the level that the host logs"));
        });
    }

    [Test]
    public async Task Worker_WhoseListeningConnectionIsLost_ListensAgain()
    {
        var handled = new HandledTickets();
        using var worker = await StartWorkerAsync(handled, slots: 1);
        var lost = await WhenListeningAsync(except: 0);
        await using (var kill = _database.DataSource.CreateCommand($"SELECT pg_terminate_backend({lost})"))
            await kill.ExecuteNonQueryAsync();

        await WhenListeningAsync(except: lost);
        await EnqueueAsync(1);
        await handled.WaitAsync(1);
        await worker.StopAsync();
    }

    [Test]
    public async Task Tickets_WithTwoWorkers_AreEachHandledOnce()
    {
        const int tickets = 40;
        var handled = new HandledTickets();
        using var first = await StartWorkerAsync(handled, slots: 2);
        using var second = await StartWorkerAsync(handled, slots: 2);

        await EnqueueAsync(tickets);

        await handled.WaitAsync(tickets);
        Assert.Multiple(() =>
        {
            Assert.That(Queue.CountWaitingAsync(CancellationToken.None).Result, Is.Zero);
            Assert.That(handled.MostAtOnce, Is.LessThanOrEqualTo(4));
        });
        await Task.WhenAll(first.StopAsync(), second.StopAsync());
        Assert.That(handled.Count, Is.EqualTo(tickets));
    }

    [Test]
    public async Task Handler_ThatThrows_DoesNotStopTheOthers()
    {
        var handled = new HandledTickets { ThrowOnFirst = true };
        using var worker = await StartWorkerAsync(handled, slots: 1);
        await EnqueueAsync(3);
        await handled.WaitAsync(3);
        await worker.StopAsync();
    }

    [Test]
    public async Task Stop_WaitsForTheRunningTicket()
    {
        var handled = new HandledTickets { Gate = new TaskCompletionSource() };
        using var worker = await StartWorkerAsync(handled, slots: 1);
        await EnqueueAsync(1);
        await handled.Started.Task.WaitAsync(Patience);

        var stopping = worker.StopAsync();
        await EnqueueAsync(1);
        var other = new HandledTickets();
        using var second = await StartWorkerAsync(other, slots: 1);
        await other.WaitAsync(1);
        // The second worker had time to start and take a ticket; the first one still waits for its own, and took no other.
        Assert.Multiple(() =>
        {
            Assert.That(stopping.IsCompleted, Is.False);
            Assert.That(handled.Count, Is.Zero);
        });
        handled.Gate.SetResult();
        await stopping.WaitAsync(Patience);
        await second.StopAsync();
        Assert.That((handled.Count, other.Count), Is.EqualTo((1, 1)));
    }

    [Test]
    public async Task Ticket_FromCommitToHandler_IsNotPolledFor()
    {
        var handled = new HandledTickets();
        using var worker = await StartWorkerAsync(handled, slots: 1);
        List<double> seconds = [];
        for (var round = 1; round <= 5; round++)
        {
            var clock = Stopwatch.StartNew();
            await EnqueueAsync(1);
            await handled.WaitAsync(round);
            seconds.Add(clock.Elapsed.TotalSeconds);
        }

        seconds.Sort();
        await TestContext.Out.WriteLineAsync($"From commit to handler: median {seconds[2]:0.000} s, longest {seconds[4]:0.000} s ({TicketQueue.Engine})");
        // A lost notification costs up to 5 s.
        Assert.That(seconds[2], Is.LessThan(1));
        await worker.StopAsync();
    }

    private static Model NewModel() =>
        new() { Name = "m", InputWidth = 28, InputHeight = 28, InputChannels = 1, CreatedAt = TimeProvider.System.GetUtcNow() };

    /// <param name="host">Another one than the test's.</param>
    private async Task EnqueueAsync(int count, IHost? host = null)
    {
        var queue = host?.Services.GetRequiredService<TicketQueue>() ?? Queue;
        await using var db = _database.NewContext();
        await db.TransactAsync(
            token =>
            {
                queue.Enqueue(db, count, token);
                return Task.CompletedTask;
            },
            CancellationToken.None);
    }

    /// <summary>The server's process for the connection that waits for tickets.</summary>
    private Task<int> WhenListeningAsync(int except) => Eventually.GetAsync(
        "the worker to listen",
        Patience,
        async () =>
        {
            await using var command = _database.DataSource.CreateCommand(
                $"SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN new_job' AND pid <> {except}");
            return (int)(await command.ExecuteScalarAsync())!;
        },
        process => process != 0);

    private async Task<IHost> StartWorkerAsync(HandledTickets handled, int slots)
    {
        var host = NewHost(services => services.AddSingleton(handled).AddTicketQueue<CountingHandler>(slots));
        await host.StartAsync();
        return host;
    }

    private IHost NewHost(Action<IServiceCollection> configure, TestDatabase? database = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new("ConnectionStrings:Database", (database ?? _database).ConnectionString)]);
        builder.Services.AddDatabase(builder.Configuration);
        builder.Services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning));
        configure(builder.Services);
        return builder.Build();
    }

    private sealed class HandledTickets
    {
        private readonly ConcurrentBag<Guid> _handled = [];
        private readonly SemaphoreSlim _signal = new(0);
        private int _running;
        private int _awaited;

        public TaskCompletionSource? Gate { get; init; }
        public TaskCompletionSource Started { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public bool ThrowOnFirst { get; init; }
        public int MostAtOnce { get; private set; }
        public int Count => _handled.Count;

        public async Task HandleAsync()
        {
            var running = Interlocked.Increment(ref _running);
            lock (_handled)
                MostAtOnce = Math.Max(MostAtOnce, running);
            Started.TrySetResult();
            if (Gate is not null)
                await Gate.Task;
            _handled.Add(Guid.NewGuid());
            Interlocked.Decrement(ref _running);
            _signal.Release();
            if (ThrowOnFirst && _handled.Count == 1)
                throw new InvalidDataException("The first ticket's handler fails.");
        }

        public async Task WaitAsync(int count)
        {
            for (; _awaited < count; _awaited++)
                Assert.That(await _signal.WaitAsync(Patience), Is.True, $"only {_awaited} of {count} tickets were handled");
        }
    }

    private sealed class LoggedWarnings : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string> _messages = [];

        public IEnumerable<string> Messages => _messages;

        public ILogger CreateLogger(string categoryName) => this;

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _messages.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }

    private sealed class CountingHandler(HandledTickets handled) : ITicketHandler
    {
        public Task HandleAsync(CancellationToken cancellationToken) => handled.HandleAsync();
    }
}
