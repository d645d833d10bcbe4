using System.Net;
using System.Text.Json;
using MlExperiments.Testing;

namespace MlExperiments.Api.Tests.Images;

public sealed class UploadTests : ImagesFixture
{
    [Test]
    public async Task Files_WithALabel_AreAccepted()
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(model, ("label", "cat"), ("split", "test"), ("a.png", Png(1)), ("b.png", Png(2)));
        var images = await ListAsync(model);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(answer.Counts, Is.EqualTo((2, 0, 0)));
            Assert.That(Strings(images, "fileName"), Is.EqualTo(new[] { "a.png", "b.png" }));
            Assert.That(Strings(images, "label"), Is.All.EqualTo("cat"));
            Assert.That(Strings(images, "split"), Is.All.EqualTo("test"));
            Assert.That(Strings(images, "mediaType"), Is.All.EqualTo("image/png"));
        }
    }

    [Test]
    public async Task Files_BeforeTheirFields_AreAccepted()
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(model, ("a.png", Png(1)), ("b.png", Png(2)), ("split", "validation"), ("label", " dog "));
        var images = await ListAsync(model, "label=dog&split=validation");
        Assert.That((answer.Accepted, images.Count), Is.EqualTo((2, 2)));
    }

    [Test]
    public async Task Files_OneOfWhichIsNoImage_ItAloneIsRefused()
    {
        var model = await NewModelAsync();
        var answer = await UploadAsync(model, ("label", "cat"), ("a.png", Png(1)), ("notes.txt", Text("some notes")), ("empty.png", Array.Empty<byte>()));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(answer.Counts, Is.EqualTo((1, 0, 2)));
            Assert.That(answer.ReasonFor("notes.txt"), Does.Contain("PNG, JPEG"));
            Assert.That(answer.ReasonFor("empty.png"), Does.Contain("empty"));
        }
    }

    [Test]
    public async Task SameImage_Again_CountsAsDuplicate()
    {
        var model = await NewModelAsync();
        var first = await UploadAsync(model, ("label", "cat"), ("a.png", Png(1)), ("copy.png", Png(1)));
        var second = await UploadAsync(model, ("label", "cat"), ("again.png", Png(1)), ("new.png", Png(2)));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(first.Counts, Is.EqualTo((1, 1, 0)));
            Assert.That(second.Counts, Is.EqualTo((1, 1, 0)));
        }
    }

    [Test]
    public async Task SameImage_WithAnotherLabelOrSplit_IsRefused()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("label", "cat"), ("a.png", Png(1)));
        var label = await UploadAsync(model, ("label", "dog"), ("b.png", Png(1)));
        var split = await UploadAsync(model, ("label", "cat"), ("split", "test"), ("c.png", Png(1)));
        var within = await UploadAsync(model, ("x.zip", Zip(("owl/1.png", Png(5)), ("hen/1.png", Png(5)))));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(label.Counts, Is.EqualTo((0, 0, 1)));
            Assert.That(label.ReasonFor("b.png"), Does.Contain("\"cat\"").And.Contain("\"dog\""));
            Assert.That(split.Counts, Is.EqualTo((0, 0, 1)));
            Assert.That(split.ReasonFor("c.png"), Does.Contain("train"));
            Assert.That(within.Counts, Is.EqualTo((1, 0, 1)));
            Assert.That(within.ReasonFor("hen/1.png"), Does.Contain("\"owl\""));
        }
    }

    [Test]
    public async Task SameImage_InAnotherModel_IsAcceptedThereToo()
    {
        Assert.That((await UploadAsync(await NewModelAsync(), ("label", "cat"), ("a.png", Png(1)))).Accepted, Is.EqualTo(1));
        Assert.That((await UploadAsync(await NewModelAsync(), ("label", "dog"), ("a.png", Png(1)))).Accepted, Is.EqualTo(1));
    }

    [Test]
    public async Task SameImages_FromManyUploadsAtOnce_AreStoredOnce()
    {
        const int Uploads = 6, Images = 300;
        var model = await NewModelAsync();
        var entries = Enumerable.Range(0, Images).Select(seed => ($"{seed % 3}/{seed}.png", Png(seed))).ToArray();
        var answers = await Task.WhenAll(Enumerable.Range(0, Uploads).Select(upload =>
            UploadAsync(model, ("x.zip", Zip([.. entries.OrderBy(_ => Random.Shared.Next())])))));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(answers.Sum(answer => answer.Accepted), Is.EqualTo(Images));
            Assert.That(answers.Sum(answer => answer.Duplicates), Is.EqualTo(Images * (Uploads - 1)));
            Assert.That(answers.Sum(answer => answer.RefusedCount), Is.Zero);
            Assert.That(await ListAsync(model), Has.Count.EqualTo(Images));
        }
    }

    [TestCase("label", "", "label", TestName = "Form_EmptyLabel_IsInvalid")]
    [TestCase("label", "two\nlines", "label", TestName = "Form_LabelWithControlCharacters_IsInvalid")]
    [TestCase("split", "training", "split", TestName = "Form_UnknownSplit_IsInvalid")]
    [TestCase("lable", "cat", "lable", TestName = "Form_UnknownField_IsInvalid")]
    public async Task Form_WrongField_IsInvalid(string field, string value, string error) =>
        await InvalidAsync(await PostAsync(await NewModelAsync(), ("a.png", Png(1)), (field, value)), error);

    [Test]
    public async Task Form_TwoLabels_IsInvalid() =>
        await InvalidAsync(await PostAsync(await NewModelAsync(), ("label", "cat"), ("a.png", Png(1)), ("label", "dog")), "label");

    [Test]
    public async Task Form_WithoutLabel_NamesTheField() =>
        await InvalidAsync(await PostAsync(await NewModelAsync(), ("a.png", Png(1))), "label");

    [Test]
    public async Task Form_WithoutFiles_NamesTheField() =>
        await InvalidAsync(await PostAsync(await NewModelAsync(), ("label", "cat")), "files");

    [Test]
    public async Task Body_NoForm_IsUnsupported()
    {
        using var body = new ByteArrayContent(Png(1));
        body.Headers.ContentType = new("image/png");
        var problem = await ProblemAsync(await Client.PostAsync($"/api/models/{await NewModelAsync()}/images", body), HttpStatusCode.UnsupportedMediaType);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("takes multipart/form-data").And.Not.Contain("json"));
    }

    [Test]
    public async Task Files_AsAFieldWithoutAFile_SaySo()
    {
        var model = await NewModelAsync();
        var empty = await InvalidAsync(await PostAsync(model, ("label", "cat"), ("files", "")), "files");
        var text = await InvalidAsync(await PostAsync(model, ("label", "cat"), ("files", "a.png")), "files");
        Assert.That(empty.GetProperty("detail").GetString(), Does.Contain("has no files"));
        Assert.That(text.GetProperty("detail").GetString(), Does.Contain("is text here"));
        Assert.That((await UploadAsync(model, ("label", "cat"), ("files", ""), ("a.png", Png(1)))).Accepted, Is.EqualTo(1));
    }

    [Test]
    public async Task Zip_WithoutAnyFile_IsRefusedWithTheReason()
    {
        var answer = await UploadAsync(await NewModelAsync(), ("empty.zip", Zip()), ("junk.zip", Zip(("__MACOSX/x", Text("x")), ("cat/", []))));
        Assert.That(answer.Counts, Is.EqualTo((0, 0, 2)));
        Assert.That(answer.Refused.Select(refusal => refusal.Reason), Is.All.EqualTo("the zip has no files in it"));
    }

    [Test]
    public async Task Label_InAnotherNormalForm_IsTheSame()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("label", "cafe\u0301"), ("a.png", Png(1)));
        var answer = await UploadAsync(model, ("label", "caf\u00e9"), ("a.png", Png(1)));
        Assert.That(answer.Counts, Is.EqualTo((0, 1, 0)));
        Assert.That(await ListAsync(model, "label=cafe%CC%81"), Has.Count.EqualTo(1));
    }

    [TestCase("\u200b")]
    [TestCase("\u3164")]
    [TestCase("a\u202eb")]
    [TestCase("a\ufdd0")]
    [TestCase("a\u0007b")]
    public async Task Label_ThatNobodyCanRead_IsRefused(string label) =>
        await InvalidAsync(await PostAsync(await NewModelAsync(), ("label", label), ("a.png", Png(1))), "label");

    [Test]
    public async Task Label_Of200Emoji_Fits() =>
        Assert.That((await UploadAsync(await NewModelAsync(), ("label", string.Concat(Enumerable.Repeat("\U0001F600", 200))), ("a.png", Png(1)))).Accepted, Is.EqualTo(1));

    [Test]
    public async Task Body_CutShort_IsABadRequest()
    {
        using var form = Form(("label", "cat"), ("a.png", Png(1)));
        var bytes = await form.ReadAsByteArrayAsync();
        using var body = new ByteArrayContent(bytes[..^30]);
        body.Headers.ContentType = form.Headers.ContentType;
        var problem = await ProblemAsync(await Client.PostAsync($"/api/models/{await NewModelAsync()}/images", body), HttpStatusCode.BadRequest);
        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("cut short"));
    }

    [Test]
    public async Task Model_Unknown_IsNotFound() => await ProblemAsync(await PostAsync(Guid.NewGuid(), ("a.png", Png(1))), HttpStatusCode.NotFound);

    [Test]
    public async Task Mnist_InOneRequest_TakesLittleMemory()
    {
        const long Mebibyte = 1024 * 1024;
        var path = SampleData.PathOrSkip("mnist.zip");
        var model = await NewModelAsync();
        await UploadAsync(model, ("label", "warm"), ("a.png", Png(1)));
        var before = ProcessMemory.Resident;
        ProcessMemory.ResetPeak();
        using var form = new MultipartFormDataContent { { new StreamContent(File.OpenRead(path)), "files", "mnist.zip" } };
        using var response = await Client.PostAsync($"/api/models/{model}/images", form);
        var growth = ProcessMemory.Peak - before;
        TestContext.Out.WriteLine($"{growth / Mebibyte} MiB more at the peak.");
        using (Assert.EnterMultipleScope())
        {
            Assert.That((await AnswerAsync(response)).Counts, Is.EqualTo((70_000, 0, 0)));
            Assert.That(growth, Is.LessThan(150 * Mebibyte));
        }
    }

    private static IEnumerable<string?> Strings(IEnumerable<JsonElement> images, string name) => images.Select(image => image.GetProperty(name).GetString());
}
