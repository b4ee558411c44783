package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

var (
	idLead = fmt.Sprintf("%032x", 0x1ead)
	idNew  = fmt.Sprintf("%032x", 0xe1)
	quota  = func(i *incident.Incident) { i.Class = "quota" }
)

// leads makes an incident that of a shared issue.
func leads(others ...string) func(*incident.Incident) {
	return func(i *incident.Incident) {
		for _, id := range others {
			i.AddMember(id, i.Opened)
		}
	}
}

func TestChoose(t *testing.T) {
	const window = 15 * time.Minute
	named := func(project, id string, opened time.Duration, change ...func(*incident.Incident)) incident.Incident {
		i := incident.Incident{ID: id, Project: project, Seq: 1, Opened: ago(opened), FlagWritten: ago(opened), Class: "quota"}
		for _, f := range change {
			f(&i)
		}
		return i
	}
	class := func(c string) func(*incident.Incident) { return func(i *incident.Incident) { i.Class = c } }
	prints := func(c, f string) func(*incident.Incident) {
		return func(i *incident.Incident) { i.Class, i.Fingerprint = c, f }
	}
	ended := func(i *incident.Incident) { i.Ended = now }
	by := func(id string) func(*incident.Incident) { return func(i *incident.Incident) { i.Lead = id } }
	joined := func(d time.Duration) func(*incident.Incident) {
		return func(i *incident.Incident) { i.AddMember(idB, ago(d)) }
	}
	full := func(i *incident.Incident) {
		for n := range plan.MaxMembers {
			i.AddMember(fmt.Sprintf("%032x", 1000+n), i.Opened)
		}
	}
	me := named("zeta", idNew, 0)
	for name, c := range map[string]struct {
		me     incident.Incident
		others []incident.Incident
		want   incident.Joining
	}{
		"nobody else":                         {me, nil, incident.Joining{}},
		"the same class":                      {me, []incident.Incident{named("atlas", idA, time.Minute)}, incident.Joining{Lead: idA}},
		"another class":                       {me, []incident.Incident{named("atlas", idA, time.Minute, class("network"))}, incident.Joining{}},
		"no class":                            {named("zeta", idNew, 0, class("")), []incident.Incident{named("atlas", idA, 0, class(""))}, incident.Joining{}},
		"class unknown":                       {named("zeta", idNew, 0, class("unknown")), []incident.Incident{named("atlas", idA, 0, class("unknown"))}, incident.Joining{}},
		"no fingerprint":                      {named("zeta", idNew, 0, prints("", "")), []incident.Incident{named("atlas", idA, 0, prints("", ""))}, incident.Joining{}},
		"the same fingerprint":                {named("zeta", idNew, 0, prints("unknown", "x")), []incident.Incident{named("atlas", idA, 0, prints("unknown", "x"))}, incident.Joining{Lead: idA}},
		"another fingerprint, the same class": {named("zeta", idNew, 0, prints("quota", "x")), []incident.Incident{named("atlas", idA, 0, prints("quota", "y"))}, incident.Joining{Lead: idA}},
		"another repository":                  {me, []incident.Incident{named("elsewhere", idA, time.Minute)}, incident.Joining{}},
		"at the end of the window":            {me, []incident.Incident{named("atlas", idA, window)}, incident.Joining{Lead: idA}},
		"after the window":                    {me, []incident.Incident{named("atlas", idA, window+1)}, incident.Joining{}},
		"joined within the window":            {me, []incident.Incident{named("atlas", idA, time.Hour, joined(window))}, incident.Joining{Lead: idA}},
		"joined before the window":            {me, []incident.Incident{named("atlas", idA, time.Hour, joined(window+1))}, incident.Joining{}},
		"opened before all of them":           {named("zeta", idNew, 2*time.Hour), []incident.Incident{named("atlas", idA, time.Hour)}, incident.Joining{}},
		"opened before, by another clock":     {named("zeta", idNew, time.Hour), []incident.Incident{named("atlas", idA, time.Hour-time.Second)}, incident.Joining{Lead: idA}},
		"the oldest of two":                   {me, []incident.Incident{named("atlas", idA, time.Minute), named("bravo", idB, 2*time.Minute)}, incident.Joining{Lead: idB}},
		"one that has an issue, before an older one": {me, []incident.Incident{named("atlas", idA, time.Minute, func(i *incident.Incident) { i.OwnIssue = true }),
			named("bravo", idB, 2*time.Minute)}, incident.Joining{Lead: idA}},
		"it has ended": {me, []incident.Incident{named("atlas", idA, time.Minute, ended)}, incident.Joining{}},
		"it has ended, one that it leads has not": {me, []incident.Incident{named("atlas", idA, time.Minute, ended, leads(idB)), named("bravo", idB, time.Minute, by(idA))},
			incident.Joining{Lead: idA}},
		"it and all that it leads have ended": {me, []incident.Incident{named("atlas", idA, time.Minute, ended, leads(idB)), named("bravo", idB, time.Minute, by(idA), ended)},
			incident.Joining{}},
		"a member matches": {me, []incident.Incident{named("atlas", idA, time.Minute, class("network"), leads(idB)), named("bravo", idB, time.Minute, by(idA))},
			incident.Joining{Lead: idA}},
		"no room":                   {me, []incident.Incident{named("atlas", idA, time.Minute, full)}, incident.Joining{Continues: idA}},
		"no room, and the next one": {me, []incident.Incident{named("atlas", idA, 2*time.Minute, full), named("bravo", idB, time.Minute, leads(idNew))}, incident.Joining{Lead: idB}},
		"no room, and the next one has not looked yet": {me, []incident.Incident{named("atlas", idA, 2*time.Minute, full), named("bravo", idB, time.Minute)},
			incident.Joining{Lead: idB, Continues: idA}},
	} {
		s := plan.Storm{Window: window, Repo: func(i incident.Incident) tracker.Repo {
			return tracker.Repo{Owner: "terraphim", Name: map[bool]string{true: "other", false: "fleet"}[i.Project == "elsewhere"]}
		}}
		require.Equal(t, c.want, s.Choose(c.me, append(c.others, c.me)), name)
	}
}

// The plans of an incident that leads others, and of one whose issue is another's.
func TestNextOfStorm(t *testing.T) {
	const there, gone = incident.FlagThere, incident.FlagGone
	lead := func(change ...func(*incident.Incident)) incident.Incident {
		i := openIncident(func(i *incident.Incident) { i.ID = idLead }, leads(idA, idB))
		for n := range i.Members {
			i.Members[n].Shown, i.Members[n].Told = incident.ShownPaused, ago(time.Hour)
		}
		for _, f := range change {
			f(&i)
		}
		return i
	}
	other := func(project, id string, change ...func(*incident.Incident)) incident.Incident {
		i := incident.Incident{ID: id, Project: project, Seq: 1, Opened: ago(time.Hour), FlagWritten: ago(time.Hour), Lead: idLead}
		for _, f := range change {
			f(&i)
		}
		return i
	}
	ended := func(i *incident.Incident) { i.Ended = ago(time.Minute) }
	atlas, bravo := other("atlas", idA), other("bravo", idB)
	shown := func(n int, s incident.Shown) func(*incident.Incident) {
		return func(i *incident.Incident) { i.Members[n].Shown = s }
	}
	told := func(n int, at time.Time) func(*incident.Incident) {
		return func(i *incident.Incident) { i.Members[n].Told = at }
	}
	edited := func(d time.Duration) func(*incident.Incident) {
		return func(i *incident.Incident) { i.Edited = ago(d) }
	}
	closedBy := func(d time.Duration) incident.Closing {
		return incident.Closing{At: ago(d), Operator: true, By: tracker.Account{ID: 1, Login: "alex"}}
	}
	for name, c := range map[string]struct {
		lead   incident.Incident
		others []incident.Incident
		flag   incident.FlagState
		state  plan.IssueState
		close  *incident.Closing
		force  bool
		want   []string
	}{
		"all is said":                      {lead: lead(), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen},
		"one has joined":                   {lead: lead(shown(2, ""), told(2, time.Time{})), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen, want: []string{"show-members odilo"}},
		"one has joined, and is listed":    {lead: lead(told(2, time.Time{})), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen, want: []string{"tell-joined odilo"}},
		"in a visit that listed nothing":   {lead: lead(shown(2, "")), others: []incident.Incident{atlas, bravo}, flag: there, want: []string{"show-members odilo"}},
		"written a moment ago":             {lead: lead(shown(2, ""), edited(29*time.Second)), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen},
		"written a moment ago, by force":   {lead: lead(shown(2, ""), edited(29*time.Second)), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen, force: true, want: []string{"show-members odilo"}},
		"written some time ago":            {lead: lead(shown(2, ""), edited(30*time.Second)), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen, want: []string{"show-members odilo"}},
		"told a moment ago":                {lead: lead(told(2, time.Time{}), told(1, ago(10*time.Minute-1))), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen},
		"told ten minutes ago":             {lead: lead(told(2, time.Time{}), told(1, ago(10*time.Minute))), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueOpen, want: []string{"tell-joined odilo"}},
		"who has joined has resumed since": {lead: lead(told(2, time.Time{}), shown(2, incident.ShownEnded)), others: []incident.Incident{atlas, other("bravo", idB, ended, settled)}, flag: there, state: plan.IssueOpen},
		"one has resumed":                  {lead: lead(), others: []incident.Incident{atlas, other("bravo", idB, ended)}, flag: there, state: plan.IssueOpen, want: []string{"show-members odilo"}},
		"shown, and not settled":           {lead: lead(shown(2, incident.ShownEnded)), others: []incident.Incident{atlas, other("bravo", idB, ended)}, flag: there, state: plan.IssueOpen, want: []string{"show-members odilo"}},
		"one is not paused":                {lead: lead(), others: []incident.Incident{atlas, other("bravo", idB, neverWritten)}, flag: there, state: plan.IssueOpen, want: []string{"show-members odilo"}},
		"one asks for more labels":         {lead: lead(), others: []incident.Incident{atlas, other("bravo", idB, incomplete)}, flag: there, state: plan.IssueOpen, want: []string{"complete bravo"}},
		"the lead has resumed":             {lead: lead(ended), others: []incident.Incident{atlas, bravo}, flag: gone, state: plan.IssueOpen, want: []string{"show-members odilo"}},
		"the lead has resumed, shown":      {lead: lead(ended, shown(0, incident.ShownEnded)), others: []incident.Incident{atlas, bravo}, flag: gone, state: plan.IssueOpen},
		"the lead has resumed, closed":     {lead: lead(ended, shown(0, incident.ShownEnded)), others: []incident.Incident{atlas, bravo}, flag: gone, state: plan.IssueClosed, want: []string{"reopen odilo"}},
		"the lead has resumed, deleted":    {lead: lead(ended, shown(0, incident.ShownEnded)), others: []incident.Incident{atlas, bravo}, flag: gone, state: plan.IssueLost, want: []string{"replace odilo"}},
		"the lead has resumed, no issue":   {lead: lead(ended, noIssue), others: []incident.Incident{atlas, bravo}, flag: gone, want: []string{"create odilo"}},
		"all have resumed":                 {lead: lead(ended, shown(0, incident.ShownEnded)), others: []incident.Incident{other("atlas", idA, ended, settled), other("bravo", idB, ended)}, flag: gone, state: plan.IssueOpen, want: []string{"close odilo"}},
		"all have resumed, no issue":       {lead: lead(ended, noIssue), others: []incident.Incident{other("atlas", idA, ended), other("bravo", idB, ended)}, flag: gone, want: []string{"settle odilo"}},
		"an operator closed it":            {lead: lead(), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueClosed, close: new(closedBy(0)), want: []string{"resume-closed odilo"}},
		"an operator closed it after the lead's end": {lead: lead(ended, shown(0, incident.ShownEnded)), others: []incident.Incident{atlas, bravo}, flag: gone, state: plan.IssueClosed, close: new(closedBy(0)),
			want: []string{"resume-closed odilo"}},
		"an operator closed it before any was there": {lead: lead(), others: []incident.Incident{atlas, bravo}, flag: there, state: plan.IssueClosed, close: new(closedBy(2 * time.Hour)),
			want: []string{"reopen odilo"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := seen{flag: c.flag, incidents: []incident.Incident{c.lead}, state: c.state, force: c.force}.observation()
			o.Confirmed = incident.Confirmation{}
			if c.flag == there {
				o.Confirmed = incident.Confirmation{Pause: idLead, Identity: o.Flag.Identity}
			}
			o.Others = map[string]incident.Incident{}
			for _, i := range c.others {
				o.Others[i.ID] = i
			}
			if c.close != nil {
				o.Closings = map[string]incident.Closing{idLead: *c.close}
			}
			var got []string
			for _, a := range plan.Next(o) {
				got = append(got, fmt.Sprint(a.Kind, " ", a.Project))
			}
			require.Equal(t, c.want, got)
		})
	}
	for name, c := range map[string]struct {
		i    incident.Incident
		lead *incident.Incident
		want []string
	}{
		"its lead does all":           {other(project, idA), new(lead()), nil},
		"it has ended":                {other(project, idA, ended), new(lead()), nil},
		"its lead is over":            {other(project, idA), new(lead(ended, settled)), []string{"leave-lead odilo"}},
		"its lead is unknown":         {other(project, idA), nil, []string{"join odilo"}},
		"it has ended, its lead, too": {other(project, idA, ended), new(lead(ended, settled)), []string{"settle odilo"}},
		"it has none and may join":    {other(project, idA, func(i *incident.Incident) { i.Lead = "" }), nil, []string{"join odilo", "create odilo"}},
		"it has none, and it was begun": {other(project, idA, func(i *incident.Incident) {
			i.Lead, i.Create = "", incident.Attempt{At: ago(time.Hour), Lost: 1}
		}), nil, []string{"create odilo"}},
		"it has none, and it was refused on the way": {other(project, idA, func(i *incident.Incident) {
			i.Lead, i.Create = "", incident.Attempt{At: ago(time.Hour)}
		}), nil, []string{"join odilo", "create odilo"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := seen{flag: there, incidents: []incident.Incident{c.i}}
			if !c.i.IsOpen() {
				s.flag = gone
			}
			o := s.observation()
			o.Joins, o.Confirmed, o.Others = true, incident.Confirmation{}, map[string]incident.Incident{}
			if s.flag == there {
				o.Confirmed = incident.Confirmation{Pause: idA, Identity: o.Flag.Identity}
			}
			if c.lead != nil {
				o.Others[idLead] = *c.lead
			}
			var got []string
			for _, a := range plan.Next(o) {
				got = append(got, fmt.Sprint(a.Kind, " ", a.Project))
			}
			require.Equal(t, c.want, got)
		})
	}
}

// A lost state gets all incidents back that an issue carries.
func TestRebuiltFromSharedIssue(t *testing.T) {
	shared := tracker.Issue{IssueRef: ref(1), Open: true, Marker: tracker.Marker{Project: "atlas", Incident: idLead, Seq: 4},
		Members: []tracker.Marker{{Project: project, Incident: idA, Seq: 2}, {Project: "bravo", Incident: idB, Seq: 3}}}
	o := seen{flag: incident.FlagThere, note: idA, open: []tracker.Issue{shared}}.observation()
	got := plan.Next(o)
	require.Len(t, got, 1)
	require.Equal(t, plan.Rebuild, got[0].Kind)
	i := plan.Rebuilt(got[0], now)
	require.Equal(t, []any{idA, 2, idLead, tracker.IssueRef{}}, []any{i.ID, i.Seq, i.Lead, i.Issue})
	require.Empty(t, i.Members)

	o = seen{flag: incident.FlagGone, open: []tracker.Issue{shared}}.observation()
	o.Project = "atlas"
	got = plan.Next(o)
	require.Len(t, got, 1)
	require.Equal(t, plan.RebuildDone, got[0].Kind)
	i = plan.Rebuilt(got[0], now)
	require.Equal(t, []any{idLead, 4, "", ref(1)}, []any{i.ID, i.Seq, i.Lead, i.Issue})
	require.Equal(t, []string{idLead, idA, idB}, i.MemberIDs())
	require.False(t, i.IsOpen())
}

// A dry run tells who would join.
func TestDryRunOfStorm(t *testing.T) {
	i := openIncident(noIssue, quota)
	lead := openIncident(func(i *incident.Incident) { i.ID, i.Project = idLead, "atlas" }, quota)
	for want, unsettled := range map[string][]incident.Incident{"join": {lead, i}, "create": {i}} {
		o := seen{flag: incident.FlagThere, incidents: []incident.Incident{i}}.observation()
		o.Confirmed = incident.Confirmation{Pause: i.ID, Identity: o.Flag.Identity}
		o.Joins, o.Unsettled = true, unsettled
		o.Storm = plan.Storm{Window: time.Hour, Repo: func(incident.Incident) tracker.Repo { return repo }}
		var got []string
		for _, a := range plan.DryRun(o) {
			got = append(got, string(a.Kind))
		}
		require.Equal(t, []string{want}, got)
	}
	i.Lead = idLead // which the state has lost
	o := seen{flag: incident.FlagThere, incidents: []incident.Incident{i}}.observation()
	o.Confirmed = incident.Confirmation{Pause: i.ID, Identity: o.Flag.Identity}
	got := plan.DryRun(o)
	require.Len(t, got, 1)
	require.Equal(t, plan.Join, got[0].Kind)
}
