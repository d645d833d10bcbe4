namespace MlExperiments.Worker.Jobs;

/// <summary>Errors as rows hold them: programs write anything, and PostgreSQL takes no NUL.</summary>
internal static class ErrorText
{
    private const int MaxLength = 4000;

    /// <summary>Without NULs, and cut to 4,000 characters.</summary>
    public static string Clean(string error)
    {
        var clean = error.Replace('\0', ' ');
        return clean.Length <= MaxLength ? clean : clean[..MaxLength] + " ...";
    }
}
