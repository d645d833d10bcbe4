using Microsoft.AspNetCore.ResponseCompression;

namespace MlExperiments.Api.Infrastructure;

/// <summary>
/// Packs JSON and text for those who ask for it. Images, weights and other files go as they are: most are packed already, and their ETags and ranges
/// name the same bytes for everybody. Event streams are not to wait in a buffer.
/// </summary>
internal static class Compression
{
    public static IServiceCollection AddCompression(this IServiceCollection services) => services.AddResponseCompression(options =>
    {
        // What a page of another site could guess from lengths needs a secret in the answer, and no answer has one.
        options.EnableForHttps = true;
        options.Providers.Add<BrotliCompressionProvider>();
        options.Providers.Add<GzipCompressionProvider>();
        options.MimeTypes =
        [
            "application/json", "application/problem+json", "application/javascript", "image/svg+xml", "text/css", "text/csv", "text/html", "text/javascript", "text/plain",
        ];
    });
}
