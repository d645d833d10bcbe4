using System.Security.Cryptography;
using MlExperiments.Shared.Contracts;

namespace MlExperiments.Shared.Tests.Contracts;

public sealed class SplitsTests
{
    [Test]
    public void IsHeldOut_AroundTheThreshold_IsBelowAFifth()
    {
        static byte[] Hash(ulong head) => [.. BitConverter.GetBytes(head).Reverse(), .. new byte[24]];

        // 2^64 / 5 = 3689348814741910323.2
        Assert.That(Splits.IsHeldOut(Hash(0)), Is.True);
        Assert.That(Splits.IsHeldOut(Hash(3689348814741910323)), Is.True);
        Assert.That(Splits.IsHeldOut(Hash(3689348814741910324)), Is.False);
        Assert.That(Splits.IsHeldOut(Hash(ulong.MaxValue)), Is.False);
        Assert.That(() => Splits.IsHeldOut(new byte[31]), Throws.ArgumentException);
    }

    [Test]
    public void IsHeldOut_OfManyHashes_TakesAboutAFifth()
    {
        var held = Enumerable.Range(0, 10_000).Count(i => Splits.IsHeldOut(SHA256.HashData(BitConverter.GetBytes(i))));
        Assert.That(held, Is.InRange(1850, 2150));
    }
}
