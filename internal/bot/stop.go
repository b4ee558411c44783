package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// CheckPauseFor returns why a pause cannot last for a time; 0 is until somebody resumes.
func CheckPauseFor(d time.Duration) error {
	if d != 0 && (d < incident.MinPause || d > incident.MaxPause) {
		return fmt.Errorf("a pause that ends by itself lasts from 1m to 720h (30 days), not %s", d)
	}
	return nil
}

// Many is a pause or a resume of projects that are named by ids and patterns. Patterns make a pause a stop, which pauses projects that become known
// later, too; see [incident.Stop].
type Many struct {
	Names  []string      // ids and patterns; [incident.EveryProject]: all
	By     string        // who wants it
	Reason string        // a line for people; cleaned and masked
	For    time.Duration // of a pause: when it ends by itself; 0: it does not
	// Incidents has a resume by a pattern end the incidents of its projects, too.
	Incidents bool
}

// DoneMany is what a pause or resume of several projects did.
type DoneMany struct {
	Done
	Stop     string   // id of the stop that was made, or ""
	Projects []string // that were paused or resumed
	Others   []string // that are paused, as they were before
}

// PauseMany pauses projects. The error joins those of the projects that are not paused; the others are.
func (b *Bot) PauseMany(ctx context.Context, m Many) (DoneMany, error) {
	s, err := b.selected(ctx, m.Names)
	if none := (*config.NoMatchError)(nil); errors.As(err, &none) && slices.Equal(m.Names, []string{incident.EveryProject}) {
		err = nil // it holds those that become known
	}
	if err == nil {
		err = CheckPauseFor(m.For)
	}
	for _, id := range s.IDs {
		err = errors.Join(err, b.cfg.CheckProject(id))
	}
	if err != nil {
		return DoneMany{}, err
	}
	alone := slices.DeleteFunc(s.IDs, func(id string) bool { return slices.Contains(s.Matched, id) })
	var out DoneMany
	err = out.each(alone, func(id string) (Done, error) { return b.PauseFor(ctx, id, m.Reason, m.By, m.For) })
	if len(s.Patterns) == 0 {
		return out, err
	}
	m.Names = s.Patterns // the command that ends the stop resumes nothing that was named by its id, whatever pauses it
	stopped, stopErr := b.stop(ctx, m)
	out.add(stopped.Done)
	out.Stop, out.Others, out.Projects = stopped.Stop, stopped.Others, append(out.Projects, stopped.Projects...)
	return out, errors.Join(err, stopErr)
}

// selected finds projects by their names.
func (b *Bot) selected(ctx context.Context, names []string) (s config.Selected, err error) {
	if err := b.keepKnown(ctx); err != nil {
		b.log.Warn("cannot tell all known projects", "err", err)
	}
	known, err := b.store.KnownProjects(ctx)
	if err != nil {
		return s, err
	}
	return b.cfg.Select(names, known)
}

// each does something for projects, and collects what was done.
func (d *DoneMany) each(ids []string, do func(id string) (Done, error)) error {
	var errs []error
	for _, id := range ids {
		done, err := do(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.add(done)
		d.Projects = append(d.Projects, id)
	}
	return errors.Join(errs...)
}

func (d *DoneMany) add(done Done) {
	if done.Text != "" {
		d.Text = strings.TrimPrefix(d.Text+"\n"+done.Text, "\n")
	}
	d.Problems = append(d.Problems, done.Problems...)
}

func (b *Bot) stop(ctx context.Context, m Many) (out DoneMany, err error) {
	b.takeIn(ctx)
	now := b.now()
	s := incident.Stop{ID: pause.NewRandomID(), Patterns: m.Names, Reason: redact.Line(m.Reason, 500), By: m.By, Since: now.UTC()}
	if m.For > 0 {
		s.Until = now.Add(m.For).UTC()
	}
	stopped, err := b.rec.Stop(ctx, s)
	if err != nil {
		return out, adviseStop(b.cfg, b.AdviseRestore(ctx, err))
	}
	out = DoneMany{Stop: s.ID, Projects: stopped.Held, Others: stopped.Others}
	out.addProblem(b.followKnown(ctx))
	line := text.Plural(len(stopped.Held), "project") + " paused"
	if !s.Until.IsZero() {
		line += " until " + s.Until.Format("2006-01-02 15:04 UTC")
	}
	line += "; to resume: " + b.rec.HowToEnd(s)
	out.add(Done{Text: line})
	if n := len(stopped.With); n > 0 {
		out.add(Done{Text: fmt.Sprintf("%s paused before by another stop, and the same command resumes what that holds: %s", wereOrWas(n), listed(stopped.With))})
	}
	apart := slices.DeleteFunc(slices.Clone(stopped.Others), func(id string) bool { return slices.Contains(stopped.With, id) })
	if n := len(apart); n > 0 {
		out.add(Done{Text: fmt.Sprintf("%s paused before, and will not be resumed with the others: %s", wereOrWas(n), listed(apart))})
	}
	return out, notPaused(len(stopped.Held), stopped.Failed)
}

func wereOrWas(n int) string {
	if n == 1 {
		return "1 project was"
	}
	return text.Plural(n, "project") + " were"
}

// maxListed is how many names, or errors of different projects, help a reader.
const maxListed = 10

func listed(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// notPaused returns an error for the projects that a stop could not pause by a flag.
func notPaused(held int, err error) error {
	if err == nil {
		return nil
	}
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	unwritten := 0
	for _, err := range errs {
		var failed *escalate.FlagWriteError
		if errors.As(err, &failed) {
			unwritten++
		}
	}
	more := len(errs) - maxListed
	err = errors.Join(errs[:min(len(errs), maxListed)]...)
	if more > 0 {
		err = fmt.Errorf("%w\nand %d more errors", err, more)
	}
	return fmt.Errorf("%d of %d projects are NOT paused by a flag yet, each sweep tries again: %w", unwritten, held, err)
}

// adviseStop adds to an error of a stop how projects are paused while the state is not usable.
func adviseStop(cfg *config.Config, err error) error {
	if !errors.Is(err, store.ErrUnusable) || mayNotHelp(cfg, err) {
		return err
	}
	return fmt.Errorf("nothing is paused: %w\nto pause a project now: touch %s", err, text.ShellQuote(pause.New(cfg.PauseDir).FlagPath("PROJECT")))
}

// AdvisePauseMany is [AdvisePause] for several projects.
func AdvisePauseMany(ctx context.Context, cfg *config.Config, names []string, err error) error {
	if len(names) == 1 && !config.IsPattern(names[0]) {
		return AdvisePause(ctx, cfg, names[0], err)
	}
	return adviseStop(cfg, err)
}

// ResumeMany resumes projects: those that are named by their id, whatever pauses them; and those under a pattern that a stop holds. A stop of just
// these patterns is over.
func (b *Bot) ResumeMany(ctx context.Context, m Many) (out DoneMany, err error) {
	m.By = Because(m.By, m.Reason)
	stops, err := b.rec.StopsInForce(ctx)
	if err != nil {
		return out, err
	}
	ended := slices.DeleteFunc(slices.Clone(stops), func(s incident.Stop) bool { return !endedBy(s, m.Names) })
	s, err := b.selected(ctx, m.Names)
	var none *config.NoMatchError
	if err != nil && (len(ended) == 0 || !errors.As(err, &none)) {
		return out, err
	}
	r := resumer{Bot: b}
	errs := []error{out.each(s.IDs, func(id string) (Done, error) { return r.resumeIf(ctx, id, m.By, anyPause) })}
	if len(s.Patterns) > 0 {
		errs = append(errs, r.resumePatterns(ctx, m, s, ended, &out))
	}
	out.addProblem(b.flagsLeft(ctx))
	return out, errors.Join(errs...)
}

// Because adds to who resumes a project why they do.
func Because(who, reason string) string {
	if reason = redact.Line(reason, 300); reason != "" {
		who += ": " + reason
	}
	return who
}

// endedBy reports whether a resume of names ends a stop.
func endedBy(s incident.Stop, names []string) bool {
	return !slices.ContainsFunc(s.Patterns, func(pattern string) bool { return !slices.Contains(names, pattern) }) || s.All() && slices.Contains(names, incident.EveryProject)
}

func (b *resumer) resumePatterns(ctx context.Context, m Many, s config.Selected, stops []incident.Stop, out *DoneMany) error {
	b.takeIn(ctx)
	all := slices.Contains(m.Names, incident.EveryProject)
	ended, err := b.rec.EndStops(ctx, stops, all, "resumed by "+m.By)
	if err != nil {
		return adviseResumeMany(b.cfg, b.AdviseRestore(ctx, err))
	}
	resumed := ended.Resumed
	able := b.rec.Tracks() && b.tokenErr == nil
	for _, id := range resumed {
		asks := able && !b.unanswered
		_, err := b.enableAtOnce(ctx, id, asks)
		if out.addProblem(err); asks {
			b.heard(err)
		}
	}
	errs := []error{b.AdviseRestore(ctx, ended.Failed)}
	states, err := b.store.ProjectStates(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	meant := func(state incident.ProjectState) bool {
		return m.Incidents && state.Open() != nil || !all && state.Open() == nil && state.Hold != nil && state.Hold.Stop != ""
	}
	var byIncident []string
	for _, id := range s.Matched {
		state := states[id]
		switch {
		case state.Pause().ID == "":
			continue
		case meant(state):
			done, err := b.resumeIf(ctx, id, m.By, meant) // the project may trip before that
			if err != nil {
				errs = append(errs, err)
				break
			}
			out.Problems = append(out.Problems, done.Problems...)
			if state, err := b.store.ProjectState(ctx, id); err == nil && state.Pause().ID == "" {
				resumed = append(resumed, id)
				continue
			}
		case state.Open() != nil:
			byIncident = append(byIncident, id)
		}
		out.Others = append(out.Others, id)
	}
	slices.Sort(resumed)
	resumed = slices.Compact(resumed)
	out.Projects = append(out.Projects, resumed...)
	line := text.Plural(len(resumed), "project") + " resumed"
	if len(stops) == 0 && all {
		line = "no stop of all projects is in force; " + line
	}
	out.add(Done{Text: line})
	if n := len(out.Others); n > 0 {
		line := fmt.Sprintf("%s still paused: %s", isOrAre(n), listed(out.Others))
		if len(byIncident) > 0 && !m.Incidents {
			line += fmt.Sprintf("; incidents pause %d of them, which --incidents ends, too", len(byIncident))
		}
		out.add(Done{Text: line})
	}
	left, err := b.rec.StopsInForce(ctx)
	for _, stop := range left {
		if slices.ContainsFunc(s.Matched, func(id string) bool { return stop.About(id, config.Matches) }) {
			out.add(Done{Text: fmt.Sprintf("the stop of %s is still in force, also for projects that become known; to end it: %s", stop.What(), b.rec.HowToEnd(stop))})
		}
	}
	return errors.Join(append(errs, err)...)
}

func isOrAre(n int) string {
	if n == 1 {
		return "1 project is"
	}
	return text.Plural(n, "project") + " are"
}

// adviseResumeMany adds to an error how projects are resumed while the state is not usable.
func adviseResumeMany(cfg *config.Config, err error) error {
	if !errors.Is(err, store.ErrUnusable) || mayNotHelp(cfg, err) {
		return err
	}
	return fmt.Errorf("nothing is resumed: %w\nto resume a project now: rm %s", err, text.ShellQuote(pause.New(cfg.PauseDir).FlagPath("PROJECT")))
}

// AdviseResumeMany is [AdviseResume] for several projects.
func AdviseResumeMany(ctx context.Context, cfg *config.Config, names []string, err error) error {
	if len(names) == 1 && !config.IsPattern(names[0]) {
		return AdviseResume(ctx, cfg, names[0], err)
	}
	return adviseResumeMany(cfg, err)
}

// underStop has the stops in force pause a project before gate knows it, flag included.
func (b *Bot) underStop(ctx context.Context, project string) error {
	stopped, err := b.rec.KeepStopped(ctx, project)
	if err == nil && stopped {
		_, _, err = b.rec.Local(ctx, project)
	}
	return err
}

func (b *Bot) allUnderStop(ctx context.Context, projects []string) error {
	stops, err := b.rec.StopsInForce(ctx)
	if err != nil || len(stops) == 0 {
		return err
	}
	var errs []error
	for _, id := range projects {
		errs = append(errs, b.underStop(ctx, id))
	}
	return errors.Join(errs...)
}

// endOverdue ends the pauses by hand whose time is over, between two sweeps. In a fleet, each pass does.
func (b *Bot) endOverdue(ctx context.Context) {
	if b.store.fleet != nil {
		return
	}
	if err := b.rec.EndOverdue(ctx); err != nil && ctx.Err() == nil {
		b.log.Warn("cannot end all pauses whose time is over, the next sweep tries again", "err", err)
	}
}
