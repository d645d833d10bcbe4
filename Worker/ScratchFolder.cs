using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MlExperiments.Worker;

/// <summary>
/// Where trainers and packing write before it is stored: <see cref="WorkerOptions.Folder"/>, or a folder of this process in the system's
/// temporary one, which goes with the process.
/// </summary>
public sealed partial class ScratchFolder : IDisposable
{
    private const string Prefix = "mlexperiments-worker-";

    private readonly ILogger _logger;
    private readonly bool _isTemporary;

    public ScratchFolder(IOptions<WorkerOptions> options, ILogger<ScratchFolder> logger)
    {
        _logger = logger;
        _isTemporary = options.Value.Folder.Length == 0;
        Path = System.IO.Path.GetFullPath(_isTemporary ? System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{Prefix}{Environment.ProcessId}") : options.Value.Folder);
        if (_isTemporary)
            DeleteAbandoned();
    }

    public string Path { get; }

    public void Dispose()
    {
        if (_isTemporary && Directory.Exists(Path))
            Delete(Path);
    }

    /// <summary>What workers left that were killed: the process of their folder's name is gone.</summary>
    private void DeleteAbandoned()
    {
        foreach (var folder in Directory.EnumerateDirectories(System.IO.Path.GetTempPath(), $"{Prefix}*"))
        {
            if (int.TryParse(System.IO.Path.GetFileName(folder)[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var processId) && !IsAlive(processId))
                Delete(folder);
        }
    }

    private void Delete(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Another user's, or another worker was quicker: it takes space, and nothing else.
            LogNotDeleted(_logger, folder, exception.Message);
        }
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            Process.GetProcessById(processId).Dispose();
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    [LoggerMessage(LogLevel.Warning, "The scratch folder {Folder} is no longer needed and can't be deleted: {Reason}")]
    private static partial void LogNotDeleted(ILogger logger, string folder, string reason);
}
