using MlExperiments.Training.Cli;

ProcessSettings.Apply();
return CommandLine.Run(args);
