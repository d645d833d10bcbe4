using static TorchSharp.torch;

namespace MlExperiments.Training.Tests.LibTorch;

// They count the process's tensors.
[NonParallelizable]
public sealed class DisposeScopeTests
{
    [Test]
    public void Tensor_MadeInAScope_EndsWithIt()
    {
        var before = Tensor.TotalCount;
        Tensor inner;
        using (NewDisposeScope())
        {
            inner = zeros([1]);
            _ = inner.relu();
            Assert.That(Tensor.TotalCount, Is.EqualTo(before + 2));
        }

        Assert.That(Tensor.TotalCount, Is.EqualTo(before));
        // ObjectDisposedException is one.
        Assert.That(() => inner.relu(), Throws.InstanceOf<InvalidOperationException>());
    }

    [Test]
    public void Tensor_MovedOut_EndsWithTheOuterScope()
    {
        var before = Tensor.TotalCount;
        using (NewDisposeScope())
        {
            Tensor moved;
            using (NewDisposeScope())
            {
                moved = zeros([1]).MoveToOuterDisposeScope();
            }

            Assert.That(moved.shape, Is.EqualTo(new long[] { 1 }));
        }

        Assert.That(Tensor.TotalCount, Is.EqualTo(before));
    }

    [Test]
    public void Tensor_Detached_IsTheCallersToDisposeOf()
    {
        var before = Tensor.TotalCount;
        Tensor detached;
        using (NewDisposeScope()) detached = zeros([1]).DetachFromDisposeScope();
        Assert.That(Tensor.TotalCount, Is.EqualTo(before + 1));
        detached.Dispose();
        detached.Dispose();
        Assert.That(Tensor.TotalCount, Is.EqualTo(before));
    }

    [Test]
    public void Tensor_DisposedEarly_LeavesItsScope()
    {
        using var scope = NewDisposeScope();
        zeros([1]).Dispose();
        Assert.That(scope.DisposablesCount, Is.Zero);
    }
}
