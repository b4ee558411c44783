package breaker

// Counter keeps the breakers of many projects in memory, all with the same
// threshold. What it knows is gone when the process ends.
//
// A Counter is not safe for concurrent use; callers that share one hold a lock
// around it. The zero value is ready, with a threshold of one.
//
// It keeps about a hundred bytes for each project that has ever failed, until
// [Counter.Reset]. [Counter.Record] allocates only for a project's first failure.
type Counter struct {
	threshold int
	projects  map[string]*State // of those that have failed since they were reset
}

// New returns a Counter that trips a project at so many consecutive failures.
// A threshold below one means one.
func New(threshold int) *Counter {
	return &Counter{threshold: effective(threshold)}
}

// Record takes in how one run for the project ended, and reports whether this
// result trips the project's breaker: the caller then pauses the project. It
// does so once in a streak of failures. Whether a run counts at all is for the
// caller to ask [Counts].
func (c *Counter) Record(project string, success bool) (trip bool) {
	s := c.projects[project]
	if s == nil {
		if success {
			return false // nothing to forget, so nothing to keep
		}
		s = c.add(project)
	}
	*s, trip = s.Next(c.threshold, success)
	return trip
}

// add makes room for a project that is not known yet.
func (c *Counter) add(project string) *State {
	if c.projects == nil {
		c.projects = make(map[string]*State)
	}
	s := new(State)
	c.projects[project] = s
	return s
}

// Count returns the project's consecutive failures, those after the trip
// included.
func (c *Counter) Count(project string) int { return c.state(project).Failures }

// Tripped reports whether the project's streak has tripped its breaker.
func (c *Counter) Tripped(project string) bool { return c.state(project).Tripped }

// Threshold returns the threshold in effect, one at least.
func (c *Counter) Threshold() int { return effective(c.threshold) }

// Reset closes the project's breaker and forgets the project, as when somebody
// has resumed it. A project that is not known is no error.
func (c *Counter) Reset(project string) { delete(c.projects, project) }

func (c *Counter) state(project string) State {
	if s := c.projects[project]; s != nil {
		return *s
	}
	return State{}
}
