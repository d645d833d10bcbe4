using MlExperiments.Shared.Contracts;

namespace MlExperiments.Training.Data;

/// <summary>One image file of a folder.</summary>
/// <param name="Label">The name of its class.</param>
/// <param name="Split">Null where the layout names none.</param>
internal sealed record LabelledFile(string Path, string Label, string? Split);

/// <summary>
/// Images by folder: one per class, or <c>train</c>, <c>validation</c> and <c>test</c> above the classes; one folder around it all
/// is looked through. Hidden files and folders don't count.
/// </summary>
internal static class ImageFolder
{
    private static readonly string[] SplitNames = [Splits.Train, Splits.Validation, Splits.Test];

    /// <returns>Every file, in an order that depends on the names alone.</returns>
    /// <exception cref="InvalidDataException">The folder isn't laid out like that, or holds no images or a single class.</exception>
    public static IReadOnlyList<LabelledFile> Scan(string folder)
    {
        if (!Directory.Exists(folder)) throw new InvalidDataException($"There is no folder {folder}.");
        var root = Unwrap(new(folder));
        var files = Folders(root).All(IsSplit) && Folders(root).Any()
            ? Folders(root).SelectMany(split => Classes(split, split.Name.ToLowerInvariant())).ToList()
            : Classes(root, null).ToList();

        if (files.Count == 0) throw new InvalidDataException($"{folder} holds no images; put them into a folder per class.");
        var labels = files.Select(file => file.Label).Distinct().ToList();
        if (labels.Count == 1)
            throw new InvalidDataException($"{folder} holds a single class, '{labels[0]}'; there must be at least two to tell apart.");
        return files;
    }

    // An archive often unpacks into one folder that holds everything.
    private static DirectoryInfo Unwrap(DirectoryInfo folder) =>
        Folders(folder).ToList() is [var only] && !IsSplit(only) && Folders(only).Any() ? only : folder;

    private static IEnumerable<LabelledFile> Classes(DirectoryInfo folder, string? split) =>
        from label in Folders(folder)
        from file in label.EnumerateFiles().Where(IsVisible).OrderBy(file => file.Name, StringComparer.Ordinal)
        select new LabelledFile(file.FullName, label.Name, split);

    private static IEnumerable<DirectoryInfo> Folders(DirectoryInfo folder) =>
        folder.EnumerateDirectories().Where(IsVisible).OrderBy(inner => inner.Name, StringComparer.Ordinal);

    private static bool IsSplit(DirectoryInfo folder) => SplitNames.Contains(folder.Name, StringComparer.OrdinalIgnoreCase);

    private static bool IsVisible(FileSystemInfo entry) => !entry.Name.StartsWith('.');
}
