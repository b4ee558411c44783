package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// picture is a row of marks for the last runs, the oldest first. The shape tells success from failure, the colour repeats it.
type picture struct {
	Width int
	Label string // in words, for those who do not see it
	Marks []mark
}

type mark struct {
	X     int
	Kind  string // success, failure or ignored
	Faint bool   // it did not count
	Title string
}

// markWidth is the room for one mark, in units of the picture.
const markWidth = 14

// pictureRun is what a picture shows of a run.
type pictureRun struct {
	Outcome, How, Agent string
	Counted             bool
	At                  time.Time
}

// newPicture draws runs, of which the newest comes first.
func newPicture(runs []pictureRun, now time.Time) picture {
	p := picture{Width: markWidth * max(len(runs), 1)}
	counts := map[string]int{}
	var signs strings.Builder
	for n := range runs {
		m := newMark(runs[len(runs)-1-n], now)
		m.X = n * markWidth
		p.Marks = append(p.Marks, m)
		counts[m.Kind]++
		signs.WriteString(status.Symbol(m.Kind))
	}
	var parts []string
	for _, k := range []struct{ kind, one, many string }{
		{store.Success, "success", "successes"}, {store.Failure, "failure", "failures"}, {store.Ignored, "ignored", "ignored"},
	} {
		switch n := counts[k.kind]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+k.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, k.many))
		}
	}
	p.Label = fmt.Sprintf("last %s, oldest first: %s (%s)", text.Plural(len(runs), "run"), signs.String(), strings.Join(parts, ", "))
	return p
}

func newMark(r pictureRun, now time.Time) mark {
	m := mark{Kind: status.Outcome(r.Outcome)}
	m.Faint = !r.Counted && m.Kind != store.Ignored
	m.Title = m.Kind
	for _, s := range []string{r.How, newMoment(r.At, now).Full, r.Agent} {
		if s != "" {
			m.Title += ", " + s
		}
	}
	if m.Faint {
		m.Title += " (does not count)"
	}
	return m
}

// howEnded returns how a run ended in the words of a shell user, "" where there is nothing to tell.
func howEnded(outcome string, code int, signal, detail string) string {
	s := signal
	if s == "" && (code != 0 || outcome == store.Failure) {
		s = fmt.Sprintf("exit code %d", code)
	}
	if s != "" && detail != "" {
		s += ", "
	}
	return s + detail
}
