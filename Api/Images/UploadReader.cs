using System.Buffers;
using System.Text;
using System.Text.Unicode;
using Microsoft.AspNetCore.WebUtilities;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using Microsoft.Net.Http.Headers;

namespace MlExperiments.Api.Images;

/// <summary>
/// Reads an upload's parts one after another, each file to disk first. A file is taken in as soon as label and split are known,
/// otherwise at the end: fields may come after the files. IDX files wait for the end, since each needs another one.
/// </summary>
internal sealed class UploadReader(UploadOptions options, TemporaryFile spool, ImageIntake intake, UploadTally tally)
{
    private const int MaxFieldBytes = 4096;
    private const string FilesField = "files";
    private const string LabelField = "label";
    private const string SplitField = "split";

    private const string NoIdxName =
        "it is packed with gzip, as only IDX files may be, and those are told by their names, such as train-images-idx3-ubyte.gz: rename it, or pack images as a zip";

    private readonly List<Spooled> _waiting = [];
    private readonly List<IdxPart> _idx = [];
    private string? _label;
    private ImageSplit? _split;
    private int _files;

    /// <summary>Takes the whole upload in.</summary>
    /// <returns>Null, or else the field that is wrong and why, as a sentence; what was taken in before stays.</returns>
    public async Task<(string Field, string Message)?> ReadAsync(MultipartReader reader, CancellationToken cancellationToken)
    {
        while (await reader.ReadNextSectionAsync(cancellationToken) is { } section)
        {
            if (section.GetContentDispositionHeader() is not { } disposition)
                return (FilesField, "A part of the form has no Content-Disposition header, so nobody knows what it is.");
            if (disposition.IsFileDisposition())
            {
                if (await SpoolAsync(section, disposition, cancellationToken) is { } tooMany)
                    return tooMany;
            }
            else if (await ReadFieldAsync(section, disposition, cancellationToken) is { } wrong)
            {
                return wrong;
            }

            if (_label is not null && _split is not null)
                await TakeWaitingAsync(cancellationToken);
        }

        if (_files == 0)
            return (FilesField, "The upload has no files: send images, or a zip of them, as form files named \"files\".");
        if (_label is null && _waiting.FirstOrDefault(file => file is { IsZip: false, Refusal: null }) is { } unlabelled)
            return (LabelField, $"{unlabelled.Name} needs a label: send one for all images in a form field named \"label\", or upload a zip with a folder for each class.");
        await TakeWaitingAsync(cancellationToken);
        await new IdxUpload(options, spool, intake, tally).TakeAsync(_idx, _split, cancellationToken);
        await intake.CompleteAsync(cancellationToken);
        return null;
    }

    private async Task<(string, string)?> ReadFieldAsync(
        MultipartSection section, ContentDispositionHeaderValue disposition, CancellationToken cancellationToken)
    {
        var name = HeaderUtilities.RemoveQuotes(disposition.Name).Value ?? "";
        var bytes = new byte[MaxFieldBytes + 1];
        var count = await section.Body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken);
        if (count > MaxFieldBytes)
            return (name.Length == 0 ? FilesField : name, $"The field is longer than {MaxFieldBytes} bytes; a file needs a file name to be taken for one.");
        if (!Utf8.IsValid(bytes.AsSpan(0, count)))
            return (name.Length == 0 ? FilesField : name, "The field is not text in UTF-8.");
        var value = Encoding.UTF8.GetString(bytes, 0, count).Trim();
        switch (name)
        {
            // A page's form sends the field also when no file was chosen.
            case FilesField when value.Length == 0:
                return null;
            case FilesField:
                return (FilesField, "files is text here: send the file itself, which has a file name; with curl, -F files=@digit.png.");
            case "":
                return (FilesField, "A part of the form has no name: name it files, label or split.");
            // Forms send what was left empty, too.
            case LabelField or SplitField when value.Length == 0:
                return null;
            case LabelField:
                if (Labels.Problem(value) is { } problem)
                    return (LabelField, problem);
                if (_label is not null && _label != value)
                    return (LabelField, "An upload has one label for all of its images: send another upload for another label, or a zip.");
                _label = value;
                return null;
            case SplitField:
                if (!SplitWords.TryParse(value, out var parsed))
                    return (SplitField, SplitWords.Problem);
                if (_split is not null && _split != parsed)
                    return (SplitField, "An upload has one split for all of its images: send another upload for another split, or a zip.");
                _split = parsed;
                return null;
            default:
                return (name, $"The field \"{name}\" is not known here; an upload has files, label and split.");
        }
    }

    private async Task<(string, string)?> SpoolAsync(
        MultipartSection section, ContentDispositionHeaderValue disposition, CancellationToken cancellationToken)
    {
        var name = HeaderUtilities.RemoveQuotes(disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName).Value ?? "";
        var start = spool.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            var count = await section.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            if (count == 0 && name.Length == 0)
                return null;
            if (++_files > options.MaxEntries)
                return (FilesField, $"An upload has at most {options.MaxEntries} files: send the rest in another.");
            var isZip = buffer.AsSpan(0, count) is [(byte)'P', (byte)'K', 3 or 5, 4 or 6, ..];
            var idx = isZip ? null : IdxName.TryParse(name);
            var refusal = !isZip && idx is null && buffer.AsSpan(0, count) is [0x1F, 0x8B, ..] ? NoIdxName : null;
            for (; count > 0; count = await section.Body.ReadAsync(buffer, cancellationToken))
            {
                // The rest is read all the same: the next part comes after it.
                if (!isZip && idx is null && spool.Length - start + count > options.MaxImageBytes)
                    refusal = TooLong(options);
                if (refusal is null)
                    spool.Append(buffer.AsSpan(0, count));
            }

            if (idx is null)
                _waiting.Add(new Spooled(name, start, spool.Length - start, isZip, refusal));
            else
                _idx.Add(new IdxPart(name, idx, start, spool.Length - start));
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task TakeWaitingAsync(CancellationToken cancellationToken)
    {
        foreach (var file in _waiting)
        {
            if (file.Refusal is not null)
                tally.Refuse(file.Name, file.Refusal);
            else if (file.IsZip)
                await new ZipUpload(options, spool, intake, tally).TakeAsync(file.Name, file.Start, file.Length, _split ?? ImageSplit.Train, cancellationToken);
            else
                await TakeImageAsync(file, cancellationToken);
        }

        _waiting.Clear();
        if (_idx.Count == 0)
            spool.Clear();
    }

    private async Task TakeImageAsync(Spooled file, CancellationToken cancellationToken)
    {
        var length = (int)file.Length;
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        await using (var stream = spool.OpenRead(file.Start, length))
            await stream.ReadExactlyAsync(bytes.AsMemory(0, length), cancellationToken);
        await intake.AddAsync(file.Name, _label!, _split ?? ImageSplit.Train, bytes, length, cancellationToken);
    }

    public static string TooLong(UploadOptions options) => $"it is longer than {options.MaxImageBytes} bytes, the most that one image may have";

    private sealed record Spooled(string Name, long Start, long Length, bool IsZip, string? Refusal);
}
