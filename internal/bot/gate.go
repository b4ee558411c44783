package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Verdict is whether a project may run. The zero Verdict lets it run.
type Verdict struct {
	Paused bool
	Reason string // of the pause
	New    bool   // a stop in force pauses it, which does not hold it yet because nothing was known of it; see [Bot.HoldNew]
	Err    error  // why it is unknown; nothing may run then
}

// GateWait is how long gate may take, with all that it reads.
const GateWait = 5 * time.Second

// InTime calls read, and returns false if ctx ends before it returns. A dead network mount keeps a read for ever, and no context
// ends that: the goroutine that hangs there ends with the process.
func InTime[T any](ctx context.Context, read func() T) (v T, ok bool) {
	answer := make(chan T, 1)
	go func() { answer <- read() }()
	select {
	case v = <-answer:
		return v, true
	case <-ctx.Done():
		return v, false
	}
}

// LoadForGate is [config.LoadFor] with the keys that [Gate] needs.
func LoadForGate(ctx context.Context, path string) (*config.Config, []config.Problem, error) {
	return loadForGate(ctx, path, config.LoadFor)
}

// loadForGate is LoadForGate with the function that reads the file; the one of a test may hang.
func loadForGate(ctx context.Context, path string, load func(string, ...string) (*config.Config, []config.Problem, error)) (
	*config.Config, []config.Problem, error) {
	type loaded struct {
		cfg      *config.Config
		warnings []config.Problem
		err      error
	}
	l, ok := InTime(ctx, func() (l loaded) {
		l.cfg, l.warnings, l.err = load(path, config.GateKeys...)
		return l
	})
	if !ok {
		l.err = noAnswer("configuration " + path)
	}
	return l.cfg, l.warnings, l.err
}

func noAnswer(what string) error {
	return fmt.Errorf("%s did not answer in %s: check whether its file system hangs", what, GateWait)
}

// PlaceOf is [hostlocal.Place], "" for a directory that does not answer in time.
func PlaceOf(dir string) string {
	ctx, cancel := context.WithTimeout(context.Background(), GateWait)
	defer cancel()
	place, _ := InTime(ctx, func() string { return hostlocal.Place(dir) })
	return place
}

// answers returns an error if a pause directory does not answer in [GateWait]. Then nothing else may read it.
func answers(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, GateWait)
	defer cancel()
	if _, ok := InTime(ctx, func() error { _, err := os.Lstat(dir + "/"); return err }); !ok {
		return noAnswer("pause directory " + dir)
	}
	return nil
}

// lookInTime looks at a flag unless its directory hangs.
func lookInTime(ctx context.Context, dir pause.Dir, project string) (flag pause.Flag, err error) {
	if err = answers(ctx, dir.Path()); err == nil {
		flag, _, err = dir.LookChecked(project)
	}
	return flag, err
}

// writeInTime writes a flag. It gives up if the directory, which has just answered, keeps the write for longer than [GateWait].
func writeInTime(ctx context.Context, dir pause.Dir, project, note string, at time.Time) (created bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), GateWait)
	defer cancel()
	type answer struct {
		created bool
		err     error
	}
	a, ok := InTime(ctx, func() (a answer) { a.created, a.err = dir.WriteAt(project, note, at); return a })
	if !ok {
		return false, noAnswer("pause directory " + dir.Path())
	}
	return a.created, a.err
}

// Gate reads the pause directory and, if this user may, the copy of its sentinel beside the state. The verdict is unknown if ctx ends
// or [GateWait] is over before they answer, and with a [config.NotKnownError] for a project of a pattern that nothing is known of.
func Gate(ctx context.Context, cfg *config.Config, project string) Verdict {
	return gate(ctx, cfg, project, pause.Dir.LookChecked, isKnown)
}

// gateOfRun is Gate for a run that makes its project known.
func gateOfRun(ctx context.Context, cfg *config.Config, project string) Verdict {
	return gate(ctx, cfg, project, pause.Dir.LookChecked, func(*config.Config, pause.Dir, string) error { return nil })
}

// gate is Gate with the functions that read a flag, and whether a project is known. Those of a test may hang.
func gate(ctx context.Context, cfg *config.Config, project string, look func(pause.Dir, string) (pause.Flag, pause.Sentinel, error),
	known func(*config.Config, pause.Dir, string) error) Verdict {
	ctx, cancel := context.WithTimeout(ctx, GateWait)
	defer cancel()
	dir := pause.New(cfg.PauseDir)
	v, ok := InTime(ctx, func() Verdict {
		flag, sentinel, err := look(dir, project)
		switch {
		case err != nil:
			return Verdict{Err: err}
		case flag.Present:
			return Verdict{Paused: true, Reason: status.FlagReason(dir.FlagPath(project), status.StandingNote(project, flag.Note, flag.Since), flag.Dangling)}
		}
		if cfg.LocalDir != "" {
			local := hostlocal.At(cfg.LocalDir)
			host := func() string { id, _ := local.KnownHostID(); return id }
			err := escalate.CompareSentinel(dir, sentinel, local.Sentinel(), host)
			if errors.Is(err, pause.ErrOtherInstallation) { // each replaces the copy by its own
				err = fmt.Errorf("%w; if two installations have the local_dir %s, give each one of its own", err, local.Path())
			}
			if err != nil {
				return Verdict{Err: err}
			}
		}
		return Verdict{Err: known(cfg, dir, project)}
	})
	if !ok {
		v.Err = noAnswer("pause directory " + dir.Path())
	}
	return v
}

// MayRun is [Gate] for a process that has the state open. It also pauses a project with an open incident whose flag
// could not be written.
func (b *Bot) MayRun(ctx context.Context, project string) Verdict {
	v, err := b.verdict(ctx, project)
	if err != nil {
		return Verdict{Err: err}
	}
	if v == (Verdict{}) && !b.known.has(project) {
		if v, err = b.newUnderStop(ctx, project); err != nil || v.Paused {
			v.Err = err
			return v
		}
		if v.Err = isKnown(b.cfg, b.rec.Dir(), project); v.Err == nil {
			b.known.add(project)
		}
	}
	return v
}

// newUnderStop returns the verdict for a project of a pattern that a stop in force is about, but does not hold.
func (b *Bot) newUnderStop(ctx context.Context, project string) (Verdict, error) {
	if !b.cfg.ByPattern(project) {
		return Verdict{}, nil
	}
	note, found, err := b.rec.StopOfNew(ctx, project)
	return Verdict{Paused: found, Reason: redact.Clean(note), New: found}, err
}

// HoldNew makes a project known whose [Verdict] says that it is new, so that the stop holds it.
func (b *Bot) HoldNew(ctx context.Context, project string) error {
	_, err := b.becomeKnown(ctx, project)
	return errors.Join(err, b.markKnown(ctx, project))
}

// verdict returns the verdict from the flag and the state, and why the state cannot be read if it matters; the verdict
// is then from the flag alone.
func (b *Bot) verdict(ctx context.Context, project string) (Verdict, error) {
	flag := b.rec.Look(ctx, project)
	switch flag.State {
	case incident.FlagThere:
		return b.pausedBy(project, flag), nil
	case incident.FlagUnknown:
		return Verdict{Err: b.AdviseRestore(ctx, flag.Err)}, nil
	}
	// A flag that was on the disk of this host and is gone was removed by somebody.
	state, err := b.store.ProjectState(ctx, project)
	if id := state.Pause().ID; id == "" || state.Confirmed.Stands() && state.Confirmed.Pause == id {
		return Verdict{}, err
	}
	open := state.Open()
	if open == nil {
		why := cmp.Or(status.HoldReason(*state.Hold), "it was paused by hand")
		return Verdict{Paused: true, Reason: why + "\nThat is in the state: its pause flag is not written yet."}, nil
	}
	why := "is not written yet"
	if open.FlagError != "" {
		why = "could not be written: " + open.FlagError
	}
	return Verdict{Paused: true, Reason: fmt.Sprintf("incident %s is open, and its pause flag %s", open.Name(), why)}, nil
}

func (b *Bot) pausedBy(project string, flag incident.FlagView) Verdict {
	note := status.StandingNote(project, flag.Note, flag.Since)
	return Verdict{Paused: true, Reason: status.FlagReason(b.rec.Dir().FlagPath(project), note, flag.Dangling)}
}

// AdviseRestore is [status.Reader.AdviseRestore] for an error of [Gate], if all that it reads answers within wait.
func AdviseRestore(ctx context.Context, cfg *config.Config, env Env, err error, wait time.Duration) error {
	if !status.FlagsLost(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	advised, ok := InTime(ctx, func() error { return adviseRestore(ctx, cfg, env, err) })
	if !ok {
		return fmt.Errorf("%w\ncannot tell which projects were paused: the state at %s did not answer in time", status.AdviseRestore(cfg, err), cfg.State)
	}
	return advised
}

func adviseRestore(ctx context.Context, cfg *config.Config, env Env, err error) error {
	if cfg.LocalDir == "" {
		return fmt.Errorf("%w\ncannot tell which projects were paused: a mistake in the configuration leaves open where the state is", status.AdviseRestore(cfg, err))
	}
	b, openErr := Open(ctx, cfg, ReadOnly, env)
	if store.NoState(openErr) && hostlocal.At(cfg.LocalDir).Sentinel().Installation != "" {
		return status.WithoutState(cfg, err)
	}
	if lost := status.BothLost(cfg); store.NoState(openErr) && lost != "" {
		return fmt.Errorf("%w\n%s", err, lost)
	}
	if store.NoState(openErr) {
		first, rest := status.DirFirst(cfg), "both"
		if first != "" {
			rest = "the rest"
		}
		return fmt.Errorf("%w\nthere is no state at %s yet: %sadfbot serve, the first result or adfbot pause creates %s%s",
			err, cfg.State, first, rest, status.InContainer(cfg))
	}
	if openErr != nil {
		return fmt.Errorf("%w\ncannot tell which projects were paused: %w", status.AdviseRestore(cfg, err), openErr)
	}
	defer func() { _ = b.Close() }()
	return b.AdviseRestore(ctx, err)
}
