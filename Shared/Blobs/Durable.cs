using System.ComponentModel;
using System.Runtime.InteropServices;

namespace MlExperiments.Shared.Blobs;

/// <summary>What .NET has no call for: a renamed file survives a power cut only once its folder is flushed too.</summary>
internal static partial class Durable
{
    /// <summary>Flushes a folder's entries to the disk.</summary>
    /// <exception cref="IOException">The system could not do it.</exception>
    public static void FlushFolder(string path)
    {
        const int readOnly = 0;
        var descriptor = Open(path, readOnly);
        if (descriptor < 0)
            throw Failure(path);
        try
        {
            if (Fsync(descriptor) != 0)
                throw Failure(path);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    private static IOException Failure(string path)
    {
        var cause = new Win32Exception(Marshal.GetLastPInvokeError());
        return new IOException($"The folder {path} could not be flushed to the disk: {cause.Message}", cause);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
