using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.Swagger;

namespace MlExperiments.Api.Infrastructure;

/// <summary><c>openapi FILE</c> writes the description of the service, for whoever generates clients of it, without a database and without serving.</summary>
internal static class OpenApiCommand
{
    /// <summary>The settings of a service that is described only: nothing connects to this.</summary>
    public static readonly string[] Settings = ["--ConnectionStrings:Database=Host=none"];

    /// <param name="file">Left as it is where it says the same already, so that what is made of it is not made again.</param>
    public static async Task WriteAsync(WebApplication app, string file)
    {
        // Without a start, this is what shows the routes to the description.
        app.UseEndpoints(_ => { });
        var document = await app.Services.GetRequiredService<IAsyncSwaggerProvider>().GetSwaggerAsync("v1");
        var text = await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_0);
        if (!File.Exists(file) || await File.ReadAllTextAsync(file) != text)
            await File.WriteAllTextAsync(file, text);
    }
}
