using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;

namespace MlExperiments.Api.Infrastructure;

/// <summary>What an endpoint's documentation shows to be tried.</summary>
/// <param name="Request">A JSON body that works as it stands.</param>
/// <param name="Response">What the call answers when it succeeds.</param>
internal sealed record Examples(string? Request, string? Response);

/// <summary>A further example, for an answer that differs from the usual one.</summary>
internal sealed record StatusExample(int Status, string Response);

/// <summary>An answer of server-sent events: what it looks like, and the types of its events' data.</summary>
internal sealed record EventStreamBody(string Example, Type[] Data);

/// <summary>What a call takes as multipart/form-data, which its handler reads by itself.</summary>
internal sealed record FormBody(Type Type);

/// <summary>What a call answers instead of its usual success, depending on the request.</summary>
internal sealed record OtherAnswer(Type Type);

/// <summary>The description of the service: <c>/swagger/v1/swagger.json</c>, and the page over it at <c>/swagger</c>.</summary>
internal static class OpenApi
{
    private const string Problem = "application/problem+json";

    public static TBuilder WithExamples<TBuilder>(this TBuilder builder, string? request = null, string? response = null)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new Examples(request, response));

    public static TBuilder WithExample<TBuilder>(this TBuilder builder, int status, string response)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new StatusExample(status, response));

    /// <summary>Declares a multipart/form-data body. Routing doesn't look at it: the handler refuses another body in words of its own.</summary>
    public static TBuilder TakesForm<TBuilder, TForm>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new FormBody(typeof(TForm)));

    /// <summary>Declares the errors that a caller of this endpoint can cause or meet, besides those of every endpoint.</summary>
    public static TBuilder Fails<TBuilder>(this TBuilder builder, params int[] statuses)
        where TBuilder : IEndpointConventionBuilder
    {
        foreach (var status in statuses)
        {
            var type = status == StatusCodes.Status400BadRequest ? typeof(HttpValidationProblemDetails) : typeof(Microsoft.AspNetCore.Mvc.ProblemDetails);
            builder.WithMetadata(new ProducesResponseTypeMetadata(status, type, [Problem]));
        }

        return builder;
    }

    public static IServiceCollection AddOpenApi(this IServiceCollection services)
    {
        services.AddEndpointsApiExplorer();
        services.AddSwaggerGen(options =>
        {
            options.SwaggerDoc("v1", new OpenApiInfo
            {
                Title = "ML Experiments",
                Version = "v1",
                Description =
                    "Tune image classifiers: create a model, upload labelled images, generate experiments, watch them train, read off the best " +
                    "parameters, and classify new images with them. Errors are problem details (RFC 9457) that say what to do. Lists are " +
                    "{\"items\": [...], \"nextCursor\": ...}: send nextCursor as cursor for the next page. Times are UTC.",
            });
            options.CustomOperationIds(description =>
                description.ActionDescriptor.EndpointMetadata.OfType<IEndpointNameMetadata>().FirstOrDefault()?.EndpointName ?? Handler(description)?.Name);
            options.SupportNonNullableReferenceTypes();
            options.UseAllOfToExtendReferenceSchemas();
            foreach (var file in new[] { typeof(OpenApi).Assembly, typeof(Shared.Data.Database).Assembly }
                .Select(assembly => Path.Combine(AppContext.BaseDirectory, $"{assembly.GetName().Name}.xml")).Where(File.Exists))
                options.IncludeXmlComments(file);
            // After the comments, which it changes.
            options.SchemaFilter<OpenApiSchemas>();
            options.AddSecurityDefinition("apiKey", new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                Description = "The service's API key, where one is set.",
            });
            options.AddSecurityRequirement(document => new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("apiKey", document)] = [] });
            // Or none: where no key is set, none is needed.
            options.AddSecurityRequirement(_ => []);
            // Wherever the document comes from is where the service is.
            options.AddServer(new OpenApiServer { Url = "/" });
            options.OperationFilter<Documentation>();
            options.DocumentFilter<TagDescriptions>();
        });
        return services;
    }

    public static void UseOpenApi(this WebApplication app)
    {
        app.UseSwagger();
        app.UseSwaggerUI(options =>
        {
            options.DocumentTitle = "ML Experiments";
            options.SwaggerEndpoint("v1/swagger.json", "ML Experiments");
            options.DisplayOperationId();
            options.EnableTryItOutByDefault();
        });
    }

    private static MethodInfo? Handler(ApiDescription description) =>
        description.ActionDescriptor.EndpointMetadata.OfType<MethodInfo>().FirstOrDefault();

    /// <summary>Says what each group of calls is about, in the words of the product.</summary>
    private sealed class TagDescriptions : IDocumentFilter
    {
        private static readonly Dictionary<string, string> Descriptions = new()
        {
            ["Models"] = "A model is a named learning problem: its images, classes, input size, experiments and the best of them.",
            ["Images"] = "A model's labelled images: upload them, look at them, count them.",
            ["Experiments"] = "An experiment is one set of parameters: generate them, have them trained, compare them, read off the best.",
            ["Analysis"] = "What experiments say together: points to plot, and which parameters matter.",
            ["Control"] = "Change your mind while experiments wait or train: pause, resume, cancel, try again, adjust.",
            ["Live"] = "Experiments as they change, pushed to whoever watches: server-sent events.",
            ["Studies"] = "A study is one request to explore: a search space, and the experiments that came of it.",
            ["Predictions"] = "An image put through the weights of the best experiment, or of another one.",
            ["Service"] = "Who works, and what runs here.",
            ["Health"] = "For whatever watches over the service.",
        };

        public void Apply(OpenApiDocument swaggerDoc, DocumentFilterContext context)
        {
            foreach (var tag in swaggerDoc.Tags ?? Enumerable.Empty<OpenApiTag>())
                tag.Description = Descriptions.GetValueOrDefault(tag.Name!);
        }
    }

    /// <summary>Puts in what the generator does not read: examples, the words of parameters, the errors of every call.</summary>
    private sealed class Documentation : IOperationFilter
    {
        private static readonly Dictionary<int, (string Title, string Example)> Errors = new()
        {
            [400] = ("A field is wrong; errors names each one.", """{"title": "One or more validation errors occurred.", "status": 400, "detail": "limit is 1 to 500.", "errors": {"limit": ["limit is 1 to 500."]}}"""),
            [401] = ("The API key is missing or wrong.", """{"title": "Unauthorized", "status": 401, "detail": "This call needs the API key: send it as \"Authorization: Bearer <key>\" or \"X-Api-Key: <key>\"."}"""),
            [403] = ("From a page of another site; or, where no API key is set, under another name than localhost.", """{"title": "Forbidden", "status": 403, "detail": "This request comes from a page of another site, which may not change anything here."}"""),
            [404] = ("There is no such thing.", """{"title": "Not Found", "status": 404, "detail": "There is no model 01980c3e-4b1f-7c7a-9a52-0d6a6f1c2b3d; it may have been deleted."}"""),
            [409] = ("Not in the current state; detail says what to do first.", """{"title": "Conflict", "status": 409, "detail": "There is a model named \"Digits\" already: choose another name."}"""),
            [410] = ("Its file is gone from the blob store.", """{"title": "Gone", "status": 410, "detail": "It is recorded, but its file is gone from the blob store: restore it from a backup."}"""),
            [413] = ("The body is too large.", """{"title": "Content Too Large", "status": 413, "detail": "The body is longer than the 1048576 bytes that this call takes: send less, in several calls."}"""),
            [415] = ("The body is of another content type.", """{"title": "Unsupported Media Type", "status": 415, "detail": "The body's content type is text/plain; this call takes application/json."}"""),
            [422] = ("The Idempotency-Key belongs to another request.", """{"title": "Unprocessable Entity", "status": 422, "detail": "This Idempotency-Key belongs to a request with another query or body: send that one again as it was, or take a new key."}"""),
            [429] = ("Too much is under way; Retry-After says when to try again.", """{"title": "Too Many Requests", "status": 429, "detail": "1000 predictions wait already: try again in a few seconds."}"""),
            [507] = ("The service's disk is full.", """{"title": "Insufficient Storage", "status": 507, "detail": "The service's disk is full: free some space, then send this again."}"""),
            [503] = ("The database or the storage is away; Retry-After says when to try again.", """{"title": "Service Unavailable", "status": 503, "detail": "The database can't be reached at the moment. Nothing was changed; try again in a few seconds."}"""),
        };

        public void Apply(OpenApiOperation operation, OperationFilterContext context)
        {
            foreach (var parameter in operation.Parameters?.OfType<OpenApiParameter>() ?? [])
            {
                var described = context.ApiDescription.ParameterDescriptions.FirstOrDefault(candidate => candidate.Name == parameter.Name);
                parameter.Description ??= Words(described?.ParameterInfo()) ?? Words(described?.PropertyInfo());
                SetWords(parameter.Schema as OpenApiSchema, described?.ParameterInfo() ?? (ICustomAttributeProvider?)described?.PropertyInfo());
                if (parameter.In == ParameterLocation.Path)
                    parameter.Description ??= "Its id, as lists and Location headers give it.";
            }

            operation.Responses ??= [];
            var needsDatabase = context.ApiDescription.RelativePath?.StartsWith("api/", StringComparison.Ordinal) == true;
            // Any of them refuses what it doesn't know in the query.
            if (needsDatabase)
                operation.Responses.TryAdd("400", ProblemResponse(context, typeof(HttpValidationProblemDetails)));
            foreach (var status in needsDatabase ? [401, 403, 503] : Array.Empty<int>())
                operation.Responses.TryAdd(status.ToString(), ProblemResponse(context, typeof(Microsoft.AspNetCore.Mvc.ProblemDetails)));

            var metadata = context.ApiDescription.ActionDescriptor.EndpointMetadata;
            if (metadata.OfType<IdempotentCall>().Any())
                (operation.Parameters ??= []).Add(new OpenApiParameter
                {
                    Name = Idempotency.Header,
                    In = ParameterLocation.Header,
                    Description = Idempotency.Description,
                    Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                });
            if (metadata.OfType<FormBody>().LastOrDefault() is { } form)
                operation.RequestBody = new OpenApiRequestBody
                {
                    Required = true,
                    Content = new Dictionary<string, IOpenApiMediaType>
                    {
                        ["multipart/form-data"] = new OpenApiMediaType { Schema = context.SchemaGenerator.GenerateSchema(form.Type, context.SchemaRepository) },
                    },
                };
            if (metadata.OfType<EventStreamBody>().LastOrDefault() is { } stream)
                SetEvents(operation.Responses["200"], stream, context);
            if (metadata.OfType<OtherAnswer>().LastOrDefault() is { } other)
                AddOther(operation, context.SchemaGenerator.GenerateSchema(other.Type, context.SchemaRepository));
            var examples = metadata.OfType<Examples>().LastOrDefault();
            if (examples?.Request is { } request)
                SetExample(operation.RequestBody?.Content, "application/json", request);
            foreach (var (status, response) in operation.Responses.Where(response => response.Value is OpenApiResponse))
            {
                // One call answers the same as data, as a document, as a table: only the first has the data's members.
                foreach (var text in response.Content?.Where(media => media.Key is "text/html" or "text/csv").Select(media => media.Value).OfType<OpenApiMediaType>() ?? [])
                    text.Schema = new OpenApiSchema { Type = JsonSchemaType.String };
                if (examples?.Response is { } example && status.StartsWith('2'))
                    SetExample(response.Content, "application/json", example);
                if (Errors.TryGetValue(int.Parse(status), out var error) && response.Content?.ContainsKey(Problem) == true)
                {
                    response.Description = error.Title;
                    SetExample(response.Content, Problem, error.Example);
                }
            }

            foreach (var example in metadata.OfType<StatusExample>())
            {
                foreach (var mediaType in new[] { "application/json", Problem })
                    SetExample(operation.Responses[example.Status.ToString()].Content, mediaType, example.Response);
            }
        }

        private static OpenApiResponse ProblemResponse(OperationFilterContext context, Type type) => new()
        {
            Content = new Dictionary<string, IOpenApiMediaType>
            {
                [Problem] = new OpenApiMediaType { Schema = context.SchemaGenerator.GenerateSchema(type, context.SchemaRepository) },
            },
        };

        /// <summary>OpenAPI 3.0 knows a stream as text only; what the events hold is said beside it, for people and for who makes clients.</summary>
        private static void SetEvents(IOpenApiResponse response, EventStreamBody stream, OperationFilterContext context)
        {
            if (response.Content?.Values.FirstOrDefault() is not OpenApiMediaType media)
                return;
            media.Schema = new OpenApiSchema
            {
                AnyOf = [media.Schema!, .. stream.Data.Select(type => context.SchemaGenerator.GenerateSchema(type, context.SchemaRepository))],
            };
            media.Example = JsonValue.Create(stream.Example);
        }

        private static void AddOther(OpenApiOperation operation, IOpenApiSchema schema)
        {
            foreach (var (status, response) in operation.Responses!)
            {
                if (status.StartsWith('2') && response.Content?["application/json"] is OpenApiMediaType media)
                    media.Schema = new OpenApiSchema { OneOf = [media.Schema!, schema] };
            }
        }

        private static void SetWords(OpenApiSchema? schema, ICustomAttributeProvider? parameter)
        {
            var attributes = parameter?.GetCustomAttributes(inherit: true) ?? [];
            var words = attributes.OfType<WordsAttribute>().FirstOrDefault()?.Words.Cast<object?>()
                ?? attributes.OfType<System.ComponentModel.DataAnnotations.AllowedValuesAttribute>().FirstOrDefault()?.Values;
            if (words is not null && (schema?.Items as OpenApiSchema ?? schema) is { } valued)
                valued.Enum = [.. words.Select(word => OpenApiSchemas.ToNode(word)!)];
        }

        private static void SetExample(IDictionary<string, IOpenApiMediaType>? content, string mediaType, string json)
        {
            if (content?.TryGetValue(mediaType, out var media) == true && media is OpenApiMediaType own)
                own.Example = JsonNode.Parse(json);
        }

        private static string? Words(ICustomAttributeProvider? provider) =>
            provider?.GetCustomAttributes(true).OfType<System.ComponentModel.DescriptionAttribute>().FirstOrDefault()?.Description;
    }
}
