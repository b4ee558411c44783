package config

import (
	"fmt"

	"github.com/terraphim/adfbot/pause"
)

// Project returns the project with the given id, and whether it is configured.
func (c *Config) Project(id string) (Project, bool) {
	for n := range c.Projects { // by index: there may be thousands, and a Project is large
		if c.Projects[n].ID == id {
			return c.Projects[n], true
		}
	}
	return Project{}, false
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
	return fmt.Sprintf("unknown project %q: the configuration has %v", e.ID, e.Known)
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
