// Package text formats counts, durations, sizes and shell words for people: in messages, in issues and on the page.
//
// The functions depend on nothing but their arguments, so they may be called from any goroutine.
package text

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Plural returns n and its noun, e.g. "1 project" or "3 projects".
func Plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// Failed returns what an agent did n times, e.g. "failed 3 times in a row". n may be 0: not known.
func Failed(n int) string {
	switch {
	case n <= 0:
		return "failed repeatedly"
	case n == 1:
		return "failed 1 time"
	}
	return "failed " + Plural(n, "time") + " in a row"
}

// Duration returns d in at most two units, e.g. "0.4s", "42s", "12m 5s", "3h 20m" or "2d 4h". Below ten seconds it
// rounds to a tenth, and up to 0.1s what is shorter than that; above, it rounds to a second. A negative duration counts
// as 0.
//
// For an age that is printed again and again, pass d.Truncate(time.Second).
func Duration(d time.Duration) string {
	if 0 < d && d < 10*time.Second {
		tenths := max(d.Round(100*time.Millisecond), 100*time.Millisecond)
		return strconv.FormatFloat(tenths.Seconds(), 'f', -1, 64) + "s"
	}
	switch s := int64(max(d, 0).Round(time.Second) / time.Second); {
	case s < 60:
		return units(s, "s", 0, "")
	case s < 60*60:
		return units(s/60, "m", s%60, "s")
	case s < 24*60*60:
		return units(s/3600, "h", s%3600/60, "m")
	default:
		return units(s/86400, "d", s%86400/3600, "h")
	}
}

// Age returns d for an age in minutes, or in seconds while it is younger than one; never 0.
func Age(d time.Duration) string {
	if d < time.Minute {
		return Duration(max(d.Truncate(time.Second), time.Second))
	}
	return Duration(d.Truncate(time.Minute))
}

func units(a int64, unitA string, b int64, unitB string) string {
	s := strconv.FormatInt(a, 10) + unitA
	if b != 0 {
		s += " " + strconv.FormatInt(b, 10) + unitB
	}
	return s
}

// ParseDuration reads a duration as in Go that is longer than 0, with days, too: 4h, 90m, 3d, 1d12h.
func ParseDuration(s string) (time.Duration, bool) {
	var days int
	if before, after, ok := strings.Cut(strings.ToLower(s), "d"); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // more days are as wrong as these
			return 0, false
		}
		if days, s = int(n), after; s == "" {
			s = "0s"
		}
	}
	rest, err := time.ParseDuration(strings.ToLower(s))
	d := time.Duration(days)*24*time.Hour + rest
	if err != nil || rest < 0 || d <= 0 {
		return 0, false
	}
	return d, true
}

// Size returns a number of bytes, e.g. "1 byte", "512 bytes", "8.2 KB" (8,200 bytes) or "21.0 MB".
func Size(n int64) string {
	switch {
	case n < 1000:
		return Plural(int(n), "byte")
	case n < 999_950:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	case n < 999_950_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Once returns the lines of s, each once: what failed for one cause in several places is said once.
func Once(s string) string {
	known := map[string]bool{}
	return strings.Join(slices.DeleteFunc(strings.Split(s, "\n"), func(line string) bool {
		again := known[line]
		known[line] = true
		return again
	}), "\n")
}

// ShellQuote returns a word that a POSIX shell reads as s: s itself where nothing in it is special, else s in single
// quotes.
func ShellQuote(s string) string {
	special := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/._-+:@", c)
	}
	if s != "" && s[0] != '-' && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
