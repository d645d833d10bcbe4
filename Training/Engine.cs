using System.Runtime.InteropServices;
using MlExperiments.Training.Models.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace MlExperiments.Training;

/// <summary>TorchSharp and its libtorch: loading it, its version, and the device that tensors live on.</summary>
internal static class Engine
{
    public const string Auto = "auto";
    public const string Cpu = "cpu";
    public const string Cuda = "cuda";

    /// <summary>
    /// The version of our own kernels. It increases whenever the same steps on the same engine round differently; a training that began with another version
    /// is not reproducible.
    /// </summary>
    public static string Kernels { get; } = FusedBlocks.IsSupported ? "4, fused blocks" : "4";

    public const string Name = "TorchSharp";

    private static bool? _onGpu;

    private static bool OnGpu => _onGpu ??= torch.cuda.is_available();

    public static string Version { get; } =
        $"{typeof(torch).Assembly.GetName().Version?.ToString(3)} on libtorch {System.Version.Parse(torch.__version__).ToString(3)}";

    /// <summary><c>cpu</c> or <c>cuda</c>.</summary>
    public static string Device => OnGpu ? Cuda : Cpu;

    /// <summary>Loads libtorch, limits it to one thread and selects the device. Call it before creating a tensor.</summary>
    /// <param name="device"><c>auto</c> (a GPU where there is one), <c>cpu</c> or <c>cuda</c>.</param>
    /// <exception cref="InvalidDataException">libtorch can't be loaded, or there is no such device.</exception>
    public static void Start(string device)
    {
        Load();
        // Two trainers with one thread each are faster than one with two threads, and one thread sums in a fixed order.
        torch.set_num_threads(1);
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

    /// <summary>Loads TorchSharp's library from the program's folder. TorchSharp itself, if that fails, copies all of the packages' libraries (490 MB) and tries those.</summary>
    private static void Load()
    {
        const string Library = "libLibTorchSharp.so";
        string[] places = [Path.Combine(AppContext.BaseDirectory, Library), Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", Library)];
        try
        {
            NativeLibrary.Load(places.FirstOrDefault(File.Exists) ?? places[0]);
        }
        catch (DllNotFoundException error)
        {
            throw new InvalidDataException($"libtorch can't be loaded: {error.Message.Trim().Split('\n')[^1]}", error);
        }
    }
}
