package escalate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/pause"
)

// Target is where a project's issues go, and with what.
type Target struct {
	Repo      tracker.Repo
	Labels    []string
	Assignees []string
}

// Settings are what the operator chose.
type Settings struct {
	Installation string // id
	URL          string // of Gitea; Repo.Server of everything new
	Login        string // the token's account; "": learnt from Gitea
	Timeout      time.Duration
	Target       func(project string) Target
	Projects     []string // all that are configured
	Mentions     []string
	DueIn        time.Duration
	Operable     bool // operators may act from Gitea: the issue says how
	CloseResumes bool // an operator's closing of a paused project's issue resumes it
	Operators    []string
}

// Reconciler brings flags, incidents and issues together. It holds no state of its own and is safe for concurrent use, in
// one process and in several: see the package comment for the locks.
type Reconciler struct {
	Settings Settings
	State    incident.State
	Commands incident.CommandState // nil: nobody gives commands
	Gitea    tracker.Client        // nil: no request is made, what is pending stays so
	Off      error                 // why no request may be made; noted with what is pending
	Pause    pause.Dir
	PauseOff error // why the pause directory must not be believed; every flag is unknown then
	Composer *issuetext.Composer
	Log      *slog.Logger
	Now      func() time.Time
	Uptime   func() incident.Uptime // of the machine; nil: not known, and whoever sets the clock ends or lengthens a wait
	Step     func(name string)      // a fault point of the crash tests; nil in production

	// Describe gives a project's status in Markdown, for `/adf status`; nil: the answer says where to look.
	Describe func(ctx context.Context, project string) (string, error)
}

func (r *Reconciler) step(name string) {
	if r.Step != nil {
		r.Step(name)
	}
}

// Look looks at a project's flag. A missing flag counts as gone only while the sentinel is there and is ours.
func (r *Reconciler) Look(project string) incident.FlagView {
	if r.PauseOff != nil {
		return incident.FlagView{Err: r.PauseOff}
	}
	flag, sentinel, err := r.Pause.LookChecked(project)
	if err == nil && flag.Present {
		sentinel, err = r.Pause.Sentinel()
	}
	if err == nil {
		err = r.ours(sentinel)
	}
	switch {
	case err != nil:
		return incident.FlagView{Err: err}
	case !flag.Present:
		return incident.FlagView{State: incident.FlagGone}
	}
	v := incident.FlagView{State: incident.FlagThere, Since: flag.Since, Note: flag.Note, Dangling: flag.Dangling}
	v.Info, _ = issuetext.ParseFlagNote(flag.Note)
	if v.Info.Project != project {
		v.Info = incident.FlagInfo{} // a copied flag says nothing about this project
	}
	return v
}

// ours compares a sentinel with this installation. An empty one is a person's touch, and counts as ours.
func (r *Reconciler) ours(s pause.Sentinel) error {
	if s.Installation != "" && s.Installation != r.Settings.Installation {
		return fmt.Errorf("pause directory %s: %w: its sentinel names installation %s, this state is %s: set pause_dir to this "+
			"installation's own directory; if this state was made while the right one was away, move it away and the id comes back "+
			"from the sentinel", r.Pause.Path(), pause.ErrOtherInstallation, s.Installation, r.Settings.Installation)
	}
	return nil
}

// CheckPause tells why the pause directory can't be trusted, nil where it can.
func (r *Reconciler) CheckPause() error {
	if r.PauseOff != nil {
		return r.PauseOff
	}
	s, err := r.Pause.Sentinel()
	if err != nil {
		return err
	}
	return r.ours(s)
}
