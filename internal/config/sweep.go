package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // time zones on a machine that has none installed

	"github.com/robfig/cron/v3"
)

// Sweep says when the sweep runs.
type Sweep struct {
	Schedule string // cron, five fields, or @every with whole seconds, or @hourly and the like
	TimeZone string // a name of the IANA data base, UTC or Local
}

// Cron gives the schedule in its time zone. It fails only for a Sweep that did not come from this package.
func (s Sweep) Cron() (cron.Schedule, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("sweep.time_zone: %w", err)
	}
	plan, f := parseSchedule(s.Schedule)
	if f != nil {
		return nil, errors.New("sweep.schedule: " + f.what)
	}
	if spec, ok := plan.(*cron.SpecSchedule); ok {
		spec.Location = zone
		return calendar{spec}, nil
	}
	return plan, nil
}

// maxEvery is a year: what is reckoned with the time to the next sweep must not overflow.
const maxEvery = 8760 * time.Hour

// cronSchedule takes what parseSchedule does.
func cronSchedule(s string) (string, *fault) {
	_, f := parseSchedule(s)
	return s, f
}

// parseSchedule parses a schedule, and refuses what the cron library takes and does otherwise: it panics at TZ=UTC alone,
// makes every @every below a second one of a second, cuts fractions, and never fires on the 31st of February.
func parseSchedule(s string) (cron.Schedule, *fault) {
	const fix = `write five cron fields (minute hour day month weekday), as "*/5 * * * *", or "@every 1m"`
	switch trimmed := strings.TrimSpace(s); {
	case trimmed == "":
		return nil, faultf(fix, "is empty")
	case strings.HasPrefix(trimmed, "TZ=") || strings.HasPrefix(trimmed, "CRON_TZ="):
		return nil, faultf("name the zone with sweep.time_zone", "must not begin with a time zone: %s", quote(s))
	case trimmed == "@reboot":
		return nil, faultf(`write "@every 1m"; every start sweeps anyway`, "@reboot is no schedule for a daemon")
	case trimmed != s:
		return nil, faultf("remove it", "has white space at its ends: %s", quote(s))
	}
	if every, ok := strings.CutPrefix(s, "@every "); ok {
		d, err := time.ParseDuration(every)
		switch {
		case err != nil:
			return nil, faultf(`write "@every 1m"`, "must have a Go duration after @every, not %s", quote(every))
		case d < time.Second:
			return nil, faultf("", "must be @every 1s at least, not %s", d)
		case d > maxEvery:
			return nil, faultf("", "must be @every 8760h at most, not %s", d)
		case d%time.Second != 0:
			return nil, faultf("", "must have whole seconds after @every, not %s", d)
		}
		return cron.Every(d), nil
	}
	plan, err := cron.ParseStandard(s)
	if err != nil {
		return nil, faultf(fix, "is no cron schedule: %s", quote(err.Error()))
	}
	// The library looks five years ahead, so a leap year is among them. The date is fixed so that a file that was good stays
	// good.
	if spec, ok := plan.(*cron.SpecSchedule); ok {
		spec.Location = time.UTC
		if spec.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
			return nil, faultf("check day and month", "never comes: %s", quote(s))
		}
	}
	return plan, nil
}

// timeZone takes the name of a zone.
func timeZone(s string) (string, *fault) {
	const fix = "write a name such as UTC or Europe/Berlin"
	if s == "" {
		return "", faultf(fix, "is empty")
	}
	if _, err := time.LoadLocation(s); err != nil {
		return "", faultf(fix, "is no time zone: %s", quote(s))
	}
	return s, nil
}
