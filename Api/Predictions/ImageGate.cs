namespace MlExperiments.Api.Predictions;

/// <summary>
/// Lets few requests at a time have their image in memory: unpacked, one of 25 megapixels is 100 MB, and the service has to
/// run where there is 1 GiB for everything.
/// </summary>
internal sealed class ImageGate : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _free = new(2);

    /// <returns>To be disposed of when the image is done; null where none became free in time.</returns>
    public async Task<IDisposable?> EnterAsync(CancellationToken cancellationToken) =>
        await _free.WaitAsync(Longest, cancellationToken) ? new Place(_free) : null;

    public void Dispose() => _free.Dispose();

    private sealed class Place(SemaphoreSlim free) : IDisposable
    {
        public void Dispose() => free.Release();
    }
}
