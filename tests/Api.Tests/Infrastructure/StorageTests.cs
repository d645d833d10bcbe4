using System.Net;
using Microsoft.Extensions.DependencyInjection;
using MlExperiments.Api.Tests.Images;
using MlExperiments.Shared.Blobs;
using Npgsql;

namespace MlExperiments.Api.Tests.Infrastructure;

/// <summary>A disk that fails as the tests say.</summary>
public sealed class StorageTests : ImagesFixture
{
    private readonly FailingStore _store = new();

    protected override void Replace(IServiceCollection services) => services.AddSingleton<IBlobStore>(_store);

    [TearDown]
    public void Mend() => (_store.OnPut, _store.OnProbe) = (null, null);

    // ENOSPC, EDQUOT, EROFS, EIO.
    [TestCase(28, HttpStatusCode.InsufficientStorage, "disk is full")]
    [TestCase(122, HttpStatusCode.InsufficientStorage, "disk is full")]
    [TestCase(30, HttpStatusCode.ServiceUnavailable, "make it writable")]
    [TestCase(5, HttpStatusCode.ServiceUnavailable, "reports an error")]
    public async Task Upload_ToADiskThatFails_SaysWhatToDo(int errno, HttpStatusCode status, string words)
    {
        _store.OnPut = () => throw new IOException("errno", errno);

        var problem = await ProblemAsync(await PostAsync(await NewModelAsync(), ("label", "a"), ("a.png", Png(1))), status);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain(words));
    }

    [Test]
    public async Task Upload_ToAFolderWithoutPermission_Gives503()
    {
        _store.OnPut = () => throw new UnauthorizedAccessException();

        await ProblemAsync(await PostAsync(await NewModelAsync(), ("label", "a"), ("a.png", Png(1))), HttpStatusCode.ServiceUnavailable);
    }

    [Test]
    public async Task Upload_WhoseDatabaseGoesAway_SaysThatSendingAgainIsSafe()
    {
        _store.OnPut = () => throw new NpgsqlException("away");

        var problem = await ProblemAsync(await PostAsync(await NewModelAsync(), ("label", "a"), ("a.png", Png(1))), HttpStatusCode.ServiceUnavailable);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("may be stored").And.Not.Contain("Nothing was changed"));
    }

    [Test]
    public async Task Content_WhoseBlobIsGone_Gives410()
    {
        var model = await NewModelAsync();
        await UploadAsync(model, ("label", "a"), ("a.png", Png(1)));

        var problem = await ProblemAsync(await Client.GetAsync((await ListAsync(model))[0].GetProperty("content").GetString()), HttpStatusCode.Gone);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("backup"));
    }

    [Test]
    public async Task Weights_WhoseBlobGoesAsTheyAreOpened_Give410()
    {
        var study = await JsonAsync(await Client.PostAsync($"/api/models/{await Database.ModelAsync()}/experiments", null));
        var experiment = study.GetProperty("experiments")[0].GetProperty("id").GetGuid();
        await Database.CompleteAsync(experiment, 0.9);

        var problem = await ProblemAsync(await Client.GetAsync($"/api/experiments/{experiment}/weights?format=onnx"), HttpStatusCode.Gone);

        Assert.That(problem.GetProperty("detail").GetString(), Does.Contain("backup").And.Not.Contain("damaged"));
    }

    [Test]
    public async Task Ready_WithoutAFolder_SaysWhichCheckFailed()
    {
        _store.OnProbe = () => throw new UnauthorizedAccessException("no permission");

        var response = await Client.GetAsync("/health/ready");

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That((await JsonAsync(response)).GetProperty("checks")[1].GetProperty("detail").GetString(), Is.EqualTo("no permission"));
    }

    /// <summary>Takes everything and keeps nothing.</summary>
    private sealed class FailingStore : IBlobStore
    {
        public Action? OnPut { get; set; }
        public Action? OnProbe { get; set; }

        public Task<BlobReference> PutAsync(Stream content, CancellationToken cancellationToken)
        {
            OnPut?.Invoke();
            return Task.FromResult(new BlobReference(new string('a', 64), content.Length));
        }

        public Task<Stream> OpenReadAsync(string hash, long offset, long? length, CancellationToken cancellationToken) => throw new BlobNotFoundException(hash);

        // There until it is opened.
        public Task<string> GetPathAsync(string hash, CancellationToken cancellationToken) => Task.FromResult(Path.Combine(Path.GetTempPath(), hash));

        public Task<bool> ExistsAsync(string hash, CancellationToken cancellationToken) => Task.FromResult(false);

        public IAsyncEnumerable<BlobReference> ListAsync(DateTimeOffset before, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<bool> DeleteAsync(string hash, DateTimeOffset before, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task DeleteAsync(string hash, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task ProbeAsync(CancellationToken cancellationToken)
        {
            OnProbe?.Invoke();
            return Task.CompletedTask;
        }
    }
}
