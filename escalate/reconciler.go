package escalate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/pause"
)

// Target is where a project's issues go, and with what.
type Target struct {
	Default   bool // the configuration does not name the project
	Repo      tracker.Repo
	Labels    []string // names
	Assignees []string // logins

	// Workflow is the one whose runs are the results of the project; zero: others report them.
	Workflow tracker.Workflow
}

// Options are what [New] makes a [Reconciler] from.
type Options struct {
	// Installation is the random id of the state and its pause directory, see [pause.NewRandomID]. Issues carry it: another
	// id takes them for those of another bot.
	Installation string
	State        incident.State
	Dir          pause.Dir // the pause directory

	// Fleet is the part of the state for hosts that share it, each with a pause directory of its own, Host is the id of this one, and
	// HostName what people call it; nil: the state is this host's alone.
	Fleet          incident.FleetStore
	Host, HostName string
	// Unpaused returns the hosts of the fleet that cannot write flags. A sweep asks for it once; nil: it does not.
	Unpaused func(context.Context) (incident.Unpaused, error)

	// FlagConfirmed is called in a fleet when this host has written the flag of a pause, with when the pause began; nil: it is not.
	FlagConfirmed func(since time.Time)

	// DirTrust is for how long after an answer of the pause directory LookForResult does not bound its reads to five seconds: the bound costs
	// more than a read. It is for callers whose requests have bounds of their own; 0: all reads are bounded.
	DirTrust time.Duration
	// Directory returns the id that its sentinel must have, "" if any will do; nil: any.
	Directory func(context.Context) (string, error)

	// Tracker is the client for issues. Without one no request is made, and what is pending stays so; then the fields up to
	// DueIn are not used.
	Tracker  tracker.Client
	Server   string                      // the tracker's base URL, [tracker.Repo].Server of everything new
	Login    string                      // the token's account; "": it is asked for
	Timeout  time.Duration               // of a request: it decides how long a creation without an answer is waited for
	Target   func(project string) Target // where a project's issues go
	Composer *issuetext.Composer         // nil: the built-in text
	Mentions []string                    // people and teams whom an issue addresses
	DueIn    time.Duration               // from the trip to the issue's due date; 0: it has none
	// StormWindow is how long after an incident another one of the same cause joins its issue; 0: each has an issue of its own.
	StormWindow time.Duration
	Escalation  plan.Escalation // what is done until somebody answers
	Webhooks    WebhookSender   // for its documents; required if a step has a webhook

	// Unstored reports whether results of a project wait to be stored. An incident that only its flag names is not rebuilt before they
	// are; nil: none wait.
	Unstored func(project string) bool

	// RunAs returns what people put before a command of adfbot to run it as the bot's user, e.g. "sudo -u adfbot ", or ""; nil: "".
	// RemoveAs returns the same for a command that removes a flag.
	RunAs, RemoveAs func() string

	ConfigFlag string // what they put after it to name the configuration, e.g. " --config /srv/a.yaml", or ""

	Projects     []string                                // all that are configured by their id: a sweep lists their repositories
	Known        func(context.Context) ([]string, error) // all projects that are configured by their id or known; nil: Projects
	Match        func(pattern, project string) bool      // reports whether a project falls under the pattern of a stop; nil: as path.Match
	Instance     string                                  // of the bot, for flags
	ByPattern    func(project string) bool               // reports whether a project that the state knows is configured without being listed; nil: none is
	PatternRepos []tracker.Repo                          // where the issues of those go
	Commands     CommandOptions                          // the zero value: nobody acts from issues

	Log    *slog.Logger           // nil: nothing is logged
	Now    func() time.Time       // nil: time.Now
	Uptime func() incident.Uptime // of the machine; nil: unknown, and setting the clock ends or lengthens a wait
}

// CommandOptions say who may act from issues, by commands in comments or by closing them.
type CommandOptions struct {
	State        incident.CommandState // required with Operators
	Operators    []string              // logins
	CloseResumes bool                  // an operator's closing of a paused project's issue resumes the project
	// Describe returns a project's status in Markdown, for `/adf status`; nil: the answer says where to look.
	Describe func(ctx context.Context, project string) (string, error)
}

// Reconciler brings flags, incidents and issues together. It keeps only what it has learned of the tracker and is safe for concurrent use, in
// one process and in several: see the package comment for the locks.
type Reconciler struct {
	opt        Options
	open       func() (folder, error) // the pause directory
	trackerErr error                  // why no request may be made; saved with what is pending
	dirErr     error                  // why the pause directory must not be believed; every flag is unknown then
	reading    hangGuard              // for reads of the pause directory
	writing    hangGuard              // for writes: a frozen file system answers reads
	learned    atomic.Pointer[learned]
	seen       table[string, time.Time]         // when a sweep last saw a project's flag
	byOthers   table[issueKey, plan.IssueState] // issues of open silent incidents that were closed or deleted, and not by the bot
	trips      sharedPasses                     // in a fleet
	overBudget atomic.Bool                      // the last sweep could not do everything
	tracking   context.Context                  // ends with LeaveTracker
	leave      context.CancelFunc

	warnedOfVoid atomic.Pointer[time.Time]
	unmarked     atomic.Bool // the mark of the pause directory could not be raised
}

// New checks the options. It touches neither the state nor the file system nor the tracker.
func New(o Options) (*Reconciler, error) {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(pause.IsRandomID(o.Installation), "Installation %q is no id: make one with pause.NewRandomID", o.Installation)
	require(o.State != nil, "State is missing: NewMemory makes one")
	require(o.Fleet == nil || pause.IsRandomID(o.Host), "Host %q is no id: make one with pause.NewRandomID", o.Host)
	if o.Tracker != nil {
		require(o.Server != "", "Server is missing")
		require(o.Timeout > 0, "Timeout is missing: it has to be that of the tracker's requests")
		require(o.Target != nil, "Target is missing")
	}
	webhook := func(s plan.Step) bool { return s.Webhook != "" }
	require(o.Webhooks != nil || !slices.ContainsFunc(o.Escalation.Steps, webhook), "Webhooks is missing, and a step has a webhook")
	require(len(o.Commands.Operators) == 0 || o.Commands.State != nil, "Commands.State is missing, and there are operators")
	if o.Composer == nil {
		var err error
		if o.Composer, err = issuetext.New("", nil); err != nil {
			errs = append(errs, err)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Target == nil {
		o.Target = func(string) Target { return Target{} }
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("escalate: %w", err)
	}
	r := &Reconciler{opt: o, open: func() (folder, error) { return o.Dir.Open() }}
	r.learned.Store(&learned{})
	r.tracking, r.leave = context.WithCancel(context.Background())
	return r, nil
}

// visitCache is the cache of a visit to one project.
func (r *Reconciler) visitCache() *sweepCache { return newSweepCache(SweepOptions{}, r.learned.Load()) }

// Dir returns the pause directory.
func (r *Reconciler) Dir() pause.Dir { return r.opt.Dir }

// Tracks reports whether there is a tracker, be it one that must not be used.
func (r *Reconciler) Tracks() bool { return r.opt.Tracker != nil || r.trackerErr != nil }

// SetTrackerError forbids all requests, for the reason err, or allows them where it is nil. It is not safe to call while
// other methods run.
func (r *Reconciler) SetTrackerError(err error) { r.trackerErr = err }

// TrackerError returns why no request may be made.
func (r *Reconciler) TrackerError() error { return r.trackerErr }

// LeaveTracker ends the work of Trip and Escalate in the tracker, also that which is going on, and leaves it to the next sweep. Flags and
// state are written all the same.
func (r *Reconciler) LeaveTracker() { r.leave() }

// SetDirError makes every flag unknown, for the reason err, or ends that where it is nil. It is not safe to call while other
// methods run.
func (r *Reconciler) SetDirError(err error) { r.dirErr = err }

// operable reports whether operators may act from issues: then issues say how.
func (r *Reconciler) operable() bool { return len(r.opt.Commands.Operators) > 0 }

// Look reads a project's flag. A missing flag counts as gone only while the directory has its sentinel, and that is ours. A directory that
// does not answer in five seconds is unknown.
func (r *Reconciler) Look(ctx context.Context, project string) incident.FlagView {
	return r.look(ctx, project, 0)
}

// LookForResult is Look where each result has to pass, see [Options].DirTrust.
func (r *Reconciler) LookForResult(ctx context.Context, project string) incident.FlagView {
	return r.look(ctx, project, r.opt.DirTrust)
}

func (r *Reconciler) look(ctx context.Context, project string, trusts time.Duration) incident.FlagView {
	return r.lookBy(ctx, project, trusts, func(id string) (flag pause.Flag, s pause.Sentinel, err error) {
		f, err := r.open()
		if err != nil {
			return flag, s, err
		}
		defer func() { _ = f.Close() }()
		return f.Check(id)
	})
}

// lookBy looks at a flag by the Check of a directory or of an open one.
func (r *Reconciler) lookBy(ctx context.Context, project string, trusts time.Duration, check func(string) (pause.Flag, pause.Sentinel, error)) incident.FlagView {
	fault.Count(ctx, "look")
	type look struct {
		flag     pause.Flag
		sentinel pause.Sentinel
	}
	seen, err := readDir(r, trusts, func() (look, error) {
		flag, sentinel, err := check(project)
		return look{flag, sentinel}, err
	})
	if err == nil {
		err = r.ours(ctx, seen.sentinel)
	}
	switch {
	case err != nil:
		return incident.FlagView{Err: err}
	case !seen.flag.Present:
		return incident.FlagView{State: incident.FlagGone}
	}
	return viewOf(project, seen.flag)
}

// viewOf returns the view of a flag that is there.
func viewOf(project string, flag pause.Flag) incident.FlagView {
	v := incident.FlagView{State: incident.FlagThere, Since: tracker.PossibleTime(flag.Since), Changed: flag.Changed, Note: flag.Note,
		Dangling: flag.Dangling}
	v.Info, _ = issuetext.ParseFlagNote(flag.Note)
	if v.Info.Project != project {
		v.Info = incident.FlagInfo{} // a copied flag says nothing about this project
	}
	v.Identity = incident.FlagIdentity{Kind: incident.PersonFlag, Mtime: flag.Since.UnixNano(), Size: flag.Size}
	if written := v.Info.Modified(); v.Info.Pause.ID != "" && (written.IsZero() || written.Equal(flag.Since)) {
		v.Identity.Kind = incident.BotFlag
	}
	return v
}

// ours compares a sentinel with this installation and its directory. An empty one was made by hand, with touch, and counts as ours.
func (r *Reconciler) ours(ctx context.Context, s pause.Sentinel) error {
	if s.Installation == "" {
		return nil
	}
	want := pause.Sentinel{Installation: r.opt.Installation}
	learned := r.learned.Load()
	if known := learned.directory.Load(); r.opt.Directory == nil || known != nil && *known == s.Directory {
		return CompareSentinel(r.opt.Dir, s, want, r.host)
	}
	var err error
	if want.Directory, err = r.opt.Directory(ctx); err != nil {
		return err
	}
	if err = CompareSentinel(r.opt.Dir, s, want, r.host); err == nil && want.Directory != "" {
		learned.directory.Store(&want.Directory)
	}
	return err
}

// CompareSentinel returns an error that wraps [pause.ErrOtherInstallation] or [pause.ErrOtherDirectory] unless the sentinel found in a
// pause directory is the wanted one. If either has no installation, as a sentinel made by hand, it returns nil. It does not compare the
// directory if want has none. host returns the id of this host, or "": the directory may belong to another one.
func CompareSentinel(dir pause.Dir, found, want pause.Sentinel, host func() string) error {
	switch {
	case found.Installation == "", want.Installation == "":
		return nil
	case found.Installation != want.Installation:
		return fmt.Errorf("pause directory %s: %w: its sentinel names installation %s, this state is %s: set pause_dir to this "+
			"installation's own directory; if this state was made while the right one was away, move it away and the id comes back "+
			"from the sentinel", dir.Path(), pause.ErrOtherInstallation, found.Installation, want.Installation)
	case want.Directory != "" && found.Directory != want.Directory:
		if other := markedBy(dir); other != "" && host() != "" && other != host() {
			return fmt.Errorf("pause directory %s: %w: its %s names another host of the fleet, %s: if that host uses it, too, "+
				"give each of them a pause_dir of its own",
				dir.Path(), pause.ErrOtherDirectory, pause.MarkName, other)
		}
		return fmt.Errorf("pause directory %s: %w: is its file system not mounted, is another one mounted over it, or is it an old copy? "+
			"Then bring back the right one", dir.Path(), pause.ErrOtherDirectory)
	}
	return nil
}

// host returns the id of this host, "" if it shares no state.
func (r *Reconciler) host() string { return r.opt.Host }

// markedBy returns the id of the host of a fleet that a pause directory belongs to, "" if that is not known.
func markedBy(dir pause.Dir) string {
	f, err := dir.Open()
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	m, _ := f.Mark()
	return m.Host
}

// Flags returns the ids of all projects with a flag, sorted.
func (r *Reconciler) Flags() ([]string, error) {
	return readDir(r, 0, r.opt.Dir.List)
}

// LookAll returns what [Reconciler.Look] returns for any project, and reads the directory once for all projects without a flag.
func (r *Reconciler) LookAll(ctx context.Context) func(project string) incident.FlagView {
	look := func(project string) incident.FlagView { return r.Look(ctx, project) }
	type listing struct {
		sentinel pause.Sentinel
		flags    []string
	}
	l, err := readDir(r, 0, func() (l listing, err error) {
		f, err := r.open()
		if err != nil {
			return l, err
		}
		defer func() { _ = f.Close() }()
		// Whoever restores a directory writes the flags before the sentinel.
		if l.sentinel, err = f.Sentinel(); err == nil {
			l.flags, err = f.List()
		}
		return l, err
	})
	if err != nil || r.ours(ctx, l.sentinel) != nil {
		return look // it says why
	}
	there := make(map[string]bool, len(l.flags))
	for _, id := range l.flags {
		there[id] = true
	}
	return func(project string) incident.FlagView {
		if !there[project] && pause.ValidID(project) {
			return incident.FlagView{State: incident.FlagGone}
		}
		return look(project)
	}
}

// KnownHere returns the projects that gate knows on this host, of those that are not listed by their id.
func (r *Reconciler) KnownHere() ([]string, error) { return readDir(r, 0, r.opt.Dir.KnownProjects) }

// IsKnownHere reports whether gate knows a project on this host.
func (r *Reconciler) IsKnownHere(project string) (bool, error) {
	return readDir(r, 0, func() (bool, error) { return r.opt.Dir.Known(project) })
}

// MakeKnownHere makes projects known to gate on this host.
func (r *Reconciler) MakeKnownHere(projects ...string) error {
	_, _, err := inTime(r, &r.writing, 0, func() (bool, error) { return true, r.opt.Dir.MakeKnown(projects...) })
	return err
}

// Sentinel returns the sentinel of the pause directory.
func (r *Reconciler) Sentinel() (pause.Sentinel, error) { return readDir(r, 0, r.opt.Dir.Sentinel) }

// CheckPause returns why the pause directory cannot be trusted, or nil.
func (r *Reconciler) CheckPause(ctx context.Context) error {
	s, err := r.Sentinel()
	if err != nil {
		return err
	}
	return r.ours(ctx, s)
}
