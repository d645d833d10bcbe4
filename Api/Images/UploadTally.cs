using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>Counts what becomes of an upload's files.</summary>
internal sealed class UploadTally
{
    private const int MostNamed = 1000;

    private readonly List<RefusedFile> _refused = [];
    private int _refusedCount;

    public int Accepted { get; set; }
    public int Duplicates { get; private set; }

    public void Refuse(string file, string reason)
    {
        _refusedCount++;
        if (_refused.Count < MostNamed)
            _refused.Add(new RefusedFile(Labels.FileName(file), reason));
    }

    /// <summary>Tells the same image again from one that is said to be something else.</summary>
    public void Repeat(string file, string label, ImageSplit split, string knownLabel, ImageSplit knownSplit)
    {
        if (label != knownLabel)
            Refuse(file, $"the same image is there with the label \"{knownLabel}\", not \"{label}\": relabel or remove that one first");
        else if (split != knownSplit)
            Refuse(file, $"the same image is there in the {knownSplit.Word()} split, not in {split.Word()}: change or remove that one first");
        else
            Duplicates++;
    }

    public UploadResponse ToResponse() => new(Accepted, Duplicates, _refused, _refusedCount);
}
