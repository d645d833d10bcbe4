using System.Diagnostics;
using MlExperiments.Testing;

namespace MlExperiments.Faults.Tests;

/// <summary>
/// A library, preloaded into a program, that lets every <c>fsync</c> fail like a disk that has lost what it was given, while a file
/// says so: the kernel hands the call back to it as a signal. Needs a C++ compiler.
/// </summary>
internal sealed class FailingFlush : IDisposable
{
    private const string Source =
        """
        #include <cerrno>
        #include <csignal>
        #include <cstddef>
        #include <cstdlib>
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        #include <sys/prctl.h>
        #include <sys/syscall.h>
        #include <ucontext.h>
        #include <unistd.h>

        static const char *sign;

        static void flush(int, siginfo_t *, void *context) {
            auto &registers = static_cast<ucontext_t *>(context)->uc_mcontext;
        #if defined(__x86_64__)
            auto descriptor = registers.gregs[REG_RDI];
            auto &result = registers.gregs[REG_RAX];
        #else
            auto descriptor = registers.regs[0];
            auto &result = registers.regs[0];
        #endif
            if (access(sign, F_OK) == 0) result = -EIO;
            else result = fdatasync(static_cast<int>(descriptor)) == 0 ? 0 : -errno;
        }

        __attribute__((constructor)) static void install() {
            sign = std::getenv("FSYNC_FAILS_WHILE");
            struct sigaction action = {};
            action.sa_sigaction = flush;
            action.sa_flags = SA_SIGINFO;
            sigaction(SIGSYS, &action, nullptr);
            sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            };
            sock_fprog program = {4, filter};
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::abort();
        }
        """;

    private readonly TemporaryFolder _folder = new();

    public FailingFlush()
    {
        var source = Path.Combine(_folder.Path, "fsync.cpp");
        File.WriteAllText(source, Source);
        using var compiler = Process.Start("g++", ["-shared", "-fPIC", "-o", Library, source]);
        compiler.WaitForExit();
        Assert.That(compiler.ExitCode, Is.Zero);
    }

    /// <summary>What a program's environment must have.</summary>
    public (string Name, string Value)[] Environment => [("LD_PRELOAD", Library), ("FSYNC_FAILS_WHILE", Sign)];

    private string Library => Path.Combine(_folder.Path, "libfsync.so");
    private string Sign => Path.Combine(_folder.Path, "fails");

    public void Begin() => File.WriteAllBytes(Sign, []);

    public void End() => File.Delete(Sign);

    public void Dispose() => _folder.Dispose();
}
