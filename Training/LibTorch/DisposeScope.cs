namespace TorchSharp;

/// <summary>
/// Disposes of every tensor that its thread makes while it is the innermost scope, unless the tensor was moved out or
/// detached. Scopes nest, and end in the reverse order.
/// </summary>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic]
    private static DisposeScope? _innermost;

    private readonly DisposeScope? _outer = _innermost;
    private readonly HashSet<torch.Tensor> _tensors = new(ReferenceEqualityComparer.Instance);
    private bool _disposed;

    internal DisposeScope() => _innermost = this;

    /// <summary>How many tensors the scope still has to dispose of.</summary>
    public int DisposablesCount => _tensors.Count;

    /// <summary>Hands a tensor to the scope around this one; with none around, it is the caller's to dispose of.</summary>
    public T MoveToOuter<T>(T disposable) where T : IDisposable
    {
        if (disposable is torch.Tensor tensor && _tensors.Remove(tensor))
        {
            tensor.Scope = _outer;
            _outer?._tensors.Add(tensor);
        }

        return disposable;
    }

    /// <summary>Takes a tensor out of all scopes: it is the caller's to dispose of.</summary>
    public T Detach<T>(T disposable) where T : IDisposable
    {
        if (disposable is torch.Tensor tensor && _tensors.Remove(tensor)) tensor.Scope = null;
        return disposable;
    }

    /// <exception cref="InvalidOperationException">A scope inside this one has not ended, or the thread is another.</exception>
    public void Dispose()
    {
        if (_disposed) return;
        if (_innermost != this) throw new InvalidOperationException("Dispose scopes end on their own thread, the innermost first.");

        _disposed = true;
        _innermost = _outer;
        foreach (var tensor in _tensors)
        {
            tensor.Scope = null;
            tensor.Dispose();
        }

        _tensors.Clear();
    }

    /// <summary>Puts a new tensor into the innermost scope of the calling thread, if there is one.</summary>
    internal static DisposeScope? Register(torch.Tensor tensor)
    {
        _innermost?._tensors.Add(tensor);
        return _innermost;
    }

    internal void Forget(torch.Tensor tensor) => _tensors.Remove(tensor);
}
