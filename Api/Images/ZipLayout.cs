using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>
/// How an archive's folders name classes and splits: <c>class/file</c> or <c>split/class/file</c>, either of them within one wrapping
/// folder. Made from all paths first, since only together they show whether the first folder wraps.
/// </summary>
internal sealed class ZipLayout
{
    private static readonly string[] JunkFiles = [".DS_Store", "Thumbs.db", "desktop.ini"];

    private string? _commonFolder;
    private bool _hasCommonFolder = true;
    private int _fewestFolders = int.MaxValue;
    private int _mostFolders;

    /// <summary>Takes a path into account.</summary>
    public void Add(string path)
    {
        if (IsJunk(path) || Folders(path) is not { Length: > 0 } folders)
            return;
        _hasCommonFolder &= _commonFolder is null || _commonFolder == folders[0];
        _commonFolder ??= folders[0];
        _fewestFolders = Math.Min(_fewestFolders, folders.Length);
        _mostFolders = Math.Max(_mostFolders, folders.Length);
    }

    /// <summary>What systems and programs leave in archives: folders' own entries and files that nobody put there.</summary>
    public static bool IsJunk(string path)
    {
        var file = path[(path.LastIndexOf('/') + 1)..];
        return file.Length == 0
            || file.StartsWith("._", StringComparison.Ordinal)
            || JunkFiles.Contains(file, StringComparer.OrdinalIgnoreCase)
            || path.StartsWith("__MACOSX/", StringComparison.Ordinal)
            || path.Contains("/__MACOSX/", StringComparison.Ordinal);
    }

    /// <param name="split">Null where the path names none.</param>
    /// <returns>Null, or else why the path can't be understood, in words.</returns>
    public string? TryPlace(string path, out string label, out ImageSplit? split)
    {
        (label, split) = ("", null);
        if (Folders(path) is not { } folders)
            return "its path leads out of the archive";
        if (IsWrapped && folders.Length > 0)
            folders = folders[1..];
        if (folders.Length > 0 && SplitWords.TryParse(folders[0], out var named))
        {
            // With nothing below it, a folder of such a name is a split whose images lie in no class.
            split = named;
            folders = folders[1..];
        }

        switch (folders)
        {
            case []:
                return "it lies in no class folder: a zip needs class/file or train/class/file";
            case [var folder]:
                label = folder.Trim();
                return Labels.Problem(label) is { } problem ? $"its class folder is no label: {problem}" : null;
            default:
                return "it lies too deep: a zip needs class/file or train/class/file, in one more folder at most";
        }
    }

    // A folder that holds everything wraps, unless it is the only class or the only split.
    private bool IsWrapped =>
        _hasCommonFolder && _commonFolder is not null && _mostFolders > 1 && (_fewestFolders > 2 || !SplitWords.TryParse(_commonFolder, out _));

    private static string[]? Folders(string path)
    {
        if (path.StartsWith('/') || path.Contains(':') && path.IndexOf(':') == 1 || path.Any(char.IsControl))
            return null;
        var parts = path.Split('/');
        return parts.Contains("..") ? null : [.. parts[..^1].Where(part => part is not ("" or "."))];
    }
}
