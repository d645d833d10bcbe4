using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace MlExperiments.Api.Studies;

/// <summary>HTML or SVG that is fit to be sent.</summary>
internal readonly record struct Markup(string Text)
{
    public static Markup Nothing { get; } = new("");

    /// <summary>What a template literal says as it stands, and encoded what is put into it, unless that is markup itself: no text can forget to be.</summary>
    public static Markup Html(MarkupTemplate template) => new(template.ToString());

    public override string ToString() => Text;
}

/// <summary>Collects an interpolated string for <see cref="Markup.Html"/>.</summary>
[InterpolatedStringHandler]
internal readonly ref struct MarkupTemplate(int literalLength, int holes)
{
    // Letters of all scripts as they are: a report in Greek need not be five times as long.
    private static readonly HtmlEncoder Encoder = HtmlEncoder.Create(UnicodeRanges.All);

    private readonly StringBuilder _text = new(literalLength + (holes * 16));

    public void AppendLiteral(string literal) => _text.Append(literal);

    public void AppendFormatted(Markup markup) => _text.Append(markup.Text);

    public void AppendFormatted(IEnumerable<Markup> parts)
    {
        foreach (var part in parts)
            _text.Append(part.Text);
    }

    public void AppendFormatted(string? text) => _text.Append(Encoder.Encode(text ?? ""));

    public void AppendFormatted(int number) => _text.Append(CultureInfo.InvariantCulture, $"{number}");

    /// <summary>A place in a drawing: a tenth of a pixel is as fine as anybody sees.</summary>
    public void AppendFormatted(double number) => _text.Append(number.ToString("0.#", CultureInfo.InvariantCulture));

    public override string ToString() => _text.ToString();
}
