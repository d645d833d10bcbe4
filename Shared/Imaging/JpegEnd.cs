using System.Buffers.Binary;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// Finds out whether a JPEG (ITU-T T.81, annex B) has its end. Skia doesn't report a progressive one that is cut short, but shows what
/// the passes that are there come to: all of it blurred, or its lower part grey.
/// </summary>
internal static class JpegEnd
{
    /// <param name="jpeg">A file that begins with the marker SOI. What comes after the image doesn't count.</param>
    public static bool IsIn(ReadOnlySpan<byte> jpeg)
    {
        while (jpeg.IndexOf((byte)0xFF) is >= 0 and var skipped && jpeg.Length > skipped + 1)
        {
            jpeg = jpeg[(skipped + 1)..];
            switch (jpeg[0])
            {
                case 0xD9:
                    return true;
                // Escaped data, fill bytes, and markers without a segment.
                case 0x00 or 0x01 or 0xFF or (>= 0xD0 and <= 0xD8):
                    continue;
            }

            if (jpeg.Length < 3 || BinaryPrimitives.ReadUInt16BigEndian(jpeg[1..]) + 1 is var end && end > jpeg.Length)
                break;
            jpeg = jpeg[end..];
        }

        return false;
    }
}
