namespace MlExperiments.Api.Predictions;

/// <summary>
/// Lets few requests at a time have their image in memory: unpacked, one of 25 megapixels is 100 MB, and the service has to
/// run where there is 1 GiB for everything.
/// </summary>
internal sealed class ImageGate : IDisposable
{
    internal const int Places = 2;

    private readonly SemaphoreSlim _free = new(Places);

    /// <summary>How long a request waits for a place.</summary>
    public TimeSpan Longest { get; init; } = TimeSpan.FromSeconds(10);

    /// <returns>To be disposed of when the image is done; null where none became free in time.</returns>
    public async Task<IDisposable?> EnterAsync(CancellationToken cancellationToken) =>
        await _free.WaitAsync(Longest, cancellationToken) ? new Place(_free) : null;

    public void Dispose() => _free.Dispose();

    private sealed class Place(SemaphoreSlim free) : IDisposable
    {
        public void Dispose() => free.Release();
    }
}
