package incident

import (
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// Closing is who closed an issue, and whether that was an order to resume.
type Closing struct {
	Entry    int64 // of the timeline
	By       tracker.Account
	At       time.Time
	Operator bool
	Machine  bool // a commit or a merge closed it, or may have
	Early    bool // there was no pause flag yet that it could have removed
	Done     bool // it has resumed the project already, as a state that was lost knew
}

// Resumes tells whether the closing is an order to resume.
func (c Closing) Resumes() bool { return c.Operator && !c.Machine && !c.Early && !c.Done }

// String says who closed, for people: "closed by kim, who is no operator".
func (c Closing) String() string {
	who := redact.Line(c.By.Login, 60)
	switch {
	case c.Machine:
		return "closed by a commit or a merge by " + who
	case !c.Operator:
		return "closed by " + who + ", who is no operator"
	case c.Early:
		return "closed by " + who + " before the project was paused"
	case c.Done:
		return "closed by " + who + " before the project was paused again"
	}
	return "closed by " + who + ", an operator"
}
