using System.CommandLine;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Cli;

/// <summary><c>serve</c>: trains and predicts for a worker's slot, over the line protocol on standard input and output.</summary>
internal static class ServeVerb
{
    public static Command Create()
    {
        var command = new Command("serve", "Train and predict for a worker: JSON lines on standard input and output");
        command.SetAction(_ => CommandLine.Guarded(Serve));
        return command;
    }

    private static int Serve()
    {
        // Before anything of libtorch's is loaded, which may print.
        var output = new EventOutput(Posix.TakeStandardOutput());
        Engine.UseOneThread();
        using var predictor = new Predictor();
        using var inbox = new CommandInbox(Console.In);
        output.Send(new ReadyEvent(Engine.Name, Engine.Version, Engine.Device));
        new SlotHost(inbox, output, predictor).Run();
        return 0;
    }
}
