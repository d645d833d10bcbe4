using System.Globalization;

namespace MlExperiments.Api.Studies;

/// <param name="Place">0 to 1 along the axis.</param>
internal readonly record struct ChartTick(double Place, string Label);

/// <summary>One axis of a chart: from values to places, 0 to 1, with ticks at values that people like to read.</summary>
internal sealed class ChartScale
{
    private const int MaxValueTicks = 6;
    private const double MinTickDistance = 0.09;

    // Room beside the outermost values, so that no point lies on the frame.
    private const double Margin = 0.05;

    private readonly Func<object, double> _place;

    private ChartScale(Func<object, double> place, IEnumerable<ChartTick> ticks) => (_place, Ticks) = (place, [.. ticks]);

    public IReadOnlyList<ChartTick> Ticks { get; }

    public double Place(object value) => _place(value);

    /// <summary>Logarithmic where the values span two decades or more. A few values are ticks themselves.</summary>
    /// <param name="values">Ascending, at least one; numbers, or words, which are spread evenly.</param>
    public static ChartScale OfValues(IReadOnlyList<object> values)
    {
        if (values.Any(value => value is not double))
            return OfWords(values);
        var numbers = values.Cast<double>().ToList();
        var isLog = IsLog(numbers[0], numbers[^1]);
        var (from, to) = isLog ? (Math.Log10(numbers[0]), Math.Log10(numbers[^1])) : (numbers[0], numbers[^1]);
        if (from == to)
            return new(_ => 0.5, [new(0.5, Label(numbers[0]))]);
        double Place(double value) => Margin + ((1 - (2 * Margin)) * (((isLog ? Math.Log10(value) : value) - from) / (to - from)));
        var areFew = numbers.Count <= MaxValueTicks && numbers.Zip(numbers.Skip(1)).All(pair => Place(pair.Second) - Place(pair.First) >= MinTickDistance);
        var ticks = areFew ? numbers : isLog ? Decades(numbers[0], numbers[^1]) : Nice(from, to);
        var label = Labels(ticks.Cast<object>());
        return new(value => Place((double)value), ticks.Select(tick => new ChartTick(Place(tick), label(tick))));
    }

    /// <summary>From a nice value below the lowest to one above the highest, in per cent, not beyond 0 and 1.</summary>
    public static ChartScale OfShares(double lowest, double highest)
    {
        // Hardly a difference at all is not to look like a large one.
        var spread = Math.Max(highest - lowest, 0.001);
        var middle = (lowest + highest) / 2;
        var step = NiceStep(spread * 1.1);
        var from = Math.Max(0, Math.Floor(((middle - (spread * 0.55)) / step) + 1e-9) * step);
        var to = Math.Min(1, Math.Ceiling(((middle + (spread * 0.55)) / step) - 1e-9) * step);
        var count = (int)Math.Round((to - from) / step);
        var ticks = Enumerable.Range(0, count + 1).Select(index => from + (index * step)).Where(tick => tick <= to + 1e-9);
        return new(
            value => Math.Clamp(((double)value - from) / (to - from), 0, 1),
            ticks.Select(tick => new ChartTick((tick - from) / (to - from), (tick * 100).ToString("0.##", CultureInfo.InvariantCulture) + "%")));
    }

    /// <summary>From 0 to a number of steps.</summary>
    public static ChartScale OfSteps(int last)
    {
        double Place(double value) => value / Math.Max(last, 1);
        return new(value => Place(Convert.ToDouble(value, CultureInfo.InvariantCulture)), Nice(0, last).Select(tick => new ChartTick(Place(tick), Label(tick))));
    }

    /// <summary>Two decades and a hair less, as the quotient of two decimal fractions may be.</summary>
    public static bool IsLog(double lowest, double highest) => lowest > 0 && highest / lowest >= 100 * (1 - 1e-9);

    /// <summary>As short as it gets: 0.001, 4000, 1e-5.</summary>
    public static string Label(object value) => Label(value, "0.######", "0.###e0");

    /// <summary>As short as it gets, with all the digits of those that would look alike.</summary>
    public static Func<object, string> Labels(IEnumerable<object> values)
    {
        var ambiguous = values.Distinct().CountBy(Label).Where(label => label.Value > 1).Select(label => label.Key).ToHashSet();
        return value => Label(value) is var label && ambiguous.Contains(label) ? Label(value, "0.##################", "0.##############e0") : label;
    }

    /// <summary>Spread evenly, whatever they are.</summary>
    public static ChartScale OfWords(IReadOnlyList<object> words)
    {
        var places = words.Index().ToDictionary(word => word.Item, word => (word.Index + 0.5) / words.Count);
        var label = Labels(words);
        return new(value => places[value], words.Select(word => new ChartTick(places[word], label(word))));
    }

    private static string Label(object value, string plain, string scientific) => value is not double number
        ? $"{value}"
        : number.ToString(number != 0 && Math.Abs(number) is < 0.001 or >= 1_000_000 ? scientific : plain, CultureInfo.InvariantCulture);

    private static List<double> Nice(double from, double to)
    {
        var step = NiceStep(to - from);
        var first = Math.Ceiling((from / step) - 1e-9);
        return [.. Enumerable.Range(0, (int)(Math.Floor((to / step) + 1e-9) - first) + 1).Select(index => (first + index) * step)];
    }

    private static List<double> Decades(double from, double to)
    {
        var (first, last) = ((int)Math.Ceiling(Math.Log10(from) - 1e-9), (int)Math.Floor(Math.Log10(to) + 1e-9));
        var stride = ((last - first) / MaxValueTicks) + 1;
        return [.. Enumerable.Range(first, last - first + 1).Where(power => (power - first) % stride == 0).Select(power => Math.Pow(10, power))];
    }

    /// <summary>1, 2 or 5 times a power of ten, so that four to eight of them are as long.</summary>
    private static double NiceStep(double length)
    {
        if (length <= 0)
            return 1;
        var rough = length / 5;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        return (rough / power) switch { < 1.5 => power, < 3.5 => 2 * power, < 7.5 => 5 * power, _ => 10 * power };
    }
}
