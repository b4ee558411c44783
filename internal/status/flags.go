package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// FlagReason returns why a flag pauses its project: the text in it, or where it is.
func FlagReason(path, note string, dangling bool) string {
	note = redact.Clean(note)
	switch {
	case dangling:
		return "its pause flag " + path + " is a link that leads nowhere"
	case strings.TrimSpace(note) == "":
		return "its pause flag " + path + " is there"
	}
	return note
}

// PausedBecause returns the first paragraph of a reason, and that the project is paused where it does not say so itself.
func PausedBecause(project, why string) string {
	head, _, _ := strings.Cut(strings.TrimSpace(why), "\n\n")
	if strings.HasPrefix(head, project+" is paused") {
		return head
	}
	return project + " is paused: " + head
}

// noteForPeople returns a flag's text without the lines that the bot writes for itself and the advice how to resume.
func noteForPeople(flag incident.FlagView) string {
	note := flag.Note
	if flag.Info.Incident != "" {
		note, _, _ = strings.Cut(note, "\n\n")
	}
	var out strings.Builder
	for line := range strings.Lines(note) {
		if !strings.HasPrefix(line, "To resume, remove this file or run:") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// FlagsLost reports whether err means that the flags in the pause directory may be lost, which `adfbot restore` repairs.
func FlagsLost(err error) bool {
	return errors.Is(err, pause.ErrNoDir) || errors.Is(err, pause.ErrNoSentinel) || errors.Is(err, pause.ErrBadSentinel)
}

// AdviseRestore adds the fix to an error about lost flags, for callers that can't read the state; see [Reader.AdviseRestore].
func AdviseRestore(err error) error {
	if !FlagsLost(err) {
		return err
	}
	return fmt.Errorf("%w\nadfbot restore creates the sentinel and the flags of all paused projects again", err)
}

// AdviseRestore adds the fix to an error about lost flags, and which projects a bare touch of the sentinel would resume.
func (r *Reader) AdviseRestore(ctx context.Context, err error) error {
	if !FlagsLost(err) {
		return err
	}
	projects, err2 := r.wouldResume(ctx)
	written, err3 := r.from.State.FlagsWritten(ctx)
	err2 = errors.Join(err2, err3)
	switch {
	case err2 != nil:
		return errors.Join(AdviseRestore(err), err2)
	case len(projects) == 0 && !written:
		return fmt.Errorf("%w\nnothing was ever paused here: adfbot serve, the first result or adfbot pause makes the directory ready", err)
	case len(projects) == 0:
		return fmt.Errorf("%w\na bare touch would resume no project; adfbot restore makes the directory ready again", err)
	}
	return fmt.Errorf("%w\na bare touch would resume: %s; adfbot restore keeps them paused", err, strings.Join(projects, ", "))
}

// wouldResume returns the projects whose flags were in the pause directory. They look resumed once the sentinel is back
// without them.
func (r *Reader) wouldResume(ctx context.Context) ([]string, error) {
	incidents, err := r.from.State.Unsettled(ctx, "")
	if err != nil {
		return nil, err
	}
	holds, err := r.from.State.Holds(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range incidents {
		if i.IsOpen() && !i.FlagWritten.IsZero() {
			out = append(out, i.Project)
		}
	}
	for _, h := range holds {
		if !h.FlagWritten.IsZero() && !slices.Contains(out, h.Project) {
			out = append(out, h.Project)
		}
	}
	slices.Sort(out)
	return out, nil
}
