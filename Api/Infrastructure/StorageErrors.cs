namespace MlExperiments.Api.Infrastructure;

/// <summary>What is wrong with the disk or the folder, in words; null for what is a mistake of ours.</summary>
internal static class StorageErrors
{
    // errno of Linux, which .NET hands on as it is.
    private const int NotPermitted = 1;
    private const int IoError = 5;
    private const int AccessDenied = 13;
    private const int TooManyOpen = 24;
    private const int NoSpace = 28;
    private const int ReadOnly = 30;
    private const int QuotaExceeded = 122;

    public static (int Status, string Sentence)? Sentence(Exception exception) => exception switch
    {
        UnauthorizedAccessException => (
            StatusCodes.Status503ServiceUnavailable, "The service may not use its own folder for blobs: its owner has to set the permissions right."),
        IOException { HResult: NoSpace or QuotaExceeded } => (
            StatusCodes.Status507InsufficientStorage, "The service's disk is full: free some space, then send this again."),
        IOException { HResult: NotPermitted or AccessDenied or ReadOnly } => (
            StatusCodes.Status503ServiceUnavailable, "The service can't write to its folder for blobs: make it writable, then try again."),
        IOException { HResult: IoError } => (
            StatusCodes.Status503ServiceUnavailable, "The service's disk reports an error: look at the disk, then try again."),
        IOException { HResult: TooManyOpen } => (
            StatusCodes.Status503ServiceUnavailable, "The service has too many files open at the moment: try again in a few seconds."),
        IOException when exception is DirectoryNotFoundException => (
            StatusCodes.Status503ServiceUnavailable, "The service's folder for blobs is gone: bring it back, then try again."),
        _ => null,
    };
}
