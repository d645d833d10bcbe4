using System.Buffers;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>Takes the images of a zip in, one after another.</summary>
internal sealed class ZipUpload(UploadOptions options, TemporaryFile spool, ImageIntake intake, UploadTally tally)
{
    /// <param name="start">Where the zip begins in the spool.</param>
    /// <param name="split">For images whose path names none.</param>
    public async Task TakeAsync(string name, long start, long length, ImageSplit split, CancellationToken cancellationToken)
    {
        try
        {
            var directory = new ZipDirectory(spool, start, length);
            if (Look(directory, out var layout) is { } problem)
            {
                tally.Refuse(name, problem);
                return;
            }

            foreach (var entry in directory.Entries().Where(entry => !ZipLayout.IsJunk(entry.Path)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (layout.TryPlace(entry.Path, out var label, out var named) is { } misplaced)
                    tally.Refuse(entry.Path, misplaced);
                else
                    await TakeEntryAsync(directory, entry, label, named ?? split, cancellationToken);
            }
        }
        catch (InvalidDataException exception)
        {
            // From the directory alone; entries give their reasons one by one.
            tally.Refuse(name, exception.Message);
        }
    }

    // Before anything is unpacked: all that the archive promises, and what its folders mean.
    private string? Look(ZipDirectory directory, out ZipLayout layout)
    {
        layout = new ZipLayout();
        if (directory.Count > options.MaxEntries)
            return $"the zip has {directory.Count} entries; at most {options.MaxEntries} are accepted: split it";
        long unpacked = 0;
        var isEmpty = true;
        foreach (var entry in directory.Entries())
        {
            layout.Add(entry.Path);
            isEmpty &= ZipLayout.IsJunk(entry.Path);
            // What is too long by itself is refused by itself, without being unpacked.
            if (entry.Length <= options.MaxImageBytes)
                unpacked += entry.Length;
            if (unpacked > options.MaxUnpackedBytes)
                return $"the zip unpacks to more than {options.MaxUnpackedBytes} bytes, the most that is accepted: split it";
        }

        return isEmpty ? "the zip has no files in it" : null;
    }

    private async Task TakeEntryAsync(ZipDirectory directory, ZipEntry entry, string label, ImageSplit split, CancellationToken cancellationToken)
    {
        if (entry.Length > options.MaxImageBytes)
        {
            tally.Refuse(entry.Path, UploadReader.TooLong(options));
            return;
        }

        var length = (int)entry.Length;
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        if (directory.TryUnpack(entry, bytes.AsSpan(0, length)) is { } damaged)
        {
            ArrayPool<byte>.Shared.Return(bytes);
            tally.Refuse(entry.Path, damaged);
            return;
        }

        await intake.AddAsync(entry.Path, label, split, bytes, length, cancellationToken);
    }
}
