package tracker

import "time"

// PossibleTime returns t, or the zero time, which means unknown, if t lies outside of the years 1970 to 9999. Times from outside
// may lie anywhere, and JSON holds no years before 0 or after 9999.
func PossibleTime(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 1970 || year > 9999 {
		return time.Time{}
	}
	return t
}
