using System.Buffers.Binary;

namespace MlExperiments.Shared.Imaging;

/// <summary>The markers of a JPEG (ITU-T T.81, annex B) that Skia does not report.</summary>
internal static class JpegMarkers
{
    /// <summary>
    /// Checks that a JPEG has its end marker (EOI). Skia reports no error for a progressive JPEG that is cut short: it returns a blurred or partly grey image.
    /// </summary>
    /// <param name="jpeg">A file that begins with the marker SOI. What comes after the image is not read.</param>
    /// <param name="scans">The passes over the image, each with a marker SOS.</param>
    public static bool HasEnd(ReadOnlySpan<byte> jpeg, out int scans)
    {
        scans = 0;
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
                case 0xDA:
                    scans++;
                    break;
            }

            if (jpeg.Length < 3 || BinaryPrimitives.ReadUInt16BigEndian(jpeg[1..]) + 1 is var end && end > jpeg.Length)
                break;
            jpeg = jpeg[end..];
        }

        return false;
    }
}
