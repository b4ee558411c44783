package escalate

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
)

// maxSnooze is the longest snooze: a pause must not be forgotten.
const maxSnooze = 30 * 24 * time.Hour

// parseDuration reads a duration as in Go that is longer than 0, with days, too: 4h, 90m, 3d, 1d12h.
func parseDuration(s string) (time.Duration, bool) {
	var days int
	if before, after, ok := strings.Cut(strings.ToLower(s), "d"); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // more days are as wrong as these
			return 0, false
		}
		if days, s = int(n), after; s == "" {
			s = "0s"
		}
	}
	rest, err := time.ParseDuration(strings.ToLower(s))
	d := time.Duration(days)*24*time.Hour + rest
	if err != nil || rest < 0 || d <= 0 {
		return 0, false
	}
	return d, true
}

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
	d, ok := parseDuration(written)
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
