using System.Buffers.Text;
using System.Security.Cryptography;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.Net.Http.Headers;
using MlExperiments.Api.Workers;

namespace MlExperiments.Api.Infrastructure;

/// <summary>The page at <c>/</c>, where the build has made one; the description of the service, where it has not.</summary>
internal static class ClientPage
{
    private const string Assets = "/assets";
    private const string NoncePlaceholder = "__nonce__";

    private static readonly object NonceKey = new();
    private static readonly string[] Others = ["/api", "/swagger", "/health", JobDashboard.Path, Assets];
    private static readonly (string Coding, string Ending)[] Packings = [("br", ".br"), ("gzip", ".gz")];
    private static readonly FileExtensionContentTypeProvider MediaTypes = new();

    /// <summary>After routing: whatever has an endpoint is none of the page's.</summary>
    public static void UseClientPage(this WebApplication app)
    {
        var folder = Path.Combine(AppContext.BaseDirectory, "wwwroot");
        var start = Path.Combine(folder, "index.html");
        if (!File.Exists(start))
        {
            // The service's front door, for whoever types in nothing but the address.
            app.MapGet("/", () => TypedResults.Redirect("/swagger")).ExcludeFromDescription();
            return;
        }

        var html = File.ReadAllText(start);
        app.Use((context, next) => IsPlace(context) ? SendAsync(context, html) : next(context));

        var files = new PhysicalFileProvider(folder);
        app.Use((context, next) =>
        {
            ChoosePacking(context, files);
            return next(context);
        });
        app.UseStaticFiles(new StaticFileOptions { FileProvider = files, ServeUnknownFileTypes = true, OnPrepareResponse = Describe });
    }

    /// <summary>
    /// Scripts and styles are the page's own files. The components' styles are made while it runs: they carry a nonce, so that no other inline style counts.
    /// </summary>
    public static string Policy(HttpContext context) =>
        $"default-src 'self'; style-src 'self'{(context.Items[NonceKey] is string nonce ? $" 'nonce-{nonce}'" : "")}; img-src 'self' data: blob:; " +
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

    /// <summary>The page has places of its own, which a reload or a link asks for: <c>/models/...</c>.</summary>
    private static bool IsPlace(HttpContext context)
    {
        var path = context.Request.Path;
        return HttpMethods.IsGet(context.Request.Method)
            && context.GetEndpoint() is null
            && (path == "/" || path == "/index.html" || (
                !Path.HasExtension(path.Value)
                && !Others.Any(other => path.StartsWithSegments(other, StringComparison.OrdinalIgnoreCase))
                && context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase)));
    }

    private static Task SendAsync(HttpContext context, string html)
    {
        var nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(18));
        context.Items[NonceKey] = nonce;
        // The nonce counts once; all that is large is in files that are kept for ever.
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentType = "text/html; charset=utf-8";
        return context.Response.WriteAsync(html.Replace(NoncePlaceholder, nonce, StringComparison.Ordinal), context.RequestAborted);
    }

    /// <summary>The build has packed each file as small as it gets; packing it anew for everybody would cost more and give less.</summary>
    private static void ChoosePacking(HttpContext context, PhysicalFileProvider files)
    {
        if (context.GetEndpoint() is not null || !context.Request.Path.StartsWithSegments(Assets))
            return;
        var accepted = context.Request.GetTypedHeaders().AcceptEncoding;
        foreach (var (coding, ending) in Packings)
        {
            if (accepted.Any(value => value.Value == coding && value.Quality is not 0) && files.GetFileInfo(context.Request.Path + ending).Exists)
            {
                context.Request.Path += ending;
                return;
            }
        }
    }

    private static void Describe(StaticFileResponseContext file)
    {
        var (context, name) = (file.Context, file.File.Name);
        var headers = context.Response.Headers;
        // Names in assets have a hash of what is in them.
        headers.CacheControl = context.Request.Path.StartsWithSegments(Assets) ? "public, max-age=31536000, immutable" : "no-cache";
        if (Packings.FirstOrDefault(packing => name.EndsWith(packing.Ending, StringComparison.Ordinal)) is not ({ } coding, { } ending))
            return;
        headers.ContentEncoding = coding;
        headers.Append(HeaderNames.Vary, HeaderNames.AcceptEncoding);
        if (MediaTypes.TryGetContentType(name[..^ending.Length], out var mediaType))
            context.Response.ContentType = mediaType;
    }
}
