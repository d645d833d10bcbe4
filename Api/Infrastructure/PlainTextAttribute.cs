using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Api.Infrastructure;

/// <summary>A name that people read, up to a length in code points; blanks around it don't count.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
internal sealed class PlainTextAttribute(int maxLength) : ValidationAttribute
{
    public int MaxLength { get; } = maxLength;

    public override bool IsValid(object? value) => value is null || (value is string text && Texts.Problem(text.Trim(), MaxLength) is null);

    public override string FormatErrorMessage(string name) =>
        $"Give 1 to {MaxLength} characters, one of them visible, without line breaks or other control characters.";
}
