package bot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/pause"
)

// Verdict is the answer of a gate. The zero Verdict lets the project run.
type Verdict struct {
	Paused bool
	Reason string
	Err    error // why it is not known; nothing may run
}

const gateWait = 5 * time.Second

// Gate reads the pause directory and nothing else. It is unknown where that does not answer in 5 s, as on a dead network
// mount; the goroutine that hangs on it ends with the process.
func Gate(ctx context.Context, dir pause.Dir, project string) Verdict {
	return gate(ctx, dir, project, pause.Dir.LookChecked)
}

// gate is Gate with a way to look at the directory, which in tests may hang.
func gate(ctx context.Context, dir pause.Dir, project string, look func(pause.Dir, string) (pause.Flag, pause.Sentinel, error)) Verdict {
	ctx, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	answer := make(chan Verdict, 1)
	go func() {
		flag, _, err := look(dir, project)
		switch {
		case err != nil:
			answer <- Verdict{Err: err}
		case flag.Present:
			answer <- Verdict{Paused: true, Reason: status.FlagReason(dir.FlagPath(project), flag.Note, flag.Dangling)}
		default:
			answer <- Verdict{}
		}
	}()
	select {
	case v := <-answer:
		return v
	case <-ctx.Done():
		return Verdict{Err: fmt.Errorf("pause directory %s did not answer in %s: look whether its file system hangs", dir.Path(), gateWait)}
	}
}

// GateOf is [Gate] for a configuration.
func GateOf(ctx context.Context, cfg *config.Config, project string) Verdict {
	return Gate(ctx, pause.New(cfg.PauseDir), project)
}

// MayRun is the gate for a process that has the state open. Unlike [Gate] it knows of an incident whose flag could not be
// written.
func (b *Bot) MayRun(ctx context.Context, project string) Verdict {
	flag := b.rec.Look(ctx, project)
	switch flag.State {
	case incident.FlagThere:
		return Verdict{Paused: true, Reason: b.flagReason(project, flag)}
	case incident.FlagUnknown:
		return Verdict{Err: b.AdviseRestore(ctx, flag.Err)}
	}
	unsettled, err := b.store.Unsettled(ctx, project)
	if err != nil {
		return Verdict{Err: err}
	}
	for _, i := range unsettled {
		if i.IsOpen() && i.FlagWritten.IsZero() {
			return Verdict{Paused: true, Reason: fmt.Sprintf("incident %s is open, and its pause flag could not be written: %s", i.Name(), i.FlagError)}
		}
	}
	return Verdict{}
}

// AdviseRestore is [status.Reader.AdviseRestore] for an error of [Gate], if the state can be read in the given time.
func AdviseRestore(ctx context.Context, cfg *config.Config, env Env, err error, wait time.Duration) error {
	if !status.FlagsLost(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b, err2 := Open(ctx, cfg, ReadOnly, env)
	if errors.Is(err2, fs.ErrNotExist) {
		return fmt.Errorf("%w\nthere is no state at %s yet: adfbot serve, the first result or adfbot pause makes both ready", err, cfg.State)
	}
	if err2 != nil {
		return fmt.Errorf("%w\nwhich projects a bare touch would resume can't be told here: %w", status.AdviseRestore(err), err2)
	}
	defer func() { _ = b.Close() }()
	return b.AdviseRestore(ctx, err)
}

// flagReason returns why a flag pauses its project.
func (b *Bot) flagReason(project string, flag incident.FlagView) string {
	return status.FlagReason(b.rec.Dir().FlagPath(project), flag.Note, flag.Dangling)
}
