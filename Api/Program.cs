using MlExperiments.Api.Experiments;
using MlExperiments.Api.Images;
using MlExperiments.Api.Infrastructure;
using MlExperiments.Api.Models;
using MlExperiments.Api.Predictions;
using MlExperiments.Api.Studies;
using MlExperiments.Api.Workers;
using MlExperiments.Shared.Blobs;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Queue;

if (args is ["migrate", .. var settings])
    return await MigrateCommand.RunAsync(settings);

var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
if (builder.AddSecurity() is { } refusal)
    return StartUp.Refuse(refusal);

if (StartUp.FindMissingSetting(builder.Configuration) is { } missing)
    return StartUp.Refuse(missing);

builder.WebHost.UseKestrelHttpsConfiguration();
builder.Services
    .AddSingleton(TimeProvider.System)
    .AddDatabase(builder.Configuration)
    .AddJobQueue()
    .AddBlobStore(builder.Configuration)
    .AddPredictions()
    .AddProblems()
    .AddApiJson()
    .AddOpenApi()
    .AddImages();

var app = builder.Build();
if (await StartUp.FindProblemAsync(app.Services) is { } problem)
    return StartUp.Refuse(problem);

app.UseSecurityHeaders();
app.UseProblems();
app.UseAccessControl();
app.UseOpenApi();
app.MapHealth();
app.MapModels();
app.MapImages();
app.MapGenerate();
app.MapExperiments();
app.MapStudies();
app.MapPredictions();
app.MapWorkers();

await app.RunAsync();
return 0;
