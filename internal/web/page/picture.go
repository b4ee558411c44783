package page

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// picture is a row of marks for the last runs, the oldest first. Shape and colour both tell success from failure.
type picture struct {
	Width int
	Label string // the picture in words
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

// newPicture draws runs, of which the newest comes first.
func newPicture(runs []status.Run, now time.Time) picture {
	p := picture{Width: markWidth * max(len(runs), 1)}
	counts := map[string]int{}
	signs := ""
	for n := range runs {
		m := newMark(runs[len(runs)-1-n], now)
		m.X = n * markWidth
		p.Marks = append(p.Marks, m)
		counts[m.Kind]++
		signs += status.Symbol(m.Kind)
	}
	var parts []string
	for _, k := range []struct{ kind, adjective string }{{store.Success, "successful"}, {store.Failure, "failed"}, {store.Ignored, "ignored"}} {
		if n := counts[k.kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k.adjective))
		}
	}
	p.Label = fmt.Sprintf("last %s, oldest first: %s (%s)", text.Plural(len(runs), "run"), signs, strings.Join(parts, ", "))
	return p
}

func newMark(r status.Run, now time.Time) mark {
	m := mark{Kind: status.Outcome(r.Outcome)}
	m.Faint = !r.Counted && m.Kind != store.Ignored
	m.Title = m.Kind
	for _, s := range []string{knownClass(r.Class), howEnded(r.Outcome, r.ExitCode, r.Signal, r.Detail), endOf(r, now).Full, r.Agent} {
		if s != "" {
			m.Title += ", " + s
		}
	}
	if m.Faint {
		m.Title += " (does not count)"
	}
	return m
}

// endOf returns when a run ended, or if that is unknown, when it began.
func endOf(r status.Run, now time.Time) moment {
	return newMoment(cmp.Or(r.Finished, r.Started), now)
}

// howEnded returns how a run ended in the words of a shell user, "" for a plain success.
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
