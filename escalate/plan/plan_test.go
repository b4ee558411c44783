package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Ids of incidents, and the time of every plan.
var (
	idA = fmt.Sprintf("%032x", 0xa)
	idB = fmt.Sprintf("%032x", 0xb)
	now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ago = func(d time.Duration) time.Time { return now.Add(-d) }
)

const project = "odilo"

var repo = tracker.Repo{Server: "http://gitea.example", Owner: "terraphim", Name: "adf-fleet"}

func ref(n int64) tracker.IssueRef {
	return tracker.IssueRef{Repo: repo, ID: 1000 + n, Number: n}
}

// openIncident returns an incident that has a flag and issue #1.
func openIncident(change ...func(*incident.Incident)) incident.Incident {
	i := incident.Incident{ID: idA, Project: project, Seq: 1, Opened: ago(time.Hour), FlagWritten: ago(time.Hour), Issue: ref(1)}
	for _, f := range change {
		f(&i)
	}
	return i
}

func endedIncident(change ...func(*incident.Incident)) incident.Incident {
	return openIncident(append([]func(*incident.Incident){func(i *incident.Incident) { i.Ended = ago(time.Minute) }}, change...)...)
}

func noIssue(i *incident.Incident)      { i.Issue = tracker.IssueRef{} }
func neverWritten(i *incident.Incident) { i.FlagWritten = time.Time{} }
func settled(i *incident.Incident)      { i.Settled = true }

func theirs(id string, n int64) tracker.Issue {
	return tracker.Issue{IssueRef: ref(n), Open: true, Marker: tracker.Marker{Project: project, Incident: id, Seq: 1}}
}

// What a flag is, and the hold of the tests.
var (
	botFlag    = incident.FlagIdentity{Kind: incident.BotFlag, Mtime: now.UnixNano(), Size: 300}
	personFlag = incident.FlagIdentity{Kind: incident.PersonFlag, Mtime: now.UnixNano() + 7}
	aHold      = &incident.Hold{ID: fmt.Sprintf("%032x", 0xe), Project: project, Since: now}
)

type seen struct {
	flag        incident.FlagState
	note        string // id of the incident in the flag's note
	hold        *incident.Hold
	holdWritten bool // its flag is confirmed
	incidents   []incident.Incident
	state       plan.IssueState // of the first incident's issue
	open        []tracker.Issue
	known       []string // further incidents that the state knows
	force       bool
}

func (s seen) observation() plan.Observation {
	o := plan.Observation{
		Now: now, Project: project, Flag: incident.FlagView{State: s.flag}, Hold: s.hold, Incidents: s.incidents,
		Issues: map[string]plan.IssueState{}, Open: s.open, Force: s.force,
	}
	if s.flag == incident.FlagThere {
		o.Flag.Identity = personFlag
	}
	if s.note != "" {
		o.Flag.Info = incident.FlagInfo{Project: project, Seq: 1, Incident: s.note, Pause: incident.Pause{ID: s.note}}
		o.Flag.Identity = botFlag
	}
	if s.holdWritten {
		o.Confirmed = incident.Confirmation{Pause: s.hold.ID, Identity: o.Flag.Identity}
	}
	for _, i := range s.incidents {
		if i.IsOpen() && !i.FlagWritten.IsZero() {
			o.Confirmed = incident.Confirmation{Pause: i.ID, Identity: o.Flag.Identity}
		}
	}
	known := slices.Clone(s.known)
	for n, i := range s.incidents {
		known = append(known, i.ID)
		if n == 0 {
			o.Issues[i.ID] = s.state
		}
	}
	o.Known = func(id string) bool { return slices.Contains(known, id) }
	return o
}

// steps returns a plan in words: kinds, with the issues and incidents that they are about.
func steps(actions []plan.Action) []string {
	out := []string{}
	for _, a := range actions {
		s := string(a.Kind)
		if a.Issue.Number != 0 {
			s += fmt.Sprintf(" #%d", a.Issue.Number)
		}
		if len(a.Incident) == len(idA) && a.Incident != idA {
			s += " " + a.Incident[31:]
		}
		if a.Quiet {
			s += " quietly"
		}
		out = append(out, s)
	}
	return out
}

func TestNext(t *testing.T) {
	const gone, there, unknown = incident.FlagGone, incident.FlagThere, incident.FlagUnknown
	const isOpen, isClosed, isLost = plan.IssueOpen, plan.IssueClosed, plan.IssueLost
	one := func(change ...func(*incident.Incident)) []incident.Incident {
		return []incident.Incident{openIncident(change...)}
	}
	over := func(change ...func(*incident.Incident)) []incident.Incident {
		return []incident.Incident{endedIncident(change...)}
	}
	for _, c := range []struct {
		name string
		seen seen
		want []string
	}{
		{"open, flag never written: write it, and open the issue", seen{flag: gone, incidents: one(noIssue, neverWritten)}, []string{"write-flag", "create"}},
		{"open, flag never written, issue open: write it", seen{flag: gone, incidents: one(neverWritten), state: isOpen}, []string{"write-flag #1"}},
		{"open, flag never written, issue closed: as if paused", seen{flag: gone, incidents: one(neverWritten), state: isClosed}, []string{"write-flag #1", "reopen #1"}},
		{"open, flag there and not noted", seen{flag: there, incidents: one(noIssue, neverWritten)}, []string{"note-flag"}},
		{"open, flag there, no issue", seen{flag: there, incidents: one(noIssue)}, []string{"create"}},
		{"open, flag there, issue there and unknown to the state", seen{flag: there, incidents: one(noIssue), open: []tracker.Issue{theirs(idA, 7)}}, []string{"adopt #7"}},
		{"open, flag there, issue open", seen{flag: there, incidents: one(), state: isOpen}, nil},
		{"open, flag there, issue not seen", seen{flag: there, incidents: one()}, nil},
		{"open, flag there, issue closed", seen{flag: there, incidents: one(), state: isClosed}, []string{"reopen #1"}},
		{"open, flag there, issue deleted", seen{flag: there, incidents: one(), state: isLost}, []string{"replace #1"}},
		{"open, flag gone, issue open", seen{flag: gone, incidents: one(), state: isOpen}, []string{"resume #1"}},
		{"open, flag gone, issue closed", seen{flag: gone, incidents: one(), state: isClosed}, []string{"resume #1"}},
		{"open, flag gone, never created", seen{flag: gone, incidents: one(noIssue)}, []string{"resume"}},
		{"ended, issue open", seen{flag: gone, incidents: over(), state: isOpen}, []string{"close #1"}},
		{"ended, issue open, paused again by a person", seen{flag: there, incidents: over(), state: isOpen, hold: aHold, holdWritten: true}, []string{"close #1"}},
		{"ended, issue not seen", seen{flag: gone, incidents: over()}, []string{"close #1"}},
		{"ended, never created", seen{flag: gone, incidents: over(noIssue)}, []string{"settle"}},
		{"ended, creation in doubt", seen{flag: gone, incidents: over(noIssue, func(i *incident.Incident) { i.Create.At = ago(time.Minute) })}, []string{"find-lost"}},
		{"ended and done, reopened by a person", seen{flag: gone, incidents: over(settled), state: isOpen}, []string{"leave-open #1"}},
		{"ended and done, reopened, said already", seen{flag: gone, incidents: over(settled, func(i *incident.Incident) { i.LeftOpen = true }), state: isOpen}, nil},
		{"ended and done", seen{flag: gone, incidents: over(settled), state: isClosed}, nil},
		{"unknown, flag there with its id, issue open", seen{flag: there, note: idB, open: []tracker.Issue{theirs(idB, 7)}}, []string{"rebuild #7 b"}},
		{"unknown, a person's flag there, issue open", seen{flag: there, open: []tracker.Issue{theirs(idB, 7)}}, []string{"rebuild #7 b"}},
		{"unknown, flag gone, issue open", seen{flag: gone, open: []tracker.Issue{theirs(idB, 7)}}, []string{"rebuild-done #7 b"}},
		{"unknown, flag there with its id, no issue", seen{flag: there, note: idB}, []string{"rebuild b"}},
		{"none, a person's flag", seen{flag: there}, []string{"note-hold"}},
		{"none, no flag", seen{flag: gone}, nil},
		{"two of ours for one incident", seen{flag: there, incidents: one(), state: isOpen, open: []tracker.Issue{theirs(idA, 9), theirs(idA, 1)}}, []string{"close-duplicate #9"}},
		{"two of ours for one ended incident", seen{flag: gone, incidents: over(), state: isOpen, open: []tracker.Issue{theirs(idA, 9), theirs(idA, 1)}}, []string{"close #1", "close-duplicate #9"}},
		{"two of ours and the state knows none: the oldest open one", seen{flag: there, incidents: one(noIssue), open: []tracker.Issue{theirs(idA, 9), theirs(idA, 7)}}, []string{"adopt #7"}},
		{"two of ours, the known one closed: never the last open one", seen{flag: there, incidents: one(), state: isClosed, open: []tracker.Issue{theirs(idA, 9)}}, []string{"reopen #1"}},
		{"two of ours, the known one not seen", seen{flag: there, incidents: one(), open: []tracker.Issue{theirs(idA, 9)}}, nil},
		{"two of ours, the known one deleted", seen{flag: there, incidents: one(), state: isLost, open: []tracker.Issue{theirs(idA, 9)}}, []string{"replace #1"}},
		{"a duplicate that was closed, and reopened by a person", seen{flag: there, incidents: one(func(i *incident.Incident) {
			i.Comments = map[string]incident.Comment{idA + "/duplicate/9/closed": {Done: true}}
		}), state: isOpen, open: []tracker.Issue{theirs(idA, 9), theirs(idA, 1)}}, nil},

		// A flag that cannot be read.
		{"flag unknown, no issue", seen{flag: unknown, incidents: one(noIssue)}, []string{"create"}},
		{"flag unknown, never written, no issue", seen{flag: unknown, incidents: one(noIssue, neverWritten)}, []string{"create"}},
		{"flag unknown, issue there and unknown to the state", seen{flag: unknown, incidents: one(noIssue), open: []tracker.Issue{theirs(idA, 7)}}, []string{"adopt #7"}},
		{"flag unknown, issue closed", seen{flag: unknown, incidents: one(), state: isClosed}, nil},
		{"flag unknown, issue deleted", seen{flag: unknown, incidents: one(), state: isLost}, nil},
		{"flag unknown, ended", seen{flag: unknown, incidents: over(), state: isOpen}, nil},
		{"flag unknown, ended and reopened", seen{flag: unknown, incidents: over(settled), state: isOpen}, nil},
		{"flag unknown, ended, its issue unknown to the state", seen{flag: unknown, incidents: over(noIssue), open: []tracker.Issue{theirs(idA, 7)}}, nil},
		{"flag unknown, an unknown incident's issue", seen{flag: unknown, open: []tracker.Issue{theirs(idB, 7)}}, nil},
		{"flag unknown, two of ours", seen{flag: unknown, incidents: one(), state: isOpen, open: []tracker.Issue{theirs(idA, 9), theirs(idA, 1)}}, nil},
		{"flag unknown, held", seen{flag: unknown, hold: aHold, holdWritten: true}, nil},

		// Notes of incidents, known to the state or not.
		{"the note is of a later incident", seen{flag: there, note: idB, incidents: one(), state: isOpen}, []string{"resume #1", "rebuild b"}},
		{"the note is of a later incident, whose issue is open", seen{flag: there, note: idB, incidents: one(), state: isOpen, open: []tracker.Issue{theirs(idB, 8), theirs(idA, 1)}}, []string{"resume #1", "rebuild #8 b"}},
		{"the note is of an incident that was lost, and another was opened that never had a flag", seen{flag: there, note: idB, incidents: one(neverWritten), state: isOpen}, []string{"supersede #1", "rebuild b"}},
		{"the same, and nothing has an issue", seen{flag: there, note: idB, incidents: one(noIssue, neverWritten)}, []string{"supersede", "rebuild b"}},
		{"the note is of an incident that has ended", seen{flag: there, note: idB, known: []string{idB}}, []string{"note-hold"}},
		{"the note is of an ended incident, and an unknown one's issue is open", seen{flag: there, note: idB, known: []string{idB}, open: []tracker.Issue{theirs(idA, 7)}}, []string{"note-hold", "rebuild-done #7"}},
		{"the note is of an ended incident, while another is open", seen{flag: there, note: idB, known: []string{idB}, incidents: one(), state: isOpen}, []string{"write-flag #1"}},
		{"a person's flag, and two unknown incidents: the newest goes on", seen{flag: there, open: []tracker.Issue{theirs(idB, 7), theirs(idA, 5)}}, []string{"rebuild #7 b", "rebuild-done #5"}},
		{"the note names the older of two unknown incidents", seen{flag: there, note: idA, open: []tracker.Issue{theirs(idB, 7), theirs(idA, 5)}}, []string{"rebuild #5", "rebuild-done #7 b"}},
		{"two unknown incidents and no flag", seen{flag: gone, open: []tracker.Issue{theirs(idB, 7), theirs(idA, 5)}}, []string{"rebuild-done #7 b", "rebuild-done #5"}},
		{"a person's flag, and an unknown incident with two issues", seen{flag: there, open: []tracker.Issue{theirs(idB, 9), theirs(idB, 7)}}, []string{"rebuild #7 b"}},
		{"no flag, and an unknown incident with two issues", seen{flag: gone, open: []tracker.Issue{theirs(idB, 9), theirs(idB, 7)}}, []string{"rebuild-done #7 b"}},
		{"an unknown incident with two issues is taken in once", seen{flag: there, note: idB, open: []tracker.Issue{theirs(idB, 9), theirs(idB, 7)}}, []string{"rebuild #7 b"}},
		{"an unknown incident beside the open one is over", seen{flag: there, incidents: one(), state: isOpen, open: []tracker.Issue{theirs(idB, 7)}}, []string{"rebuild-done #7 b"}},

		// Holds.
		{"a hold whose flag was never written", seen{flag: gone, hold: aHold}, []string{"write-flag"}},
		{"a hold whose flag is there and not noted", seen{flag: there, hold: aHold}, []string{"note-flag"}},
		{"a hold whose flag is there", seen{flag: there, hold: aHold, holdWritten: true}, nil},
		{"a hold whose flag is gone", seen{flag: gone, hold: aHold, holdWritten: true}, []string{"release-hold"}},
		{"a hold beside an incident whose flag is gone", seen{flag: gone, incidents: one(), state: isOpen, hold: aHold, holdWritten: true}, []string{"resume #1"}},

		// Waits.
		{"no issue, and it is too early", seen{flag: there, incidents: one(noIssue, wait(time.Minute))}, nil},
		{"no issue, too early, and a person asks", seen{flag: there, incidents: one(noIssue, wait(time.Minute)), force: true}, []string{"create"}},
		{"no issue, and the wait is over", seen{flag: there, incidents: one(noIssue, wait(0))}, []string{"create"}},
		{"no issue, the longest wait", seen{flag: there, incidents: one(noIssue, wait(75*time.Minute))}, nil},
		{"no issue, a wait that no failure gives", seen{flag: there, incidents: one(noIssue, wait(75*time.Minute+1))}, []string{"create"}},
		{"no issue, as long as was to be waited", seen{flag: there, incidents: one(noIssue, wait(2*time.Minute), waits(2*time.Minute))}, nil},
		{"no issue, the other host's clock differs", seen{flag: there, incidents: one(noIssue, wait(150*time.Second), waits(2*time.Minute))}, nil},
		{"no issue, a wait of a day", seen{flag: there, incidents: one(noIssue, wait(24*time.Hour), waits(24*time.Hour))}, nil},
		{"no issue, the clock was set back", seen{flag: there, incidents: one(noIssue, wait(151*time.Second), waits(2*time.Minute))}, []string{"create"}},
		{"closed, and it is too early", seen{flag: there, incidents: one(wait(time.Minute)), state: isClosed}, nil},
		{"deleted, and it is too early", seen{flag: there, incidents: one(wait(time.Minute)), state: isLost}, nil},
		{"ended, and it is too early", seen{flag: gone, incidents: over(wait(time.Minute)), state: isOpen}, nil},
		{"reopened after the end, and it is too early", seen{flag: gone, incidents: over(settled, wait(time.Minute)), state: isOpen}, nil},
		{"a resume does not wait", seen{flag: gone, incidents: one(wait(time.Minute)), state: isOpen}, []string{"resume #1"}},

		// What the issue says.
		{"the issue says NOT PAUSED, and the flag has come", seen{flag: there, incidents: one(notPaused), state: isOpen}, []string{"tell-paused #1"}},
		{"the issue lacks parts", seen{flag: there, incidents: one(incomplete), state: isOpen}, []string{"complete #1"}},
		{"the issue lacks parts, and was closed", seen{flag: there, incidents: one(incomplete), state: isClosed}, []string{"reopen #1"}},
		{"the issue lacks parts, and the incident ended", seen{flag: gone, incidents: over(incomplete), state: isOpen}, []string{"close #1"}},
		{"the issue says NOT PAUSED, rightly", seen{flag: gone, incidents: one(notPaused, neverWritten), state: isOpen}, []string{"write-flag #1"}},
		{"a reopening was begun and has happened", seen{flag: there, incidents: one(func(i *incident.Incident) { i.ReopenPending = true }), state: isOpen}, []string{"note-reopened #1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == nil {
				c.want = []string{}
			}
			require.Equal(t, c.want, steps(plan.Next(c.seen.observation())))
		})
	}
}

func wait(d time.Duration) func(*incident.Incident) {
	return func(i *incident.Incident) { i.NextTry = now.Add(d) }
}

func waits(d time.Duration) func(*incident.Incident) {
	return func(i *incident.Incident) { i.Wait = d }
}

func notPaused(i *incident.Incident)  { i.HeadedNotPaused = true }
func incomplete(i *incident.Incident) { i.Incomplete = true }

func TestNextLimitsReopening(t *testing.T) {
	at := func(minutes ...int) func(*incident.Incident) {
		return func(i *incident.Incident) {
			for _, m := range minutes {
				i.Reopens = append(i.Reopens, ago(time.Duration(m)*time.Minute))
			}
		}
	}
	was := func(i *incident.Incident) { i.ReopenQuiet = true }
	pending := func(i *incident.Incident) { i.ReopenPending = true }
	const loud, silent, not = "reopen #1", "reopen #1 quietly", ""
	for _, c := range []struct {
		name   string
		change []func(*incident.Incident)
		want   string
	}{
		{"never before", nil, loud},
		{"twice in the last minutes", []func(*incident.Incident){at(2, 1)}, loud},
		{"three times in the last hour", []func(*incident.Incident){at(59, 30, 1)}, not},
		{"three times in an hour, the last one 59 minutes ago", []func(*incident.Incident){at(110, 80, 59)}, not},
		{"three times in an hour, the last one an hour ago", []func(*incident.Incident){at(110, 80, 60)}, silent},
		{"three times, but not in one hour", []func(*incident.Incident){at(61, 30, 1)}, loud},
		{"quietly an hour ago", []func(*incident.Incident){at(180, 160, 140, 60), was}, silent},
		{"quietly half an hour ago", []func(*incident.Incident){at(180, 160, 140, 30), was}, not},
		{"two hours of rest", []func(*incident.Incident){at(180, 160, 140, 120), was}, loud},
		{"three times in an hour, yesterday", []func(*incident.Incident){at(1500, 1499, 1498)}, loud},
		{"a clock that was ahead", []func(*incident.Incident){at(-600, -601, -602)}, loud},
		{"begun and not done", []func(*incident.Incident){at(3, 2, 1), pending}, loud},
		{"begun quietly and not done", []func(*incident.Incident){at(3, 2, 1), was, pending}, silent},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := []string{c.want}
			if c.want == "" {
				want = []string{}
			}
			s := seen{flag: incident.FlagThere, incidents: []incident.Incident{openIncident(c.change...)}, state: plan.IssueClosed}
			require.Equal(t, want, steps(plan.Next(s.observation())))
		})
	}
}

func TestNextOrder(t *testing.T) {
	ended := endedIncident(func(i *incident.Incident) { i.ID, i.Issue = idB, ref(2) })
	s := seen{flag: incident.FlagThere, incidents: []incident.Incident{ended, openIncident(noIssue)}, state: plan.IssueOpen}
	require.Equal(t, []string{"create", "close #2 b"}, steps(plan.Next(s.observation())))
}

// A result of a project without flag, incident or hold is recorded without a plan, see internal/bot.
func TestNextWithNothingToResume(t *testing.T) {
	require.Empty(t, plan.Next(plan.Observation{Now: time.Now(), Project: "odilo", Flag: incident.FlagView{State: incident.FlagGone},
		Known: func(string) bool { return false }}))
}
