package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/pause"
)

// Project returns the project with the given id, and whether it is configured.
func (c *Config) Project(id string) (Project, bool) {
	n, ok := c.index[id]
	if !ok {
		return Project{}, false
	}
	return c.Projects[n], true
}

// ProjectIDs returns the ids in the order of the file.
func (c *Config) ProjectIDs() []string {
	ids := make([]string, len(c.Projects))
	for i, p := range c.Projects {
		ids[i] = p.ID
	}
	return ids
}

// ProjectOrDefault returns the project with the given id, or what holds for one that has left the configuration.
func (c *Config) ProjectOrDefault(id string) Project {
	if p, ok := c.Project(id); ok {
		return p
	}
	return Project{
		ID: id, Threshold: c.Breaker.Threshold, ResumeThreshold: c.Breaker.ResumeThreshold, HungAfter: c.Breaker.HungAfter, Owner: c.Gitea.Owner, Repo: c.Gitea.Repo,
		Labels: c.Escalation.Labels, Assignees: c.Escalation.Assignees,
	}
}

// UnknownProjectError means that a project is not in the configuration.
type UnknownProjectError struct {
	ID    string
	Known []string
}

func (e *UnknownProjectError) Error() string {
	return fmt.Sprintf("unknown project %q: %s", e.ID, e.Hint())
}

// maxNearest is how many names help a reader.
const maxNearest = 5

// Hint says what the project may be called instead.
func (e *UnknownProjectError) Hint() string {
	switch near := e.Nearest(); {
	case len(e.Known) == 0:
		return "the configuration has no projects"
	case len(near) == 0:
		return fmt.Sprintf("the configuration has %d projects, none with a similar name", len(e.Known))
	case len(near) == len(e.Known):
		return "the configuration has " + strings.Join(near, ", ")
	default:
		return "the nearest names are " + strings.Join(near, ", ")
	}
}

// Nearest returns the known projects with the most similar names, or all if they are few.
func (e *UnknownProjectError) Nearest() []string {
	if len(e.Known) <= maxNearest {
		return e.Known
	}
	type match struct {
		id       string
		distance int
	}
	var all []match
	limit := len(e.ID)/3 + 2
	id := normalize(e.ID)
	for _, k := range e.Known {
		name := normalize(k)
		d := editDistance(id, name, limit)
		if d >= limit && len(id) >= 3 && strings.Contains(name, id) {
			d = limit - 1
		}
		if d < limit {
			all = append(all, match{k, d})
		}
	}
	slices.SortStableFunc(all, func(a, b match) int { return a.distance - b.distance })
	var out []string
	for _, m := range all[:min(len(all), maxNearest)] {
		out = append(out, m.id)
	}
	return out
}

// CheckProject returns nil for a configured project, an error that wraps [pause.ErrID] for an id that is not valid, and an
// [UnknownProjectError] for any other. Call it before the id becomes part of a path.
func (c *Config) CheckProject(id string) error {
	if err := pause.CheckID(id); err != nil {
		return err
	}
	if _, ok := c.Project(id); !ok {
		return &UnknownProjectError{ID: id, Known: c.ProjectIDs()}
	}
	return nil
}
