using System.Runtime.InteropServices;
using MlExperiments.Training.Models.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace MlExperiments.Training;

/// <summary>The tensor engine that this build runs on, and where its tensors live: the one place that knows which of the two it is.</summary>
internal static class Engine
{
    public const string Auto = "auto";
    public const string Cpu = "cpu";
    public const string Cuda = "cuda";

    /// <summary>
    /// Our own kernels as far as results depend on them: the number counts up whenever the same steps on the same engine come to round otherwise. What was
    /// begun with others is not said to repeat its bits.
    /// </summary>
    public static string Kernels { get; } = FusedBlocks.IsSupported ? "3, fused blocks" : "3";

    public const string Name = "TorchSharp";

    private static bool? _onGpu;

    private static bool OnGpu => _onGpu ??= torch.cuda.is_available();

    public static string Version { get; } =
        $"{typeof(torch).Assembly.GetName().Version?.ToString(3)} on libtorch {torch.__version__}";

    /// <summary><c>cpu</c> or <c>cuda</c>.</summary>
    public static string Device => OnGpu ? Cuda : Cpu;

    /// <summary>Says where to train, before there is any tensor: <c>auto</c> (a GPU where there is one), <c>cpu</c> or <c>cuda</c>.</summary>
    /// <exception cref="InvalidDataException">There is no such device, or not for this build.</exception>
    public static void UseDevice(string device)
    {
        if (device == Cuda && !torch.cuda.is_available())
            throw new InvalidDataException("The device is cuda, but libtorch finds none: check the driver (nvidia-smi), and that this was built with -p:TorchDevice=cuda.");
        _onGpu = device switch { Cpu => false, Cuda => true, _ => null };
    }

    /// <summary>Puts a tensor of the CPU's memory where training happens.</summary>
    public static Tensor ToDevice(Tensor tensor) => OnGpu ? tensor.cuda() : tensor;

    /// <summary>The way back, for reading.</summary>
    public static Tensor ToHost(Tensor tensor) => OnGpu ? tensor.cpu() : tensor;

    /// <summary>Seeds the generator that tensors where training happens are drawn from, and the CPU's.</summary>
    public static void Seed(long seed)
    {
        using var generator = torch.manual_seed(seed);
        // TorchSharp's manual_seed is the CPU's alone, unlike PyTorch's.
        if (OnGpu) torch.cuda.manual_seed(seed);
    }

    /// <summary>Whether the same steps give the same bits: on a GPU the gradients are summed in no fixed order.</summary>
    public static bool IsDeterministic => Device == "cpu";

    /// <summary>The values of a float32 tensor in the CPU's memory, for reading and writing; they end with the tensor.</summary>
    /// <exception cref="InvalidOperationException">They don't lie one behind another.</exception>
    public static Span<float> Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    /// <summary>
    /// Loads libtorch. Comes before the first tensor: where loading fails, TorchSharp by itself copies all native libraries of the packages (490 MB)
    /// beside the program, tries those, and reports the attempts instead of the cause.
    /// </summary>
    /// <exception cref="DllNotFoundException">It, or a library that it needs, is missing or doesn't fit this machine.</exception>
    public static void Load()
    {
        const string Library = "libLibTorchSharp.so";
        // Natives.targets puts it beside the program, or for GPUs where that package's other libraries are.
        var ofGpu = Path.Combine(AppContext.BaseDirectory, "runtimes/linux-x64/native", Library);
        NativeLibrary.Load(File.Exists(ofGpu) ? ofGpu : Path.Combine(AppContext.BaseDirectory, Library));
    }

    /// <summary>One trainer is one thread: two of one thread do more than one of two, and the sums keep their order.</summary>
    public static void UseOneThread()
    {
        Load();
        torch.set_num_threads(1);
    }
}
