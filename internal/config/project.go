package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/pause"
)

// Name returns what people call the entry: its id or pattern.
func (p Project) Name() string { return cmp.Or(p.ID, p.Match) }

// Project returns the project with the given id, and whether it is configured: by its id or, with Match set, by the first pattern that
// fits.
func (c *Config) Project(id string) (Project, bool) {
	n, ok := c.entryOf(id)
	if !ok {
		return Project{}, false
	}
	p := c.Projects[n]
	p.ID = id
	return p, true
}

// entryOf returns the position in Projects of the entry that a project falls under.
func (c *Config) entryOf(id string) (int, bool) {
	if n, ok := c.index[id]; ok || !pause.ValidID(id) {
		return n, ok
	}
	n := slices.IndexFunc(c.globs, func(g glob) bool { return g.match(id) })
	return max(n, 0), n >= 0
}

// Place is a line of a file, or a whole file.
type Place struct {
	File string
	Line int
}

func (p Place) String() string {
	if p.Line == 0 {
		return oneLine(p.File)
	}
	return fmt.Sprintf("%s:%d", oneLine(p.File), p.Line)
}

// Entry returns the name and the place of the entry that a project falls under.
func (c *Config) Entry(id string) (name string, at Place, ok bool) {
	n, ok := c.entryOf(id)
	if !ok {
		return "", Place{}, false
	}
	return c.Projects[n].Name(), c.places[n], true
}

// PlaceOf returns where the nth entry of Projects is.
func (c *Config) PlaceOf(n int) Place { return c.places[n] }

// ProjectIDs returns the ids of all projects: of those that are configured by their id, in the order of the files, and then of those among
// the known ones that fall under a pattern, sorted. It may be given any ids, also twice.
func (c *Config) ProjectIDs(known []string) []string {
	ids := make([]string, 0, len(c.index)+len(known))
	for _, p := range c.Projects {
		if p.ID != "" {
			ids = append(ids, p.ID)
		}
	}
	byID := len(ids)
	for _, id := range known {
		if c.ByPattern(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids[byID:])
	return slices.Compact(ids)
}

// ByPattern reports whether a project falls under a pattern.
func (c *Config) ByPattern(id string) bool {
	if !c.HasPatterns() {
		return false
	}
	n, ok := c.entryOf(id)
	return ok && c.Projects[n].ID == ""
}

// HasPatterns reports whether there are patterns.
func (c *Config) HasPatterns() bool { return len(c.index) < len(c.Projects) }

// Patterns returns the patterns, in the order of the files.
func (c *Config) Patterns() (out []string) {
	for _, p := range c.Projects {
		if p.Match != "" {
			out = append(out, p.Match)
		}
	}
	return out
}

// EntryNames returns the ids and patterns, in the order of the files.
func (c *Config) EntryNames() []string {
	names := make([]string, len(c.Projects))
	for n, p := range c.Projects {
		names[n] = p.Name()
	}
	return names
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

// HiddenEntryError means that a project falls under a pattern unless it is listed in a file that could not be read, or by an entry with a
// mistake in its id. By the pattern's settings, a result could count that should not, and an issue be opened in another team's repository.
type HiddenEntryError struct {
	ID, Pattern string
	At          Place // of the pattern
	Mistake     Place
}

func (e *HiddenEntryError) Error() string {
	return fmt.Sprintf("it is not known what is configured for %s: the mistake at %s may hide an entry of it, and without one it falls under %s (%s): "+
		"correct the mistake first, `adfbot check --offline` shows it", e.ID, e.Mistake, e.Pattern, e.At)
}

// Hidden reports whether a mistake may hide the entry of a project, which falls under a pattern: see [HiddenEntryError].
func (c *Config) Hidden(id string) bool { return len(c.hiding) > 0 && c.ByPattern(id) }

// CheckProject returns nil for a configured project, an error that wraps [pause.ErrID] for an id that is not valid, a [HiddenEntryError]
// for a project whose settings are not known, and an [UnknownProjectError] for any other. Call it before the id becomes part of a path.
func (c *Config) CheckProject(id string) error {
	if err := pause.CheckID(id); err != nil {
		return err
	}
	if _, ok := c.Project(id); !ok {
		return &UnknownProjectError{ID: id, Known: c.EntryNames()}
	}
	if c.Hidden(id) {
		pattern, at, _ := c.Entry(id)
		return &HiddenEntryError{ID: id, Pattern: pattern, At: at, Mistake: Place{c.hiding[0].File, c.hiding[0].Line}}
	}
	return nil
}

// NotKnownError means that a project falls under a pattern, and nothing is known of it yet.
type NotKnownError struct {
	ID, Pattern string
	At          Place // of the pattern
}

func (e *NotKnownError) Error() string {
	return fmt.Sprintf("nothing is known of %s yet, which falls under %s (%s): if that is its name, its first result makes it known, or `adfbot resume %s`",
		e.ID, e.Pattern, e.At, e.ID)
}

// Unwrap returns an [UnknownProjectError].
func (e *NotKnownError) Unwrap() error {
	return &UnknownProjectError{ID: e.ID, Known: []string{e.Pattern}}
}

// CheckKnown is [Config.CheckProject] for a command that shows what is known of a project. known says whether anything is.
func (c *Config) CheckKnown(id string, known bool) error {
	if known || !c.ByPattern(id) {
		return c.CheckProject(id)
	}
	pattern, at, _ := c.Entry(id)
	return &NotKnownError{ID: id, Pattern: pattern, At: at}
}
