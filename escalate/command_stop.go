package escalate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// `/adf pause all` stops all projects, in whichever issue it is written, and `/adf resume all` ends that.

// everything is what a command about all projects says.
type everything struct {
	reason  string
	lasts   time.Duration // "for 2h"; 0: it does not say, or no time
	wrong   string        // the time that is none, or cannot be
	onlyAll bool          // it says nothing but "all"
}

// parseEverything reads what follows the verb: "all", then perhaps a time, as in "for 2h", and a reason. ok is false if it does not begin
// with "all".
func parseEverything(written string) (e everything, ok bool) {
	words := strings.Fields(written)
	if len(words) == 0 || !strings.EqualFold(strings.TrimRight(words[0], ":,"), "all") {
		return e, false
	}
	e.onlyAll = len(words) == 1
	words = words[1:]
	if beginsWithTime(strings.Join(words, " ")) {
		word := strings.TrimRight(words[1], ":,.")
		var ok bool
		if e.lasts, ok = text.ParseDuration(word); !ok || e.lasts < incident.MinPause || e.lasts > incident.MaxPause {
			e.wrong = word
		}
		words = words[2:]
	}
	e.reason = strings.Join(words, " ")
	return e, true
}

// aboutAll carries out a step that is about all projects. done is false if it is not.
func (run *commandRun) aboutAll(ctx context.Context, n int) (res result, done bool, err error) {
	line := run.cmd.Steps[n].Line
	e, ok := parseEverything(line.Reason)
	switch {
	case !ok:
		return result{}, false, nil
	case line.Verb == incident.PauseVerb:
		res, err = run.stopAll(ctx, n, e)
		return res, true, err
	case line.Verb == incident.ResumeVerb && (e.lasts > 0 || saysWhen(e.reason)) && !run.cmd.Steps[n].Begun:
		return result{answer: issuetext.NoResumeTime()}, true, nil
	case line.Verb == incident.ResumeVerb:
		return run.endStops(ctx, n, e)
	}
	return result{}, false, nil
}

const stopTarget = "stop/" // and the id of the stop

func (run *commandRun) stopAll(ctx context.Context, n int, e everything) (result, error) {
	if e.wrong != "" {
		return result{answer: issuetext.WrongPauseTime(e.wrong, e.lasts)}, nil
	}
	if !run.cmd.Steps[n].Begun {
		late, err := run.isBeforeEnd(ctx)
		if err != nil || late != nil {
			return result{answer: issuetext.LaterStopEnd(late)}, err
		}
		if err := run.begin(ctx, n, stopTarget+pause.NewRandomID(), nil); err != nil {
			return result{}, err
		}
	}
	var patterns *redact.Redactor // for a secret in a comment
	s := incident.Stop{
		ID: strings.TrimPrefix(run.cmd.Steps[n].Target, stopTarget), Patterns: []string{incident.EveryProject}, Reason: patterns.Line(e.reason, maxReason),
		By: run.cmd.By.Login + " in " + run.cmd.Issue.String(), Since: run.opt.Now().UTC(),
	}
	if e.lasts > 0 {
		s.Until = s.Since.Add(e.lasts)
	}
	out, err := run.Stop(ctx, s)
	if err != nil {
		return result{answer: issuetext.Failed(incident.PauseVerb, "not all projects are paused", err)}, nil
	}
	return result{answer: issuetext.StoppedAll(s, len(out.Held), len(out.Others), len(out.With), out.Failed, run.HowToEnd(s))}, nil
}

// isBeforeEnd returns a stop of all projects that somebody has ended after the command was written, if the command's writer may not know of it.
func (run *commandRun) isBeforeEnd(ctx context.Context) (*incident.Stop, error) {
	stops, err := run.opt.State.Stops(ctx)
	if err != nil {
		return nil, err
	}
	if run.known, err = run.toldBefore(ctx); err != nil {
		return nil, err
	}
	for _, s := range stops {
		if s.All() && s.EndedHow != timeOver && incident.IsAfter(s.Ended, run.cmd.At) && !slices.Contains(run.known, s.ID) {
			return &s, run.refuse(ctx, s.ID)
		}
	}
	return nil, nil
}

// endStops ends the stops of all projects that were in force when the command was written. If there are none, and the command says more than
// "all", it is about this issue, and that was the reason.
func (run *commandRun) endStops(ctx context.Context, n int, e everything) (res result, done bool, err error) {
	stops, err := run.StopsInForce(ctx)
	if err != nil {
		return result{}, true, err
	}
	stops = slices.DeleteFunc(stops, func(s incident.Stop) bool { return !s.All() })
	begun := run.cmd.Steps[n].Target == stopTarget
	lost, err := run.holdsOfLostStop(ctx)
	if err != nil {
		return result{}, true, err
	}
	if len(stops) == 0 && !lost && !begun {
		members, err := run.carriedBy(ctx, run.cmd.Incident)
		if isName := strings.EqualFold(run.project, "all"); err != nil || !e.onlyAll || isName || len(members) > 1 {
			return result{}, err != nil, err
		}
		return result{answer: issuetext.NoStop(run.project)}, true, nil
	}
	if run.known, err = run.toldBefore(ctx); err != nil {
		return result{}, true, err
	}
	isLater := func(s incident.Stop) bool {
		return incident.IsAfter(s.Since, run.cmd.At) && !slices.Contains(run.known, s.ID)
	}
	if later := slices.IndexFunc(stops, isLater); later >= 0 && !begun {
		return result{answer: issuetext.LaterStop(stops[later])}, true, run.refuse(ctx, stops[later].ID)
	}
	stops = slices.DeleteFunc(stops, isLater)
	if !begun {
		if err := run.begin(ctx, n, stopTarget, nil); err != nil {
			return result{}, true, err
		}
	}
	how := "resumed by @" + run.cmd.By.Login + "'s /adf resume all in " + run.cmd.Issue.String()
	out, err := run.EndStops(ctx, stops, true, how)
	if err != nil {
		return result{answer: issuetext.Failed(incident.ResumeVerb, "the projects are paused as before", err)}, true, nil
	}
	return result{answer: issuetext.EndedStop(len(stops), len(out.Resumed), len(out.StillPaused), out.Failed)}, true, nil
}

// holdsOfLostStop reports whether a stop that the state has lost holds projects, as it did when the command was written.
func (run *commandRun) holdsOfLostStop(ctx context.Context) (lost bool, err error) {
	stops, err := run.opt.State.Stops(ctx)
	if err != nil {
		return false, err
	}
	holds, err := run.opt.State.Holds(ctx)
	for _, h := range holds {
		known := slices.ContainsFunc(stops, func(s incident.Stop) bool { return s.ID == h.Stop })
		if h.Stop == "" || known || h.Over(run.opt.Now()) {
			continue
		}
		if lost = true; h.After(run.cmd.At) {
			return false, nil
		}
	}
	return lost, err
}
