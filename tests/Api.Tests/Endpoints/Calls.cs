using static MlExperiments.Api.Tests.Endpoints.Bodies;

namespace MlExperiments.Api.Tests.Endpoints;

/// <summary>
/// Every operation, with what it is sent and answers: what <see cref="EndpointTests"/> calls, and the Api's README shows. What all calls have in common,
/// such as ids that nothing has, isn't repeated here: see <see cref="CommonCases"/>.
/// </summary>
internal static class Calls
{
    private static readonly string Letters201 = new('x', 201);

    public static IReadOnlyList<Call> All { get; } = [.. Models(), .. Images(), .. Experiments(), .. Control(), .. Predictions(), .. Others()];

    private static IEnumerable<Call> Models() =>
    [
        new Call("POST /api/models")
            .Good(201, "a name", Json("""{"name": "$new"}"""))
            .Bad(400, "name", "none", Json("{}"))
            .Bad(400, "name", "blank", Json("""{"name": "  "}"""))
            .Bad(400, "name", "7", Json("""{"name": 7}"""))
            .Bad(400, "name", "201 letters", Json($$"""{"name": "{{Letters201}}"}"""))
            .Bad(400, "name", "there twice", Json("""{"name": "a", "name": "b"}"""))
            .Bad(400, "inputSize.width", "7", Json("""{"name": "$new", "inputSize": {"width": 7}}"""))
            .Bad(400, "inputSize.channels", "2", Json("""{"name": "$new", "inputSize": {"channels": 2}}"""))
            .Bad(400, "tags[0]", "blank", Json("""{"name": "$new", "tags": [" "]}"""))
            .Bad(409, "", "a name that is taken", Json("""{"name": "$taken"}""")),
        new Call("GET /api/models")
            .Good(200, "a page of them", query: "order=name&limit=2&archived=all&tag=demo&search=digits")
            .Pages()
            .Bad(400, "order", "size", query: "order=size")
            .Bad(400, "archived", "maybe", query: "archived=maybe"),
        new Call("GET /api/models/{id}", Things.Model).Good(200, "the model"),
        new Call("PATCH /api/models/{id}", Things.Fresh)
            .Good(200, "another name, notes, tags, archived", Json("""{"name": "$new", "notes": "Scans.", "tags": ["demo"], "archived": true}"""))
            .Bad(400, "", "nothing", Json("{}"))
            .Bad(400, "notes", "10,001 letters", Json($$"""{"notes": "{{new string('x', 10_001)}}"}"""))
            .Bad(400, "name", "201 letters", Json($$"""{"name": "{{Letters201}}"}"""))
            .Bad(409, "", "a name that is taken", Json("""{"name": "$taken"}""")),
        new Call("DELETE /api/models/{id}", Things.Fresh).Good(204, "the model"),
    ];

    private static IEnumerable<Call> Images() =>
    [
        new Call("POST /api/models/{id}/images", Things.Fresh)
            .Good(200, "files and their label, or a zip", Form(("label", "7"), ("files", Things.Png)))
            .Bad(400, "files", "none", Form(("label", "7")))
            .Bad(400, "files", "text", Form(("label", "7"), ("files", "digit.png")))
            .Bad(400, "label", "none", Form(("files", Things.Png)))
            .Bad(400, "label", "201 letters", Form(("label", Letters201), ("files", Things.Png)))
            .Bad(400, "split", "best", Form(("split", "best"), ("label", "7"), ("files", Things.Png))),
        new Call("GET /api/models/{id}/images", Things.Model)
            .Good(200, "a page of them", query: "label=1&split=train&limit=2")
            .Pages()
            .Bad(400, "split", "best", query: "split=best"),
        new Call("GET /api/models/{id}/images/summary", Things.Model).Good(200, "the model"),
        new Call("PATCH /api/models/{id}/images", Things.Fresh)
            .Good(200, "ids or where, and a label or split", Json("""{"where": {"label": "1"}, "label": "one"}"""))
            .Bad(400, "ids", "neither ids nor where", Json("""{"label": "one"}"""))
            .Bad(400, "", "nothing to change", Json("""{"where": {"label": "1"}}"""))
            .Bad(400, "split", "best", Json("""{"where": {"label": "1"}, "split": "best"}""")),
        new Call("POST /api/models/{id}/images/delete", Things.Fresh)
            .Good(200, "ids or where", Json("""{"where": {"label": "1"}}"""))
            .Bad(400, "ids", "neither", Json("{}"))
            .Bad(400, "ids", "none", Json("""{"ids": []}""")),
        new Call("GET /api/images/{id}", Things.Image).Good(200, "the image"),
        new Call("PATCH /api/images/{id}", Things.FreshImage)
            .Good(200, "a label or split", Json("""{"label": "one", "split": "test"}"""))
            .Bad(400, "", "nothing", Json("{}"))
            .Bad(400, "split", "best", Json("""{"split": "best"}""")),
        new Call("DELETE /api/images/{id}", Things.FreshImage).Good(204, "the image"),
        new Call("GET /api/images/{id}/content", Things.Image).Good(200, "the image"),
    ];

    private static IEnumerable<Call> Experiments() =>
    [
        new Call("POST /api/models/{id}/experiments", Things.Fresh)
            .Good(201, "nothing: the default 27", null)
            .Good(201, "a space", Json("""{"space": {"learningRate": [0.01], "layers": [1], "steps": {"min": 10, "max": 30, "step": 10}}}"""))
            .Good(200, "what exists", of: Things.Model)
            .Bad(400, "space.colour", "unknown", Json("""{"space": {"learningRate": [0.01], "layers": [1], "steps": [10], "colour": [1]}}"""))
            .Bad(400, "space.learningRate[1]", "99", Json("""{"space": {"learningRate": [0.01, 99], "layers": [1], "steps": [10]}}"""))
            .Bad(400, "space.layers, space.steps", "none", Json("""{"space": {"learningRate": [0.01]}}"""))
            .Bad(400, "space.epochs", "with steps", Json("""{"space": {"learningRate": [0.01], "layers": [1], "steps": [10], "epochs": [1]}}"""))
            .Bad(400, "space.steps", "no values", Json("""{"space": {"learningRate": [0.01], "layers": [1], "steps": []}}"""))
            .Bad(400, "space.steps.max", "none", Json("""{"space": {"learningRate": [0.01], "layers": [1], "steps": {"min": 10, "step": 10}}}"""))
            .Bad(400, "space", "a list", Json("""{"space": [1]}"""))
            .Bad(400, "space", "over 10,000 experiments", Json("""{"space": {"learningRate": [0.01, 0.1], "layers": [1], "steps": {"min": 1, "max": 9000, "step": 1}}}"""))
            .Bad(400, "fixed.layers", "two", Json("""{"space": {"learningRate": [0.01], "steps": [10]}, "fixed": {"layers": "two"}}"""))
            .Good(201, "what exists, by force, with three seeds each", Json("""{"force": true, "replicates": 3, "limits": {"seconds": 3600, "failures": 5}}"""))
            .Bad(400, "strategy.sampler", "guess", Json("""{"strategy": {"sampler": "guess"}}"""))
            .Bad(400, "replicates", "101", Json("""{"replicates": 101}"""))
            .Bad(400, "limits.seconds", "0", Json("""{"limits": {"seconds": 0}}"""))
            .Bad(400, "startAt", "in 900 years", Json("""{"startAt": "2926-01-01T00:00:00Z"}"""))
            .Bad(400, "name", "201 letters", Json($$"""{"name": "{{Letters201}}"}"""))
            .Bad(409, "", "a model without images", of: Things.Empty),
        new Call("POST /api/models/{id}/experiments/preview", Things.Fresh)
            .Good(200, "what generate takes", Json("""{"replicates": 3}"""))
            .Bad(400, "space.layers, space.steps", "none", Json("""{"space": {"learningRate": [0.01]}}"""))
            .Bad(409, "", "a model without images", of: Things.Empty),
        new Call("POST /api/models/{id}/train", Things.Fresh).Good(200, "the model"),
        new Call("GET /api/models/{id}/experiments", Things.Model)
            .Good(200, "the most accurate", query: "status=completed,running&sort=accuracy&order=desc&limit=2")
            .Pages()
            .Bad(400, "sort", "colour", query: "sort=colour")
            .Bad(400, "order", "up", query: "order=up")
            .Bad(400, "status", "finished", query: "status=finished")
            .Bad(400, "studyId", "7", query: "studyId=7")
            .Bad(400, "filter", "layers >", query: "filter=layers>")
            .Bad(400, "offset", "-1", query: "offset=-1")
            .Bad(400, "search", "201 letters", query: $"search={Letters201}"),
        new Call("GET /api/models/{id}/experiments.csv", Things.Model)
            .Good(200, "the model, and what lists take", query: "sort=accuracy&order=desc&status=completed")
            .Bad(400, "sort", "colour", query: "sort=colour"),
        new Call("GET /api/models/{id}/experiments/summary", Things.Model)
            .Good(200, "the model, and a filter", query: "filter=layers=2%20or%20steps<1000")
            .Bad(400, "status", "finished", query: "status=finished"),
        new Call("GET /api/experiments/summary")
            .Good(200, "a filter", query: "filter=layers=2")
            .Bad(400, "status", "finished", query: "status=finished"),
        new Call("GET /api/models/{id}/experiments/points", Things.Model)
            .Good(200, "a metric, and what lists filter by", query: "metric=loss&limit=100&filter=layers=1&status=completed")
            .Bad(400, "metric", "luck", query: "metric=luck")
            .Bad(400, "limit", "0", query: "limit=0")
            .Bad(400, "filter", "layers >", query: "filter=layers>"),
        new Call("GET /api/models/{id}/importance", Things.Model)
            .Good(200, "a metric, and what lists filter by", query: "metric=loss&status=completed")
            .Bad(400, "metric", "luck", query: "metric=luck")
            .Bad(400, "studyId", "7", query: "studyId=7"),
        new Call("GET /api/experiments")
            .Good(200, "the most accurate of all models", query: "status=completed&sort=accuracy&order=desc&limit=2")
            .Pages()
            .Bad(400, "sort", "colour", query: "sort=colour")
            .Bad(400, "model", "7", query: "model=7"),
        new Call("GET /api/models/{id}/best", Things.Model)
            .Good(200, "the model")
            .Bad(400, "by", "luck", query: "by=luck")
            .Bad(409, "", "by mean, without two seeds", query: "by=mean")
            .Bad(409, "", "a model without a completed experiment", of: Things.Empty),
        new Call("GET /api/experiments/{id}", Things.Completed).Good(200, "the experiment"),
        new Call("GET /api/experiments/{id}/metrics", Things.Completed)
            .Good(200, "what is new", query: "maxPoints=100&after=1000")
            .Bad(400, "maxPoints", "1", query: "maxPoints=1")
            .Bad(400, "after", "-1", query: "after=-1"),
        new Call("GET /api/experiments/{id}/classes", Things.Completed)
            .Good(200, "the experiment", query: "pairs=10")
            .Bad(400, "pairs", "9,901", query: "pairs=9901")
            .Bad(409, "", "one that is not completed", of: Things.Queued),
        new Call("GET /api/experiments/{id}/weights", Things.Completed)
            .Good(200, "the experiment: safetensors")
            .Good(200, "the experiment: ONNX", query: "format=onnx")
            .Bad(400, "format", "pickle", query: "format=pickle")
            .Bad(409, "", "one that is not completed", of: Things.Queued),
    ];

    private static IEnumerable<Call> Control() =>
    [
        .. from verb in new[] { "pause", "resume", "cancel", "retry" }
           from call in new[]
           {
               new Call($"POST /api/experiments/{{id}}/{verb}", Things.FreshExperiment)
                   .Good(200, "the experiment")
                   .Bad(409, "", "one that is completed", of: Things.Completed),
               new Call($"POST /api/experiments/{verb}")
                   .Good(200, "ids or where", Json("""{"ids": ["$completed"]}"""))
                   .Bad(400, "ids", "neither", Json("{}"))
                   .Bad(400, "where.filter", "layers >", Json("{\"where\": {\"modelId\": \"$model\", \"filter\": \"layers >\"}}"))
                   .Bad(400, "where", "neither model nor study", Json("""{"where": {"status": ["failed"]}}""")),
               new Call($"POST /api/studies/{{id}}/{verb}", Things.FreshStudy).Good(200, "the study"),
           }
           select call,
        new Call("PATCH /api/experiments/{id}", Things.FreshExperiment)
            .Good(200, "name, tags, notes, priority, start or parameters", Json("""{"priority": 5, "parameters": {"learningRate": 0.005, "steps": 1500}}"""))
            .Bad(400, "name", "nothing", Json("{}"))
            .Bad(400, "tags[0]", "blank", Json("""{"tags": [" "]}"""))
            .Bad(400, "notes", "10,001 letters", Json($$"""{"notes": "{{new string('n', 10_001)}}"}"""))
            .Bad(400, "priority", "1001", Json("""{"priority": 1001}"""))
            .Bad(400, "parameters.colour", "unknown", Json("""{"parameters": {"colour": 1}}"""))
            .Bad(400, "parameters.learningRate", "99", Json("""{"parameters": {"learningRate": 99}}"""))
            .Bad(409, "", "parameters that another has", Json("""{"parameters": {"steps": 2000}}"""))
            .Bad(409, "", "parameters of one that is completed", Json("""{"parameters": {"steps": 9000}}"""), of: Things.Completed),
    ];

    private static IEnumerable<Call> Predictions() =>
    [
        new Call("POST /api/models/{id}/predictions", Things.Model)
            .Good(202, "an image (200 with the answer)", Form(("image", Things.Png)), "wait=0")
            .Bad(400, "image", "none", Form(("experimentId", Things.Completed)))
            .Bad(400, "image", "no image", Form(("image", new byte[] { 1, 2, 3 })))
            .Bad(400, "experimentId", "best", Form(("image", Things.Png), ("experimentId", "best")))
            .Bad(400, "experimentId", "not completed", Form(("image", Things.Png), ("experimentId", Things.Queued)))
            .Bad(400, "wait", "31", Form(("image", Things.Png)), "wait=31")
            .Bad(409, "", "a model without a completed experiment", Form(("image", Things.Png)), of: Things.Empty),
        new Call("GET /api/models/{id}/predictions", Things.Model).Good(200, "a page of them", query: "limit=2").Pages(),
        new Call("GET /api/predictions/batches/{id}", Things.Batch).Good(200, "the batch (202 while there is no answer)"),
        new Call("GET /api/models/{id}/predictor", Things.Model).Good(200, "the model"),
        new Call("PUT /api/models/{id}/predictor", Things.Model)
            .Good(200, "an experiment", Json("""{"experimentId": "$completed"}"""))
            .Bad(400, "experimentId", "none", Json("{}"))
            .Bad(409, "", "one that is not completed", Json("""{"experimentId": "$queued"}""")),
        new Call("POST /api/models/{id}/predictor/rollback", Things.Model)
            .Good(200, "the model")
            .Bad(409, "", "a model without an earlier choice", of: Things.Empty),
        new Call("DELETE /api/models/{id}/predictor", Things.Model).Good(204, "the model"),
        new Call("GET /api/predictions/{id}", Things.Prediction).Good(200, "the prediction (202 while there is no answer)"),
    ];

    private static IEnumerable<Call> Others() =>
    [
        new Call("GET /api/studies")
            .Good(200, "a page of them", query: "limit=2")
            .Pages()
            .Bad(400, "modelId", "7", query: "modelId=7"),
        new Call("GET /api/studies/{id}", Things.Study).Good(200, "the study"),
        new Call("GET /api/studies/{id}/results", Things.Study).Good(200, "a page of them", query: "limit=2").Pages(),
        new Call("GET /api/studies/{id}/report", Things.Study)
            .Good(200, "the study: a document", query: "download=true")
            .Good(200, "the study: data", query: "format=json")
            .Good(200, "the study: a table", query: "format=csv")
            .Bad(400, "format", "pdf", query: "format=pdf")
            .Bad(400, "download", "7", query: "download=7"),
        new Call("POST /api/studies/{id}/clone", Things.FreshStudy)
            .Good(200, "what exists (201 with what is new)")
            .Good(201, "what replaces its own", Json("""{"fixed": {"dropout": 0.25}}"""))
            .Bad(400, "fixed.layers", "two", Json("""{"fixed": {"layers": "two"}}""")),
        new Call("GET /api/events").Good(200, "nothing").Bad(400, "lastEventId", "abc", query: "lastEventId=abc"),
        new Call("GET /api/models/{id}/events", Things.Model).Good(200, "the model").Bad(400, "lastEventId", "abc", query: "lastEventId=abc"),
        new Call("GET /api/experiments/{id}/events", Things.Completed)
            .Good(200, "the experiment")
            .Bad(400, "lastEventId", "abc", query: "lastEventId=abc"),
        new Call("GET /api/workers")
            .Good(200, "all of them")
            .Bad(400, "limit", "0", query: "limit=0")
            .Bad(400, "limit", "501", query: "limit=501"),
        new Call("POST /api/session")
            .Good(204, "the key", Json("""{"key": "0123456789abcdef"}"""))
            .Bad(400, "key", "none", Json("{}")),
        new Call("DELETE /api/session").Good(204, "nothing"),
        new Call("GET /api/about").Good(200, "nothing"),
        new Call("GET /health/live").Good(200, "nothing"),
        new Call("GET /health/ready").Good(200, "nothing (503 where something is missing)"),
    ];

    private static Call Pages(this Call call) => call
        .Bad(400, "limit", "0", query: "limit=0")
        .Bad(400, "limit", "501", query: "limit=501")
        .Bad(400, "cursor", "abc", query: "cursor=abc");
}
