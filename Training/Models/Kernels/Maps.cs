namespace MlExperiments.Training.Models.Kernels;

/// <summary>Where feature maps lie, float32 <c>[n, h, w, c]</c>: an image's channels side by side, its rows and the images at distances.</summary>
/// <param name="first">Of the first image, the first row's first position.</param>
/// <param name="row">Values from one row to the next.</param>
/// <param name="image">Values from one image to the next.</param>
internal readonly unsafe struct Maps(float* first, nint row, nint image)
{
    public nint RowStride => row;

    public float* Row(int imageNumber, int y) => first + (imageNumber * image) + (y * row);
}
