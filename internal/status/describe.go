package status

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
)

const (
	describedRuns  = 5
	describeFormat = "2006-01-02 15:04 UTC"
)

// Describe returns the status of one project in Markdown: the answer to `/adf status`.
func (r *Reader) Describe(ctx context.Context, project string) (string, error) {
	s, err := r.Status(ctx, project)
	if err != nil {
		return "", err
	}
	if len(s.Projects) == 0 {
		return markdown.CodeSpan(project) + " is not known to this bot any more.", nil
	}
	p := s.Projects[0]
	text := func(s string) string { return markdown.Text(redact.Line(r.from.Redactor.Redact(s), 300)) }
	lines := []string{headline(p, text), ""}
	add := func(format string, args ...any) { lines = append(lines, "- "+fmt.Sprintf(format, args...)) }
	if p.Paused == Yes && p.Reason != "" {
		add("Why: %s", text(p.Reason))
	}
	if i := p.Incident; i != nil {
		by := ""
		if i.TakenBy != "" {
			by = ", taken by " + markdown.CodeSpan(i.TakenBy)
		}
		by += i.Escalation.Note(s.At)
		class := ""
		if note := ClassNote(i.Class); note != "" {
			class = " " + text(strings.TrimSpace(note))
		}
		add("Incident %s%s, open since %s%s", markdown.CodeSpan(i.Name), class, i.Opened.UTC().Format(describeFormat), by)
	}
	add("Failures in a row: %d; it trips at %d", p.Failures, p.Threshold)
	if p.Workflow != nil {
		add("Workflow: %s", text(p.Workflow.String()))
	}
	if p.Running > 0 {
		add("Running now: %d", p.Running)
	}
	if n := min(len(p.LastRuns), describedRuns); n > 0 {
		add("Last runs, the newest first: %s", symbols(p.LastRuns[:n]))
	}
	for _, w := range append(p.Warnings, p.Pending...) {
		add("%s", text(w))
	}
	for _, problem := range s.Problems {
		add("The bot itself: %s", text(problem))
	}
	return strings.Join(lines, "\n"), nil
}

func headline(p Project, text func(string) string) string {
	name := markdown.CodeSpan(p.ID)
	switch {
	case p.Paused == Yes && p.Since != nil:
		return fmt.Sprintf("%s has been paused since %s.", name, p.Since.Format(describeFormat))
	case p.Paused == Yes:
		return name + " is paused."
	case p.Paused == No:
		return name + " runs."
	}
	return "It is not known whether " + name + " is paused: " + text(p.Reason)
}

// symbols returns the outcomes of runs, with the times of day at which they ended.
func symbols(runs []Run) string {
	var out []string
	for _, r := range runs {
		s := Symbol(r.Outcome)
		if !r.Finished.IsZero() {
			s += " " + r.Finished.UTC().Format(time.TimeOnly)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}
