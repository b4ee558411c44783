package page

import (
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

var update = flag.Bool("update", false, "rewrite the golden pages")

func TestMain(m *testing.M) { testhost.Main(m, nil) }

// samplePages parses the templates once for all tests.
var samplePages = sync.OnceValue(func() *Pages { return New(func() time.Time { return seven }, "v1.2.3") })

// show makes a page of canned facts.
func show(t *testing.T, target string, facts any) *httptest.ResponseRecorder {
	t.Helper()
	w, r, p := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, target, nil), samplePages()
	switch f := facts.(type) {
	case status.Status:
		require.NoError(t, p.Index(w, r, f))
	case status.Detail:
		require.NoError(t, p.Project(w, r, f))
	case error:
		require.NoError(t, p.Failure(w, r, f))
	default:
		require.FailNow(t, "no page shows that")
	}
	return w
}

func sampleDetail(p status.Project, signs string, incidents ...incident.Incident) status.Detail {
	return status.Detail{Status: sampleStatus(p), FlagPath: "/opt/ai-dark-factory/data/pause/" + p.ID, Runs: sampleRuns(signs), Incidents: incidents}
}

func sampleDetailOf(p status.Project, runs []store.HistoryRun, incidents []incident.Incident) status.Detail {
	d := sampleDetail(p, "", incidents...)
	d.Runs = runs
	return d
}

func unknownAll() status.Status {
	why := "pause directory /opt/ai-dark-factory/data/pause: no sentinel .adfbot: it may not be mounted"
	var projects []status.Project
	for _, id := range []string{"odilo", "digital-twins"} {
		p := running(id, "+++")
		p.Paused, p.Reason = "unknown", why
		projects = append(projects, p)
	}
	s := sampleStatus(projects...)
	s.Problems = []string{why + "\nadfbot restore pauses these again: odilo; creating only the sentinel would resume them"}
	return s
}

func busySweep() status.Status {
	p := running("odilo", "-+")
	p.Failures, p.HalfOpen, p.Running, p.Threshold = 1, true, 1, 2
	p.Pending = []string{"odilo#3: issue to be closed: close issue #17 in terraphim/adf-fleet: 502: the server or a proxy before it is down"}
	s := sampleStatus(p, running("digital-twins", "+o.+"))
	s.LastSweep.Actions = []plan.Action{
		{Kind: plan.Resume, Project: "odilo", Name: "odilo#3", Why: "its pause flag is gone"},
		{Kind: plan.CloseDuplicate, Project: "odilo", Name: "odilo#2", Issue: tracker.IssueRef{Number: 16, URL: "https://git.example.org/terraphim/adf-fleet/issues/16"}, Why: "a second issue of one incident"},
	}
	s.LastSweep.TakenIn, s.LastSweep.LostRuns, s.LastSweep.Pruned = 1, 2, 1000
	s.LastSweep.Errors = []string{"close issue #17 in terraphim/adf-fleet: 502"}
	s.Problems = []string{"close issue #17 in terraphim/adf-fleet: 502: the server or a proxy before it is down"}
	s.Spooled = 4
	s.Foreign = []string{"https://git.example.org/terraphim/adf-fleet/issues/2"}
	return s
}

func evil() status.Status {
	p := paused("odilo", "-", hostile)
	p.Reason = hostile
	p.Incident.Name, p.Incident.Issue = hostile, "javascript:alert(5)"
	p.Pending, p.Warnings = []string{hostile}, []string{hostile}
	p.Incident.TakenBy = hostile
	p.LastRuns[0].Detail, p.LastRuns[0].Agent, p.LastRuns[0].Host, p.LastRuns[0].Outcome = hostile, hostile, hostile, hostile
	odd := running("-../"+hostile, "")
	s := sampleStatus(p, odd)
	s.Instance = hostile
	s.Problems, s.Foreign = []string{hostile}, []string{"javascript:alert(6)", hostile}
	s.LastSweep.Actions = []plan.Action{{Kind: plan.Kind(hostile), Project: hostile, Why: hostile, Issue: tracker.IssueRef{URL: "data:text/html," + hostile}}}
	return s
}

func evilDetail() status.Detail {
	s := evil()
	d := status.Detail{Status: s, FlagPath: hostile, Runs: sampleRuns("-"), Incidents: sampleIncidents()[:1]}
	d.Projects = d.Projects[:1]
	d.Runs[0].Output, d.Runs[0].Signal, d.Runs[0].RunID, d.Runs[0].Host, d.Runs[0].Agent = hostile+"</pre></details>", hostile, hostile, hostile, hostile
	i := &d.Incidents[0]
	i.Agent, i.Host, i.EndedHow, i.LastErr, i.Evidence.Output = hostile, hostile, hostile, hostile, hostile+"</pre>"
	i.Ended = before(time.Hour)
	i.Issue.URL, i.Issue.Repo.Name, i.Lost[0].URL = "javascript:alert(7)", hostile, "vbscript:alert(8)"
	return d
}

func longNames() status.Status {
	long := strings.Repeat("a-very-long-project-name-", 5) + "end"
	s := sampleStatus(paused(long, "---+++----", ""), running(long+"2", "++++++++++"))
	s.Instance = strings.Repeat("instance", 16)
	return s
}

// sampleStop is a stop of all projects that holds one of two; somebody has resumed another one.
func sampleStop() status.Status {
	until := seven.Add(90 * time.Minute)
	stop := status.Stop{ID: strings.Repeat("ef", 16), Patterns: []string{"*"}, Reason: "the provider is down", By: "alice", Since: before(30 * time.Minute),
		Until: &until, Holds: 1, Resume: "sudo -u adfbot adfbot resume --all", What: "all projects"}
	p := held("odilo", "+++")
	p.Stop, p.Until, p.Since = stop.ID, stop.Until, &stop.Since
	p.Reason = "odilo is paused with all projects by alice (bigbox, 2026-11-23 06:30 UTC). It resumes by itself at 2026-11-23 08:30 UTC. Reason: the provider is down"
	s := sampleStatus(paused("atlas", "---", sampleIssue), p, running("fleet", "+"))
	s.Stops = []status.Stop{stop, {ID: strings.Repeat("fe", 16), Patterns: []string{"twins-*"}, By: "kim", Since: before(time.Hour),
		Besides: 4, Resume: "adfbot resume 'twins-*'", What: "twins-*"}}
	return s
}

// samples are the pages that are looked at, by name.
func samples() map[string]any {
	left := held("left-the-config", "+")
	left.Configured = false
	broken := paused("odilo", "---", sampleIssue)
	broken.Incident.FlagWritten = false
	broken.Warnings = []string{"its pause flag is not written: exec refuses, but a script that asks for the flag runs on: no space left on device"}
	nothing := sampleStatus(running("odilo", ""), running("digital-twins", ""))
	nothing.LastSweep = nil
	resumed := running("odilo", "----------")
	resumed.HalfOpen = true
	commanded := paused("odilo", "---", sampleIssue)
	commanded.ResumeInGitea = true
	return map[string]any{
		"paused-with-operators":  sampleStatus(commanded),
		"project-with-operators": sampleDetail(commanded, "---"),
		"resumed":                sampleStatus(resumed, running("fleet", "+")),
		"project-resumed":        sampleDetail(resumed, "----------", sampleIncidents()[1]),
		"nothing-reported":       nothing,
		"no-project":             sampleStatus(),
		"all-well":               sampleStatus(running("odilo", "++-+.++o++"), running("digital-twins", "++"), running("fleet", "")),
		"hosts":                  sampleFleet(),
		"storm":                  sampleStorm(),
		"twelve":                 sampleMany(12),
		"project-month":          sampleMonth(),
		"one-failing":            sampleStatus(func() status.Project { p := running("odilo", "--+"); p.Failures = 2; return p }(), running("fleet", "+")),
		"one-project":            sampleStatus(running("odilo", "++")),
		"one-paused":             sampleStatus(running("digital-twins", "+++++-++++"), paused("odilo", "---+++++++", sampleIssue), running("fleet", "+.+")),
		"paused-without-issue":   sampleStatus(paused("odilo", "---", "")),
		"flag-not-written":       sampleStatus(broken),
		"held":                   sampleStatus(held("odilo", "+++"), left, running("fleet", "+")),
		"stopped":                sampleStop(),
		"unknown-directory":      unknownAll(),
		"busy-sweep":             busySweep(),
		"hostile":                evil(),
		"long-names":             longNames(),
		"project-paused":         sampleDetail(paused("odilo", "---+++.o", sampleIssue), "---+++.o", sampleIncidents()...),
		"silent":                 sampleStatus(silent("odilo", "++"), running("fleet", "+")),
		"project-silent":         sampleDetail(silent("odilo", "++"), "++", sampleSilence()),
		"project-well":           sampleDetail(running("odilo", "+++"), "+++", sampleIncidents()[1]),
		"project-nothing":        sampleDetail(running("odilo", ""), ""),
		"project-unknown":        status.Detail{Status: func() status.Status { s := unknownAll(); s.Projects = s.Projects[:1]; return s }(), Runs: sampleRuns("+")},
		"project-hostile":        evilDetail(),
		"no-such-project":        error(&config.UnknownProjectError{ID: hostile, Known: []string{"odilo", "digital-twins"}}),
		"bad-id":                 pause.CheckID("../" + hostile),
		"state-unusable":         errors.New("state not usable: /var/lib/adfbot/adfbot.db: the disk is full: make room " + hostile),
	}
}

func TestGolden(t *testing.T) {
	for name, facts := range samples() {
		t.Run(name, func(t *testing.T) {
			got := show(t, "/", facts).Body.String()
			golden := filepath.Join("testdata", "pages", name+".html")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestBannerTone(t *testing.T) {
	resumed := running("odilo", "----------")
	resumed.HalfOpen = true
	again := resumed
	again.Failures = 1
	uncounted := running("odilo", "-+")
	uncounted.LastRuns[0].Counted = false
	for name, c := range map[string]struct {
		project status.Project
		tone    tone
		index   string
		page    string
	}{
		"well":                         {running("odilo", "+-"), toneOK, "Nothing is wrong.", "Nothing is wrong."},
		"resumed":                      {resumed, toneWarn, "odilo was resumed and has had no success since.", "It was resumed and has had no success since."},
		"resumed and failed again":     {again, toneWarn, "odilo was resumed and has had no success since.", "It was resumed and has had no success since."},
		"silent":                       {silent("odilo", "+"), toneWarn, "odilo has not reported in time.", "It has not reported in time."},
		"failed without being counted": {uncounted, toneOK, "1 project failed last time.", "It failed last time."},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(sampleStatus(c.project, running("fleet", "+")), visit{})
			require.Equal(t, c.tone, index.Tone)
			require.Equal(t, c.index, index.Sub)
			page := newProject(sampleDetail(c.project, "+"), visit{})
			require.Equal(t, c.tone, page.Tone)
			require.Equal(t, c.page, page.Sub)
		})
	}
	other := resumed
	other.ID = "fleet"
	require.Equal(t, "2 projects were resumed and have had no success since.", newIndex(sampleStatus(resumed, other), visit{}).Sub)
}

// A host that is away, or on which something is wrong, needs somebody, also while all projects may run.
func TestBannerOfFleet(t *testing.T) {
	s := sampleFleet()
	s.Projects = []status.Project{running("odilo", "++")}
	hosts := s.Fleet.Hosts
	for sub, of := range map[string][]status.Host{
		"Nothing is wrong.":                {hosts[0], hosts[3]},
		"edge-7 is away.":                  {hosts[0], hosts[1], hosts[2]},
		"2 hosts are away.":                {hosts[1], hosts[0], hosts[1]},
		"Something is wrong with edge-9.":  {hosts[0], hosts[2]},
		"Something is wrong with 2 hosts.": {hosts[0], hosts[2], hosts[2]},
	} {
		s.Fleet.Hosts = of
		v := newIndex(s, visit{})
		require.Equal(t, sub, v.Sub)
		require.Equal(t, sub == "Nothing is wrong.", v.Tone == toneOK, sub)
		require.Equal(t, "odilo may run", v.Headline)
	}
}

// Nobody has paused a project whose failures wait in the spool.
func TestPausedBySpooledFailures(t *testing.T) {
	p := held("odilo", "++")
	p.Held, p.Reason = false, "odilo is paused: 3 failures in a row could not be stored"
	for _, facts := range []any{sampleStatus(p), sampleDetail(p, "++")} {
		doc := show(t, "/projects/odilo", facts).Body.String()
		require.Contains(t, doc, "none yet")
		require.NotContains(t, doc, "by hand")
	}
}
