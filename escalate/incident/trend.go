package incident

import "time"

// TrendWindow is the time in which incidents of a project are counted.
const TrendWindow = 7 * 24 * time.Hour

// RepeatLabel is the label of the issue of a project's third incident in [TrendWindow], and of later ones.
const (
	RepeatLabel = "adf/repeat"
	repeats     = 3
)

// TrendOf is how many earlier incidents, at most, a [Trend] knows of.
const TrendOf = 20

// Trend says what happened before an incident in the same project.
type Trend struct {
	Nth  int    `json:"nth"`            // which one it is in [TrendWindow], from 1
	Same int    `json:"same,omitempty"` // how many of the last ones, itself included, have the same error as the one before those; 0: none
	As   string `json:"as,omitempty"`   // name of that
}

// NewTrend compares an incident with the earlier ones of its project, the newest first.
func NewTrend(i Incident, earlier []Incident) Trend {
	t := Trend{Nth: 1}
	for n, e := range earlier {
		if i.Opened.Sub(e.Opened) < TrendWindow {
			t.Nth++
		}
		if t.Same == n && i.Fingerprint != "" && e.Fingerprint == i.Fingerprint {
			t.Same, t.As = n+1, e.Name()
		}
	}
	return t
}

// Repeats reports whether the issue of the incident gets [RepeatLabel].
func (t Trend) Repeats() bool { return t.Nth >= repeats }

// maxEarlier is how many earlier incidents are evidence.
const maxEarlier = 5

// EarlierOf returns the first incidents of a list as evidence.
func EarlierOf(list []Incident) (out []EarlierIncident) {
	for _, i := range list[:min(len(list), maxEarlier)] {
		out = append(out, EarlierIncident{Seq: i.Seq, Opened: i.Opened, Ended: i.Ended, Issue: i.Issue})
	}
	return out
}
