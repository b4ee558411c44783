package escalate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/text"
)

// A command is about the project that its first word names, if the issue is about that one; else about all of the issue. A resume of all has
// no reason: its first word may be meant as a project.

// carriedBy returns the incidents that the issue of an incident carries, none if it carries no other.
func (r *Reconciler) carriedBy(ctx context.Context, id string) ([]incident.Incident, error) {
	found, err := r.opt.State.Incidents(ctx, id)
	if err != nil || len(found) == 0 || !found[0].Leads() {
		return nil, err
	}
	members, err := r.opt.State.Incidents(ctx, found[0].MemberIDs()...)
	members = slices.DeleteFunc(members, func(m incident.Incident) bool { return m.ID != id && m.Lead != id })
	slices.SortFunc(members, func(a, b incident.Incident) int { return strings.Compare(a.Name(), b.Name()) })
	return members, err
}

// carryOut carries out a step.
func (run *commandRun) carryOut(ctx context.Context, n int) (result, error) {
	if res, done, err := run.aboutAll(ctx, n); done || err != nil {
		return res, err
	}
	line := run.cmd.Steps[n].Line
	if line.Verb == incident.NoVerb || line.Verb == incident.SnoozeVerb {
		return verbs[line.Verb](run, ctx, n)
	}
	members, err := run.carriedBy(ctx, run.cmd.Incident)
	if err != nil {
		return result{}, err
	}
	if len(members) == 0 {
		members = []incident.Incident{run.incident}
	}
	first, reason := cutProject(line.Reason)
	m, ok := memberOf(members, first)
	second, _ := cutProject(reason)
	_, several := memberOf(members, second)
	known, err := run.isProject(ctx, first)
	if err != nil {
		return result{}, err
	}
	isPattern, err := run.isPattern(ctx, first)
	if err != nil {
		return result{}, err
	}
	timed := reason
	if !ok {
		timed = line.Reason
	}
	switch {
	case isPattern && len(members) == 1:
		return result{answer: issuetext.NoPatterns(line.Verb, first)}, nil
	case line.Verb == incident.PauseVerb && beginsWithTime(timed):
		if !ok {
			m = run.incident
		}
		return result{answer: issuetext.NoPauseTime(run.runAs() + "adfbot pause " + m.Project + " --for 2h" + run.opt.ConfigFlag)}, nil
	case line.Verb == incident.ResumeVerb && saysWhen(timed) && !run.cmd.Steps[n].Begun:
		return result{answer: issuetext.NoResumeTime()}, nil
	case ok && several && second != first:
		return result{answer: issuetext.OneProjectEach(line.Verb, first)}, nil
	case ok:
		res, err := run.carryOutFor(ctx, n, m, reason)
		res.ended = res.ended && len(members) == 1 // else the issue goes on, or the comment on its end tells of all
		return res, err
	case known:
		return result{answer: issuetext.NotInIssue(first)}, nil
	case len(members) == 1:
		return verbs[line.Verb](run, ctx, n)
	case line.Verb == incident.ResumeVerb && first != "":
		return result{answer: issuetext.ResumeWhom(first, members)}, nil
	}
	open := slices.DeleteFunc(slices.Clone(members), func(m incident.Incident) bool { return !m.IsOpen() })
	switch line.Verb {
	case incident.ResumeVerb:
		return run.resumeAll(ctx, n, members)
	case incident.PauseVerb:
		return result{answer: issuetext.WhichProject(members)}, nil
	case incident.AckVerb:
		return run.ackAll(ctx, n, open)
	}
	return run.statusOf(ctx, n, members)
}

// beginsWithTime reports whether a text begins like "for 2h".
func beginsWithTime(s string) bool {
	words := strings.Fields(s)
	return len(words) > 1 && strings.EqualFold(strings.TrimRight(words[0], ":"), "for") && words[1][0] >= '0' && words[1][0] <= '9' // not "for maintenance"
}

// saysWhen reports whether the reason of a resume begins with a time, "for 2h", or is one, "in 2h": nobody may mean that the project runs
// at once and goes on.
func saysWhen(s string) bool {
	words := strings.Fields(s)
	if len(words) < 2 {
		return false
	}
	_, isTime := text.ParseDuration(strings.TrimRight(words[1], ":,."))
	switch strings.ToLower(strings.TrimRight(words[0], ":")) {
	case "for":
		return isTime
	case "in", "after":
		return isTime && len(words) == 2
	}
	return false
}

// cutProject splits off the first word, without what people write around a name.
func cutProject(s string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimSpace(s), " ")
	return strings.Trim(first, ",;:.\"'@"), strings.TrimSpace(rest)
}

// isProject reports whether a project of that name is configured, or is known and matches a pattern, or is paused: it may have left the
// configuration, or this process may not have read the one that it is in.
func (run *commandRun) isProject(ctx context.Context, name string) (bool, error) {
	if slices.Contains(run.opt.Projects, name) {
		return true, nil
	}
	states, err := run.opt.State.ProjectStates(ctx)
	s, known := states[name]
	return known && (s.Pause().ID != "" || run.opt.ByPattern != nil && run.opt.ByPattern(name)), err
}

// isPattern reports whether a word is a pattern of projects: one that fits none is a word like any other.
func (run *commandRun) isPattern(ctx context.Context, word string) (bool, error) {
	if !strings.ContainsAny(word, "*?[") {
		return false, nil
	}
	states, err := run.opt.State.ProjectStates(ctx)
	s := incident.Stop{Patterns: []string{word}}
	fits := func(id string) bool { return run.covers(s, id) }
	return slices.ContainsFunc(run.opt.Projects, fits) || slices.ContainsFunc(slices.Collect(maps.Keys(states)), fits), err
}

// memberOf returns the incident of a project: the open one, else the last.
func memberOf(members []incident.Incident, project string) (found incident.Incident, ok bool) {
	for _, m := range members {
		if m.Project == project && (!ok || m.IsOpen() || !found.IsOpen() && m.Seq > found.Seq) {
			found, ok = m, true
		}
	}
	return found, ok
}

// as is the command for one of the incidents.
func (run *commandRun) as(m incident.Incident) *commandRun {
	of := *run
	of.incident, of.project = m, m.Project
	return &of
}

// carryOutFor carries out a step for one of the incidents.
func (run *commandRun) carryOutFor(ctx context.Context, n int, m incident.Incident, reason string) (result, error) {
	of := run.as(m)
	of.cmd.Steps = slices.Clone(run.cmd.Steps)
	of.cmd.Steps[n].Line.Reason = reason
	res, err := verbs[run.cmd.Steps[n].Line.Verb](of, ctx, n)
	run.cmd = of.cmd
	return res, err
}

// resumeAll resumes all projects that the issue told of when the command was written. After a crash it goes on with those that are left.
func (run *commandRun) resumeAll(ctx context.Context, n int, members []incident.Incident) (result, error) {
	again := run.cmd.Steps[n].Begun
	if !again {
		if err := run.begin(ctx, n, "all/"+run.cmd.Incident, nil); err != nil {
			return result{}, err
		}
	}
	how := fmt.Sprintf("resumed by @%s's /adf resume in the issue", run.cmd.By.Login)
	var answer issuetext.ResumedAll
	tried := map[string]bool{}
	lead := members[slices.IndexFunc(members, incident.Incident.Leads)]
	for _, m := range members {
		switch {
		case !m.IsOpen():
		case !lead.ListedBefore(m.ID, run.cmd.At), !run.issue.Carries(m.ID), incident.IsAfter(m.Opened, run.cmd.At):
			answer.Later = append(answer.Later, m)
		default:
			tried[m.ID] = true
			later, err := run.as(m).resumeOne(ctx, how, again)
			switch {
			case err != nil:
				answer.Failed = append(answer.Failed, issuetext.FailedResume{Incident: m, Err: err})
			case later:
				answer.Later = append(answer.Later, m)
			}
		}
	}
	now, err := run.carriedBy(ctx, run.cmd.Incident)
	if err != nil {
		return result{}, err
	}
	states, err := run.opt.State.ProjectStates(ctx)
	if err != nil {
		return result{}, err
	}
	for _, m := range now {
		switch {
		case m.IsOpen():
		case states[m.Project].Hold != nil:
			answer.Held = append(answer.Held, m)
		case strings.HasPrefix(m.EndedHow, how) && (tried[m.ID] || !m.Ended.Before(run.cmd.At)): // or by this step before a crash
			answer.Resumed = append(answer.Resumed, m)
		}
	}
	return result{answer: answer.String()}, nil
}

// resumeOne ends the incident, unless somebody has paused the project by hand after the command was written.
func (run *commandRun) resumeOne(ctx context.Context, how string, again bool) (later bool, err error) {
	if !again { // else the flag that is missing may be one that this step has removed
		if err := run.settle(ctx, run.project); err != nil {
			return false, err
		}
	}
	if run.known, err = run.toldBefore(ctx); err != nil {
		return false, err
	}
	_, err = run.resume(ctx, run.project, how, func(ctx context.Context, p pauseState) (bool, error) {
		if p.Pause().ID != run.incident.ID {
			return false, nil
		}
		if later = run.isBefore(p.Hold); later {
			return false, run.refuse(ctx, p.Hold.ID)
		}
		return true, nil
	})
	return later, err
}

// ackAll has the operator take all incidents that are open.
func (run *commandRun) ackAll(ctx context.Context, n int, open []incident.Incident) (result, error) {
	if len(open) == 0 {
		return result{answer: "All incidents of this issue are over: there is nothing to take."}, nil
	}
	for _, m := range open[1:] {
		ack := &incident.Ack{By: run.cmd.By, At: run.opt.Now()}
		if _, err := run.opt.State.Change(ctx, m.ID, func(i *incident.Incident) { i.Ack = ack }); err != nil {
			return result{}, err
		}
	}
	res, err := run.carryOutFor(ctx, n, open[0], run.cmd.Steps[n].Line.Reason)
	if len(open) > 1 {
		others := fmt.Sprintf("the %d others of this issue that are paused", len(open)-1)
		if len(open) == 2 {
			others = "the other one of this issue that is paused"
		}
		res.answer += " They take " + others + ", too."
	}
	return res, err
}

// maxStatus is how many projects are described at once.
const maxStatus = 5

// statusOf describes the projects that are paused, also those that were paused again after their incident.
func (run *commandRun) statusOf(ctx context.Context, n int, members []incident.Incident) (result, error) {
	states, err := run.opt.State.ProjectStates(ctx)
	if err != nil {
		return result{}, err
	}
	var paused []incident.Incident
	for _, m := range members {
		if states[m.Project].Pause().ID != "" {
			paused = append(paused, m)
			delete(states, m.Project) // it may have failed twice here
		}
	}
	if len(paused) == 0 {
		return result{answer: "All projects of this issue have been resumed."}, nil
	}
	var parts []string
	for _, m := range paused[:min(len(paused), maxStatus)] {
		res, err := run.as(m).statusStep(ctx, n)
		if err != nil {
			return res, err
		}
		parts = append(parts, res.answer)
	}
	if more := len(paused) - maxStatus; more > 0 {
		parts = append(parts, fmt.Sprintf("And %d more that are paused: name one, e.g. %s.", more, markdown.CodeSpan("/adf status "+paused[maxStatus].Project)))
	}
	return result{answer: strings.Join(parts, "\n\n")}, nil
}
