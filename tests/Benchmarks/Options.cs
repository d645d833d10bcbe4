using System.CommandLine;
using System.IO.Compression;

namespace MlExperiments.Benchmarks;

/// <summary>What several commands take.</summary>
internal static class Options
{
    public static Option<string> Precision()
    {
        var option = new Option<string>("--precision")
        {
            Description = "What our convolutions but the first compute in: float32, as the peer's, or bfloat16", DefaultValueFactory = _ => "float32",
        };
        option.AcceptOnlyFromAmong("float32", "bfloat16");
        return option;
    }

    public static Option<string> Python() =>
        new("--python") { Description = "A Python that has torch, and torchvision where whole networks are trained", DefaultValueFactory = _ => "/usr/bin/python3" };

    public static Option<FileInfo> Images() =>
        new("--images") { Description = "A zip with train/ and test/, each with a folder per class of 28 x 28 grey images", Required = true };

    public static Option<int> AtLeast(int least, Option<int> option)
    {
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < least)
                result.AddError($"{option.Name} must be at least {least}.");
        });
        return option;
    }

    /// <summary>Extracts a zip of <see cref="Images"/>.</summary>
    /// <returns>The folder that holds <c>train</c> and <c>test</c>: a zip often has a folder of its name around all.</returns>
    public static async Task<string> ExtractAsync(FileInfo images, DirectoryInfo folder)
    {
        await ZipFile.ExtractToDirectoryAsync(images.FullName, folder.FullName);
        return Directory.GetDirectories(folder.FullName).Append(folder.FullName).First(candidate => Directory.Exists(Path.Combine(candidate, "train")));
    }
}
