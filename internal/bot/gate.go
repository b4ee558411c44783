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

// Verdict is whether a project may run. The zero Verdict lets it run.
type Verdict struct {
	Paused bool
	Reason string // of the pause
	Err    error  // why it is unknown; nothing may run then
}

const gateWait = 5 * time.Second

// Gate reads the pause directory and nothing else. The verdict is unknown if the directory does not answer within 5 s,
// as on a dead network mount; the goroutine that hangs there ends with the process.
func Gate(ctx context.Context, cfg *config.Config, project string) Verdict {
	return gate(ctx, pause.New(cfg.PauseDir), project, pause.Dir.LookChecked)
}

// gate is Gate with the function that reads a flag; the one of a test may hang.
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
		return Verdict{Err: fmt.Errorf("pause directory %s did not answer in %s: check whether its file system hangs", dir.Path(), gateWait)}
	}
}

// MayRun is [Gate] for a process that has the state open. It also pauses a project with an open incident whose flag
// could not be written.
func (b *Bot) MayRun(ctx context.Context, project string) Verdict {
	v, err := b.verdict(ctx, project)
	if err != nil {
		return Verdict{Err: err}
	}
	return v
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
	unsettled, err := b.store.Unsettled(ctx, project)
	for _, i := range unsettled {
		if i.IsOpen() && i.FlagWritten.IsZero() {
			return Verdict{Paused: true, Reason: fmt.Sprintf("incident %s is open, and its pause flag could not be written: %s", i.Name(), i.FlagError)}, nil
		}
	}
	return Verdict{}, err
}

func (b *Bot) pausedBy(project string, flag incident.FlagView) Verdict {
	return Verdict{Paused: true, Reason: status.FlagReason(b.rec.Dir().FlagPath(project), flag.Note, flag.Dangling)}
}

// AdviseRestore is [status.Reader.AdviseRestore] for an error of [Gate], if the state can be read within wait.
func AdviseRestore(ctx context.Context, cfg *config.Config, env Env, err error, wait time.Duration) error {
	if !status.FlagsLost(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b, openErr := Open(ctx, cfg, ReadOnly, env)
	if errors.Is(openErr, fs.ErrNotExist) {
		return fmt.Errorf("%w\nthere is no state at %s yet: adfbot serve, the first result or adfbot pause creates both", err, cfg.State)
	}
	if openErr != nil {
		return fmt.Errorf("%w\ncannot tell which projects a bare touch would resume: %w", status.AdviseRestore(err), openErr)
	}
	defer func() { _ = b.Close() }()
	return b.AdviseRestore(ctx, err)
}
