namespace MlExperiments.Shared.Imaging;

/// <summary>Stretches images to another size. Each new pixel is the mean of the area that it covers.</summary>
internal static class BoxFilter
{
    /// <param name="source">uint8 <c>[h, w, c]</c> of shape <paramref name="from"/>: at most 16,384 pixels wide and high.</param>
    /// <param name="target">Receives uint8 <c>[h, w, c]</c> of shape <paramref name="to"/>, from the first <c>c</c> channels of the source.</param>
    public static void Resize(ReadOnlySpan<byte> source, ImageShape from, Span<byte> target, ImageShape to)
    {
        // Lengths are measured in 1/to.Width and 1/to.Height of a source pixel, so that all areas are whole numbers.
        Span<long> sums = stackalloc long[to.Width * to.Channels];
        var stride = from.Width * from.Channels;
        var area = (long)from.Width * from.Height;
        var at = 0;
        for (var row = 0; row < to.Height; row++)
        {
            sums.Clear();
            var (top, bottom) = (row * from.Height, (row + 1) * from.Height);
            for (var y = top / to.Height; y * to.Height < bottom; y++)
            {
                var covered = Math.Min((y + 1) * to.Height, bottom) - Math.Max(y * to.Height, top);
                AddRow(source.Slice(y * stride, stride), from, sums, to, covered);
            }

            foreach (var sum in sums)
                target[at++] = (byte)((sum + (area / 2)) / area);
        }
    }

    private static void AddRow(ReadOnlySpan<byte> row, ImageShape from, Span<long> sums, ImageShape to, long covered)
    {
        var at = 0;
        for (var column = 0; column < to.Width; column++)
        {
            var (left, right) = (column * from.Width, (column + 1) * from.Width);
            var (first, last) = (left / to.Width, (right - 1) / to.Width);
            for (var channel = 0; channel < to.Channels; channel++)
            {
                var sum = 0;
                for (var x = (first * from.Channels) + channel; x <= (last * from.Channels) + channel; x += from.Channels)
                    sum += row[x];

                // Of the first and the last pixel, only a part is inside.
                sum = (sum * to.Width)
                    - (row[(first * from.Channels) + channel] * (left - (first * to.Width)))
                    - (row[(last * from.Channels) + channel] * (((last + 1) * to.Width) - right));
                sums[at++] += sum * covered;
            }
        }
    }
}
