using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using static TorchSharp.torch;

namespace MlExperiments.Training.Data;

/// <summary>What an image of each class counts in the training loss.</summary>
internal static class ClassWeights
{
    /// <summary>A float32 <c>[classes]</c> tensor that outlives the scopes around it; null where all images count the same.</summary>
    public static Tensor? Create(TrajectoryParameters parameters, PackedDataSet data)
    {
        if (parameters.ClassWeights == "none") return null;
        using var scope = NewDisposeScope();
        var weights = zeros([data.Classes.Count], ScalarType.Float32);
        Balanced(data).CopyTo(MemoryMarshal.Cast<byte, float>(weights.bytes));
        return Engine.ToDevice(weights).DetachFromDisposeScope();
    }

    /// <summary>n / (classes x n of the class), over the training split; 0 for a class that it lacks.</summary>
    public static float[] Balanced(PackedDataSet data)
    {
        var counts = new int[data.Classes.Count];
        for (var row = data.Train.First; row < data.Train.First + data.Train.Count; row++) counts[data.Labels[row]]++;
        return [.. counts.Select(count => count == 0 ? 0 : (float)((double)data.Train.Count / ((double)counts.Length * count)))];
    }
}
