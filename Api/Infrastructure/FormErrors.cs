namespace MlExperiments.Api.Infrastructure;

/// <summary>Multipart bodies that can't be read, in words.</summary>
internal static class FormErrors
{
    /// <summary>What the form's reader says about a body that is no form or ends too soon; other input and output errors are ours.</summary>
    public static bool IsUnreadable(Exception exception) =>
        exception is InvalidDataException || IsCutShort(exception);

    public static string Sentence(Exception exception) => IsCutShort(exception)
        ? "The multipart/form-data body ends before its closing boundary: it was cut short on its way, or the boundary is not the one of the Content-Type header."
        : $"The multipart/form-data body can't be read: {exception.Message.TrimEnd('.')}.";

    private static bool IsCutShort(Exception exception) =>
        exception.GetType() == typeof(IOException) && exception.Message.StartsWith("Unexpected end of Stream", StringComparison.Ordinal);
}
