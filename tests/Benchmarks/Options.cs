using System.CommandLine;

namespace MlExperiments.Benchmarks;

/// <summary>What several commands take.</summary>
internal static class Options
{
    public static Option<string> Precision()
    {
        var option = new Option<string>("--precision")
        {
            Description = "What our convolutions but the first compute in: float32, as the peer's, or bfloat16", DefaultValueFactory = _ => "float32",
        };
        option.AcceptOnlyFromAmong("float32", "bfloat16");
        return option;
    }
}
