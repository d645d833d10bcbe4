namespace MlExperiments.Training;

/// <summary>What randomness is for: each purpose has a stream of its own, so that none moves another's.</summary>
internal enum Purpose
{
    Weights = 1,
    Shuffle = 2,
    Dropout = 3,
    EvaluationSubset = 4,
    Augmentation = 5,
}

/// <summary>
/// All randomness as a function of (seed, purpose, step or epoch): nothing is carried from step to step, so a training that
/// goes on from a checkpoint draws what an undisturbed one would have drawn.
/// </summary>
internal static class Seeds
{
    /// <summary>A number for libtorch's generator, 0 to 2^63 - 1.</summary>
    public static long For(int seed, Purpose purpose, long index) =>
        (long)(Mix(Mix(Mix((ulong)seed) + (ulong)purpose) + (ulong)index) >> 1);

    /// <summary>The numbers 0 to count - 1 in random order (Fisher and Yates).</summary>
    public static int[] Permutation(int count, int seed, Purpose purpose, long index)
    {
        var state = (ulong)For(seed, purpose, index);
        var order = new int[count];
        for (var i = 0; i < count; i++)
        {
            // The high half of a product spreads 64 random bits over 0..i; its bias is below 2^-32.
            var j = (int)Math.BigMul(Mix(state++), (ulong)i + 1, out _);
            order[i] = order[j];
            order[j] = i;
        }

        return order;
    }

    /// <summary>The next number of a stream, from -1 to less than 1.</summary>
    internal static double Next(ref ulong state) => ((Mix(state++) >> 11) * (2.0 / (1UL << 53))) - 1;

    // The finalizer of SplitMix64 (Steele, Lea, Flood 2014): neighbouring inputs give unrelated outputs.
    private static ulong Mix(ulong value)
    {
        value += 0x9e3779b97f4a7c15;
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
        value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
        return value ^ (value >> 31);
    }
}

/// <summary>Numbers drawn one after another for one purpose and index.</summary>
internal struct Draws(int seed, Purpose purpose, long index)
{
    private ulong _state = (ulong)Seeds.For(seed, purpose, index);

    /// <summary>Evenly from -1 to less than 1.</summary>
    public double Next() => Seeds.Next(ref _state);
}
