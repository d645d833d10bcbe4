using MlExperiments.Shared.Search;

namespace MlExperiments.Api.Analysis;

/// <summary>Experiments as points over their parameters, in columns: the first of each column belongs to the first experiment, and so on. Best first.</summary>
/// <param name="Direction"><c>maximize</c> or <c>minimize</c>: what is better.</param>
/// <param name="Count">How many experiments meet the filters and have the metric.</param>
/// <param name="Unmeasured">How many meet the filters and don't have it (yet).</param>
/// <param name="Shown">How many of them are here: all, or the best and a random sample, which is the same each time.</param>
/// <param name="DataSetVersions">On how many data set versions these were trained: only with one are they comparable.</param>
/// <param name="Values">The metric.</param>
/// <param name="Parameters">Those in which these experiments differ.</param>
public sealed record PointsResponse(
    string Metric,
    string Direction,
    int Count,
    int Unmeasured,
    int Shown,
    int DataSetVersions,
    IReadOnlyList<Guid> Ids,
    IReadOnlyList<int> Numbers,
    IReadOnlyList<string> Names,
    IReadOnlyList<double> Values,
    IReadOnlyList<PointColumn> Parameters);

/// <param name="Numbers">Null where the parameter is a word.</param>
/// <param name="Words">Null where the parameter is a number.</param>
public sealed record PointColumn(string Name, IReadOnlyList<double>? Numbers, IReadOnlyList<string>? Words);

/// <summary>Which parameters decide a metric.</summary>
/// <param name="Count">How many experiments meet the filters, have the metric and were not adjusted while they trained.</param>
/// <param name="Used">How many of them this is about: all, or a random sample, which is the same each time.</param>
/// <param name="DataSetVersions">On how many data set versions these were trained: only with one are they comparable.</param>
/// <param name="Method"><c>grid</c>: every combination was measured, the shares are exact. <c>forest</c>: a random forest's, estimated.</param>
/// <param name="Explained">
/// Of a forest, the share of the variance that it predicts of experiments that it has not seen, at most 1: below 0.5, trust little of this. Of a grid, the share
/// that is not between repetitions of the same parameters; null where nothing was repeated.
/// </param>
/// <param name="Parameters">Most important first; empty where reason says why there is nothing to tell.</param>
/// <param name="Pairs">The 20 most important of the eight most important parameters.</param>
/// <param name="Others">What three or more parameters explain only together, and pairs of less important ones, 0 to 1.</param>
/// <param name="Reason">Why there is nothing to tell, and what to do; null where there is.</param>
public sealed record ImportanceResponse(
    string Metric,
    int Count,
    int Used,
    int DataSetVersions,
    string? Method,
    double? Explained,
    IReadOnlyList<ParameterShare> Parameters,
    IReadOnlyList<PairShare> Pairs,
    double Others,
    string? Reason);
