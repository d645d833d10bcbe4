namespace MlExperiments.Training.Models.Kernels;

/// <summary>Where feature maps lie, float32 <c>[n, h, w, c]</c>: an image's channels side by side, its rows and the images at distances.</summary>
/// <param name="first">Of the first image, the first row's first position.</param>
/// <param name="rowStride">Values from one row to the next.</param>
/// <param name="imageStride">Values from one image to the next.</param>
internal readonly unsafe struct Maps(float* first, nint rowStride, nint imageStride)
{
    public nint RowStride => rowStride;

    public float* Row(int image, int y) => first + (image * imageStride) + (y * rowStride);
}
