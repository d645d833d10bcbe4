using System.Runtime.InteropServices;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;
using MlExperiments.Training.Data;
using MlExperiments.Training.Models;
using static TorchSharp.torch;

namespace MlExperiments.Training.Loop;

/// <summary>A network's measurement on some images.</summary>
/// <param name="Accuracy">Share of the images that are classified right, 0 to 1.</param>
/// <param name="Loss">Mean cross entropy in nats; NaN or infinite when diverged.</param>
/// <param name="MeanSquaredError">Mean over images and classes of (probability - one-hot)^2.</param>
internal readonly record struct Measurement(double Accuracy, double Loss, double MeanSquaredError);

/// <summary>Puts images through a network without touching anything that training draws on.</summary>
internal static class Evaluation
{
    /// <summary>Images of the fixed subset that the curves are measured on.</summary>
    public const int SubsetSize = 1000;

    // Pixels per pass: 64 images of 28 x 28, which is as fast as 256 and takes no more memory than a step. Larger inputs come in smaller
    // batches, so that memory stays in bounds; the size depends on nothing else, since sums may round differently in other batches.
    private const int PixelsPerBatch = 64 * 28 * 28;

    /// <summary>At most 1,000 validation rows: the same for every training on a data set, so that their curves compare.</summary>
    public static int[] Subset(PackedDataSet data)
    {
        var order = Seeds.Permutation(data.Validation.Count, 0, Purpose.EvaluationSubset, 0);
        var rows = order.Take(SubsetSize).Select(place => data.Validation.First + place).ToArray();
        Array.Sort(rows); // reads the file forwards
        return rows;
    }

    public static int[] Rows(PackedSplit split) => Enumerable.Range(split.First, split.Count).ToArray();

    /// <summary>Measures these rows.</summary>
    /// <param name="interrupted">Asked between batches; true gives up.</param>
    /// <param name="classes">Takes what became of each class, where it is wanted.</param>
    /// <returns>Null when given up.</returns>
    public static Measurement? Measure(Network network, PackedDataSet data, ReadOnlySpan<int> rows, Func<bool> interrupted, ClassTally? classes = null)
    {
        var (right, loss, squares) = (0, 0.0, 0.0);
        var batchSize = BatchSize(data.Shape);
        var probabilities = new double[network.Classes];
        for (var first = 0; first < rows.Length; first += batchSize)
        {
            if (interrupted()) return null;
            using var scope = NewDisposeScope();
            using var withoutGradient = no_grad();
            var batch = rows.Slice(first, Math.Min(batchSize, rows.Length - first));
            var logits = Floats(network.Forward(Batches.Load(data, batch).Images));
            for (var i = 0; i < batch.Length; i++)
            {
                var label = data.Labels[batch[i]];
                var row = logits.Slice(i * network.Classes, network.Classes);
                var logSum = Softmax(row, probabilities);
                var (predicted, imageLoss) = (Largest(row), logSum - row[label]);
                loss += imageLoss;
                if (predicted == label) right++;
                classes?.Add(batch[i], label, predicted, imageLoss, probabilities);
                for (var c = 0; c < row.Length; c++)
                {
                    var difference = probabilities[c] - (c == label ? 1 : 0);
                    squares += difference * difference;
                }
            }
        }

        return new((double)right / rows.Length, loss / rows.Length, squares / rows.Length / network.Classes);
    }

    /// <summary>The classes' probabilities of images, each uint8 <c>[h, w, c]</c> of the network's input size.</summary>
    /// <exception cref="InvalidDataException">An image has another size.</exception>
    public static double[][] Predict(Network network, IReadOnlyList<byte[]> pixels)
    {
        var shape = network.Input;
        var wrong = pixels.FirstOrDefault(image => image.Length != shape.Size);
        if (wrong is not null)
            throw new InvalidDataException($"An image has {wrong.Length} bytes; the network takes {shape.Width} x {shape.Height} x {shape.Channels}, {shape.Size} bytes.");

        var results = new List<double[]>(pixels.Count);
        foreach (var batch in pixels.Chunk(BatchSize(shape)))
        {
            using var scope = NewDisposeScope();
            using var withoutGradient = no_grad();
            var images = empty([batch.Length, shape.Height, shape.Width, shape.Channels], ScalarType.Byte);
            for (var i = 0; i < batch.Length; i++) batch[i].CopyTo(images.bytes[(i * shape.Size)..]);
            var logits = Floats(network.Forward(Engine.ToDevice(images)));
            for (var i = 0; i < batch.Length; i++)
            {
                results.Add(new double[network.Classes]);
                Softmax(logits.Slice(i * network.Classes, network.Classes), results[^1]);
            }
        }

        return [.. results];
    }

    /// <summary>The position of the largest value; the first one where none is larger, as among NaNs.</summary>
    public static int Largest(ReadOnlySpan<float> values)
    {
        var best = 0;
        for (var i = 1; i < values.Length; i++)
        {
            if (values[i] > values[best]) best = i;
        }

        return best;
    }

    private static int BatchSize(ImageShape shape) => Math.Max(1, PixelsPerBatch / (shape.Width * shape.Height));

    private static ReadOnlySpan<float> Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(Engine.ToHost(tensor).contiguous().bytes);

    /// <returns>The logarithm of the sum of the exponentials.</returns>
    private static double Softmax(ReadOnlySpan<float> logits, Span<double> probabilities)
    {
        // Less the largest, so that no exponential overflows.
        var largest = logits[Largest(logits)];
        var sum = 0.0;
        for (var c = 0; c < logits.Length; c++) sum += probabilities[c] = Math.Exp((double)logits[c] - largest);
        for (var c = 0; c < logits.Length; c++) probabilities[c] /= sum;
        return Math.Log(sum) + largest;
    }
}
