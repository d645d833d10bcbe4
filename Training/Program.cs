using MlExperiments.Training.Cli;

return CommandLine.Run(args);
