using System.Net;
using System.Text.RegularExpressions;

namespace MlExperiments.Api.Tests.Infrastructure;

/// <summary>Hangfire's dashboard in the running service, which has no key: open to this machine, and read-only.</summary>
public sealed partial class JobDashboardTests : ApiFixture
{
    [Test]
    public async Task Dashboard_OnThisMachineWithoutAKey_ShowsTheTickets_WithItsStylesAndScripts()
    {
        await Client.PostAsync($"/api/models/{await Database.ModelAsync()}/experiments", null);

        var overview = await PageAsync("/hangfire");
        var tickets = await PageAsync("/hangfire/jobs/enqueued/tickets");

        Assert.Multiple(() =>
        {
            Assert.That(overview, Does.Contain("ML Experiments: tickets").And.Contain("Overview"));
            Assert.That(Ticket().Count(tickets), Is.GreaterThanOrEqualTo(9));
            // The server's address is nobody's business.
            Assert.That(overview + tickets, Does.Not.Contain("127.0.0.1").And.Not.Contain("Password"));
            // Allowed by no policy of ours.
            Assert.That(overview + tickets, Does.Not.Match("<script>|<style|onclick="));
        });
        var parts = Part().Matches(overview).Select(match => match.Groups[1].Value).ToList();
        Assert.That(parts, Has.Count.GreaterThanOrEqualTo(2));
        foreach (var part in parts)
            Assert.That((await Client.GetAsync(part)).StatusCode, Is.EqualTo(HttpStatusCode.OK), part);
    }

    [TestCase("jobs/enqueued/delete")]
    [TestCase("jobs/enqueued/requeue")]
    [TestCase("jobs/actions/delete/1")]
    [TestCase("jobs/actions/requeue/1")]
    [TestCase("recurring/trigger")]
    public async Task Command_ThatWouldChangeTickets_IsRefused(string command)
    {
        await Client.PostAsync($"/api/models/{await Database.ModelAsync()}/experiments", null);
        var before = await Database.ScalarAsync<long>("SELECT count(*) FROM hangfire.job WHERE statename = 'Enqueued'");
        using var form = new FormUrlEncodedContent([new("jobs[]", $"{await Database.ScalarAsync<long>("SELECT min(id) FROM hangfire.job")}")]);

        var response = await Client.PostAsync($"/hangfire/{command}", form);

        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That(await Database.ScalarAsync<long>("SELECT count(*) FROM hangfire.job WHERE statename = 'Enqueued'"), Is.EqualTo(before));
    }

    private async Task<string> PageAsync(string path)
    {
        using var response = await Client.GetAsync(path);
        var page = await response.Content.ReadAsStringAsync();
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK), page);
        Assert.That(response.Content.Headers.ContentType?.MediaType, Is.EqualTo("text/html"));
        return page;
    }

    [GeneratedRegex("ITicketHandler\\.HandleAsync")]
    private static partial Regex Ticket();

    [GeneratedRegex("(?:href|src)=\"(/hangfire/(?:css|js)[^\"]*)\"")]
    private static partial Regex Part();
}
