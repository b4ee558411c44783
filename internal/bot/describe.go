package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/internal/redact"
)

// describedRuns is how many runs `/adf status` shows.
const describedRuns = 5

// describe is `adfbot status` of one project in Markdown, short: the answer to `/adf status`.
func (b *Bot) describe(ctx context.Context, project string) (string, error) {
	s, err := b.Status(ctx, project)
	if err != nil {
		return "", err
	}
	if len(s.Projects) == 0 {
		return markdown.CodeSpan(project) + " is not known to this bot any more.", nil
	}
	p := s.Projects[0]
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, "- "+fmt.Sprintf(format, args...)) }
	text := func(s string) string { return markdown.Text(redact.Line(b.redact.Redact(s), 300)) }
	switch p.Paused {
	case "yes":
		head := markdown.CodeSpan(project) + " is paused"
		if p.Since != nil {
			head += fmt.Sprintf(" since %s", p.Since.Format("2006-01-02 15:04 UTC"))
		}
		lines = append(lines, head+".", "")
		if p.Reason != "" {
			add("Why: %s", text(p.Reason))
		}
	case "no":
		lines = append(lines, markdown.CodeSpan(project)+" runs.", "")
	default:
		lines = append(lines, "Whether "+markdown.CodeSpan(project)+" is paused can't be told: "+text(p.Reason), "")
	}
	if i := p.Incident; i != nil {
		add("Incident %s, open since %s%s", markdown.CodeSpan(i.Name), i.Opened.UTC().Format("2006-01-02 15:04 UTC"), takenBy(i.TakenBy))
	}
	add("Failures in a row: %d; it trips at %d", p.Failures, p.Threshold)
	if p.Running > 0 {
		add("Running now: %d", p.Running)
	}
	if n := min(len(p.LastRuns), describedRuns); n > 0 {
		add("Last runs, the newest first: %s", runsText(p.LastRuns[:n]))
	}
	for _, w := range append(p.Warnings, p.Pending...) {
		add("%s", text(w))
	}
	for _, problem := range s.Problems {
		add("The bot itself: %s", text(problem))
	}
	return strings.Join(lines, "\n"), nil
}

func takenBy(login string) string {
	if login == "" {
		return ""
	}
	return ", taken by " + markdown.CodeSpan(login)
}

func runsText(runs []RunStatus) string {
	marks := map[string]string{"success": "✔", "failure": "✘"}
	var out []string
	for _, r := range runs {
		mark := marks[r.Outcome]
		if mark == "" {
			mark = "–"
		}
		at := ""
		if !r.Finished.IsZero() {
			at = " " + r.Finished.UTC().Format(time.TimeOnly)
		}
		out = append(out, mark+at)
	}
	return strings.Join(out, ", ")
}
