namespace TorchSharp;

/// <summary>A number that goes with tensors: whole or not, which decides the type of what comes out.</summary>
public sealed class Scalar : IDisposable
{
    private Scalar(double value, bool whole)
    {
        Value = value;
        IsWhole = whole;
    }

    internal double Value { get; }

    internal bool IsWhole { get; }

    public static implicit operator Scalar(int value) => new(value, whole: true);

    public static implicit operator Scalar(float value) => new(value, whole: false);

    public static implicit operator Scalar(double value) => new(value, whole: false);

    /// <summary>Nothing to free here; in TorchSharp a scalar lives on the native heap.</summary>
    public void Dispose()
    {
    }
}
