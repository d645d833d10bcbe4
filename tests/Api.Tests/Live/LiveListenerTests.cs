using MlExperiments.Api.Live;

namespace MlExperiments.Api.Tests.Live;

public sealed class LiveListenerTests
{
    private static readonly Guid Model = Guid.NewGuid();
    private static readonly DateTimeOffset Begin = DateTimeOffset.UnixEpoch;

    [Test]
    public void Listener_OfferedTheSameAgain_KeepsTheNewestInItsPlace()
    {
        using var listener = Listener();
        var (first, second, newer) = (New(1), New(2), New(1));

        listener.Offer([first, second]);
        listener.Offer([newer]);

        Assert.That(listener.Take(10).Events, Is.EqualTo(new[] { newer, second }));
    }

    [Test]
    public void Listener_OfferedOlderOnes_KeepsWhatIsNewer()
    {
        using var listener = Listener();
        var (newer, gone) = (New(1), new LiveEvent(Model, Model, true, []));
        listener.Offer([newer]);
        listener.OfferOlder([New(1), New(2)]);
        Assert.That(listener.Take(10).Events, Has.Count.EqualTo(2).And.Member(newer));

        // What was read before its model was deleted must not come after that.
        listener.Offer([gone]);
        listener.OfferOlder([New(3)]);
        Assert.That(listener.Take(10).Events, Is.EqualTo(new[] { gone }));
    }

    [Test]
    public void Listener_NeverRead_HoldsNoMoreThanItsLimit()
    {
        using var listener = Listener();
        listener.Offer(Enumerable.Range(0, LiveListener.MaxPending).Select(New));
        listener.Offer(Enumerable.Range(0, LiveListener.MaxPending).Select(New));
        Assert.That(listener.Take(0).HasMissed, Is.False);

        listener.Offer([New(LiveListener.MaxPending), New(-1)]);
        var batch = listener.Take(10);

        Assert.That(batch.HasMissed, Is.True);
        Assert.That(batch.Events, Has.Count.LessThanOrEqualTo(2));
        Assert.That(listener.Take(10).HasMissed, Is.False);
    }

    [Test]
    public void Listener_TakenFromInParts_ReachesAPositionWithTheLast()
    {
        using var listener = Listener();
        listener.Offer([New(1), New(2), New(3)]);
        listener.Reach(Begin.AddHours(1));

        Assert.That(listener.Take(2).Position, Is.Null);
        Assert.That(listener.Take(2).Position, Is.EqualTo(Begin.AddHours(1)));
    }

    [TestCase(true, true, true)]
    [TestCase(true, false, false)]
    [TestCase(false, false, true)]
    public void Scope_OfAnExperiment_IncludesItAndTheEndOfItsModel(bool sameModel, bool same, bool isModel)
    {
        var (model, experiment) = (Guid.NewGuid(), Guid.NewGuid());
        var eventModel = sameModel ? model : Guid.NewGuid();
        var id = same ? experiment : isModel ? eventModel : Guid.NewGuid();

        Assert.That(new LiveScope(model, experiment).Includes(id, eventModel), Is.EqualTo(sameModel && (same || isModel)));
    }

    private static LiveListener Listener() => new(new LiveScope(null, null), Begin, _ => { });

    private static LiveEvent New(int number) => new(new Guid(number, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]), Model, false, []);
}
