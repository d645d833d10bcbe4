using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MlExperiments.Shared.Blobs;

/// <summary>
/// What survives a power cut: a file once its bytes are flushed, and its name once its folder is. .NET has no call for folders, and
/// the one for files, <see cref="RandomAccess.FlushToDisk"/>, says nothing when the disk fails.
/// </summary>
internal static partial class Durable
{
    private const int Interrupted = 4;

    /// <summary>Flushes a file's bytes to the disk. After a failure they may be lost even if a second try succeeds: write them anew.</summary>
    /// <exception cref="IOException">The system could not do it; the HResult is its errno.</exception>
    public static void FlushFile(SafeFileHandle file, string path)
    {
        while (Fsync(file) != 0)
        {
            if (Marshal.GetLastPInvokeError() != Interrupted)
                throw Failure(path);
        }
    }

    /// <summary>Flushes a folder's entries to the disk.</summary>
    /// <exception cref="IOException">The system could not do it; the HResult is its errno.</exception>
    public static void FlushFolder(string path)
    {
        const int readOnly = 0;
        using var folder = new SafeFileHandle(Open(path, readOnly), ownsHandle: true);
        if (folder.IsInvalid)
            throw Failure(path);
        FlushFile(folder, path);
    }

    private static IOException Failure(string path)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"{path} could not be flushed to the disk: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle descriptor);
}
