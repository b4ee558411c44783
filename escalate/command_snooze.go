package escalate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/text"
)

// maxSnooze is the longest snooze: a pause must not be forgotten.
const maxSnooze = 30 * 24 * time.Hour

// snoozeStep puts off the steps and reminders of the issue, from when the command was written. Doing it twice does no harm.
func (run *commandRun) snoozeStep(ctx context.Context, n int) (result, error) {
	members, err := run.carriedBy(ctx, run.cmd.Incident)
	if err != nil {
		return result{}, err
	}
	if !run.incident.IsOpen() && !slices.ContainsFunc(members, incident.Incident.IsOpen) {
		return result{answer: issuetext.NothingToSnooze(run.incident)}, nil
	}
	written, _, _ := strings.Cut(run.cmd.Steps[n].Line.Reason, " ")
	d, ok := text.ParseDuration(written)
	if !ok || d > maxSnooze {
		return result{answer: issuetext.SnoozeUsage(written, d, "30d")}, nil
	}
	if !run.cmd.Steps[n].Begun {
		if err := run.begin(ctx, n, run.incident.ID, nil); err != nil {
			return result{}, err
		}
	}
	i, err := run.opt.State.Change(ctx, run.incident.ID, func(i *incident.Incident) {
		i.Escalation.Snooze(run.cmd.At.UTC(), run.cmd.At.Add(d).UTC())
	})
	if err != nil {
		return result{}, err
	}
	run.opt.Log.Info("escalation snoozed", "project", i.Project, "incident", i.Name(), "by", run.cmd.By.Login, "until", run.cmd.At.Add(d).UTC())
	if until := i.Escalation.SnoozedUntil(run.opt.Now()); !until.IsZero() {
		return result{answer: issuetext.Snoozed(until)}, nil
	}
	return result{answer: issuetext.SnoozeOver(run.cmd.At.Add(d))}, nil
}
