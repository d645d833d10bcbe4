using System.Buffers;
using System.Globalization;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Api.Images;

/// <param name="Start">Where in the spool it begins.</param>
/// <param name="Length">Bytes that it has there.</param>
internal sealed record IdxPart(string FileName, IdxName Name, long Start, long Length);

/// <summary>
/// Takes the images of IDX files in, pair by pair: each becomes a PNG, the same for the same pixels, so that sent again it is a duplicate; its label is the
/// number in the other file, as text.
/// </summary>
internal sealed class IdxUpload(UploadOptions options, TemporaryFile spool, ImageIntake intake, UploadTally tally)
{
    /// <param name="parts">In any order.</param>
    /// <param name="split">For all images; null leaves it to the files' names, and those that name none are for training.</param>
    public async Task TakeAsync(IReadOnlyList<IdxPart> parts, ImageSplit? split, CancellationToken cancellationToken)
    {
        foreach (var set in parts.GroupBy(part => part.Name.Set, StringComparer.Ordinal))
        {
            var images = set.FirstOrDefault(part => part.Name.HasImages);
            var labels = set.FirstOrDefault(part => !part.Name.HasImages);
            foreach (var extra in set.Where(part => part != images && part != labels))
                tally.Refuse(extra.FileName, "another file of this name came before it in this upload");
            if (images is null || labels is null)
            {
                var alone = images ?? labels!;
                tally.Refuse(
                    alone.FileName, $"its {(images is null ? "images" : "labels")} are missing: send {alone.Name.Partner} with it in one upload");
                continue;
            }

            await TakePairAsync(images, labels, split ?? images.Name.Split ?? ImageSplit.Train, cancellationToken);
        }
    }

    private async Task TakePairAsync(IdxPart images, IdxPart labels, ImageSplit split, CancellationToken cancellationToken)
    {
        var imageFile = await OpenAsync(images, labels, cancellationToken);
        var labelFile = imageFile is null ? null : await OpenAsync(labels, images, cancellationToken);
        if (imageFile is null || labelFile is null)
            return;
        if (imageFile.Count != labelFile.Count)
        {
            tally.Refuse(images.FileName, $"it has {imageFile.Count} images, and {labels.FileName} has {labelFile.Count} labels");
            tally.Refuse(labels.FileName, $"it has {labelFile.Count} labels, and {images.FileName} has {imageFile.Count} images");
            return;
        }

        await using var pixelData = await imageFile.OpenDataAsync(cancellationToken);
        await using var labelData = await labelFile.OpenDataAsync(cancellationToken);
        var shape = new ImageShape(imageFile.Columns, imageFile.Rows, 1);
        var pixels = new byte[shape.Size];
        var digits = Math.Max(5, (imageFile.Count - 1).ToString(CultureInfo.InvariantCulture).Length);
        for (var number = 0; number < imageFile.Count; number++)
        {
            await pixelData.ReadExactlyAsync(pixels, cancellationToken);
            var label = labelData.ReadByte().ToString(CultureInfo.InvariantCulture);
            await TakeImageAsync($"{images.FileName}/{number.ToString($"D{digits}", CultureInfo.InvariantCulture)}.png", label, split, PngWriter.Encode(pixels, shape), cancellationToken);
        }
    }

    private async Task<IdxFile?> OpenAsync(IdxPart part, IdxPart partner, CancellationToken cancellationToken)
    {
        var (file, reason) = await IdxFile.OpenAsync(spool, part.Start, part.Length, part.Name.HasImages, options, cancellationToken);
        if (file is not null)
            return file;
        tally.Refuse(part.FileName, reason!);
        tally.Refuse(partner.FileName, $"{part.FileName}, which belongs to it, can't be read");
        return null;
    }

    private async Task TakeImageAsync(string fileName, string label, ImageSplit split, byte[] png, CancellationToken cancellationToken)
    {
        if (png.Length > options.MaxImageBytes)
        {
            tally.Refuse(fileName, UploadReader.TooLong(options));
            return;
        }

        var rented = ArrayPool<byte>.Shared.Rent(png.Length);
        png.CopyTo(rented, 0);
        await intake.AddAsync(fileName, label, split, rented, png.Length, cancellationToken);
    }
}
