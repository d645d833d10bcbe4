namespace TorchSharp;

/// <summary>
/// Disposes of every tensor that its thread makes while it is the innermost scope, unless the tensor was moved out or
/// detached. Scopes nest, and end in the reverse order.
/// </summary>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic]
    private static DisposeScope? innermost;

    private readonly DisposeScope? outer = innermost;
    private readonly HashSet<torch.Tensor> tensors = new(ReferenceEqualityComparer.Instance);
    private bool disposed;

    internal DisposeScope() => innermost = this;

    /// <summary>How many tensors the scope still has to dispose of.</summary>
    public int DisposablesCount => tensors.Count;

    /// <summary>Hands a tensor to the scope around this one; with none around, it is the caller's to dispose of.</summary>
    public T MoveToOuter<T>(T disposable) where T : IDisposable
    {
        if (disposable is torch.Tensor tensor && tensors.Remove(tensor))
        {
            tensor.Scope = outer;
            outer?.tensors.Add(tensor);
        }

        return disposable;
    }

    /// <summary>Takes a tensor out of all scopes: it is the caller's to dispose of.</summary>
    public T Detach<T>(T disposable) where T : IDisposable
    {
        if (disposable is torch.Tensor tensor && tensors.Remove(tensor)) tensor.Scope = null;
        return disposable;
    }

    /// <exception cref="InvalidOperationException">A scope inside this one has not ended, or the thread is another.</exception>
    public void Dispose()
    {
        if (disposed) return;
        if (innermost != this) throw new InvalidOperationException("Dispose scopes end on their own thread, the innermost first.");

        disposed = true;
        innermost = outer;
        foreach (var tensor in tensors)
        {
            tensor.Scope = null;
            tensor.Dispose();
        }

        tensors.Clear();
    }

    /// <summary>Puts a new tensor into the innermost scope of the calling thread, if there is one.</summary>
    internal static DisposeScope? Register(torch.Tensor tensor)
    {
        innermost?.tensors.Add(tensor);
        return innermost;
    }

    internal void Forget(torch.Tensor tensor) => tensors.Remove(tensor);
}
