package incident

import (
	"slices"
	"time"
)

// Snooze is a time in which nobody wants to hear of an incident: steps and reminders wait, and all later ones come later by that time.
type Snooze struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Snooze adds a time. Where several overlap they are one, so what they share counts once.
func (e *Escalation) Snooze(from, until time.Time) {
	all := append(slices.Clone(e.Snoozes), Snooze{from, until})
	slices.SortStableFunc(all, func(a, b Snooze) int { return a.From.Compare(b.From) })
	var joined []Snooze
	for _, s := range all {
		last := len(joined) - 1
		if last < 0 || s.From.After(joined[last].Until) {
			joined = append(joined, s)
		} else if s.Until.After(joined[last].Until) {
			joined[last].Until = s.Until
		}
	}
	e.Snoozes = joined
}

// SnoozedUntil returns the end of the snooze at a time, zero if there is none.
func (e Escalation) SnoozedUntil(now time.Time) time.Time {
	for _, s := range e.Snoozes {
		if !now.Before(s.From) && now.Before(s.Until) {
			return s.Until
		}
	}
	return time.Time{}
}

// Awake returns how much of the time between two moments was not snoozed. It is negative if the second one comes first.
func (e Escalation) Awake(from, to time.Time) time.Duration {
	awake := to.Sub(from)
	for _, s := range e.Snoozes {
		begin, end := s.From, s.Until
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		awake -= max(end.Sub(begin), 0)
	}
	return awake
}

// WhenAwake returns when somebody will have been awake for a time, as far as snoozes are known.
func (e Escalation) WhenAwake(from time.Time, after time.Duration) time.Time {
	at := from.Add(after)
	for _, s := range e.Snoozes {
		begin := s.From
		if begin.Before(from) {
			begin = from
		}
		if s.Until.After(begin) && !begin.After(at) {
			at = at.Add(s.Until.Sub(begin))
		}
	}
	return at
}
