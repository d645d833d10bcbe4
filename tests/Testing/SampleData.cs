namespace MlExperiments.Testing;

/// <summary>
/// Image collections that are too large to be part of the project: looked for in <c>../shared/data</c> beside its root, or where
/// <c>MLEXPERIMENTS_DATA</c> says.
/// </summary>
public static class SampleData
{
    public const string FolderVariable = "MLEXPERIMENTS_DATA";

    /// <summary>The path of a file of the collection; where it is absent, the test that asks is reported as skipped.</summary>
    public static string PathOrSkip(string fileName)
    {
        var folder = Environment.GetEnvironmentVariable(FolderVariable) ?? Path.Combine(ServiceProcess.ProjectRoot, "..", "shared", "data");
        var path = Path.GetFullPath(Path.Combine(folder, fileName));
        if (!File.Exists(path))
            Assert.Ignore($"{path} is absent; set {FolderVariable} to the folder that has {fileName}.");
        return path;
    }
}
