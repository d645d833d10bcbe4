using System.Text.Json;

namespace MlExperiments.Api.Tests.Infrastructure;

/// <summary>Holds values against OpenAPI 3.0 schemas: the part of them that this service's description uses.</summary>
internal static class Schemas
{
    /// <returns>Null where the value is what the schema says, else where it isn't and why.</returns>
    public static string? Find(JsonElement document, JsonElement schema, JsonElement value, string path)
    {
        if (schema.TryGetProperty("$ref", out var reference))
        {
            var target = document;
            foreach (var step in reference.GetString()![2..].Split('/'))
                target = target.GetProperty(step);
            return Find(document, target, value, path);
        }

        if (schema.TryGetProperty("oneOf", out var alternatives))
        {
            var problems = alternatives.EnumerateArray().Select(alternative => Find(document, alternative, value, path)).ToList();
            return problems.Count(problem => problem is null) == 1 ? null : problems.Find(problem => problem is not null) ?? $"{path} is more than one of {alternatives}";
        }

        if (value.ValueKind == JsonValueKind.Null)
            return !schema.TryGetProperty("type", out _) && !schema.TryGetProperty("allOf", out _) || schema.TryGetProperty("nullable", out var nullable) && nullable.GetBoolean()
                ? null
                : $"{path} is null";
        if (schema.TryGetProperty("oneOf", out var some))
        {
            var problems = some.EnumerateArray().Select(part => Find(document, part, value, path)).ToList();
            return problems.Count(problem => problem is null) == 1 ? null : $"{path} fits none or several of these: {string.Join("; ", problems)}";
        }

        if (schema.TryGetProperty("allOf", out var all))
            return all.EnumerateArray().Select(part => Find(document, part, value, path)).FirstOrDefault(problem => problem is not null);
        if (schema.TryGetProperty("enum", out var words) && !words.EnumerateArray().Any(word => word.ToString() == value.ToString()))
            return $"{path} is {value}, none of {words}";
        return schema.TryGetProperty("type", out var type) ? OfType(document, schema, type.GetString()!, value, path) : null;
    }

    private static string? OfType(JsonElement document, JsonElement schema, string type, JsonElement value, string path)
    {
        var kind = type switch
        {
            "object" => value.ValueKind == JsonValueKind.Object,
            "array" => value.ValueKind == JsonValueKind.Array,
            "string" => value.ValueKind == JsonValueKind.String && IsFormat(schema, value),
            "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
            "number" => value.ValueKind == JsonValueKind.Number,
            _ => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        };
        if (!kind)
            return $"{path} is {value}, not {type}";
        if (type == "array")
            return value.EnumerateArray().Select((item, index) => Find(document, schema.GetProperty("items"), item, $"{path}[{index}]")).FirstOrDefault(problem => problem is not null);
        return type == "object" ? OfMembers(document, schema, value, path) : null;
    }

    private static string? OfMembers(JsonElement document, JsonElement schema, JsonElement value, string path)
    {
        foreach (var name in schema.TryGetProperty("required", out var required) ? required.EnumerateArray().Select(item => item.GetString()!) : [])
        {
            if (!value.TryGetProperty(name, out _))
                return $"{path} lacks {name}";
        }

        foreach (var member in value.EnumerateObject())
        {
            if (schema.TryGetProperty("properties", out var properties) && properties.TryGetProperty(member.Name, out var own))
            {
                if (Find(document, own, member.Value, $"{path}.{member.Name}") is { } problem)
                    return problem;
            }
            else if (!schema.TryGetProperty("additionalProperties", out var others) || others.ValueKind == JsonValueKind.False)
            {
                return $"{path}.{member.Name} is not in the schema";
            }
            else if (others.ValueKind == JsonValueKind.Object && Find(document, others, member.Value, $"{path}.{member.Name}") is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    private static bool IsFormat(JsonElement schema, JsonElement value) => !schema.TryGetProperty("format", out var format) || format.GetString() switch
    {
        "uuid" => value.TryGetGuid(out _),
        "date-time" => value.TryGetDateTimeOffset(out _),
        _ => true,
    };
}
