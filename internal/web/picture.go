package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// picture is a row of marks for the last runs, the oldest first. Shape tells success from failure, colour only repeats it.
type picture struct {
	Width int
	Label string // the whole in words, for who does not see it
	Marks []mark
}

type mark struct {
	X     int
	Kind  string // success, failure or ignored
	Faint bool   // it did not count
	Title string
}

// markWidth is the room for one mark in the picture's own units.
const markWidth = 14

// picturedRun is what a picture needs to know of a run.
type picturedRun struct {
	Outcome, How, Agent string
	Counted             bool
	At                  time.Time
}

// draw draws runs that are given with the newest first.
func draw(runs []picturedRun, now time.Time) picture {
	p := picture{Width: markWidth * max(len(runs), 1)}
	counts := map[string]int{}
	var signs strings.Builder
	for n := range runs {
		r := runs[len(runs)-1-n]
		kind := kindOf(r.Outcome)
		counts[kind]++
		signs.WriteString(signOf(kind))
		title := kind
		if r.How != "" {
			title += ", " + r.How
		}
		if at := momentOf(r.At, now); at.Full != "" {
			title += ", " + at.Full
		}
		if r.Agent != "" {
			title += ", " + r.Agent
		}
		if !r.Counted && kind != store.Ignored {
			title += " (does not count)"
		}
		p.Marks = append(p.Marks, mark{X: n * markWidth, Kind: kind, Faint: !r.Counted && kind != store.Ignored, Title: title})
	}
	var parts []string
	for _, k := range [][3]string{{store.Success, "success", "successes"}, {store.Failure, "failure", "failures"}, {store.Ignored, "ignored", "ignored"}} {
		switch n := counts[k[0]]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+k[1])
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, k[2]))
		}
	}
	p.Label = fmt.Sprintf("last %s, oldest first: %s (%s)", plural(len(runs), "run"), signs.String(), strings.Join(parts, ", "))
	return p
}

// kindOf takes whatever is not known for ignored: nothing in the page is made from outside words.
func kindOf(outcome string) string {
	switch outcome {
	case store.Success, store.Failure:
		return outcome
	}
	return store.Ignored
}

func signOf(kind string) string {
	switch kind {
	case store.Success:
		return "✔"
	case store.Failure:
		return "✘"
	}
	return "–"
}

// howEnded is how a run ended, in the words of a shell user; "" where there is nothing to tell.
func howEnded(outcome string, code int, signal, detail string) string {
	var s string
	switch {
	case signal != "":
		s = signal
	case code != 0 || outcome == store.Failure:
		s = fmt.Sprintf("exit code %d", code)
	}
	if detail != "" {
		if s != "" {
			s += ", "
		}
		s += detail
	}
	return s
}
