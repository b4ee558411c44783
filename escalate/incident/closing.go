package incident

import (
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// Closing describes who closed an issue and whether that resumes the project.
type Closing struct {
	Entry    int64 // id of the timeline entry
	By       tracker.Account
	At       time.Time
	Operator bool
	Machine  bool // a commit or a merge closed it, or may have
	Early    bool // it precedes the pause flag, so it cannot mean to remove it
	Unlisted bool // Early, because the issue of several incidents did not list it yet
	Done     bool // it has resumed the project before, as the state knew until it was lost
}

// Resumes reports whether the closing resumes the project.
func (c Closing) Resumes() bool { return c.Operator && !c.Machine && !c.Early && !c.Done }

// String returns who closed the issue, e.g. "closed by kim, who is no operator".
func (c Closing) String() string {
	who := redact.Line(c.By.Login, 60)
	switch {
	case c.Machine:
		return "closed by a commit or a merge by " + who
	case !c.Operator:
		return "closed by " + who + ", who is no operator"
	case c.Unlisted:
		return "closed by " + who + " before this stood in its list"
	case c.Early:
		return "closed by " + who + " before the project was paused"
	case c.Done:
		return "closed by " + who + " before the project was paused again"
	}
	return "closed by " + who + ", an operator"
}
