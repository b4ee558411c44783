package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// Kept is a result that is in the spool, because it cannot be stored now.
type Kept struct {
	Project string
	RunID   string
	File    string

	Failures int    // of the project in a row in the spool, if they reach the threshold
	Flag     string // that pauses it for that
	FlagErr  error  // why it could not be read or written

	Paused bool // it has a flag

	own     bool   // File is in a spool of this user's own, which nobody else reads
	missing string // see [MissingFile]
}

// Keep spools a result that cannot be stored now: beside the state, or in one of own. A project whose spooled failures reach its
// threshold in a row is paused by a flag: that needs only the pause directory, and [Bot.RecordSpooled] opens the incident later.
// The error means that the result is lost.
func Keep(ctx context.Context, cfg *config.Config, own hostlocal.OwnSpools, r store.Result, now func() time.Time) (Kept, error) {
	r.RunID = cmp.Or(r.RunID, "spooled-"+pause.NewRandomID())
	r.Kept = &store.Moment{Time: now(), Uptime: hostlocal.MachineUptime()()}
	r.Settings = settings(cfg, r.Project)
	k := Kept{Project: r.Project, RunID: r.RunID}
	flag, flagErr := lookInTime(ctx, pause.New(cfg.PauseDir), r.Project)
	k.FlagErr = flagErr
	held, unlock := false, func() {}
	if flagErr == nil && flag.Present {
		// Whoever has just written the flag because of spooled failures marks one of them, under the lock.
		_, bots := issuetext.ParseFlagNote(flag.Note)
		lock, err := hostlocal.At(cfg.LocalDir).LockHere(ctx, spoolLock, spoolWait)
		if err == nil {
			unlock = sync.OnceFunc(lock)
			defer unlock()
		}
		spooled, _ := spooledOf(cfg, own) // without it the run counts as a later one
		r, held = whilePaused(r, spooled)
		held = held && (err == nil || !bots)
		if cfg.Shared() && bots {
			held = false // the state knows the pause, which may be over already on the other hosts
		}
	}
	var err error
	switch {
	case cfg.Shared() && len(own) > 0 && checkLocalDir(ctx, cfg) != nil: // e.g. its disk is not mounted: then nobody finds what is kept there
		k.File, _ = spoolsOffDisk(cfg, own).Add(r)
	case slices.ContainsFunc(own.List(), func(e hostlocal.Spooled) bool { return e.Err == nil && e.Result.Project == r.Project }):
		k.File, _ = own.Add(r) // else the daemon would record it before those
		k.missing = MissingFile(ctx, cfg)
	}
	if k.own = k.File != ""; !k.own {
		k.File, err = hostlocal.At(cfg.LocalDir).Spool().Add(r)
	}
	if err != nil {
		if cfg.HTTP.Socket == "" && cfg.SocketErr == nil && errors.Is(err, fs.ErrPermission) {
			if k.missing = MissingFile(ctx, cfg); k.missing == "" {
				return k, err // this user can never record what is in a spool of its own
			}
		}
		if k.File, _ = own.Add(r); k.File == "" {
			return k, err
		}
		k.own = true
	}
	if held {
		keepLastPause(ctx, cfg, own)
		k.File, _ = hostlocal.Spooled{File: k.File, Held: true}.MarkPaused(now()) // if that fails, failures count on after the flag's removal
	}
	unlock()
	k.count(ctx, cfg, own, r, now)
	return k, nil
}

// spoolsOffDisk returns those of a user's own spools that are not on the disk of local_dir. The home of the bot's user is there.
func spoolsOffDisk(cfg *config.Config, own hostlocal.OwnSpools) hostlocal.OwnSpools {
	disk := cfg.LocalDir
	if strings.HasSuffix(disk, ".d") { // of a state that was moved from the directory around it
		disk = filepath.Dir(disk)
	}
	return slices.DeleteFunc(slices.Clone(own), func(dir string) bool { return strings.HasPrefix(dir, disk+"/") })
}

// whilePaused returns a result that is spooled while the project has a flag, and whether it is the first one since a person made that.
// Whoever removes the flag resumes the project after it, so a later run counts as begun before the pause.
func whilePaused(r store.Result, spooled []hostlocal.Spooled) (_ store.Result, first bool) {
	first = true
	for _, e := range spooled {
		if e.Result.Project != r.Project || e.PausedAt.IsZero() {
			continue
		}
		first = false
		if before := e.PausedAt.Add(-time.Second); r.Started.IsZero() || r.Started.After(before) {
			r.Started = before
		}
	}
	return r, first
}

// spooledOf returns what is in the spool beside the state and in this user's own.
func spooledOf(cfg *config.Config, own hostlocal.OwnSpools) ([]hostlocal.Spooled, error) {
	list, err := hostlocal.At(cfg.LocalDir).Spool().List()
	return slices.Concat(list, own.List()), err
}

// PauseKept pauses the project of a result that the daemon did not accept, as [Keep] does. It returns a sentence for the user, or "" if
// the project is not paused.
func PauseKept(ctx context.Context, cfg *config.Config, own hostlocal.OwnSpools, r store.Result, now func() time.Time) string {
	k := Kept{Project: r.Project}
	if k.count(ctx, cfg, own, r, now); !k.Paused {
		return ""
	}
	return k.PauseText()
}

// count pauses the project if the result, which is in a spool, is the failure that trips the breaker.
func (k *Kept) count(ctx context.Context, cfg *config.Config, own hostlocal.OwnSpools, r store.Result, now func() time.Time) {
	if r.Outcome != store.Failure || !breaker.Counts(r.Agent) || r.Decide != "" { // what is not decided needs another configuration
		return
	}
	if unlock, err := hostlocal.At(cfg.LocalDir).LockHere(ctx, spoolLock, spoolWait); err == nil { // else the flag is more important than the order
		defer unlock()
	}
	k.pause(ctx, cfg, own, now)
}

// pause writes the project's flag if its spooled failures have tripped the breaker. Then it marks the result that did, so that a
// flag which is gone later is known to have been removed.
func (k *Kept) pause(ctx context.Context, cfg *config.Config, own hostlocal.OwnSpools, now func() time.Time) {
	dir := pause.New(cfg.PauseDir)
	var flag pause.Flag
	flagErr := k.FlagErr
	if flagErr == nil { // else waiting for a directory that hangs would take as long again
		flag, flagErr = lookInTime(ctx, dir, k.Project)
	}
	if k.Paused = flag.Present; k.Paused {
		return
	}
	list, err := spooledOf(cfg, own)
	for n := range list {
		list[n].Result = Decided(cfg, list[n].Result)
	}
	trip, failures := spooledTrip(list, k.Project, limits(cfg, k.Project, store.Settings{}, ""), now())
	if err != nil || failures == 0 {
		return
	}
	k.Failures, k.Flag = failures, dir.FlagPath(k.Project)
	if flagErr == nil {
		keepLastPause(ctx, cfg, own)
		var created bool
		runAs := status.RunAs(cfg, os.Getenv("PATH"))
		resume := issuetext.Resume{Command: issuetext.ResumeCommand(runAs, k.Project, cfg.ShellFlag()), Flag: k.Flag}
		written := now().UTC().Truncate(time.Second)
		created, flagErr = writeInTime(ctx, dir, k.Project, issuetext.SpoolNote(incident.Incident{
			ID: pause.NewRandomID(), Project: k.Project, Agent: trip.Result.Agent, Failures: failures, Class: trip.Result.Class, Host: HostName(cfg), Opened: now(),
		}, resume, written), written)
		if created {
			flagErr = nil // it pauses the project, even if it may not survive a power failure
		}
	}
	if flagErr != nil {
		k.FlagErr = status.AdviseRestore(cfg, flagErr)
		return
	}
	k.Paused = true
	fault.Count(ctx, "spooled pause")
	file, _ := trip.MarkPaused(now()) // if that fails, the project is paused again by its next failure after a resume
	if trip.File == k.File {
		k.File = file
	}
}

// keepLastPause names, in the pause directory of a fleet's host and beside the spool, a pause that the shared state does not learn of now.
// So an older copy of the directory, in which the flag is missing, is told from a removal. If the directory is an older copy by now, the
// earlier pauses in the spool are forgotten first: the new name would hide that nobody has removed their flags. Without room for all that
// the pause is only less safe.
func keepLastPause(ctx context.Context, cfg *config.Config, own hostlocal.OwnSpools) {
	if !cfg.Shared() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), GateWait)
	defer cancel()
	local := hostlocal.At(cfg.LocalDir)
	_, _ = InTime(ctx, func() error {
		if local.OlderThanLastPause(cfg.PauseDir) {
			spooled, err := spooledOf(cfg, own)
			for _, e := range spooled {
				err = errors.Join(err, e.ForgetPause())
			}
			if err != nil {
				return err
			}
		}
		return local.KeepLastPause(cfg.PauseDir)
	})
}

// spooledTrip returns the spooled result that has tripped the breaker of a project, and the failures in a row; 0 if none has, or if
// the project has been paused for it before. The project has no flag, so somebody has removed that of an earlier pause.
func spooledTrip(list []hostlocal.Spooled, project string, l store.Limits, now time.Time) (trip hostlocal.Spooled, failures int) {
	trip, b := spooledBreaker(list, project, l, now)
	if !b.Tripped {
		return trip, 0
	}
	return trip, b.Failures
}

// spooledFailures returns how many failures in a row were in the spool when the last one of the list paused its project.
func spooledFailures(cfg *config.Config, list []hostlocal.Spooled, now time.Time) int {
	list = slices.Clone(list)
	for n := range list {
		list[n].Result = Decided(cfg, list[n].Result)
	}
	last := &list[len(list)-1]
	last.PausedAt = time.Time{}
	_, b := spooledBreaker(list, last.Result.Project, limits(cfg, last.Result.Project, last.Result.Settings, ""), now)
	return b.Failures
}

// spooledBreaker returns the breaker of a project by what is in the spool, and the result that has tripped it.
func spooledBreaker(list []hostlocal.Spooled, project string, l store.Limits, now time.Time) (trip hostlocal.Spooled, _ breaker.State) {
	p := store.Project{ID: project}
	known := map[[2]string]*store.Answer{} // a run may be reported more than once
	for _, e := range list {
		if e.Err != nil || e.Result.Project != project {
			continue
		}
		r, earlier, _ := e.Result.Beside(func(runID string) (*store.Answer, error) { return known[[2]string{e.Result.Agent, runID}], nil })
		if earlier != nil {
			continue
		}
		known[[2]string{r.Agent, r.RunID}] = &store.Answer{Outcome: r.Outcome, Class: r.Class, Started: r.Started}
		r.Generation = nil // of the state
		if _, trips := p.Count(r, l, "", now); trips {
			trip = e
		}
		if !e.PausedAt.IsZero() {
			p.Breaker, p.HalfOpen, p.Resumed = breaker.State{}, true, e.PausedAt // until then, runs may have begun
		}
	}
	return trip, p.Breaker
}

// Text returns sentences for the user about what became of the result.
func (k Kept) Text() string {
	by := "the next adfbot command that can"
	if k.own {
		by = "this user's next adfbot exec, record or sweep that can"
	}
	s := fmt.Sprintf("the result is kept in %s and is recorded by %s; do not record it again", k.File, by)
	if k.missing != "" {
		s += "\n" + k.missing
	}
	if k.Failures == 0 {
		return s
	}
	return s + "\n" + k.PauseText()
}

// PauseText returns a sentence about the pause, or "" if the spooled failures do not reach the threshold.
func (k Kept) PauseText() string {
	switch {
	case k.Failures == 0:
		return ""
	case k.Paused:
		return fmt.Sprintf("%s %s while its results could not be stored: the project is paused (%s); its issue is opened once they can be stored",
			k.Project, text.Failed(k.Failures), k.Flag)
	}
	return fmt.Sprintf("%s %s, and is NOT paused: %v", k.Project, text.Failed(k.Failures), k.FlagErr)
}

// Spool is [Keep] with a text for the user, whether the result is kept or lost.
func Spool(ctx context.Context, cfg *config.Config, own hostlocal.OwnSpools, r store.Result, now func() time.Time) string {
	k, err := Keep(ctx, cfg, own, r, now)
	if err != nil {
		r.RunID = k.RunID
		return lostText(cfg, r, err)
	}
	return k.Text()
}

// EndedFlag returns the flag of `adfbot record` that says how a run ended: its exit code, unless that alone would give the result another
// outcome. What the rules of classes have found in the output is lost with it.
func EndedFlag(cfg *config.Config, r store.Result) string {
	p, _ := cfg.Project(r.Project)
	coded := store.Result{Project: r.Project, Agent: r.Agent, Outcome: OutcomeOf(p, r.ExitCode), ExitCode: r.ExitCode}
	Classify(cfg, &coded)
	same := coded.Outcome == r.Outcome && (r.Trips || !coded.Trips)
	if r.Decide == store.DecideOutcome || same && r.ExitCode > 0 && r.ExitCode <= 255 {
		return fmt.Sprintf("--exit-code %d", r.ExitCode)
	}
	return "--" + r.Outcome
}

// lostText is [status.LostText] with a command that works for whoever may write the state, and the way to do without one.
func lostText(cfg *config.Config, r store.Result, err error) string {
	var runAs string
	me, owner := hostlocal.Me(), hostlocal.BotUser(cfg.OwnPath())
	bot, other := status.Installation(cfg).Other(cfg.OwnPath())
	switch {
	case other && owner.UID == 0: // perhaps by mistake: the bot may not write it either
		runAs = owner.RunAs(os.Getenv("PATH"))
	case other:
		runAs = bot.RunAs(os.Getenv("PATH"))
	}
	s := status.LostText(r, err, EndedFlag(cfg, r), runAs, cfg.ShellFlag()) // whoever reads this in a mail from cron may not have $ADFBOT_CONFIG
	if !errors.Is(err, fs.ErrPermission) || me.UID == owner.UID {
		return s
	}
	if hostlocal.JoinedSince(cfg.OwnDir()) {
		return s + fmt.Sprintf("\n%s may write %s by now, as a member of its group, but what runs this began before: log in again, or restart that service",
			me.Name, cfg.OwnDir())
	}
	if bot.UID == me.UID && bot.ServesOthers() {
		return s + "\n" + me.TakeOver(cfg.OwnDir())
	}
	if owner.UID == 0 && (bot.UID == 0 || bot.UID == me.UID) { // perhaps by mistake
		s += fmt.Sprintf("\nif %s is the bot's user, %s", me.Name, me.TakeOver(cfg.OwnDir()))
	}
	return s + fmt.Sprintf("\nto let %s report through the daemon, set http.socket and projects[].users", me.Name)
}
