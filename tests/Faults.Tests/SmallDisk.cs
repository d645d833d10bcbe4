using System.Diagnostics;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>A disk (in memory) that is soon full. Needs root.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SmallDisk(int mebibytes)
    {
        if (!Environment.IsPrivilegedProcess || !Run("mount", "-t", "tmpfs", "-o", $"size={mebibytes}m,mode=755", "tmpfs", _folder.Path))
        {
            _folder.Dispose();
            Assert.Ignore("Mounting a small disk needs root.");
        }
    }

    public string Path => _folder.Path;

    private string Filler => System.IO.Path.Combine(Path, "filler");

    /// <summary>Takes all the room that is left.</summary>
    public void Fill()
    {
        using var file = File.OpenHandle(Filler, FileMode.Create, FileAccess.Write);
        try
        {
            for (var (bytes, offset) = (new byte[4096], 0L); ; offset += bytes.Length)
                RandomAccess.Write(file, bytes, offset);
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    public void Free() => File.Delete(Filler);

    public void Dispose()
    {
        // Lazily: a process that was killed a moment ago may still be there.
        Run("umount", "--lazy", Path);
        _folder.Dispose();
    }

    private static bool Run(params string[] command)
    {
        using var process = Process.Start(command[0], command[1..]);
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
