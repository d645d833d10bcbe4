using System.CommandLine;

namespace MlExperiments.Benchmarks;

/// <summary>What several commands take.</summary>
internal static class Options
{
    public static Option<string> Precision() =>
        new("--precision") { Description = "What our convolutions compute in: float32, as the peer's, or bfloat16", DefaultValueFactory = _ => "float32" };
}
