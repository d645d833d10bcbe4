using Microsoft.EntityFrameworkCore;
using MlExperiments.Shared.Data;

namespace MlExperiments.Api.Images;

/// <summary>Which of a model's images are meant: those with an id of the list, or those with this label or split.</summary>
/// <param name="Ids">Each once; null where label and split select.</param>
internal sealed record ImageSelection(Guid[]? Ids, string? Label, ImageSplit? Split);

/// <summary>What became of the selected images.</summary>
/// <param name="Missing">The ids of the selection that are none of the model's images.</param>
internal readonly record struct ImageChange(int Changed, int Unchanged, IReadOnlyList<Guid> Missing);

/// <summary>
/// Changes and removes image rows, at most <see cref="MaxImages"/> in a transaction. Experiments keep what they were generated on: a data set
/// version's manifest says where the bytes are, and packs stay.
/// </summary>
internal static class ImageChanges
{
    /// <summary>The most images that one transaction takes: others who change images of the model wait for it.</summary>
    private const int MaxImages = 5000;

    /// <summary>Gives the selected images another label, another split, or both.</summary>
    public static Task<ImageChange> RelabelAsync(
        ExperimentsDbContext db, Guid modelId, ImageSelection selection, string? label, ImageSplit? split, CancellationToken cancellationToken) =>
        ApplyAsync(
            db,
            modelId,
            selection,
            (images, token) => images
                .Where(image => (label != null && image.Label != label) || (split != null && image.Split != split))
                .ExecuteUpdateAsync(
                    set =>
                    {
                        if (label is not null)
                            set.SetProperty(image => image.Label, label);
                        if (split is { } to)
                            set.SetProperty(image => image.Split, to);
                    },
                    token),
            cancellationToken);

    /// <summary>Removes the selected images from the model.</summary>
    public static Task<ImageChange> DeleteAsync(ExperimentsDbContext db, Guid modelId, ImageSelection selection, CancellationToken cancellationToken) =>
        ApplyAsync(db, modelId, selection, (images, token) => images.ExecuteDeleteAsync(token), cancellationToken);

    private static async Task<ImageChange> ApplyAsync(
        ExperimentsDbContext db,
        Guid modelId,
        ImageSelection selection,
        Func<IQueryable<Image>, CancellationToken, Task<int>> change,
        CancellationToken cancellationToken)
    {
        var images = db.Images.Where(image => image.ModelId == modelId
            && (selection.Label == null || image.Label == selection.Label) && (selection.Split == null || image.Split == selection.Split));
        if (selection.Ids is not null)
            return await ApplyAsync(db, modelId, images, selection.Ids, change, cancellationToken);
        var (changed, unchanged) = (0, 0);
        var after = Guid.Empty;
        while (true)
        {
            // By id, which no change moves: each image comes once, whatever it has become.
            var ids = await images.Where(image => image.Id > after).OrderBy(image => image.Id).Take(MaxImages).Select(image => image.Id)
                .ToArrayAsync(cancellationToken);
            if (ids.Length == 0)
                return new ImageChange(changed, unchanged, []);
            var batch = await ApplyAsync(db, modelId, images, ids, change, cancellationToken);
            changed += batch.Changed;
            unchanged += batch.Unchanged;
            after = ids[^1];
        }
    }

    private static Task<ImageChange> ApplyAsync(
        ExperimentsDbContext db,
        Guid modelId,
        IQueryable<Image> images,
        Guid[] ids,
        Func<IQueryable<Image>, CancellationToken, Task<int>> change,
        CancellationToken cancellationToken) =>
        db.TransactAsync(
            async token =>
            {
                // Before any image, as uploads do it, so that no two wait for each other; what is found then stays so to the end.
                await db.Database.ExecuteSqlAsync($"SELECT FROM models WHERE id = {modelId} FOR NO KEY UPDATE", token);
                var chosen = images.Where(image => ids.Contains(image.Id));
                var found = await chosen.Select(image => image.Id).ToListAsync(token);
                var changed = await change(chosen, token);
                if (changed > 0)
                    await db.Models.Where(model => model.Id == modelId).ExecuteUpdateAsync(
                        set => set.SetProperty(model => model.ImagesRevision, model => model.ImagesRevision + 1), token);
                return new ImageChange(changed, found.Count - changed, [.. ids.Except(found)]);
            },
            cancellationToken);
}
