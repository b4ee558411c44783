package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

var (
	kim       = tracker.Account{ID: 7, Login: "kim"}
	threeTold = plan.Escalation{Remind: 48 * time.Hour, Steps: []plan.Step{
		{After: time.Hour, Mention: []string{"ops/on-call"}}, {After: 4 * time.Hour, Assign: []string{"lead"}}, {After: 24 * time.Hour, Webhook: "/pager"},
	}}
)

func openedAgo(d time.Duration) func(*incident.Incident) {
	return func(i *incident.Incident) { i.Opened, i.FlagWritten = ago(d), ago(d) }
}

func acked(i *incident.Incident) { i.Ack = &incident.Ack{By: kim} }

func assignedTo(a tracker.Account) func(*incident.Incident) {
	return func(i *incident.Incident) { i.Escalation.Assignee = &incident.Ack{By: a} }
}

// stepped has had a step for an incident.
func stepped(of string, after, begun time.Duration) func(*incident.Incident) {
	return func(i *incident.Incident) {
		i.Escalation.Step = &incident.StepBegun{Of: of, After: after, Begun: ago(begun)}
	}
}

func snoozed(from, until time.Duration) func(*incident.Incident) {
	return func(i *incident.Incident) { i.Escalation.Snooze(ago(from), ago(until)) }
}

func TestDueStep(t *testing.T) {
	const minute, day = time.Minute, 24 * time.Hour
	member := func(change ...func(*incident.Incident)) incident.Incident {
		m := incident.Incident{ID: idB, Project: "atlas", Seq: 1, Lead: idA}
		for _, f := range change {
			f(&m)
		}
		return m
	}
	over := func(i *incident.Incident) { i.Ended = ago(minute) }
	for name, c := range map[string]struct {
		carried []incident.Incident
		want    int // number of the step; 0: none
		of      string
		next    time.Duration // until the next one; 0: none comes, or it is due
	}{
		"too early":                             {[]incident.Incident{openIncident(openedAgo(59 * minute))}, 0, idA, minute},
		"the first one":                         {[]incident.Incident{openIncident(openedAgo(time.Hour))}, 1, idA, 0},
		"it has begun":                          {[]incident.Incident{openIncident(openedAgo(2*time.Hour), stepped(idA, time.Hour, time.Hour))}, 0, idA, 2 * time.Hour},
		"the next one":                          {[]incident.Incident{openIncident(openedAgo(4*time.Hour), stepped(idA, time.Hour, 3*time.Hour))}, 2, idA, 0},
		"several at once: the latest only":      {[]incident.Incident{openIncident(openedAgo(9 * day))}, 3, idA, 0},
		"the last one has begun":                {[]incident.Incident{openIncident(openedAgo(9*day), stepped(idA, day, 8*day))}, 0, "", 0},
		"a step that is not configured now":     {[]incident.Incident{openIncident(openedAgo(5*time.Hour), stepped(idA, 2*time.Hour, 3*time.Hour))}, 2, idA, 0},
		"acknowledged":                          {[]incident.Incident{openIncident(openedAgo(9*day), acked)}, 0, "", 0},
		"somebody is assigned":                  {[]incident.Incident{openIncident(openedAgo(9*day), assignedTo(kim))}, 0, "", 0},
		"ended":                                 {[]incident.Incident{openIncident(openedAgo(9*day), over)}, 0, "", 0},
		"opened in the future":                  {[]incident.Incident{openIncident(openedAgo(-time.Hour))}, 0, idA, 2 * time.Hour},
		"begun before it was opened, as it was": {[]incident.Incident{openIncident(openedAgo(2*time.Hour), stepped(idA, time.Hour, 3*time.Hour))}, 0, idA, 2 * time.Hour},

		"snoozed":                       {[]incident.Incident{openIncident(openedAgo(9*day), snoozed(time.Hour, -time.Hour))}, 0, idA, 0},
		"shifted by a snooze":           {[]incident.Incident{openIncident(openedAgo(4*time.Hour), snoozed(4*time.Hour, time.Hour-minute))}, 0, idA, minute},
		"due after a snooze":            {[]incident.Incident{openIncident(openedAgo(5*time.Hour), snoozed(5*time.Hour, time.Hour))}, 1, idA, 0},
		"two snoozes that overlap":      {[]incident.Incident{openIncident(openedAgo(4*time.Hour), snoozed(4*time.Hour, 2*time.Hour), snoozed(3*time.Hour, time.Hour))}, 1, idA, 0},
		"a snooze from before its time": {[]incident.Incident{openIncident(openedAgo(time.Hour), snoozed(9*time.Hour, 2*time.Hour))}, 1, idA, 0},

		"the oldest of two":                        {[]incident.Incident{openIncident(openedAgo(2 * time.Hour)), member(openedAgo(4 * time.Hour))}, 2, idB, 0},
		"one of two is acknowledged":               {[]incident.Incident{openIncident(openedAgo(5*time.Hour), acked), member(openedAgo(time.Hour))}, 1, idB, 0},
		"both are":                                 {[]incident.Incident{openIncident(openedAgo(5*time.Hour), acked), member(openedAgo(time.Hour), acked)}, 0, "", 0},
		"the lead has ended":                       {[]incident.Incident{openIncident(openedAgo(5*time.Hour), over), member(openedAgo(time.Hour))}, 1, idB, 0},
		"the issue has had the step since":         {[]incident.Incident{openIncident(openedAgo(3*time.Hour), over, stepped(idA, time.Hour, 2*time.Hour)), member(openedAgo(150 * minute))}, 0, idB, 90 * minute},
		"the issue had it before this one":         {[]incident.Incident{openIncident(openedAgo(9*time.Hour), acked, stepped(idA, 4*time.Hour, 5*time.Hour)), member(openedAgo(time.Hour))}, 1, idB, 0},
		"somebody is assigned to the shared issue": {[]incident.Incident{openIncident(openedAgo(5*time.Hour), assignedTo(kim)), member(openedAgo(time.Hour))}, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			due, ok := threeTold.Due(c.carried, now)
			require.Equal(t, c.want > 0, ok)
			require.Equal(t, c.want, due.Number)
			if ok {
				require.Equal(t, c.of, due.Of.ID)
			}
			next, at, ok := threeTold.Next(c.carried)
			require.Equal(t, c.of != "", ok)
			require.Equal(t, c.of, next.Of.ID)
			if c.next != 0 {
				require.Equal(t, now.Add(c.next), at)
			}
			none, ok := plan.Escalation{}.Due(c.carried, now)
			require.False(t, ok)
			require.Zero(t, none)
		})
	}
}

func TestDueReminder(t *testing.T) {
	const day = 24 * time.Hour
	reminded := func(after, begun time.Duration) func(*incident.Incident) {
		return func(i *incident.Incident) {
			i.Escalation.Reminder = &incident.Reminder{Of: idA, After: after, Begun: ago(begun)}
		}
	}
	for name, c := range map[string]struct {
		i    incident.Incident
		want time.Duration // the multiple of the interval; 0: none is due
	}{
		"too early":                   {openIncident(openedAgo(2*day - 1)), 0},
		"the first one":               {openIncident(openedAgo(2 * day)), 2 * day},
		"after an outage, one":        {openIncident(openedAgo(9 * day)), 8 * day},
		"not again at once":           {openIncident(openedAgo(3*day), reminded(2*day, day)), 0},
		"the second one":              {openIncident(openedAgo(4*day), reminded(2*day, 2*day)), 4 * day},
		"the interval was longer":     {openIncident(openedAgo(9*day), reminded(7*day, 2*day)), 8 * day},
		"acknowledged all the same":   {openIncident(openedAgo(2*day), acked), 2 * day},
		"with an assignee, too":       {openIncident(openedAgo(2*day), assignedTo(kim)), 2 * day},
		"ended":                       {openIncident(openedAgo(9*day), func(i *incident.Incident) { i.Ended = now }), 0},
		"snoozed":                     {openIncident(openedAgo(9*day), snoozed(day, -1)), 0},
		"shifted by a snooze":         {openIncident(openedAgo(3*day), snoozed(3*day, day)), 0},
		"due after it":                {openIncident(openedAgo(3*day), snoozed(2*day, day)), 2 * day},
		"the last one was in a dream": {openIncident(openedAgo(2*day), reminded(2*day, -300*day)), 2 * day},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := threeTold.DueReminder([]incident.Incident{c.i}, now)
			require.Equal(t, c.want != 0, ok)
			require.Equal(t, c.want, m.After)
			_, ok = plan.Escalation{}.DueReminder([]incident.Incident{c.i}, now)
			require.False(t, ok, "0 is never")
		})
	}
}

func TestPlanOfSteps(t *testing.T) {
	left := func(i *incident.Incident) { i.Escalation.Step.Left = []incident.StepPart{incident.AssignPart} }
	told := stepped(idA, time.Hour, time.Hour)
	for name, c := range map[string]struct {
		i         incident.Incident
		assignees map[string]tracker.Account // nil: not listed
		state     plan.IssueState
		want      []string
	}{
		"a step is due":                         {openIncident(), nil, plan.IssueOpen, []string{"escalate #1"}},
		"the issue is not known to be open":     {openIncident(), nil, plan.IssueUnknown, []string{}},
		"the issue is closed":                   {openIncident(), nil, plan.IssueClosed, []string{"reopen #1"}},
		"there is no issue":                     {openIncident(noIssue), nil, plan.IssueUnknown, []string{"create"}},
		"the next try is later":                 {openIncident(func(i *incident.Incident) { i.NextTry = now.Add(time.Minute) }), nil, plan.IssueOpen, []string{}},
		"a part is left":                        {openIncident(told, left), nil, plan.IssueOpen, []string{"escalate #1"}},
		"a part is left, and somebody answered": {openIncident(told, left, acked), nil, plan.IssueOpen, []string{}},
		"nothing is left":                       {openIncident(told), nil, plan.IssueOpen, []string{}},
		"somebody is assigned":                  {openIncident(), map[string]tracker.Account{idA: kim}, plan.IssueOpen, []string{"note-assignee #1"}},
		"that is known":                         {openIncident(assignedTo(kim)), map[string]tracker.Account{idA: kim}, plan.IssueOpen, []string{}},
		"nobody is":                             {openIncident(told), map[string]tracker.Account{idA: {}}, plan.IssueOpen, []string{}},
		"nobody is any more":                    {openIncident(assignedTo(kim)), map[string]tracker.Account{idA: {}}, plan.IssueOpen, []string{"note-assignee #1"}},
		"an account is not noted":               {openIncident(told), map[string]tracker.Account{idA: {}}, plan.IssueOpen, []string{"note-assignee #1"}},
		"a reminder is due, too":                {openIncident(openedAgo(48 * time.Hour)), nil, plan.IssueOpen, []string{"escalate #1", "remind #1"}},
		"a reminder was begun": {openIncident(acked, func(i *incident.Incident) {
			i.Escalation.Reminder = &incident.Reminder{Of: idA, After: time.Hour, Begun: ago(time.Minute)}
			i.Comments = map[string]incident.Comment{incident.ReminderKey(idA, time.Hour): {}}
		}), nil, plan.IssueOpen, []string{"remind #1"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := seen{flag: incident.FlagThere, note: idA, incidents: []incident.Incident{c.i}, state: c.state}.observation()
			o.Escalation, o.Assignees = threeTold, c.assignees
			o.Unnoted = map[string]bool{idA: name == "an account is not noted"}
			require.Equal(t, c.want, steps(plan.Next(o)))
		})
	}
}
