using Microsoft.Extensions.Options;
using MlExperiments.Api.Analysis;
using MlExperiments.Api.Control;
using MlExperiments.Api.Experiments;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Api.Live;
using MlExperiments.Api.Models;
using MlExperiments.Api.Predictions;
using MlExperiments.Api.Studies;
using MlExperiments.Api.Workers;
using MlExperiments.Shared;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Queue;

// Hide the host's start-up stack traces: StartUp reports the cause in one sentence.
var isStarting = true;
try
{
    if (args is ["migrate", .. var settings])
        return await MigrateCommand.RunAsync(settings);

    var document = args is ["openapi", var file] ? file : null;
    var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = document is null ? args : OpenApiCommand.Settings, ContentRootPath = AppContext.BaseDirectory });
    builder.Logging
        .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", level => !isStarting && level >= LogLevel.Information)
        .AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => !isStarting && level >= LogLevel.Warning);
    if (builder.AddSecurity() is { } refusal)
        return StartUpError.Report(refusal);
    if (builder.Services.TryAddDatabase(builder.Configuration) is { } wrong)
        return StartUpError.Report(wrong);

    builder.WebHost.UseKestrelHttpsConfiguration();
    builder.Services
        .AddSingleton(TimeProvider.System)
        .AddTicketQueue()
        .AddBlobStore(builder.Configuration)
        .AddPredictions()
        .AddLive()
        .AddProblems()
        .AddApiJson()
        .AddIdempotency()
        .AddCompression()
        .AddOpenApi()
        .AddImages();

    await using var app = builder.Build();
    app.Services.GetService<IStartupValidator>()?.Validate();
    if (document is null && await StartUp.FindProblemAsync(app.Services) is { } problem)
        return StartUpError.Report(problem);

    app.UseSecurityHeaders();
    app.UseReadingOn();
    app.UseHead();
    app.UseResponseCompression();
    app.UseProblems();
    app.UseAccessControl();
    app.UseRouting();
    app.UseRequestChecks();
    app.UseIdempotency();
    // Again: what the handlers throw becomes an answer before a key keeps it.
    app.UseProblems();
    app.UseOpenApi();
    app.UseClientPage();
    app.MapHealth();
    app.MapModels();
    app.MapImages();
    app.MapImageChanges();
    app.MapGenerate();
    app.MapExperimentLists();
    app.MapExperiments();
    app.MapAnalysis();
    app.MapWeights();
    app.MapClasses();
    app.MapLive();
    app.MapControl();
    app.MapStudies();
    app.MapStudyReport();
    app.MapPredictions();
    app.MapPredictors();
    app.MapWorkers();
    app.MapSession();
    app.MapJobDashboard();
    if (document is not null)
    {
        await OpenApiCommand.WriteAsync(app, document);
        return 0;
    }

    await app.StartAsync();
    isStarting = false;
    app.Logger.LogInformation("Job engine: {JobEngine}", TicketQueue.Engine);
    await app.WaitForShutdownAsync();
    return 0;
}
catch (Exception exception) when (isStarting && StartUp.Reason(exception) is not null)
{
    return StartUpError.Report(StartUp.Reason(exception)!);
}
catch (OperationCanceledException) when (isStarting)
{
    // SIGTERM came before it had started.
    return 0;
}
