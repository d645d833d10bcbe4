using System.Security.Cryptography;
using System.Text;

namespace MlExperiments.Api.Studies;

/// <summary>How a report looks, on screens and on A4 paper, and the policy by which a browser takes this style and nothing else.</summary>
internal static class StudyReportStyle
{
    public const string Css = """
        :root { --ground: #fff; --line: #dde3ea; --text: #0f172a; --soft: #526075; --accent: #0f766e; --bad: #be123c; --wash: #f4f7f9;
          --c0: #0f766e; --c1: #b45309; --c2: #4338ca; --c3: #be123c; --c4: #475569; color-scheme: light;
          font: 14px/1.45 ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'Roboto', 'Noto Sans', 'Liberation Sans', sans-serif; font-variant-numeric: tabular-nums; }
        @media screen and (prefers-color-scheme: dark) {
          :root { --ground: #101215; --line: #2b3037; --text: #e8eaed; --soft: #9aa4b2; --accent: #2dd4bf; --bad: #fb7185; --wash: #191c20;
            --c0: #2dd4bf; --c1: #fbbf24; --c2: #a5b4fc; --c3: #fb7185; --c4: #cbd5e1; color-scheme: dark; }
        }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 32px 24px 48px; max-width: 1080px; color: var(--text); background: var(--ground); }
        h1, h2, h3, p, dl, dd, ul, figure, pre { margin: 0; padding: 0; }
        h1 { font-size: 1.6rem; line-height: 1.25; letter-spacing: -0.015em; overflow-wrap: anywhere; }
        h2 { margin: 30px 0 10px; font-size: 1.05rem; break-after: avoid; }
        h3, figcaption { font-size: 0.875rem; font-weight: 600; }
        bdi, dd, td { overflow-wrap: anywhere; }
        .soft { color: var(--soft); }
        .bad { color: var(--bad); }
        .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin-top: 20px; padding: 14px 16px; background: var(--wash); border: 1px solid var(--line); border-radius: 8px; }
        .facts dt { font-size: 0.75rem; color: var(--soft); }
        .facts dd { font-size: 1.2rem; font-weight: 640; }
        .pairs { display: grid; grid-template-columns: minmax(110px, max-content) minmax(0, 1fr); gap: 4px 18px; }
        .pairs dt { color: var(--soft); }
        .tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 10px 18px; margin-bottom: 14px; }
        .tiles dt { font-size: 0.75rem; color: var(--soft); }
        .tiles dd { font-weight: 600; }
        .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: 0 36px; }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: 22px 28px; }
        figure { break-inside: avoid; min-width: 0; }
        svg { display: block; width: 100%; height: auto; }
        svg text { font-size: 11px; fill: var(--soft); }
        svg .axis { fill: var(--text); }
        svg .on-light { fill: #0f172a; }
        svg .on-dark { fill: #fff; }
        .grid, .frame { fill: none; stroke: var(--line); }
        .frame { stroke: var(--soft); }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .dots { fill: none; stroke: var(--text); stroke-width: 6; stroke-linecap: round; stroke-opacity: 0.55; }
        .s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); stroke-dasharray: 7 3; } .s2 { stroke: var(--c2); stroke-dasharray: 2 3; }
        .s3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; } .s4 { stroke: var(--c4); stroke-width: 1; }
        .legend { display: flex; flex-wrap: wrap; gap: 2px 18px; list-style: none; font-size: 0.8125rem; }
        .legend li { display: flex; align-items: center; gap: 7px; min-width: 0; }
        .sample { flex: none; width: 28px; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: 0.8125rem; }
        th { font-size: 0.75rem; font-weight: 550; color: var(--soft); text-align: left; vertical-align: bottom; }
        th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
        td { white-space: nowrap; }
        .right + :not(.right) { padding-left: 10px; }
        table.narrow { width: auto; }
        .narrow th, .narrow td { padding-right: 26px; }
        .charts + p, .facts + p { margin-top: 10px; }
        td.words { min-width: 10em; white-space: normal; }
        .right { text-align: right; }
        .tag { display: inline-block; padding: 0 6px; border: 1px solid var(--line); border-radius: 99px; font-size: 0.75rem; color: var(--soft); }
        .notes { white-space: pre-wrap; overflow-wrap: anywhere; }
        pre { margin: 6px 0 12px; padding: 10px 12px; background: var(--wash); border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
        code, pre { font-family: ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', monospace; font-size: 0.8125rem; }
        code { overflow-wrap: anywhere; }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
        @page { size: A4; margin: 14mm 13mm; }
        @media print {
          :root { font-size: 11px; }
          body { padding: 0; max-width: none; }
          .facts { break-inside: avoid; grid-template-columns: repeat(6, auto); }
          .charts, .columns { grid-template-columns: 1fr 1fr; }
          .charts { gap: 12px 24px; }
          .scroll { overflow: visible; }
          thead { display: table-header-group; }
          tr { break-inside: avoid; }
          th, td { padding: 2px 8px 2px 0; }
          td { white-space: normal; }
          .facts, pre { background: none; }
          p { orphans: 3; widows: 3; }
        }
        """;

    private static readonly string Source = $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Css)))}'";

    /// <summary>For the document itself, which has it wherever it is opened from.</summary>
    public static string OwnPolicy { get; } = $"default-src 'none'; style-src {Source}; img-src data:; base-uri 'none'; form-action 'none'";

    /// <summary>For the answer.</summary>
    public static string Policy { get; } = $"{OwnPolicy}; frame-ancestors 'none'";
}
