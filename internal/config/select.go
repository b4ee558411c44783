package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/pause"
)

// Selected are the projects that somebody has named, by ids and by patterns.
type Selected struct {
	IDs      []string // in the order in which they were named
	Patterns []string
	Matched  []string // all projects that are configured by their id or known, and fall under the patterns
}

// Select finds projects by their names. One that has an asterisk, a question mark or a bracket is a pattern, as with match. known are the
// projects that something is known of. A pattern that no project falls under is an error.
func (c *Config) Select(names, known []string) (s Selected, err error) {
	all := c.ProjectIDs(known)
	var errs []error
	for _, name := range names {
		if !IsPattern(name) {
			if !slices.Contains(s.IDs, name) {
				s.IDs = append(s.IDs, name)
			}
			continue
		}
		g, f := parseGlob(name)
		if f != nil {
			errs = append(errs, &PatternError{*f})
			continue
		}
		s.Patterns = append(s.Patterns, name)
		matched := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return !g.match(id) })
		if len(matched) == 0 {
			errs = append(errs, &NoMatchError{name})
		}
		s.Matched = append(s.Matched, matched...)
	}
	slices.Sort(s.Matched)
	s.Matched = slices.Compact(s.Matched)
	return s, errors.Join(errs...)
}

// NoMatchError means that no project is known that falls under a pattern.
type NoMatchError struct{ Pattern string }

func (e *NoMatchError) Error() string {
	return fmt.Sprintf("no project that is configured by its id or known falls under %s: `adfbot status` lists them", e.Pattern)
}

// PatternError says what is wrong with a pattern that somebody has named.
type PatternError struct{ fault }

func (e *PatternError) Error() string {
	if e.fix == "" {
		return "the pattern " + e.what
	}
	return fmt.Sprintf("the pattern %s: %s", e.what, e.fix)
}

// Unwrap returns [pause.ErrID].
func (e *PatternError) Unwrap() error { return pause.ErrID }

// IsPattern reports whether a name is a pattern.
func IsPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// CheckPattern returns a [PatternError] for a name that should be a pattern and is none.
func CheckPattern(name string) error {
	if _, f := parseGlob(name); f != nil {
		return &PatternError{*f}
	}
	return nil
}

// Matches reports whether a project has the name, or falls under the pattern.
func Matches(name, project string) bool {
	if !IsPattern(name) {
		return name == project
	}
	g, f := parseGlob(name)
	return f == nil && g.match(project)
}
