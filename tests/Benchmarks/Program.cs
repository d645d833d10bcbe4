using System.CommandLine;
using MlExperiments.Benchmarks;

var root = new RootCommand("Benchmarks: each prints ratios against a named peer that is measured in the same run.")
{
    StepBenchmark.CreateCommand(),
    StepPeer.CreateCommand(),
    GridBenchmark.CreateCommand(),
    AccuracyBenchmark.CreateCommand(),
};
return root.Parse(args).Invoke();
