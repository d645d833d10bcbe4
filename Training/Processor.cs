namespace MlExperiments.Training;

/// <summary>
/// The CPU as far as results depend on it: MKL and oneDNN choose their kernels by its model and its vector instructions, and other
/// kernels round differently.
/// </summary>
internal static class Processor
{
    private static readonly string[] VectorInstructions = ["sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "sme", "bf16", "i8mm"];

    // "model name" and "flags" on x86, "CPU implementer", "CPU part" and their like and "Features" on ARM.
    private static readonly string[] ModelEntries = ["model name", "CPU implementer", "CPU variant", "CPU part"];
    private static readonly string[] InstructionEntries = ["flags", "Features"];

    /// <summary>For example <c>AMD EPYC (avx avx2 avx512f fma sse4_1 sse4_2)</c>.</summary>
    public static string Name { get; } = Describe(File.ReadLines("/proc/cpuinfo"));

    /// <param name="lines">As in <c>/proc/cpuinfo</c>; the first processor's count.</param>
    public static string Describe(IEnumerable<string> lines)
    {
        var entries = lines
            .SkipWhile(string.IsNullOrWhiteSpace)
            .TakeWhile(line => !string.IsNullOrWhiteSpace(line))
            .Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries))
            .Where(entry => entry.Length == 2)
            .ToList();
        var model = entries.Where(entry => ModelEntries.Contains(entry[0])).Select(entry => entry[1]);
        var instructions = entries
            .Where(entry => InstructionEntries.Contains(entry[0]))
            .SelectMany(entry => entry[1].Split(' '))
            .Where(name => VectorInstructions.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal);
        return $"{string.Join(' ', model)} ({string.Join(' ', instructions)})";
    }
}
