package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// seven is when the operator looks.
var seven = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return seven.Add(-d) }

// sampleRuns makes runs from signs, the newest first: + success, - failure, . ignored, o of another agent.
func sampleRuns(signs string) []store.HistoryRun {
	var out []store.HistoryRun
	for n, sign := range signs {
		started := before(time.Duration(n+1) * 17 * time.Minute)
		r := store.HistoryRun{Agent: "project-meta", Counted: true, Recorded: started.Add(93 * time.Second), Run: incident.Run{
			Outcome: store.Success, Started: started, Finished: started.Add(93 * time.Second), Host: "host-a", RunID: "job-" + string(rune('a'+n)),
		}}
		switch sign {
		case '-':
			r.Outcome, r.ExitCode = store.Failure, 1
			r.Output = "cloning into 'odilo'\nerror: no space left on device\n"
		case '.':
			r.Outcome, r.ExitCode, r.Counted = store.Ignored, 75, false
		case 'o':
			r.Agent, r.Counted = "developer", false
		}
		out = append(out, r)
	}
	return out
}

func statusRuns(runs []store.HistoryRun) []status.Run {
	out := []status.Run{}
	for _, r := range runs {
		out = append(out, status.Run{Agent: r.Agent, Outcome: r.Outcome, ExitCode: r.ExitCode, Signal: r.Signal, Detail: r.Detail,
			Counted: r.Counted, Started: r.Started, Finished: r.Finished, Host: r.Host})
	}
	return out
}

func sampleStatus(projects ...status.Project) status.Status {
	return status.Status{
		Instance: "bigbox", Installation: "0123456789abcdef0123456789abcdef", PauseDir: "/opt/ai-dark-factory/data/pause", State: "/var/lib/adfbot/adfbot.db",
		At: seven, Projects: projects, Problems: []string{}, Foreign: []string{},
		LastSweep: &status.SweepReport{At: before(32 * time.Second), Took: 210 * time.Millisecond, Report: escalate.Report{Projects: len(projects)}},
	}
}

func running(id, signs string) status.Project {
	return status.Project{ID: id, Configured: true, Paused: "no", Threshold: 3, Resume: "sudo -u adfbot adfbot resume " + id, LastRuns: statusRuns(sampleRuns(signs)), Pending: []string{}, Warnings: []string{}}
}

func paused(id, signs, issue string) status.Project {
	p := running(id, signs)
	since := before(3*time.Hour + 12*time.Minute)
	p.Paused, p.Failures, p.Since = "yes", 3, &since
	p.Reason = id + " is paused: project-meta failed 3 times in a row (host-a, 2026-11-23 03:48 UTC)."
	p.LastRuns[0].LastLine = "error: no space left on device"
	p.Incident = &status.Incident{ID: strings.Repeat("ab", 16), Name: id + "#3", Agent: "project-meta", Failures: 3, Opened: since, Issue: issue, FlagWritten: true}
	if issue != "" {
		p.Incident.TakenBy, p.Incident.TakenAt = "alice", before(20*time.Minute)
	}
	if issue == "" {
		p.Pending = []string{id + "#3: issue to be opened: create issue in terraphim/adf-fleet: 401: the token is not accepted: put a new one into /etc/adfbot/gitea-token"}
	}
	return p
}

func held(id, signs string) status.Project {
	p := running(id, signs)
	since := before(50 * time.Hour)
	p.Paused, p.Held, p.Since = "yes", true, &since
	p.Reason = id + " is paused by alice (bigbox, 2026-11-21 05:00 UTC). Reason: moving the database"
	return p
}

// silent has not reported in time.
func silent(id, signs string) status.Project {
	p := running(id, signs)
	since := before(2*time.Hour + 12*time.Minute)
	p.Expect, p.LastResult = "every 1h, with 15m of grace", &since
	p.Workflow = &status.Workflow{Repo: "terraphim/agents", Workflow: "agent.yaml"}
	p.Silence = &status.Silence{ID: strings.Repeat("5", 32), Name: id + "#silent-1", Since: since, Opened: before(57 * time.Minute), Issue: sampleIssue}
	p.Warnings = []string{"has not reported since 2026-11-23 04:48 UTC; expected every 1h, with 15m of grace"}
	return p
}

func sampleSilence() incident.Incident {
	i := sampleIncidents()[1]
	i.ID, i.Kind, i.Seq, i.Opened, i.Since = strings.Repeat("5", 32), incident.Silent, 1, before(57*time.Minute), before(2*time.Hour+12*time.Minute)
	i.Ended, i.EndedHow, i.Settled, i.Failures, i.Threshold, i.Expect = time.Time{}, "", false, 0, 0, "every 1h, with 15m of grace"
	i.Began, i.Host = before(70*time.Minute), "host-a"
	return i
}

const sampleIssue = "https://git.example.org/terraphim/adf-fleet/issues/17"

// hostile is what an attacker would have a name, a reason or an output be.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>' onmouseover='alert(3)` + "\u202e" + "javascript:alert(4)"

func sampleIncidents() []incident.Incident {
	var runs []incident.Run
	for _, r := range sampleRuns("---+++") {
		runs = append(runs, r.Run)
	}
	ref := func(n int64) tracker.IssueRef {
		return tracker.IssueRef{Repo: tracker.Repo{Server: "https://git.example.org", Owner: "terraphim", Name: "adf-fleet"}, ID: n + 100, Number: n,
			URL: "https://git.example.org/terraphim/adf-fleet/issues/" + string(rune('0'+n))}
	}
	earlier := incident.EarlierIncident{Seq: 1, Opened: before(30 * 24 * time.Hour), Ended: before(29 * 24 * time.Hour), Issue: ref(3)}
	return []incident.Incident{
		{ID: strings.Repeat("ab", 16), Project: "odilo", Seq: 3, Agent: "project-meta", Opened: before(3*time.Hour + 12*time.Minute), Failures: 3, Threshold: 3,
			Host: "host-a", Instance: "bigbox", FlagWritten: before(3 * time.Hour), Issue: ref(7), Ack: &incident.Ack{By: tracker.Account{Login: "alice"}, At: before(20 * time.Minute)}, Lost: []tracker.IssueRef{ref(6)},
			Evidence: incident.Evidence{Runs: runs, Output: "$ make deploy\nerror: no space left on device\nmake: *** [deploy] Error 1\n", Earlier: []incident.EarlierIncident{earlier}}},
		{ID: strings.Repeat("cd", 16), Project: "odilo", Seq: 2, Agent: "project-meta-review", Opened: before(9 * 24 * time.Hour), Failures: 3, Threshold: 3,
			Ended: before(8 * 24 * time.Hour), EndedHow: "the pause flag was removed; noticed by the sweep", Issue: ref(5), Settled: true,
			Evidence: incident.Evidence{Runs: runs[:3]}},
	}
}

// sampleFleet is a fleet of three, of which one is away while a project is paused.
func sampleFleet() status.Status {
	p := paused("odilo", "---+++++++", sampleIssue)
	p.FlagHosts = &status.FlagHosts{On: 2, Of: 3, Missing: []status.MissingFlag{{Host: "edge-7", ID: "b", Away: true}}}
	p.Warnings = []string{"PAUSED on 2 of 3 hosts, not on edge-7 (away)"}
	s := sampleStatus(p, running("fleet", "+"))
	now, away := before(2*time.Second), before(2*time.Hour+50*time.Minute)
	s.Fleet = &status.Fleet{State: "postgres://adfbot@db1/adfbot", Shared: true, At: seven, Hosts: []status.Host{
		{ID: "a", Name: "edge-1", State: status.HostHere, This: true, Version: "v1.2.3", Seen: &now, CanIssue: true},
		{ID: "b", Name: "edge-7", State: status.HostAway, Version: "v1.2.2", Seen: &away, AwaySince: &away, Spooled: 3, FlagsMissing: 1},
		{ID: "c", Name: "edge-9", State: status.HostHere, Version: "v1.2.3", Seen: &now, ConfigDiffers: true, ConfigKeys: []string{"projects"}, ClockOffset: 3000, FlagErrors: []string{"no space left on device"}},
		{ID: "d", Name: "edge-8", State: status.HostRetired, Retired: &away},
	}}
	return s
}

// inStorm makes paused projects share the issue of the first one.
func inStorm(projects []status.Project) []status.Project {
	for n := range projects {
		i := projects[n].Incident
		i.Class, i.TakenBy, i.TakenAt = "quota", "", time.Time{}
		projects[n].LastRuns[0].LastLine = "Claude usage limit reached. Your limit will reset at 9am."
		if i.Lead = projects[0].Incident.Name; n == 0 {
			i.Lead, i.Carries = "", len(projects)-1
		}
	}
	return projects
}

// sampleStorm is one outage that paused seven projects, beside one that failed for a reason of its own.
func sampleStorm() status.Status {
	var storm []status.Project
	for n := range 7 {
		storm = append(storm, paused(fmt.Sprintf("twins-%d", n), "---++", sampleIssue))
	}
	storm = inStorm(storm)
	storm[0].ResumeInGitea = true
	storm[0].Incident.Escalation = &status.Escalation{Steps: 3, Step: 1}
	return sampleStatus(append(storm, paused("odilo", "---", sampleIssue), running("fleet", "+"))...)
}

// sampleMany is a fleet of any size in which a part is paused, some by one outage, and a part fails.
func sampleMany(size int) status.Status {
	projects := make([]status.Project, size)
	for n := range projects {
		id := fmt.Sprintf("project-%04d", n)
		switch {
		case n%97 == 3:
			projects[n] = paused(id, "---+++++++", sampleIssue)
		case n%101 == 9:
			projects[n] = held(id, "++++++++++")
		case n%53 == 7:
			projects[n] = silent(id, "+++++++++")
		case n%29 == 5:
			projects[n] = running(id, "-+++++-+++")
			projects[n].Failures, projects[n].LastRuns[0].LastLine = 1, "AssertionError: expected 3 projects, got 2"
		default:
			projects[n] = running(id, "+++++++.++"[:n%10+1])
		}
		for m := range projects[n].LastRuns { // no two are alike
			r := &projects[n].LastRuns[m]
			r.Started, r.Finished = r.Started.Add(-time.Duration(n*37)*time.Second), r.Finished.Add(-time.Duration(n*37)*time.Second)
		}
	}
	if size >= 200 {
		storm := projects[120:127]
		for n := range storm {
			storm[n] = paused(storm[n].ID, "---+++++++", sampleIssue)
		}
		inStorm(storm)
	}
	return sampleStatus(projects...)
}

// sampleMonth is a project that has run every hour for a month, with an incident a week.
func sampleMonth() status.Detail {
	signs := strings.Repeat("++++++-+++++++.+++o+++--+", 2)
	d := sampleDetail(running("odilo", signs[:10]), signs)
	for n := range d.Runs {
		r := &d.Runs[n]
		r.Started = before(time.Duration(n+1) * time.Hour)
		r.Finished = r.Started.Add(time.Duration(20+n*n%170) * time.Second)
		if r.Recorded = r.Finished; n == 6 {
			r.Output = strings.Repeat("a line of the output that is as long as such lines are, and says nothing new\n", 60)
		}
	}
	for n := range status.DaysShown - 4 {
		day := seven.Truncate(24 * time.Hour).Add(-time.Duration(status.DaysShown-5-n) * 24 * time.Hour)
		d.Days = append(d.Days, status.DayCount{Day: day, OK: 24 - n%7})
		if n%7 == 5 {
			d.Days[n].Failed = 3 + n%5
			i := sampleIncidents()[1]
			i.Seq, i.Opened, i.Ended = n, day.Add(7*time.Hour), day.Add(time.Duration(9+n)*time.Hour)
			d.Incidents = append([]incident.Incident{i}, d.Incidents...)
		}
	}
	d.Older = 4711
	return d
}
