using System.CommandLine;

namespace MlExperiments.Training.Cli;

/// <summary><c>--device</c>: where to train and classify.</summary>
internal static class DeviceOption
{
    public static Option<string> Create()
    {
        var option = new Option<string>("--device")
        {
            Description = "auto (a GPU where this build can use one), cpu or cuda",
            DefaultValueFactory = _ => Engine.Auto,
        };
        return option.AcceptOnlyFromAmong(Engine.Auto, Engine.Cpu, Engine.Cuda);
    }
}
