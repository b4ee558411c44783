package breaker

// Counter holds the breakers of many projects in memory, all with the same
// threshold. The zero value is ready to use and has a threshold of one.
//
// A Counter is not safe for concurrent use. It uses about a hundred bytes for
// each project that has failed and was not [Counter.Reset] since;
// [Counter.Record] allocates only for a project's first failure.
type Counter struct {
	threshold int
	projects  map[string]*State // only projects that have failed
}

// New returns a Counter that trips a project's breaker after threshold
// consecutive failures. A threshold below one means one.
func New(threshold int) *Counter {
	return &Counter{threshold: effective(threshold)}
}

// Record adds the result of one run and reports whether it trips the project's
// breaker, which happens once in a streak of failures. Record accepts the
// results of any agent: the caller checks [Counts].
func (c *Counter) Record(project string, success bool) (trips bool) {
	s := c.projects[project]
	if s == nil {
		if success {
			return false
		}
		if c.projects == nil {
			c.projects = make(map[string]*State)
		}
		s = new(State)
		c.projects[project] = s
	}
	*s, trips = s.Next(c.threshold, success)
	return trips
}

// Count returns the project's number of consecutive failures, including those
// after the trip.
func (c *Counter) Count(project string) int { return c.state(project).Failures }

// Tripped reports whether the project's breaker has tripped.
func (c *Counter) Tripped(project string) bool { return c.state(project).Tripped }

// Threshold returns the threshold in effect, which is at least one.
func (c *Counter) Threshold() int { return effective(c.threshold) }

// Reset closes the project's breaker. Call it when the project is resumed.
// Resetting an unknown project does nothing.
func (c *Counter) Reset(project string) { delete(c.projects, project) }

func (c *Counter) state(project string) State {
	if s := c.projects[project]; s != nil {
		return *s
	}
	return State{}
}
