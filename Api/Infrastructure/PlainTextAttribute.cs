using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Api.Infrastructure;

/// <summary>A text that people read, up to a length in code points; blanks around it don't count.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
internal sealed class PlainTextAttribute(int maxLength) : ValidationAttribute
{
    public int MaxLength { get; } = maxLength;

    /// <summary>Whether it may have line breaks, and may be empty: notes rather than a name.</summary>
    public bool Lines { get; init; }

    public override bool IsValid(object? value) =>
        value is null || (value is string text && ((Lines && text.Trim().Length == 0) || Texts.Problem(text.Trim(), MaxLength, Lines) is null));

    public override string FormatErrorMessage(string name) => Lines
        ? $"Give at most {MaxLength} characters, one of them visible, without control characters but line breaks."
        : $"Give 1 to {MaxLength} characters, one of them visible, without line breaks or other control characters.";
}
