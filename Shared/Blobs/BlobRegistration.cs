using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace MlExperiments.Shared.Blobs;

public static class BlobRegistration
{
    /// <summary>Registers <see cref="IBlobStore"/>, as the section <c>Blobs</c> of the configuration says.</summary>
    public static IServiceCollection AddBlobStore(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<BlobOptions>()
            .Bind(configuration.GetSection(BlobOptions.Section))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<IBlobStore, FolderBlobStore>();
        return services;
    }
}
