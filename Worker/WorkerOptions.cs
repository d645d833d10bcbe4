using System.ComponentModel.DataAnnotations;

namespace MlExperiments.Worker;

/// <summary>One worker process.</summary>
public sealed class WorkerOptions : IValidatableObject
{
    public const string Section = "Worker";

    /// <summary>What people see; the host's name and the process id where it is empty.</summary>
    [MaxLength(200)]
    public string Name { get; set; } = "";

    /// <summary>Trajectories trained at a time, each by a process of its own with one thread; 0 takes one a core.</summary>
    [Range(0, 256)]
    public int Slots { get; set; }

    /// <summary>
    /// Scratch space: what trainers and packing write before it is stored, in folders of its own that are emptied at start. Not
    /// shared with another worker; empty takes one in the system's temporary folder. See <see cref="ScratchFolder"/>.
    /// </summary>
    public string Folder { get; set; } = "";

    /// <summary>Where trainers train: <c>auto</c> (a GPU where the build can use one), <c>cpu</c> or <c>cuda</c>.</summary>
    [AllowedValues("auto", "cpu", "cuda", ErrorMessage = "Device is auto, cpu or cuda.")]
    public string Device { get; set; } = "auto";

    /// <summary>The trainer's program; empty takes the one that comes with the product.</summary>
    public string TrainerCommand { get; set; } = "";

    /// <summary>Arguments of <see cref="TrainerCommand"/>.</summary>
    public string[] TrainerArguments { get; set; } = [];

    /// <summary>How long a claim stands without renewal.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>The longest time between two renewals; progress, about once a second, renews too.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan RenewEvery { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>How long before the lease's end the worker stops by itself when it could not renew.</summary>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:01:00")]
    public TimeSpan LeaseMargin { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Time between two looks for lost leases and missing tickets.</summary>
    [Range(typeof(TimeSpan), "00:00:00.2", "00:01:00")]
    public TimeSpan SweepEvery { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>A trainer that says nothing for so long while it trains is killed.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan TrainerSilence { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a trainer may take to write its checkpoint when the worker is asked to stop.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan DrainWithin { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a stop may take altogether: draining, then what the job queue and the last heartbeat need.</summary>
    public TimeSpan StopWithin => DrainWithin + TimeSpan.FromSeconds(8);

    /// <summary>How long storing what a trainer made, or reading what it needs, is tried before the attempt fails with the reason.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan StoreWithin { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long to wait for another worker that packs the same images before they are packed here too.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan PackWait { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Attempts that may be lost one after another before the trajectory's experiments fail.</summary>
    [Range(1, 100)]
    public int MaxLostAttempts { get; set; } = 3;

    /// <summary>Training steps between two measurements on the validation subset.</summary>
    [Range(1, 1_000_000)]
    public int EvaluateEvery { get; set; } = 100;

    /// <summary>Training time between two checkpoints.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    public TimeSpan CheckpointEvery { get; set; } = TimeSpan.FromSeconds(30);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (RenewEvery + LeaseMargin >= Lease)
            yield return new ValidationResult(
                $"{nameof(Lease)} ({Lease}) must be longer than {nameof(RenewEvery)} ({RenewEvery}) and {nameof(LeaseMargin)} ({LeaseMargin}) together: a lease is renewed several times before it runs out.",
                [nameof(Lease)]);
    }
}
