using System.CommandLine;
using MlExperiments.Benchmarks;

var root = new RootCommand("Benchmarks: each compares with a named peer that is measured in the same run.")
{
    StepBenchmark.CreateCommand(),
    StepPeer.CreateCommand(),
    EagerPeer.CreateCommand(),
    GridBenchmark.CreateCommand(),
    AccuracyBenchmark.CreateCommand(),
};
return root.Parse(args).Invoke();
