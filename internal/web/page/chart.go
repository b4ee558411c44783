package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// Sizes in the charts, in units of the picture.
const (
	barHeight = 48
	barGap    = 2
	dayWidth  = 20
	markTop   = barHeight + barGap // the marks stand below the bars
)

// bar is a column of a chart.
type bar struct {
	mark
	Top, Height int // of the bar; without a height there is none
	Bad         int // height of its part at the top that is about failures
	Room        int // width
}

// BadEnd returns where the part of failures ends.
func (b bar) BadEnd() int { return b.Top + b.Bad }

// Good returns the height of the rest.
func (b bar) Good() int { return b.Height - b.Bad }

// chart shows how long runs took, and how they ended, the oldest first.
type chart struct {
	Width int
	Label string // the chart in words
	Bars  []bar
	Note  string // the scale; "": nobody knows how long the runs took
}

// Timed reports whether there are bars to be drawn above the marks.
func (c chart) Timed() bool { return c.Note != "" }

// newChart draws runs, of which the newest comes first.
func newChart(runs []store.HistoryRun, now time.Time) *chart {
	if len(runs) == 0 {
		return nil
	}
	c := &chart{Width: markWidth * len(runs)}
	var all []time.Duration
	marks := make([]status.Run, len(runs))
	for n, r := range runs {
		marks[n] = status.NewRun(r)
		if took, known := tookOf(r); known {
			all = append(all, took)
		}
	}
	p := newPicture(marks, now)
	longest := time.Duration(0)
	if len(all) > 0 {
		longest = slices.Max(all)
	}
	for n, m := range p.Marks {
		b := bar{mark: m, Room: markWidth - 2}
		if took, known := tookOf(runs[len(runs)-1-n]); known {
			b.Height = share(took, longest)
			b.Title += ", took " + text.Duration(took)
		}
		b.Top = barHeight - b.Height
		if b.Kind == store.Failure {
			b.Bad = b.Height
		}
		c.Bars = append(c.Bars, b)
	}
	c.Label = p.Label
	if len(all) > 0 {
		slices.Sort(all)
		c.Note = fmt.Sprintf("The longest took %s, half of them at most %s.", text.Duration(longest), text.Duration(all[(len(all)-1)/2]))
		c.Label += ". " + c.Note
	}
	return c
}

// share returns the height of a bar, at least 2 so that it can be seen.
func share[T ~int | ~int64](part, whole T) int {
	if whole <= 0 {
		return 2
	}
	return max(int(float64(barHeight)*float64(part)/float64(whole)), 2)
}

func tookOf(r store.HistoryRun) (took time.Duration, known bool) {
	if r.Started.IsZero() || r.Finished.IsZero() {
		return 0, false
	}
	return max(r.Finished.Sub(r.Started), 0), true
}

// monthView shows what happened on each of the last days, and when the incidents were.
type monthView struct {
	Width       int
	Label       string
	Days        []bar
	First, Last string // days
	Spans       []span
	Note        string
}

// span is an incident on the time line.
type span struct {
	X, Width int
	Kind     string // bad or warn
	Title    string
}

func newMonth(d status.Detail) *monthView {
	const day = 24 * time.Hour
	today := d.At.UTC().Truncate(day)
	first := today.Add(-(status.DaysShown - 1) * day)
	v := &monthView{Width: dayWidth * status.DaysShown, First: dayName(first), Last: "today"}
	most, badDays, counted := 0, 0, map[time.Time]status.DayCount{}
	for _, c := range d.Days {
		counted[c.Day] = c
		most = max(most, c.OK+c.Failed)
	}
	for n := range status.DaysShown {
		at := first.Add(time.Duration(n) * day)
		b := bar{mark: mark{X: n * dayWidth, Kind: "none", Title: dayName(at) + ": nothing counted"}, Room: dayWidth - 3}
		if c := counted[at]; c.OK+c.Failed > 0 {
			b.Kind, b.Title = store.Success, fmt.Sprintf("%s: %d successful, %d failed", dayName(at), c.OK, c.Failed)
			b.Height = share(c.OK+c.Failed, most)
			if c.Failed > 0 {
				b.Kind, b.Bad = store.Failure, max(b.Height*c.Failed/(c.OK+c.Failed), 2)
				badDays++
			}
		}
		b.Top = barHeight - b.Height
		v.Days = append(v.Days, b)
	}
	recent := d.Recent
	if recent == nil {
		recent = d.Incidents
	}
	for _, i := range recent {
		if s, ok := newSpan(i, first, d.At); ok {
			v.Spans = append(v.Spans, s)
		}
	}
	if most == 0 && len(v.Spans) == 0 {
		return nil
	}
	v.Label = fmt.Sprintf("last %d days: failures on %s; %s", status.DaysShown, text.Plural(badDays, "day"), text.Plural(len(v.Spans), "incident"))
	var notes []string
	if most > 0 {
		notes = append(notes, fmt.Sprintf("At most %s counted on a day.", text.Plural(most, "result")))
	}
	if d.DaysFrom.After(first) {
		notes = append(notes, "Results before "+dayName(d.DaysFrom)+" are too many to be counted here.")
	}
	v.Note = strings.Join(notes, " ")
	return v
}

func dayName(t time.Time) string { return t.Format(time.DateOnly) }

// newSpan returns the part of an incident that lies on the time line, which begins with a day and ends with that of now.
func newSpan(i incident.Incident, from, now time.Time) (span, bool) {
	end := i.Ended
	if i.IsOpen() {
		end = from.Add(status.DaysShown * 24 * time.Hour) // to the end of the line: it grows with the day, not with each request
	}
	if end.Before(from) || i.Opened.After(now) {
		return span{}, false
	}
	at := func(t time.Time) int { return int(max(t.Sub(from), 0) * dayWidth / (24 * time.Hour)) }
	lasted := "still open" // for how long, the list says
	if !i.IsOpen() {
		lasted = "for " + text.Duration(end.Sub(i.Opened).Truncate(time.Second))
	}
	s := span{X: at(i.Opened), Kind: "bad", Title: fmt.Sprintf("%s, %s, %s", i.Name(), newMoment(i.Opened, now).Full, lasted)}
	if i.IsSilent() {
		s.Kind = "warn"
	}
	s.Width = max(at(end)-s.X, 4)
	return s, true
}
