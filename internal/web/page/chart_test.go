package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/status"
)

func TestChart(t *testing.T) {
	runs := sampleRuns("-+.+")
	runs[0].Finished = runs[0].Started.Add(4 * time.Minute)
	runs[1].Finished = runs[1].Started.Add(2 * time.Minute)
	runs[2].Finished = runs[2].Started
	runs[3].Started = time.Time{}
	c := newChart(runs, seven)
	require.Equal(t, 4*markWidth, c.Width)
	bars := [][]int{}
	for _, b := range c.Bars {
		bars = append(bars, []int{b.X, b.Top, b.Height, b.Bad, b.Good()})
	}
	require.Equal(t, [][]int{{0, 48, 0, 0, 0}, {14, 46, 2, 0, 2}, {28, 24, 24, 0, 24}, {42, 0, 48, 48, 0}}, bars, "the oldest first, a failure at its whole height")
	require.Equal(t, "The longest took 4m, half of them at most 2m.", c.Note)
	require.Contains(t, c.Label, "last 4 runs, oldest first: ✔–✔✘ (2 successful, 1 failed, 1 ignored)")
	require.Contains(t, c.Bars[3].Title, ", took 4m")
	require.NotContains(t, c.Bars[0].Title, "took", "it is not known")
	require.True(t, c.Timed())
	require.Nil(t, newChart(nil, seven))
}

// Pings and most results over HTTP have no start: there is nothing to draw but how the runs ended.
func TestChartWithoutDurations(t *testing.T) {
	d := sampleDetail(running("odilo", "-+"), "-+")
	for n := range d.Runs {
		d.Runs[n].Started = time.Time{}
	}
	require.False(t, newChart(d.Runs, seven).Timed())
	doc := show(t, "/projects/odilo?open=", d).Body.String()
	soundHTML(t, doc)
	require.Contains(t, doc, "<figcaption>Last 2 runs</figcaption>\n<svg class=\"chart short\" viewBox=\"0 50 28 18\" width=\"28\" height=\"18\"", "no room for bars")
	require.NotContains(t, doc, "how long they took")
	d.Runs = d.Runs[:1]
	require.Contains(t, show(t, "/projects/odilo?open=", d).Body.String(), "<figcaption>The last run</figcaption>")
}

// The list says of each time whether the run began or ended then.
func TestRunWithoutStart(t *testing.T) {
	d := sampleDetail(running("odilo", "-+"), "-+")
	d.Runs[0].Started, d.Runs[0].Output = time.Time{}, "error: no space left on device"
	doc := show(t, "/projects/odilo?open=run-"+strings.TrimPrefix(runFold(d.Runs[0]).ID, "run-"), d).Body.String()
	require.Contains(t, doc, `<td>ended <time datetime="2026-11-23T06:44:33Z">2026-11-23 06:44 UTC</time>`)
	require.Contains(t, doc, `<td><time datetime="2026-11-23T06:26:00Z">2026-11-23 06:26 UTC</time>`)
	require.Contains(t, doc, `aria-label="Output of the run that ended 2026-11-23 06:44 UTC"`)
	d.Runs[0].Finished = time.Time{}
	require.Contains(t, show(t, "/projects/odilo?open=", d).Body.String(), `<td>recorded <time datetime="2026-11-23T06:44:33Z">`)
}

func TestMonth(t *testing.T) {
	const day = 24 * time.Hour
	today := seven.Truncate(day)
	d := sampleDetail(running("odilo", "+"), "+")
	d.Days = []status.DayCount{{Day: today.Add(-29 * day), OK: 12}, {Day: today.Add(-day), OK: 23, Failed: 1}, {Day: today, Failed: 3}}
	i := sampleIncidents()
	old := i[1]
	old.Opened, old.Ended = before(40*day), before(35*day)
	begun := old
	begun.Ended = before(28 * day)
	silence := sampleSilence()
	d.Incidents = []incident.Incident{i[0], i[1], old, begun, silence}
	m := newMonth(d)
	require.Len(t, m.Days, 30)
	require.Equal(t, "2026-10-25: 12 successful, 0 failed", m.Days[0].Title)
	require.Equal(t, []int{24, 24, 0}, []int{m.Days[0].Top, m.Days[0].Height, m.Days[0].Bad})
	require.Equal(t, "2026-10-26: nothing counted", m.Days[1].Title)
	require.Equal(t, []string{"success", "none", "failure"}, []string{m.Days[0].Kind, m.Days[1].Kind, m.Days[28].Kind})
	require.Equal(t, []int{0, 48, 2}, []int{m.Days[28].Top, m.Days[28].Height, m.Days[28].Bad}, "one failure of many is seen")
	require.Equal(t, []int{6, 6}, []int{m.Days[29].Height, m.Days[29].Bad})
	require.Equal(t, "last 30 days: failures on 2 days; 4 incidents", m.Label)
	require.Equal(t, "At most 24 results counted on a day.", m.Note)
	require.Equal(t, []int{0, 1, 2}, func() (out []int) {
		for n, s := range m.Spans[1:] {
			require.GreaterOrEqual(t, s.Width, 4)
			require.LessOrEqual(t, s.X, m.Width)
			out = append(out, n)
		}
		return out
	}())
	require.Equal(t, span{X: 0, Width: 25, Kind: "bad", Title: "odilo#2, 2026-10-14 07:00 UTC, for 12d"}, m.Spans[2], "what began before lies at the edge")
	require.Equal(t, "warn", m.Spans[3].Kind)
	require.True(t, strings.HasSuffix(m.Spans[0].Title, ", still open"), m.Spans[0].Title)

	d.DaysFrom = today.Add(-5 * day)
	require.Contains(t, newMonth(d).Note, "Results before 2026-11-18 are too many to be counted here.")
	require.Nil(t, newMonth(status.Detail{Status: sampleStatus(running("odilo", ""))}))
}

// The tag of a page is that of what it says, not of when it says so.
func TestTagOfPage(t *testing.T) {
	tag := func(target string, facts any) string { return show(t, target, facts).Header().Get("ETag") }
	for _, name := range []string{"one-paused", "project-month", "storm", "stopped"} {
		facts, later := samples()[name], samples()[name]
		switch f := later.(type) {
		case status.Status:
			f.At = f.At.Add(90 * time.Second)
			later = f
		case status.Detail:
			f.At = f.At.Add(90 * time.Second)
			later = f
		}
		first := tag("/?open=", facts)
		require.Equal(t, first, tag("/?open=", later), name)
		require.NotEqual(t, show(t, "/?open=", facts).Body.String(), show(t, "/?open=", later).Body.String(), name)
	}
	s := samples()["one-paused"].(status.Status)
	first := tag("/", s)
	s.Projects[1].Incident.TakenAt = s.Projects[1].Incident.TakenAt.Add(time.Second)
	require.NotEqual(t, first, tag("/", s))
}

// An output that is also that of a run on the page is there, and once.
func TestOutputIsShownOnce(t *testing.T) {
	d := samples()["project-paused"].(status.Detail)
	d.Incidents[0].Evidence.Output = d.Runs[0].Output
	to := show(t, "/projects/odilo", d).Header().Get("Location")
	doc := show(t, "/projects/odilo"+to, d).Body.String()
	soundHTML(t, doc)
	require.Equal(t, 1, strings.Count(doc, "cloning into"))
	require.Contains(t, doc, `<a href="#run-`)
}

func newRequest(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

func TestOlderRuns(t *testing.T) {
	d := sampleMonth()
	first := show(t, "/projects/odilo?open=&refresh=off", d).Body.String()
	require.Contains(t, first, `<a href="?before=4711&amp;refresh=off#runs" rel="next">Older runs</a>`)
	require.NotContains(t, first, "Newest runs")
	d.Older = 0
	last := show(t, "/projects/odilo?open=&before=4711", d).Body.String()
	require.Contains(t, last, `<a href="?#runs">Newest runs</a>`)
	require.NotContains(t, last, "Older runs")
	require.Contains(t, last, "&amp;before=4711#run-", "outputs open on this page")
	require.Zero(t, PagesOf(newRequest("/projects/odilo?before=-1")))
	require.Zero(t, PagesOf(newRequest("/projects/odilo?before=x")))
	require.Equal(t, status.Pages{Before: 4711}, PagesOf(newRequest("/projects/odilo?before=4711")))
}

func TestEarlierIncidents(t *testing.T) {
	d := sampleMonth()
	first := show(t, "/projects/odilo?open=&before=4711", d).Body.String()
	require.NotContains(t, first, "Earlier incidents</a>")
	require.NotContains(t, first, "Latest incidents")
	d.Earlier = "0123abcd"
	first = show(t, "/projects/odilo?open=&before=4711&refresh=off", d).Body.String()
	soundHTML(t, first)
	require.Contains(t, first, `<a href="?after=0123abcd&amp;before=4711&amp;refresh=off#incidents" rel="next">Earlier incidents</a>`)
	d.Earlier, d.Recent, d.Incidents = "", d.Incidents, nil
	last := show(t, "/projects/odilo?open=&after=0123abcd", d).Body.String()
	require.Contains(t, last, `<a href="?#incidents">Latest incidents</a>`)
	require.NotContains(t, last, "Earlier incidents</a>")
	require.Contains(t, last, "None before that.")
	require.Contains(t, last, `class="span bad"`, "the time line shows the recent ones")
	require.Zero(t, PagesOf(newRequest("/projects/odilo?after="+strings.Repeat("x", 65))))
}
