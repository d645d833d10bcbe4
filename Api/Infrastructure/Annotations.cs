using MlExperiments.Shared.Data;
using Npgsql;

namespace MlExperiments.Api.Infrastructure;

/// <summary>What people call a model or an experiment and say about it, as it is stored: trimmed, in normal form C, within its limits.</summary>
/// <remarks>Lengths are checked again after normalizing, which makes few texts longer.</remarks>
internal sealed class Annotations(NpgsqlDataSource database)
{
    private readonly Dictionary<string, string[]> _errors = [];

    /// <summary>By field, what can't be stored; empty where everything can be.</summary>
    public IDictionary<string, string[]> Errors => _errors;

    public async Task<string> NameAsync(string given, CancellationToken cancellationToken)
    {
        var name = await Texts.NormalizeAsync(database, given.Trim(), cancellationToken);
        if (Texts.Problem(name, Model.MaxNameLength) is { } problem)
            _errors["name"] = [$"A name has {problem}."];
        return name;
    }

    /// <returns>Null where there is nothing to note.</returns>
    public async Task<string?> NotesAsync(string? given, CancellationToken cancellationToken)
    {
        if (string.IsNullOrWhiteSpace(given))
            return null;
        var notes = await Texts.NormalizeAsync(database, given.Trim(), cancellationToken);
        if (Texts.Problem(notes, Model.MaxNotesLength, lines: true) is { } problem)
            _errors["notes"] = [$"Notes have {problem}."];
        return notes;
    }

    /// <returns>Each tag once: of those that differ in case only, the first.</returns>
    public async Task<string[]> TagsAsync(IReadOnlyList<string?> given, CancellationToken cancellationToken)
    {
        var tags = new List<string>();
        for (var at = 0; at < given.Count; at++)
        {
            var tag = given[at]?.Trim() ?? "";
            // Before normalizing, too: no database takes every string.
            if (Texts.Problem(tag, Model.MaxTagLength) is null)
                tag = await Texts.NormalizeAsync(database, tag, cancellationToken);
            if (Texts.Problem(tag, Model.MaxTagLength) is { } problem)
                _errors[$"tags[{at}]"] = [$"A tag has {problem}."];
            else if (!tags.Contains(tag, StringComparer.OrdinalIgnoreCase))
                tags.Add(tag);
        }

        return [.. tags];
    }
}
