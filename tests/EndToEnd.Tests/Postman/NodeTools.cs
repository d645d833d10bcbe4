using MlExperiments.Testing;

namespace MlExperiments.EndToEnd.Tests.Postman;

/// <summary>The programs of <c>postman/package.json</c>, as <c>npm ci</c> (tests/run.sh does it) has put them there.</summary>
internal static class NodeTools
{
    /// <summary>Set by tests/run.sh where Node.js is not wanted; otherwise a tool that is missing is a failure.</summary>
    private const string WithoutVariable = "MLEXPERIMENTS_WITHOUT_NODE";

    public static string Folder => Path.Combine(ServiceProcess.ProjectRoot, "postman");

    /// <param name="script">Below node_modules.</param>
    public static ServiceProcess Start(string script, params string[] arguments)
    {
        if (Environment.GetEnvironmentVariable(WithoutVariable) is "1")
            Assert.Ignore($"{WithoutVariable} is set: this needs Node.js.");
        var path = Path.Combine(Folder, "node_modules", script);
        if (!File.Exists(path))
            Assert.Fail($"{path} is missing: run tests/run.sh, or npm ci in {Folder}; {WithoutVariable}=1 leaves out what needs Node.js.");
        return ServiceProcess.StartProgram(script, "node", [path, .. arguments]);
    }
}
