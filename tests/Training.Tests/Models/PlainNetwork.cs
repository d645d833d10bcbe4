using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Imaging;

namespace MlExperiments.Training.Tests.Models;

/// <summary>The network in loops over a weights file as PyTorch would load it: filters <c>[out, in, kh, kw]</c>, images <c>[c, h, w]</c>, pooling after ReLU.</summary>
internal static class PlainNetwork
{
    public static float[] Logits(string path, byte[] pixels, ImageShape shape, bool[] pools)
    {
        using var file = SafetensorsReader.Open(path);
        float[] Read(string name) => file.ReadAll<float>(file.Tensors.Single(tensor => tensor.Name == name));
        long[] Sizes(string name) => [.. file.Tensors.Single(tensor => tensor.Name == name).Shape];

        var (channels, height, width) = (shape.Channels, shape.Height, shape.Width);
        var x = new float[pixels.Length];
        for (var y = 0; y < height * width; y++)
        {
            for (var c = 0; c < channels; c++) x[(c * height * width) + y] = pixels[(y * channels) + c] / 255f;
        }

        for (var layer = 1; layer <= pools.Length; layer++)
        {
            var sizes = Sizes($"conv{layer}.weight");
            x = Convolve(x, channels, height, width, Read($"conv{layer}.weight"), (int)sizes[2], Read($"conv{layer}.bias"));
            channels = (int)sizes[0];
            if (!pools[layer - 1]) continue;
            x = Pool(x, channels, height, width);
            (height, width) = (height / 2, width / 2);
        }

        x = Multiply(x, Read("dense1.weight"), Read("dense1.bias")).Select(value => Math.Max(value, 0)).ToArray();
        return Multiply(x, Read("dense2.weight"), Read("dense2.bias"));
    }

    private static float[] Convolve(float[] x, int channels, int height, int width, float[] weights, int kernel, float[] biases)
    {
        var result = new float[biases.Length * height * width];
        for (var i = 0; i < result.Length; i++)
        {
            var (o, y0, x0) = (i / (height * width), i / width % height, i % width);
            var sum = biases[o];
            for (var k = 0; k < channels * kernel * kernel; k++)
            {
                var (c, yk, xk) = (k / (kernel * kernel), y0 + (k / kernel % kernel) - (kernel / 2), x0 + (k % kernel) - (kernel / 2));
                if (yk >= 0 && yk < height && xk >= 0 && xk < width)
                    sum += x[(((c * height) + yk) * width) + xk] * weights[(o * channels * kernel * kernel) + k];
            }

            result[i] = Math.Max(sum, 0);
        }

        return result;
    }

    private static float[] Pool(float[] x, int channels, int height, int width)
    {
        var (h, w) = (height / 2, width / 2);
        var result = new float[channels * h * w];
        for (var i = 0; i < result.Length; i++)
        {
            var corner = (((i / (h * w) * height) + (i / w % h * 2)) * width) + (i % w * 2);
            result[i] = new[] { x[corner], x[corner + 1], x[corner + width], x[corner + width + 1] }.Max();
        }

        return result;
    }

    private static float[] Multiply(float[] x, float[] weights, float[] biases) =>
        [.. biases.Select((bias, row) => bias + x.Select((value, column) => value * weights[(row * x.Length) + column]).Sum())];
}
