package bot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// lockWait is how long a person's command waits for a project's flag lock.
const lockWait = 15 * time.Second

// Done is what a person's command did.
type Done struct {
	Text     string   // one sentence
	Problems []string // what is left to the next sweep
}

// Pause is [Bot.PauseBy] for the person at the keyboard.
func (b *Bot) Pause(ctx context.Context, project, why string) (Done, error) {
	return b.PauseBy(ctx, project, why, whoami())
}

// PauseBy pauses a project by a person's wish. who is told to whoever asks the gate.
func (b *Bot) PauseBy(ctx context.Context, project, why, who string) (Done, error) {
	path := b.rec.Dir().FlagPath(project)
	paused, err := b.rec.Pause(ctx, project, holdNote(project, why, who, b.cfg.Instance, b.now()))
	var notWritten *escalate.FlagWriteError
	switch {
	case errors.As(err, &notWritten):
		return Done{}, fmt.Errorf("%s is NOT paused: %w", project, notWritten.Err)
	case err != nil:
		return Done{}, b.AdviseRestore(ctx, err)
	case !paused:
		return Done{Text: fmt.Sprintf("%s is paused already (%s)", project, path)}, nil
	}
	b.log.Info("project paused by a person", "project", project, "by", who, "reason", why)
	return Done{Text: fmt.Sprintf("%s is paused (%s); to resume: adfbot resume %s", project, path, project)}, nil
}

func holdNote(project, why, who, instance string, now time.Time) string {
	s := fmt.Sprintf("%s is paused by %s (%s, %s).\n", project, redact.Line(who, 100), redact.Line(instance, 100), now.UTC().Format("2006-01-02 15:04 UTC"))
	if why = redact.Line(why, 500); why != "" {
		s += "Reason: " + why + "\n"
	}
	return s + "To resume, remove this file or run: adfbot resume " + project + "\n"
}

// whoami names the person at the keyboard, for notes and comments: also behind sudo.
func whoami() string {
	if s := os.Getenv("SUDO_USER"); s != "" {
		return redact.Line(s, 60)
	}
	if u, err := user.Current(); err == nil {
		return redact.Line(u.Username, 60)
	}
	return "user " + strconv.Itoa(os.Getuid())
}

// Resume is [Bot.ResumeBy] for the person at the keyboard.
func (b *Bot) Resume(ctx context.Context, project string) (Done, error) {
	return b.ResumeBy(ctx, project, fmt.Sprintf("%s with adfbot resume on %s", whoami(), b.host))
}

// ResumeBy removes a project's flag and ends its incident or hold. In the end its issue is commented on and closed; the
// comment says that the project was "resumed by" who.
func (b *Bot) ResumeBy(ctx context.Context, project, who string) (Done, error) {
	did, err := b.rec.Resume(ctx, project, "resumed by "+who)
	if err != nil {
		return Done{}, b.AdviseRestore(ctx, err)
	}
	d := Done{Text: project + " was not paused"}
	if did.Removed || did.Ended {
		d.Text = project + " is resumed"
	}
	switch {
	case !b.rec.Tracks():
	case errors.Is(b.tokenErr, fs.ErrPermission): // not this user's to read: in the shared set-up that is how it has to be
		d.Text += "; its issue is left to the daemon"
	default:
		if err := b.escalate(ctx, project); err != nil {
			d.Problems = append(d.Problems, err.Error())
		}
	}
	return d, nil
}

// Restore writes the flags of all open incidents and holds again, and then the sentinel: after a reboot that emptied the
// directory, or into a new directory. It is refused where the directory is in order: a flag that is missing there was
// removed by a person.
func (b *Bot) Restore(ctx context.Context) (Done, error) {
	dir := b.rec.Dir()
	s, err := dir.Sentinel()
	switch {
	case errors.Is(err, pause.ErrNoDir), errors.Is(err, pause.ErrNoSentinel):
	case err != nil:
		return Done{}, b.AdviseRestore(ctx, err)
	case s.Installation != "" && s.Installation != b.store.Installation():
		b.rec.SetDirError(nil)
		return Done{}, b.rec.CheckPause()
	case s.Installation != "" && b.rec.DirError() == nil:
		return Done{Text: fmt.Sprintf("nothing to restore: %s has its sentinel, and a flag that is missing there was removed by a person", dir.Path())}, nil
	}
	incidents, err := b.store.Unsettled(ctx, "")
	if err != nil {
		return Done{}, err
	}
	holds, err := b.store.Holds(ctx)
	if err != nil {
		return Done{}, err
	}
	var projects []string
	add := func(project string) {
		if !slices.Contains(projects, project) {
			projects = append(projects, project)
		}
	}
	for _, i := range incidents {
		if i.IsOpen() {
			add(i.Project)
		}
	}
	for _, h := range holds {
		add(h.Project)
	}
	if err := b.makeDirAgain(dir.Path()); err != nil {
		return Done{}, err
	}
	projects, err = b.restoreFlags(ctx, projects)
	if err != nil {
		return Done{}, err
	}
	fault.Point(ctx, "flags-restored")
	// The sentinel comes last: until then everybody reads "unknown", never "not paused".
	if err := dir.Init(b.store.Installation()); err != nil {
		return Done{}, err
	}
	if err := b.store.SetMeta(ctx, metaPauseDir, b.cfg.PauseDir); err != nil {
		return Done{}, err
	}
	b.rec.SetDirError(nil)
	slices.Sort(projects)
	b.log.Info("pause directory restored", "dir", dir.Path(), "paused", projects)
	if len(projects) == 0 {
		return Done{Text: fmt.Sprintf("%s is ready; no project was paused", dir.Path())}, nil
	}
	return Done{Text: fmt.Sprintf("%s is restored; paused again: %s", dir.Path(), strings.Join(projects, ", "))}, nil
}

// makeDirAgain makes a pause directory that is gone. It belongs to whom the state belongs, also when root restores it:
// otherwise the bot could not write to it.
func (b *Bot) makeDirAgain(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // who writes the flags says what is wrong with it
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	info, err := os.Stat(b.store.Path())
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Lchown(dir, int(st.Uid), int(st.Gid)) // whoever may replace it may not lead root elsewhere
	}
	return nil
}

// restoreFlags writes the flags of those projects that are paused still, and returns these.
func (b *Bot) restoreFlags(ctx context.Context, projects []string) (paused []string, err error) {
	for _, project := range projects {
		there, err := b.restoreFlag(ctx, project)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", project, err)
		}
		if there {
			paused = append(paused, project)
		}
	}
	return paused, nil
}

// restoreFlag does it for one project, under its lock and with the state read again: where a person made the sentinel
// meanwhile, a sweep may just have ended the incident.
func (b *Bot) restoreFlag(ctx context.Context, project string) (paused bool, err error) {
	unlock, err := b.local.LockHere(ctx, "flag/"+project, lockWait)
	if err != nil {
		return false, err
	}
	defer unlock()
	incidents, err := b.store.Unsettled(ctx, project)
	if err != nil {
		return false, err
	}
	h, err := b.store.Hold(ctx, project)
	if err != nil {
		return false, err
	}
	for _, i := range incidents {
		if !i.IsOpen() {
			continue
		}
		if _, err := b.rec.Dir().Write(project, issuetext.FlagNote(i)); err != nil {
			return false, err
		}
		if _, err := b.store.Change(ctx, i.ID, func(i *incident.Incident) { i.FlagWritten, i.FlagError = b.now(), "" }); err != nil {
			return false, err
		}
		paused = true
	}
	if h == nil {
		return paused, nil
	}
	if !paused {
		if _, err := b.rec.Dir().Write(project, h.Note); err != nil {
			return false, err
		}
	}
	h.FlagWritten = b.now()
	return true, b.store.SetHold(ctx, *h)
}
