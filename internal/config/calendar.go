package config

import (
	"time"

	"github.com/robfig/cron/v3"
)

// calendar is a cron schedule that comes at each minute at which a clock on the wall of its zone shows what the five fields
// say. So a time that the clock leaves out is left out, one that comes twice is taken twice, and no other time and no other
// day are touched. The library's own steps go from day to day and hour to hour by the local clock: where that is put forward
// at midnight, or by half an hour, they lose days and come on wrong ones.
type calendar struct{ *cron.SpecSchedule }

// mostYears is how far Next looks; the library looks as far.
const mostYears = 5

// Next is the first time after t, or zero where none comes within five years.
func (c calendar) Next(t time.Time) time.Time {
	end := t.AddDate(mostYears, 0, 0)
	for t = t.Truncate(time.Minute).Add(time.Minute); t.Before(end); {
		at := t.In(c.Location)
		switch {
		case !c.day(at) || c.Hour>>at.Hour()&1 == 0:
			// Every zone's clock is a whole number of quarters ahead of UTC or behind, and so are its days and hours.
			t = t.Truncate(quarter).Add(quarter)
		case c.Minute>>at.Minute()&1 == 0:
			t = t.Add(time.Minute)
		default:
			return at
		}
	}
	return time.Time{}
}

const quarter = 15 * time.Minute

// day tells whether a date is among those of the schedule. As in every cron, where both the day of the month and that of the
// week are restricted, one of them is enough; the library marks an unrestricted one with the highest bit.
func (c calendar) day(t time.Time) bool {
	const all = 1 << 63
	ofMonth, ofWeek := c.Dom>>t.Day()&1 == 1, c.Dow>>t.Weekday()&1 == 1
	switch {
	case c.Month>>t.Month()&1 == 0:
		return false
	case c.Dom&all != 0 || c.Dow&all != 0:
		return ofMonth && ofWeek
	}
	return ofMonth || ofWeek
}
