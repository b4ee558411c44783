package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // time zones on a machine that has none installed

	"github.com/robfig/cron/v3"

	"github.com/terraphim/adfbot/internal/text"
)

// Sweep configures when the sweep runs.
type Sweep struct {
	Schedule string // five cron fields, @every with whole seconds, or a word such as @hourly
	TimeZone string // a name of the IANA database, UTC or Local
}

// Cron returns the schedule in its time zone. For a checked Sweep it fails only if the zone of the cron fields is that of this
// process, and the process has none.
func (s Sweep) Cron() (cron.Schedule, error) {
	return cronIn(s.Schedule, s.TimeZone, "sweep.schedule", "sweep.time_zone")
}

// cronIn returns a schedule in a time zone. The keys are those of the two, for errors.
func cronIn(text, name, scheduleKey, zoneKey string) (cron.Schedule, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", zoneKey, err)
	}
	schedule, f := parseSchedule(text)
	if f != nil {
		return nil, errors.New(scheduleKey + ": " + f.what)
	}
	spec, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return schedule, nil
	}
	if name == "Local" {
		tz, set := os.LookupEnv("TZ")
		_, err := os.Stat(localtime)
		if err := checkLocal(zoneKey, time.Local.String(), tz, set, err == nil); err != nil {
			return nil, err
		}
	}
	spec.Location = zone
	return calendar{spec}, nil
}

const localtime = "/etc/localtime"

// checkLocal returns an error if Go took UTC for the local zone because it could not use the one that was set. POSIX rules
// such as CET-1CEST are among those that it does not know.
func checkLocal(key, took, tz string, set, hasFile bool) error {
	fix := "write a name such as Europe/Berlin in " + key + ", or set $TZ to one for the daemon"
	name := strings.TrimPrefix(tz, ":")
	switch {
	case took != "UTC":
	case name != "" && name != "UTC":
		return fmt.Errorf("%s: is Local, but $TZ is no time zone that can be used: %s: %s", key, quote(tz), fix)
	case !set && hasFile:
		return fmt.Errorf("%s: is Local, but %s can't be used: %s", key, localtime, fix)
	}
	return nil
}

// maxEvery keeps sums with the time to the next sweep from overflowing.
const maxEvery = 8760 * time.Hour

// fiveFields is how to correct a schedule.
const fiveFields = `write five cron fields (minute hour day month weekday) such as "*/5 * * * *"`

func cronSchedule(s string) (string, *fault) {
	_, f := parseSchedule(s)
	return s, f
}

// parseSchedule parses a schedule. It refuses what the cron library accepts but does not do: the library panics at
// TZ=UTC alone, rounds intervals to whole seconds, and never fires on 31 February.
func parseSchedule(s string) (cron.Schedule, *fault) {
	if strings.HasPrefix(s, "TZ=") || strings.HasPrefix(s, "CRON_TZ=") {
		return nil, faultf("set the zone in time_zone", "must not begin with a time zone: %s", quote(s))
	}
	if every, ok := strings.CutPrefix(s, "@every "); ok {
		d, err := time.ParseDuration(every)
		if err != nil || d < time.Second || d > maxEvery || d%time.Second != 0 {
			return nil, faultf(`write it like "@every 1m"`, "must have whole seconds from 1s to 8760h after @every, not %s", quote(every))
		}
		return cron.Every(d), nil
	}
	schedule, err := cron.ParseStandard(sundays(s))
	if err != nil || !strings.HasPrefix(s, "@") && oddField().MatchString(s) {
		return nil, cronFault(s)
	}
	if spec, ok := schedule.(*cron.SpecSchedule); ok {
		// The start is fixed, so that a good file stays good. The five years that the library searches have a leap year.
		spec.Location = time.UTC
		if spec.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
			return nil, faultf("check the day and the month", "matches no date: %s", quote(s))
		}
	}
	return schedule, nil
}

// cronFields are the fields of a schedule with what each takes.
var cronFields = []struct{ name, takes string }{
	{"minute", "0 to 59"}, {"hour", "0 to 23"}, {"day", "1 to 31"}, {"month", "1 to 12, or jan to dec"}, {"weekday", "0 to 7, or sun to sat"},
}

// oddField matches a field in which the library sees nothing, or a star and not the number behind it.
var oddField = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|\s),+(?:\s|$)|[*?]-`) })

// cronFault says what is wrong with a schedule that cannot be parsed. The library's messages are for those who know its code.
func cronFault(s string) *fault {
	const fix = fiveFields + `, or "@every 1m"`
	fields := strings.Fields(s)
	switch {
	case len(fields) == 0:
		return faultf(fix, "is not a cron schedule: it is empty")
	case strings.HasPrefix(fields[0], "@"):
		return faultf(`write @hourly, @daily, @weekly, @monthly, @yearly or "@every 1m", or five cron fields such as "*/5 * * * *"`,
			"is not a cron schedule: there is no %s", quote(s))
	case len(fields) != len(cronFields):
		return faultf(fix, "is not a cron schedule: it has %s, not 5: %s", text.Plural(len(fields), "field"), quote(s))
	}
	for n, field := range cronFields {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[n] = fields[n]
		if _, err := cron.ParseStandard(sundays(strings.Join(alone, " "))); err != nil || oddField().MatchString(fields[n]) {
			return faultf("write *, or numbers and ranges from "+field.takes+", such as 1,3-5; a step is */2", "is not a cron schedule: its %s is %s", field.name, quote(fields[n]))
		}
	}
	return faultf(fix, "is not a cron schedule: %s", quote(s))
}

// weekdays matches an item of the weekday field: a day or a range, and perhaps a step.
var weekdays = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-7])(?:-([0-7]))?(?:/([1-9]\d?))?$`) })

// sundays replaces 7, which is Sunday in every cron but in the library, in the weekday field of a schedule.
func sundays(schedule string) string {
	fields := strings.Fields(schedule)
	if len(fields) != 5 || strings.HasPrefix(schedule, " ") || !strings.Contains(fields[4], "7") {
		return schedule
	}
	var days []string
	for item := range strings.SplitSeq(fields[4], ",") {
		m := weekdays().FindStringSubmatch(item)
		if m == nil || cmp.Or(m[2], m[1]) != "7" {
			days = append(days, item)
			continue
		}
		first, _ := strconv.Atoi(m[1])
		step, _ := strconv.Atoi(cmp.Or(m[3], "1"))
		for day := first; day <= 7; day += step {
			days = append(days, strconv.Itoa(day%7))
		}
	}
	return strings.Join(append(fields[:4], strings.Join(days, ",")), " ")
}

func timeZone(s string) (string, *fault) {
	if _, err := time.LoadLocation(s); err != nil || s == "" {
		return "", faultf("write a name such as UTC or Europe/Berlin", "is not a time zone: %s", quote(s))
	}
	return s, nil
}

// calendar is a cron schedule that fires at each minute at which the wall clock of its zone matches the five fields.
// When the clock is put forward, the skipped times do not fire; when it is put back, the repeated times fire twice; no
// other time or day is affected. The library steps by local days and hours instead: in zones that change at midnight or
// by half an hour it skips days or fires on wrong ones.
type calendar struct{ *cron.SpecSchedule }

// Next returns the first matching time after t, or zero if there is none within the library's limit, five years.
func (c calendar) Next(t time.Time) time.Time {
	const quarter = 15 * time.Minute
	end := t.AddDate(5, 0, 0)
	for t = t.Truncate(time.Minute).Add(time.Minute); t.Before(end); {
		at := t.In(c.Location)
		switch {
		case !c.matchesDay(at) || c.Hour>>at.Hour()&1 == 0:
			// The offset of every zone is a multiple of a quarter, so days and hours begin at one.
			t = t.Truncate(quarter).Add(quarter)
		case c.Minute>>at.Minute()&1 == 0:
			t = t.Add(time.Minute)
		default:
			return at
		}
	}
	return time.Time{}
}

// matchesDay reports whether the schedule includes the date. As in every cron, if both the day of the month and the day
// of the week are restricted, one match is enough. The library marks an unrestricted field with the highest bit.
func (c calendar) matchesDay(t time.Time) bool {
	const unrestricted = 1 << 63
	byDate, byWeekday := c.Dom>>t.Day()&1 == 1, c.Dow>>t.Weekday()&1 == 1
	switch {
	case c.Month>>t.Month()&1 == 0:
		return false
	case c.Dom&unrestricted != 0 || c.Dow&unrestricted != 0:
		return byDate && byWeekday
	}
	return byDate || byWeekday
}
