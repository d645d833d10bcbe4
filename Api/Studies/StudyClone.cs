using System.Text.Json;
using MlExperiments.Api.Experiments;
using MlExperiments.Shared.Data;
using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Studies;

/// <summary>Turns a study back into the request that made it, with what a clone has differently.</summary>
internal static class StudyClone
{
    public static GenerateRequest Request(Study study, CloneStudyRequest changes)
    {
        var own = StudyDefinition.Read(study.Definition);
        return new GenerateRequest
        {
            // A name made of the study's space would say what is not so of another.
            Name = changes.Name ?? (changes is { Space: null, Fixed: null } ? study.Name : null),
            Space = changes.Space ?? Without(own.Space, changes.Fixed),
            Fixed = changes.Fixed ?? Without(own.Fixed, changes.Space),
            Strategy = changes.Strategy ?? own.Strategy,
            Objective = changes.Objective ?? own.Objective,
            Limits = changes.Limits ?? own.Limits,
            Start = changes.Start ?? own.Start,
            Force = changes.Force,
            Replicates = changes.Replicates ?? own.Replicates,
            Priority = changes.Priority ?? own.Priority,
            StartAt = changes.StartAt,
        };
    }

    /// <summary>What is given on the one side is not said on the other too; steps and epochs are two words for one thing.</summary>
    private static Dictionary<string, JsonElement> Without(Dictionary<string, JsonElement> own, Dictionary<string, JsonElement>? given)
    {
        var named = (given?.Keys ?? Enumerable.Empty<string>()).Select(OneWord).ToHashSet();
        return own.Where(entry => !named.Contains(OneWord(entry.Key))).ToDictionary();
    }

    private static string OneWord(string name) => name == ParameterDefinition.Epochs ? ParameterDefinition.Steps : name;
}
