package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

func TestLastClosing(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	alex, kim := tracker.Account{ID: 5, Login: "alex"}, tracker.Account{ID: 6, Login: "kim"}
	e := func(kind string, by tracker.Account, after time.Duration, text string) tracker.TimelineEntry {
		return tracker.TimelineEntry{Type: kind, By: by, At: at.Add(after), Text: text}
	}
	pull := func(after time.Duration, merged ...time.Duration) tracker.TimelineEntry {
		p := tracker.TimelineEntry{Type: "pull_ref", By: kim, At: at.Add(after), Closes: true}
		for _, m := range merged {
			when := at.Add(m)
			p.Merged = &when
		}
		return p
	}
	const h = time.Hour
	for name, tt := range map[string]struct {
		entries []tracker.TimelineEntry
		want    string // login, with a * if a machine closed it or may have; "" for none
	}{
		"nothing":                             {nil, ""},
		"never closed":                        {[]tracker.TimelineEntry{e("comment", alex, 0, "")}, ""},
		"closed":                              {[]tracker.TimelineEntry{e("close", alex, 0, "")}, "alex"},
		"the last one counts":                 {[]tracker.TimelineEntry{e("close", alex, 0, ""), e("reopen", kim, h, ""), e("close", kim, 2*h, "")}, "kim"},
		"open again":                          {[]tracker.TimelineEntry{e("close", alex, 0, ""), e("reopen", kim, h, "")}, ""},
		"later comments and commits":          {[]tracker.TimelineEntry{e("close", alex, 0, ""), e("comment", kim, h, ""), e("commit_ref", alex, h, "closes #1")}, "alex"},
		"by a commit":                         {[]tracker.TimelineEntry{e("commit_ref", alex, 0, "x"), e("close", alex, time.Second, "")}, "alex*"},
		"another person's commit just before": {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "see #1"), e("close", alex, time.Second, "")}, "alex"},
		"a mention long ago":                  {[]tracker.TimelineEntry{e("commit_ref", alex, 0, "see #1"), e("close", alex, h, "")}, "alex"},
		"a closing word on a branch long ago": {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "Resolves #1"), e("close", alex, h, "")}, "alex*"},
		"parts of other words":                {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "enclosed, prefix, unresolved #1"), e("close", alex, h, "")}, "alex"},
		"a commit closed it earlier":          {[]tracker.TimelineEntry{e("commit_ref", kim, 0, "fixes #1"), e("close", kim, 0, ""), e("reopen", alex, h, ""), e("close", alex, 2*h, "")}, "alex"},
		"by a merge":                          {[]tracker.TimelineEntry{pull(0, h), e("close", alex, h, "")}, "alex*"},
		"merged long before":                  {[]tracker.TimelineEntry{pull(0, h), e("close", kim, h, ""), e("reopen", alex, 2*h, ""), e("close", alex, 3*h, "")}, "alex"},
		"not merged":                          {[]tracker.TimelineEntry{pull(0), e("close", alex, h, "")}, "alex"},
		"merged at once, time unknown":        {[]tracker.TimelineEntry{pull(0), e("close", alex, time.Second, "")}, "alex*"},
	} {
		t.Run(name, func(t *testing.T) {
			c, ok := plan.LastClosing(tt.entries)
			got := c.By.Login
			if c.Machine {
				got += "*"
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.want != "", ok)
		})
	}
}

// An operator's closing from before somebody paused the project by hand cannot mean that pause: the issue is reopened.
func TestClosingBeforeHold(t *testing.T) {
	for since, want := range map[time.Duration][]string{-time.Minute: {"resume-closed #1"}, 500 * time.Millisecond: {"resume-closed #1"}, time.Minute: {"reopen #1"}} {
		s := seen{flag: incident.FlagThere, incidents: []incident.Incident{openIncident()}, state: plan.IssueClosed}
		o := s.observation()
		closed := ago(10 * time.Minute)
		o.Closings = map[string]incident.Closing{idA: {By: tracker.Account{ID: 2, Login: "kim"}, At: closed, Operator: true}}
		hold := *aHold
		hold.Since = closed.Add(since)
		o.Hold = &hold
		require.Equal(t, want, steps(plan.Next(o)))
		o.Incidents[0].Reopens = []time.Time{hold.Since.Add(time.Second)}
		require.Equal(t, []string{"resume-closed #1"}, steps(plan.Next(o)), "it was reopened since, so it was closed after that, whatever the clocks say")
	}
}
