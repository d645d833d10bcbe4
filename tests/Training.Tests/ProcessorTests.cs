namespace MlExperiments.Training.Tests;

public sealed class ProcessorTests
{
    [Test]
    public void Describe_OnX86_NamesModelAndVectorInstructions() =>
        Assert.That(
            Processor.Describe(["processor\t: 0", "model name\t: AMD EPYC", "flags\t\t: fpu sse4_1 avx2 aes avx", "", "model name\t: another"]),
            Is.EqualTo("AMD EPYC (avx avx2 sse4_1)"));

    [Test]
    public void Describe_OnArm_NamesPartAndVectorInstructions() =>
        Assert.That(
            Processor.Describe(["processor\t: 0", "Features\t: fp asimd sve crc32", "CPU implementer\t: 0x41", "CPU part\t: 0xd40"]),
            Is.EqualTo("0x41 0xd40 (asimd sve)"));
}
