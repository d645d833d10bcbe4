using System.Runtime.InteropServices;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace MlExperiments.Training.Tests.LibTorch;

/// <summary>What the shim promises beyond TorchSharp, which ends the process or throws something else: built with the shim only.</summary>
public sealed class ShimTests
{
    private TorchSharp.DisposeScope _scope = null!;

    [SetUp]
    public void OpenScope() => _scope = NewDisposeScope();

    [TearDown]
    public void CloseScope() => _scope.Dispose();

    [Test]
    public void NoGrad_UntilDisposed_RecordsNothing()
    {
        var leaf = zeros([1]).add_(1).requires_grad_(true);
        Tensor unrecorded;
        using (no_grad()) unrecorded = leaf.relu();
        Assert.That(() => autograd.grad([unrecorded], [leaf]), Throws.TypeOf<ExternalException>());
        Assert.That(() => autograd.grad([leaf.detach().relu()], [leaf]), Throws.TypeOf<ExternalException>());
        Assert.That(autograd.grad([leaf.relu()], [leaf])[0].bytes.ToArray(), Is.EqualTo(BitConverter.GetBytes(1f)));
    }

    [Test]
    public void Bytes_OfAPermutedTensor_AreRefused() =>
        Assert.That(() => zeros([2, 2]).permute(1, 0).bytes.Length, Throws.InvalidOperationException);

    [Test]
    public void Errors_OfLibtorch_ComeWithItsMessage()
    {
        Assert.That(
            () => functional.linear(zeros([1, 2]), zeros([1, 3])),
            Throws.TypeOf<ExternalException>().With.Message.Contains("shapes cannot be multiplied"));
        Assert.That(() => zeros([4]).view(3), Throws.TypeOf<ExternalException>().With.Message.Contains("invalid for input of size 4"));
        Assert.That(() => zeros([4]).split([1, 1], 0), Throws.TypeOf<ExternalException>());
        Assert.That(() => autograd.grad([zeros([1])], [zeros([1])]), Throws.TypeOf<ExternalException>());
        Assert.That(() => empty([1L << 60], ScalarType.Float32), Throws.TypeOf<ExternalException>());
    }

    [Test]
    public void Tensor_Disposed_IsRefused()
    {
        var tensor = zeros([1]);
        tensor.Dispose();
        Assert.That(() => tensor.relu(), Throws.TypeOf<ObjectDisposedException>());
    }
}
