using System.CommandLine;
using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Cli;

/// <summary><c>serve</c>: trains and predicts for a worker's slot, over the line protocol on standard input and output.</summary>
internal static class ServeVerb
{
    public static Command Create()
    {
        var device = DeviceOption.Create();
        var command = new Command("serve", "Train and predict for a worker: JSON lines on standard input and output") { device };
        command.SetAction(result => CommandLine.Guarded(() => Serve(result.GetValue(device)!)));
        return command;
    }

    private static int Serve(string device)
    {
        // Ctrl-C in a terminal and a service manager's stop reach the whole process group: the worker decides what becomes of the
        // training, and ends this process by closing its input.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Survive);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Survive);

        // Before anything of libtorch's is loaded, which may print.
        var output = new EventOutput(Posix.TakeStandardOutput());
        Engine.Start(device);
        using var predictor = new Predictor();
        var inbox = new CommandInbox(Console.In);
        output.Send(new ReadyEvent(Engine.Name, Engine.Version, Engine.Device));
        new SlotHost(inbox, output, predictor).Run();
        return 0;
    }

    private static void Survive(PosixSignalContext signal) => signal.Cancel = true;
}
