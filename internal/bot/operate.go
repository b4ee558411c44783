package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/pause"
)

// Done is what pause, resume or restore did.
type Done struct {
	Text     string   // one sentence
	Problems []string // what is left to the next sweep
}

// Pause is [Bot.PauseFor] for the user who runs this process.
func (b *Bot) Pause(ctx context.Context, project, why string) (Done, error) {
	return b.PauseFor(ctx, project, why, UserName(), 0)
}

// PauseFor pauses a project by hand. The gate prints who paused it and why. The pause ends by itself after a time; 0: it does not.
func (b *Bot) PauseFor(ctx context.Context, project, why, who string, d time.Duration) (Done, error) {
	b.takeIn(ctx)
	how := b.rec.HowToResume(project)
	h := incident.Hold{Project: project}
	now := b.now()
	if d > 0 {
		h.Until = now.Add(d).UTC().Truncate(time.Second)
	}
	h.Note = issuetext.HoldNote(project, issuetext.Held{Why: why, Who: who, Instance: b.cfg.Instance, At: now, Until: h.Until}, how)
	held, err := b.rec.Hold(ctx, h)
	var notWritten *escalate.FlagWriteError
	switch {
	case errors.As(err, &notWritten) && notWritten.Stands():
		return Done{}, b.AdviseRestore(ctx, notWritten)
	case errors.As(err, &notWritten):
		return Done{}, fmt.Errorf("%s is NOT paused: %w", project, notWritten.Err)
	case err != nil:
		return Done{}, AdvisePause(ctx, b.cfg, project, b.AdviseRestore(ctx, err))
	}
	var done Done
	done.addProblem(b.markKnown(ctx, project))
	until := ""
	if !h.Until.IsZero() {
		until = " until " + h.Until.Format("2006-01-02 15:04 UTC")
	}
	switch {
	case held.TookOver:
		done.Text = fmt.Sprintf("%s was paused already, and stays paused%s (%s); to resume: %s", project, cmp.Or(until, " until somebody resumes it"), how.Flag, how.Command)
		done.Text += b.afterwards(ctx, h)
	case !held.Paused && d > 0:
		done.Text = fmt.Sprintf("%s is already paused%s, so the given time changes nothing (%s); to resume: %s", project, b.pausedUntil(ctx, project), how.Flag, how.Command)
	case !held.Paused && why != "":
		done.Text = fmt.Sprintf("%s is already paused (%s); what its flag says stays. A resume from before now does not end this pause", project, how.Flag)
	case !held.Paused:
		done.Text = fmt.Sprintf("%s is already paused (%s)", project, how.Flag)
	default:
		b.log.Info("project paused by hand", "project", project, "by", who, "reason", redact.Line(why, 500))
		done.Text = fmt.Sprintf("%s is paused%s (%s); to resume: %s", project, until, how.Flag, how.Command)
	}
	return done, nil
}

// afterwards names the stop that pauses a project after a pause by hand has ended.
func (b *Bot) afterwards(ctx context.Context, h incident.Hold) string {
	stops, err := b.rec.StopsInForce(ctx) // a pause does not depend on what the message says
	if err != nil || h.Until.IsZero() {
		return ""
	}
	for _, s := range stops {
		if s.About(h.Project, config.Matches) && !s.Over(h.Until) {
			return fmt.Sprintf("; after that the stop of %s still pauses it; to end that: %s", s.What(), b.rec.HowToEnd(s))
		}
	}
	return ""
}

// pausedUntil says what pauses a project for longer than somebody has asked for.
func (b *Bot) pausedUntil(ctx context.Context, project string) string {
	state, err := b.store.ProjectState(ctx, project) // a pause does not depend on what the message says
	switch open := state.Open(); {
	case err != nil:
	case open != nil:
		return " by incident " + open.Name() + ", which no time ends"
	case state.Hold != nil && !state.Hold.Until.IsZero():
		return " until " + state.Hold.Until.UTC().Format("2006-01-02 15:04 UTC")
	case state.Hold != nil:
		return " until somebody resumes it"
	}
	return ""
}

// takeIn records what waits in the spool before a person's command looks at what pauses a project. What cannot be recorded is left to the
// next sweep.
func (b *Bot) takeIn(ctx context.Context) {
	if err := b.RecordSpooledBriefly(ctx); err != nil {
		b.log.Warn("cannot record all spooled results", "err", err)
	}
}

// UserName returns the name of the user who runs this process, also behind sudo.
func UserName() string {
	if s := os.Getenv("SUDO_USER"); s != "" {
		return redact.Line(s, 60)
	}
	if u, err := user.Current(); err == nil {
		return redact.Line(u.Username, 60)
	}
	return "user " + strconv.Itoa(os.Getuid())
}

// Resume is [Bot.ResumeBy] for the user who runs this process.
func (b *Bot) Resume(ctx context.Context, project string) (Done, error) {
	return b.ResumeBy(ctx, project, fmt.Sprintf("%s with adfbot resume on %s", UserName(), b.host))
}

// ResumeBy removes a project's flag, ends its incident or hold, and closes its issue with a comment that says "resumed
// by" who.
func (b *Bot) ResumeBy(ctx context.Context, project, who string) (Done, error) {
	r := resumer{Bot: b}
	done, err := r.resumeIf(ctx, project, who, anyPause)
	if err == nil {
		done.addProblem(b.flagsLeft(ctx))
	}
	return done, err
}

// flagsLeft returns why a resume removes no flag on this host of a fleet, or nil.
func (b *Bot) flagsLeft(ctx context.Context) error {
	why := b.rec.CheckPause(ctx)
	if b.store.fleet == nil || why == nil {
		return nil
	}
	return fmt.Errorf("the flags on this host, as its pause directory is not usable: %w", b.AdviseRestore(ctx, why))
}

// resumer resumes one project after another. Once Gitea has not answered, it leaves Gitea to the next sweep: each project would wait as long again.
type resumer struct {
	*Bot
	unanswered bool
}

func anyPause(incident.ProjectState) bool { return true }

// resumeIf is [Bot.ResumeBy] as long as may reports that what pauses the project is meant.
func (b *resumer) resumeIf(ctx context.Context, project, who string, may func(incident.ProjectState) bool) (Done, error) {
	b.takeIn(ctx)
	stopped, err := b.rec.KeepStopped(ctx, project) // else the next sweep would have a stop pause it again
	var resumed escalate.Resumed
	if err == nil {
		resumed, err = b.rec.ResumeIf(ctx, project, "resumed by "+who, may)
	}
	if err != nil {
		return Done{}, AdviseResume(ctx, b.cfg, project, b.AdviseRestore(ctx, err))
	}
	d := Done{Text: project + " was not paused"}
	first, knownErr := b.becomeKnown(ctx, project)
	switch {
	case resumed.Removed || resumed.Ended:
		d.Text = project + " is resumed"
	case first:
		d.Text = project + " was not paused; it is known now"
	}
	if stopped {
		d.Text += "; the stop that is in force does not hold it any more"
	}
	d.addProblem(errors.Join(knownErr, b.markKnown(ctx, project)))
	switch {
	case !b.rec.Tracks():
	case daemonAlone(b.tokenErr): // only the daemon has the token
		unsettled, err := b.store.Unsettled(ctx, project)
		issue := err != nil || len(unsettled) > 0
		if issue {
			d.Text += "; an open issue is left to the daemon"
		}
		switch _, err := b.enableAtOnce(ctx, project, false); {
		case err != nil && issue:
			d.Text += ", and so is its disabled workflow"
		case err != nil:
			d.Text += "; its disabled workflow is left to the daemon"
		}
	default:
		if !b.unanswered {
			err := b.escalate(ctx, project)
			d.addProblem(err)
			b.heard(err)
		} else if unsettled, err := b.store.Unsettled(ctx, project); err != nil || len(unsettled) > 0 {
			d.addProblem(fmt.Errorf("%s: close its issue", project))
		}
		text, err := b.enableAtOnce(ctx, project, !b.unanswered)
		d.Text += text
		d.addProblem(err)
	}
	return d, nil
}

// heard notes whether Gitea has answered a request. A token that may not write issues may write workflows.
func (b *resumer) heard(err error) {
	b.unanswered = err != nil && !tracker.IsPermanent(err) && !tracker.LacksScope(err)
}

// Restore writes the flags of all paused projects again, and then the sentinel: after a reboot has emptied the pause
// directory, or into a new one. It writes nothing if the directory is intact: somebody removed the flags that are
// missing there.
func (b *Bot) Restore(ctx context.Context) (Done, error) {
	if err := answers(ctx, b.cfg.PauseDir); err != nil {
		return Done{}, err
	}
	unlock, err := b.local.LockHere(ctx, dirLock, dirWait)
	if err != nil {
		return Done{}, err
	}
	defer unlock()
	dir := b.rec.Dir()
	s, err := dir.Sentinel()
	switch {
	case notReady(err) && !errors.Is(err, pause.ErrRemoved):
	case err != nil:
		return Done{}, b.AdviseRestore(ctx, err)
	case s.Installation != "" && s.Installation != b.store.Installation():
		b.rec.SetDirError(nil)
		return Done{}, b.rec.CheckPause(ctx)
	case s.Installation != "" && b.rec.CheckPause(ctx) == nil && b.store.recreated:
		return Done{Text: fmt.Sprintf("the state is new; %s has its sentinel, and stays as it is", dir.Path())}, nil
	case s.Installation != "" && b.rec.CheckPause(ctx) == nil:
		text := fmt.Sprintf("nothing to restore: %s has its sentinel, so a flag that is missing there was removed by hand", dir.Path())
		if hostlocal.Me().OfImage() {
			text += "\nif something has taken its place on the machine since the container started, the container goes on with the one from before: " +
				"remove .adfbot from the new one, if it is there, restart the container, and run this again"
		}
		return Done{Text: text}, nil
	}
	was, isNew := b.rec.CheckPause(ctx), b.store.created || b.isSecondState()
	projects, err := b.writeFlags(ctx)
	if err != nil {
		return Done{}, err
	}
	if err := b.forgetSwept(ctx, was); err != nil {
		b.log.Warn("the report of the last sweep still names the pause directory", "err", err)
	}
	b.log.Info("pause directory restored", "dir", dir.Path(), "paused", projects)
	done := fmt.Sprintf("%s is restored; paused again: %s", dir.Path(), strings.Join(projects, ", "))
	if len(projects) == 0 {
		done = dir.Path() + " is ready; the state knows of no paused project"
	}
	switch {
	case isNew && len(projects) == 0:
		done = dir.Path() + " is ready; the state is new and knows of no paused project: pause what must not run"
	case isNew:
		done += "; the state is new and knows of no others: pause what else must not run"
	}
	if notReady(was) && b.cfg.HTTP.Socket != "" { // the directory may be a new one
		done += "\nrestart the daemon if its unit is hardened: it cannot write a directory that was made since it started"
	}
	return Done{Text: done}, nil
}

// forgetSwept removes an error that is over from the report of the last sweep, which status shows until the next one.
func (b *Bot) forgetSwept(ctx context.Context, over error) error {
	rep, ok, err := b.LastSweep(ctx)
	if err != nil || !ok || over == nil {
		return err
	}
	rep.Errors = slices.DeleteFunc(rep.Errors, func(e string) bool { return strings.HasPrefix(over.Error(), e) })
	doc, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	return b.store.SetMeta(ctx, status.SweepKey, string(doc))
}

// writeFlags writes the flags of all paused projects into the pause directory, and then the sentinel. It returns the projects.
func (b *Bot) writeFlags(ctx context.Context) ([]string, error) {
	// Once the sentinel is there, the missing flag of a pause that only the spool knows was removed by somebody.
	if _, left, _, err := b.countSpooled(ctx, everyProject); len(left) > 0 {
		return nil, fmt.Errorf("results wait in the spool, which may have paused a project: %w", err)
	}
	paused, err := b.PausedInState(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.createDir(); err != nil {
		return nil, err
	}
	was, err := b.store.Meta(ctx, b.hostKey(metaPauseDir))
	if err != nil {
		return nil, err
	}
	projects, err := b.rec.RestoreFlags(ctx, pause.New(cmp.Or(was, b.cfg.PauseDir)), slices.Sorted(maps.Keys(paused)))
	if err != nil {
		return nil, err
	}
	fault.Point(ctx, "flags-restored")
	// Until the sentinel is there, every project reads as unknown, and none as not paused.
	if err := b.renewDir(ctx); err != nil {
		return nil, err
	}
	if err := b.store.SetMeta(ctx, b.hostKey(metaPauseDir), b.cfg.PauseDir); err != nil {
		return nil, err
	}
	b.rec.SetDirError(nil)
	return projects, nil
}

// createDir creates the pause directory if it is missing. Those who may write the directory of the state may then write it, even if
// root creates it: otherwise the bot could not write its flags.
func (b *Bot) createDir() error {
	dir := b.cfg.PauseDir
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // writing to it reports any other error
	}
	state, err := os.Stat(b.cfg.OwnDir())
	if err != nil {
		return err
	}
	if err := b.rec.Dir().Create(); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w, or run `adfbot restore` as root, which makes the directory for %s", err, hostlocal.BotUser(b.cfg.OwnPath()).Name)
	} else if err != nil {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0) // a link may have replaced it
	if err != nil {
		return nil
	}
	if st, ok := state.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		err = f.Chown(int(st.Uid), int(st.Gid))
	}
	mode := fs.FileMode(0o755)
	if state.Mode().Perm()&0o020 != 0 {
		mode = 0o775 | fs.ModeSetgid
	}
	return errors.Join(err, f.Chmod(mode), f.Close())
}
