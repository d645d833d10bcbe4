using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;

namespace MlExperiments.Api.Infrastructure;

/// <summary>The words that a query parameter takes, where they are known only when the program runs.</summary>
/// <param name="source">Has a static property <c>Names</c>.</param>
[AttributeUsage(AttributeTargets.Parameter | AttributeTargets.Property)]
internal sealed class WordsAttribute(Type source) : Attribute
{
    public IEnumerable<string> Words { get; } = (IEnumerable<string>)source.GetProperty("Names", BindingFlags.Public | BindingFlags.Static)!.GetValue(null)!;
}

/// <summary>
/// What the types say and the generator does not read: of a request, what may be left out and what that means; of an answer, that every member is
/// always there but those that are left out on purpose; of both, which words a member takes.
/// </summary>
internal sealed class OpenApiSchemas : ISchemaFilter
{
    public void Apply(IOpenApiSchema schema, SchemaFilterContext context)
    {
        if (schema is not OpenApiSchema own)
            return;
        own.Description = WithoutTypeNames(own.Description);
        if (context.MemberInfo is not null || own.Properties is not { Count: > 0 } || context.Type.Namespace?.StartsWith("MlExperiments.", StringComparison.Ordinal) != true)
            return;

        var isRequest = context.Type.Name.EndsWith("Request", StringComparison.Ordinal) || context.Type.Name.EndsWith("Form", StringComparison.Ordinal);
        var defaults = isRequest && context.Type.GetConstructor(Type.EmptyTypes) is not null ? Activator.CreateInstance(context.Type) : null;
        own.Required = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var property in context.Type.GetProperties())
        {
            var name = JsonNamingPolicy.CamelCase.ConvertName(property.Name);
            if (!own.Properties.TryGetValue(name, out var member))
                continue;
            var isOptional = isRequest || property.GetCustomAttribute<JsonIgnoreAttribute>() is { Condition: not JsonIgnoreCondition.Never };
            if (!isOptional || property.IsDefined(typeof(RequiredAttribute)) || property.IsDefined(typeof(RequiredMemberAttribute)))
                own.Required.Add(name);
            if (member is not OpenApiSchema inline)
                continue;
            inline.Description = WithoutTypeNames(inline.Description);
            MakeNullable(inline);
            if (property.GetCustomAttribute<AllowedValuesAttribute>() is { } allowed)
                inline.Enum = [.. allowed.Values.OfType<object>().Select(value => ToNode(value)!)];
            if (defaults is not null)
                inline.Default = ToNode(property.GetValue(defaults)) ?? inline.Default;
        }
    }

    public static JsonNode? ToNode(object? value) => value is string or int or double or bool ? JsonSerializer.SerializeToNode(value) : null;

    /// <summary>
    /// Beside a reference, <c>nullable</c> allows nothing: null still isn't what the referenced schema says. So it is one of the two.
    /// </summary>
    private static void MakeNullable(OpenApiSchema member)
    {
        if (member.AllOf is not [OpenApiSchemaReference reference] || member.Type?.HasFlag(JsonSchemaType.Null) != true)
            return;
        member.AllOf = null;
        member.Type = null;
        member.OneOf = [reference, new OpenApiSchema { Type = JsonSchemaType.Object | JsonSchemaType.Null, Enum = [JsonNullSentinel.JsonNull] }];
    }

    // A sentence with a reference to code is for who reads the code.
    private static string? WithoutTypeNames(string? description) => description?.Contains("MlExperiments.", StringComparison.Ordinal) == true
        ? string.Join(". ", description.TrimEnd('.').Split([". ", ".\n"], StringSplitOptions.TrimEntries)
            .Where(sentence => !sentence.Contains("MlExperiments.", StringComparison.Ordinal))) + "."
        : description;
}
