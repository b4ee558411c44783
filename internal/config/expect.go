package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/text"
)

const (
	minExpected  = time.Minute // serve looks once a minute
	defaultGrace = 15 * time.Minute
)

// Expect says when a project has to report.
type Expect struct {
	Every    time.Duration // from result to result; 0: by Cron
	Cron     string        `json:",omitempty"` // five fields or a word such as @hourly; "": by Every
	TimeZone string        `json:",omitempty"` // of Cron
	Grace    time.Duration // how much later it may be
}

// IsZero reports whether nothing is expected.
func (e Expect) IsZero() bool { return e == Expect{} }

// String says in words what is expected, e.g. "every 1h, with 15m of grace".
func (e Expect) String() string {
	when := "every " + text.Duration(e.Every)
	if e.Cron != "" {
		when = fmt.Sprintf("by %s (%s)", e.Cron, e.TimeZone)
	}
	return when + ", with " + text.Duration(e.Grace) + " of grace"
}

// Words is String, but "" if nothing is expected.
func (e Expect) Words() string {
	if e.IsZero() {
		return ""
	}
	return e.String()
}

// Deadline returns until when a project has to report that reported last, or may do so since, at a time. For a checked Expect it fails only
// as [Sweep.Cron] does.
func (e Expect) Deadline(from time.Time) (time.Time, error) {
	if e.Cron == "" {
		return from.Add(e.Every + e.Grace), nil
	}
	schedule, err := cronIn(e.Cron, e.TimeZone, "expect.cron", "expect.time_zone")
	if err != nil {
		return time.Time{}, err
	}
	return schedule.Next(from).Add(e.Grace), nil
}

func expectFields(e *Expect) []field {
	return []field{
		leaf("every", &e.Every, duration(minExpected, maxEvery)),
		leaf("cron", &e.Cron, str(expectedCron)),
		leaf("time_zone", &e.TimeZone, str(timeZone)),
		leaf("grace", &e.Grace, duration(minExpected, maxEvery)),
	}
}

// expect is when a project has to report. If there is a mistake in it, nothing is expected.
func expect(to *Expect) field {
	return field{name: "expect", read: func(r *reader, v value) {
		e := Expect{Grace: defaultGrace}
		before := len(r.problems)
		r.mapping(v, expectFields(&e))
		switch zone := v.key + ".time_zone"; {
		case len(r.problems) > before || v.checkOnly:
			return
		case e.Every == 0 && e.Cron == "":
			r.report(v.line, v.key, faultf("write every: 1h, or cron: with five fields", "does not say when a result is expected"))
			return
		case e.Every != 0 && e.Cron != "":
			r.report(r.lines[v.key+".cron"], v.key+".cron", faultf("keep one of the two", "must not be set together with every"))
			return
		case e.Every != 0 && r.given(zone):
			r.report(r.lines[zone], zone, faultf("remove it", "is only for cron"))
			return
		case e.Cron != "" && e.TimeZone == "":
			e.TimeZone = "UTC"
		}
		*to = e
	}, below: func() []field { return expectFields(to) }}
}

func expectedCron(s string) (string, *fault) {
	if strings.HasPrefix(s, "@every") {
		return "", faultf("write every: 1h", "is for times of the clock, not %s", quote(s))
	}
	_, f := cronSchedule(s)
	if f != nil && strings.HasPrefix(f.fix, fiveFields) {
		f.fix = fiveFields // an interval is not for cron
	}
	return s, f
}
