using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Api.Infrastructure;

/// <summary>A name that people read: something other than blanks, without control characters (PostgreSQL stores no NUL), up to a length.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
internal sealed class PlainTextAttribute(int maxLength) : ValidationAttribute
{
    public int MaxLength { get; } = maxLength;

    public override bool IsValid(object? value) =>
        value is null || (value is string text && text.Trim().Length is var length && length > 0 && length <= MaxLength && !text.Any(char.IsControl));

    public override string FormatErrorMessage(string name) => $"Give 1 to {MaxLength} characters, without line breaks or other control characters.";
}
