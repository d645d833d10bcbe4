using System.Text.Json;
using MlExperiments.Shared.Contracts;
using MlExperiments.Shared.Search;

namespace MlExperiments.Shared.Tests.Search;

public sealed class SearchSpaceTests
{
    private const string Required = """{"learningRate": 0.1, "layers": 1, "steps": 10}""";

    [Test]
    public void Default_Sampled_Gives27OnNineTrajectories()
    {
        var sampled = GridSampler.Sample(SearchSpace.Default, 100, out var errors);

        Assert.That(errors, Is.Empty);
        Assert.That(sampled, Has.Count.EqualTo(27).And.Unique);
        Assert.That(sampled.Select(parameters => parameters.WithoutSteps()).Distinct().Count(), Is.EqualTo(9));
        Assert.That(sampled[0], Has.Property("LearningRate").EqualTo(0.001).And.Property("Layers").EqualTo(1).And.Property("Steps").EqualTo(1000));
        Assert.That(sampled[1].Steps, Is.EqualTo(2000), "the last dimension changes fastest");
    }

    [TestCase("""{"learningRate": [0.1, 0.2, 50]}""", "space.learningRate[2]")]
    [TestCase("""{"learningRate": ["a"]}""", "space.learningRate[0]")]
    [TestCase("""{"learningRate": []}""", "space.learningRate")]
    [TestCase("""{"learningRate": 0.1}""", "space.learningRate")]
    [TestCase("""{"layers": [1.5]}""", "space.layers[0]")]
    [TestCase("""{"learnRate": [0.1]}""", "space.learnRate")]
    [TestCase("""{"kernelSize": [3, 4]}""", "space.kernelSize[1]")]
    [TestCase("""{"optimizer": ["adamw"]}""", "space.optimizer[0]")]
    [TestCase("""{"optimizer": {"min": 1, "max": 2, "step": 1}}""", "space.optimizer")]
    [TestCase("""{"filters": {"min": 8, "max": 4, "step": 1}}""", "space.filters.max")]
    [TestCase("""{"filters": {"min": 8, "step": 1}}""", "space.filters.max")]
    [TestCase("""{"filters": {"min": 8, "max": 16}}""", "space.filters.count")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "step": 0.5}}""", "space.filters.step")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "step": 0}}""", "space.filters.step")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "steps": 1}}""", "space.filters.steps")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "step": 1, "scale": "cubic"}}""", "space.filters.scale")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "step": 1, "scale": 5}}""", "space.filters.scale")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "step": 1, "scale": null}}""", "space.filters.scale")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "step": 1e999}}""", "space.filters.step")]
    [TestCase("""{"filters": {"min": 8, "max": 16, "count": 1e999}}""", "space.filters.count")]
    [TestCase("""{"weightDecay": {"min": 0, "max": 1e999, "step": 0.1}}""", "space.weightDecay.max")]
    [TestCase("""{"kernelSize": {"min": 3, "max": 7, "step": 1}}""", "space.kernelSize")]
    [TestCase("""{"weightDecay": {"min": 0, "max": 1, "scale": "log", "count": 3}}""", "space.weightDecay.min")]
    [TestCase("""{"weightDecay": {"min": 0, "max": 1, "step": 0.00001}}""", "space.weightDecay.step")]
    [TestCase("""{"momentum": [0.9]}""", "space.momentum")]
    [TestCase("""{"decayFactor": [0.9]}""", "space.decayFactor")]
    [TestCase("""{"decayEvery": [5], "schedule": ["constant"]}""", "space.decayEvery")]
    [TestCase("""{"patienceMetric": ["accuracy"]}""", "space.patienceMetric")]
    [TestCase("""{"filters": [8], "architecture": ["resnet18"]}""", "space.filters")]
    [TestCase("""{"layers": [1, 2], "architecture": ["resnet18", "resnet50"]}""", "space.layers")]
    [TestCase("""{"schedule": ["cosine"]}""", "space.schedule[0]")]
    [TestCase("""{"warmUpSteps": [-1]}""", "space.warmUpSteps[0]")]
    [TestCase("""{"augmentShift": [0.6]}""", "space.augmentShift[0]")]
    [TestCase("""{"augmentRotate": [181]}""", "space.augmentRotate[0]")]
    [TestCase("""{"augmentScale": [1]}""", "space.augmentScale[0]")]
    [TestCase("""{"classWeights": ["heavy"]}""", "space.classWeights[0]")]
    [TestCase("""{"patience": [10001]}""", "space.patience[0]")]
    [TestCase("""{"precision": ["float32", "float16"]}""", "space.precision[1]")]
    [TestCase("""{"precision": [16]}""", "space.precision[0]")]
    public void Read_WrongEntry_NamesItsPath(string space, string path)
    {
        Assert.That(Read(space, "{}", out var errors), Is.Null);
        Assert.That(errors, Contains.Key(path));
    }

    [TestCase("""{"layers": [1], "steps": [1]}""", "{}", "space.learningRate")]
    [TestCase("""{"learningRate": [0.1], "layers": [1]}""", "{}", "space.steps")]
    [TestCase("""{"learningRate": [0.1], "layers": [1], "steps": [1], "epochs": [1]}""", "{}", "space.epochs")]
    [TestCase("""{"learningRate": [0.1], "layers": [1], "steps": [1]}""", """{"layers": 2}""", "fixed.layers")]
    [TestCase("""{"learningRate": [0.1], "layers": [1], "steps": [1]}""", """{"dropout": 2}""", "fixed.dropout")]
    [TestCase("""{"learningRate": [0.1], "layers": [1], "steps": [1]}""", """{"seeds": 2}""", "fixed.seeds")]
    public void Read_WhatDoesNotGoTogether_NamesItsPath(string space, string fixedValues, string path)
    {
        Assert.That(Read(space, fixedValues, out var errors), Is.Null);
        Assert.That(errors.Keys, Is.EqualTo(new[] { path }));
    }

    [TestCase("{}", 27)]
    [TestCase("""{"seed": 3}""", 27)]
    [TestCase("""{"layers": 3}""", 9)]
    [TestCase("""{"epochs": 3}""", 9)]
    public void Read_WithoutASpace_TakesTheDefaultsThatAreNotFixed(string fixedValues, int count)
    {
        var space = SearchSpace.Read(null, JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(fixedValues)!, out var errors);

        Assert.That(errors, Is.Empty);
        Assert.That(space!.Size, Is.EqualTo(count));
    }

    [TestCase("""{"min": 0.1, "max": 0.3, "step": 0.1}""", new[] { 0.1, 0.2, 0.3 })]
    [TestCase("""{"min": 0.0001, "max": 0.1, "scale": "log", "count": 4}""", new[] { 0.0001, 0.001, 0.01, 0.1 })]
    [TestCase("""{"min": 0.1, "max": 0.2, "count": 3, "scale": "linear"}""", new[] { 0.1, 0.15, 0.2 })]
    [TestCase("""{"min": 0.1, "max": 0.1, "count": 1}""", new[] { 0.1 })]
    [TestCase("""{"min": 0.1, "max": 0.3, "count": 3, "step": 1e-320}""", new[] { 0.1, 0.2, 0.3 })]
    [TestCase("""{"min": 0.1, "max": 0.3, "count": 3, "step": 1e308}""", new[] { 0.1 })]
    public void Range_OfNumbers_IncludesBothEnds(string range, double[] values)
    {
        var space = Read($$"""{"weightDecay": {{range}}}""", Required, out var errors);

        Assert.That(errors, Is.Empty);
        Assert.That(space!.Dimensions[0].Values, Is.EqualTo(values.Cast<object>()));
    }

    [Test]
    public void Range_OnLogScaleWithStep_RoundsToItsMultiples()
    {
        var space = Read("""{"steps": {"min": 100, "max": 4000, "scale": "log", "step": 100, "count": 5}}""", """{"learningRate": 0.1, "layers": 1}""", out _);

        Assert.That(space!.Dimensions[0].Values, Is.EqualTo(new object[] { 100, 300, 600, 1600, 4000 }));
    }

    [Test]
    public void Epochs_Sampled_BecomeStepsByBatchSize()
    {
        var space = Read("""{"batchSize": [64, 100], "epochs": [2]}""", """{"learningRate": 0.1, "layers": 1}""", out _);

        var sampled = GridSampler.Sample(space!, 1000, out _);

        Assert.That(sampled.Select(parameters => parameters.Steps), Is.EqualTo(new[] { 2 * 16, 2 * 10 }));
    }

    [Test]
    public void Epochs_BeyondTheMostSteps_AreRefused()
    {
        var space = Read("""{"batchSize": [1], "epochs": [100000]}""", """{"learningRate": 0.1, "layers": 1}""", out _);

        Assert.That(GridSampler.Sample(space!, 60_000, out var errors), Is.Empty);
        Assert.That(errors.Keys, Is.EqualTo(new[] { "space.epochs" }));
    }

    [Test]
    public void Momentum_UnderAdam_IsNoDifference()
    {
        var space = Read("""{"optimizer": ["adam", "sgd"], "momentum": [0, 0.9]}""", Required, out _);

        Assert.That(GridSampler.Sample(space!, 100, out _), Has.Count.EqualTo(3));
    }

    [TestCase("cnn", 2, "float32 bfloat16")]
    [TestCase("cnn", 1, "float32", Description = "its only convolution is the first")]
    [TestCase("resnet50", 1, "float32 bfloat16")]
    public void Precision_WhereAConvolutionFollowsTheFirst_IsADifference(string architecture, int layers, string expected)
    {
        var space = Read(
            """{"precision": ["float32", "bfloat16"]}""", $$"""{"learningRate": 0.1, "layers": {{layers}}, "steps": 10, "architecture": "{{architecture}}"}""", out var errors);

        Assert.That(errors, Is.Empty);
        Assert.That(string.Join(' ', GridSampler.Sample(space!, 100, out _).Select(parameters => parameters.Precision)), Is.EqualTo(expected));
    }

    [Test]
    public void Layers_OfResidualNetworks_AreNoDifferenceAndNotNeeded()
    {
        var mixed = Read("""{"architecture": ["cnn", "resnet18"], "layers": [1, 2, 4]}""", """{"learningRate": 0.1, "steps": 10}""", out _);
        Assert.That(GridSampler.Sample(mixed!, 100, out _), Has.Count.EqualTo(4));
        var residual = Read("""{"architecture": ["resnet18", "resnet50"]}""", """{"learningRate": 0.1, "steps": 10}""", out var errors);
        Assert.That(errors, Is.Empty);
        Assert.That(GridSampler.Sample(residual!, 100, out _).Select(parameters => parameters.Layers), Is.EqualTo(new[] { 1, 1 }));
    }

    [TestCase("""{"architecture": "resnet18"}""", "learningRate steps architecture")]
    [TestCase("""{"architecture": "resnet18", "layers": 1}""", "learningRate steps architecture layers", Description = "as its experiments have it")]
    [TestCase("""{"architecture": "cnn"}""", "learningRate layers steps architecture")]
    public void Default_BesideAFixedArchitecture_HasLayersWhereItHasThem(string given, string names)
    {
        var space = SearchSpace.Read(null, JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(given)!, out var errors);

        Assert.That(errors, Is.Empty);
        Assert.That(string.Join(' ', space!.Dimensions.Select(dimension => dimension.Name)), Is.EqualTo(names));
    }

    [Test]
    public void Size_OfAHugeSpace_DoesNotOverflow()
    {
        const string Many = """{"min": 1, "max": 4096, "step": 1}""";
        var space = Read(
            $$"""{"denseUnits": {{Many}}, "steps": {{Many}}, "seed": {{Many}}, "weightDecay": {"min": 0, "max": 1, "step": 0.001}, "dropout": {"min": 0, "max": 0.9, "step": 0.0001}, "momentum": {"min": 0, "max": 0.9, "step": 0.001}, "optimizer": ["sgd"]}""",
            """{"learningRate": 0.1, "layers": 1}""", out var errors);

        Assert.That(errors, Is.Empty);
        Assert.That(space!.Size, Is.GreaterThan(1_000_000_000_000));
    }

    [Test]
    public void Fingerprint_OfEqualNumbers_IsEqual()
    {
        var model = Guid.CreateVersion7();
        var one = GridSampler.Sample(Read("""{"learningRate": [1], "steps": [1e3]}""", """{"layers": 1.0}""", out _)!, 1, out _)[0];
        var other = GridSampler.Sample(Read("""{"learningRate": [1.0], "steps": [1000]}""", """{"layers": 1}""", out _)!, 1, out _)[0];

        Assert.That(Fingerprint.OfExperiment(model, "a", one), Is.EqualTo(Fingerprint.OfExperiment(model, "a", other)).And.Length.EqualTo(64));
        Assert.That(Fingerprint.OfExperiment(model, "b", one), Is.Not.EqualTo(Fingerprint.OfExperiment(model, "a", one)));
        Assert.That(
            Fingerprint.OfTrajectory(model, "a", (one with { Steps = 5 }).WithoutSteps()),
            Is.EqualTo(Fingerprint.OfTrajectory(model, "a", one.WithoutSteps())));
    }

    [Test]
    public void Canonical_OfDefaults_LeavesThemOut()
    {
        var omitted = new ExperimentParameters { LearningRate = 0.001, Layers = 2, Steps = 1000 };
        Assert.That(Fingerprint.Canonical(omitted), Is.EqualTo("""{"layers":2,"learningRate":0.001,"steps":1000}"""), "a new parameter must not show");
        Assert.That(Fingerprint.Canonical(omitted.WithoutSteps()), Is.EqualTo("""{"layers":2,"learningRate":0.001}"""));
        Assert.That(
            Fingerprint.Canonical(omitted with { Dropout = 0.25, Optimizer = "sgd", Momentum = 0.9 }),
            Is.EqualTo("""{"dropout":0.25,"layers":2,"learningRate":0.001,"momentum":0.9,"optimizer":"sgd","steps":1000}"""));
        Assert.That(
            Fingerprint.Canonical((omitted with { Precision = "bfloat16" }).WithoutSteps()), Is.EqualTo("""{"layers":2,"learningRate":0.001,"precision":"bfloat16"}"""));
    }

    [Test]
    public void Fingerprint_OfAnExplicitDefault_IsThatOfAnOmittedOne()
    {
        var model = Guid.CreateVersion7();
        var omitted = GridSampler.Sample(Read("{}", Required, out _)!, 1, out _)[0];
        var given = GridSampler.Sample(Read("{}", """{"learningRate": 0.1, "layers": 1, "steps": 10, "filters": 32, "dropout": 0.5, "optimizer": "adam", "precision": "float32"}""", out _)!, 1, out _)[0];
        Assert.That(Fingerprint.OfExperiment(model, "a", given), Is.EqualTo(Fingerprint.OfExperiment(model, "a", omitted)));
    }

    private static SearchSpace? Read(string space, string fixedValues, out Dictionary<string, string[]> errors) => SearchSpace.Read(
        JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(space)!,
        JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(fixedValues)!,
        out errors);
}
