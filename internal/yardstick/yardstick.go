// Package yardstick compares benchmarks with a yardstick, so that their results mean something on a noisy machine: it
// runs the subject and the yardstick alternately and reports the ratio. `.ci/bench` runs every benchmark whose name
// begins with BenchmarkCost and prints the rows that they report as one table.
//
// A failure, such as an unwritable file, ends the benchmark. The functions start no goroutines.
package yardstick

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TableFile is the environment variable with the path of the Markdown table that [Row.Report] appends to. If it is not
// set, a benchmark reports to its own output only.
const TableFile = "ADFBOT_BENCH_TABLE"

// Row is one line of the table.
type Row struct {
	What      string // what was measured
	Measured  string // the result with its unit
	Yardstick string // the yardstick and its result; "–": none
	Value     float64
	Unit      string // of Value and Goal: "×" for a ratio, "MB", "requests"
	Goal      float64
	AtLeast   bool // the goal is a minimum, not a maximum
	NoGoal    bool // a figure worth knowing, and no promise
}

// Reached reports whether the value meets the goal.
func (r Row) Reached() bool {
	if r.NoGoal {
		return true
	}
	if r.AtLeast {
		return r.Value >= r.Goal
	}
	return r.Value <= r.Goal
}

// Report adds the row to the benchmark's output, and to the table if $[TableFile] is set.
func (r Row) Report(b *testing.B) {
	b.Helper()
	b.ReportMetric(r.Value, r.unit())
	if !r.NoGoal {
		b.ReportMetric(r.Goal, "goal")
	}
	file := os.Getenv(TableFile)
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(r.line())
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		b.Fatalf("append to the table of results: %v", err)
	}
}

// line returns the row in Markdown.
func (r Row) line() string {
	bound, reached := "at most "+number(r.Goal, r.Unit), "yes"
	switch {
	case r.NoGoal:
		bound, reached = "–", "–"
	case r.AtLeast:
		bound = "at least " + number(r.Goal, r.Unit)
	}
	if !r.Reached() {
		reached = "**no**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", r.What, r.Measured, r.Yardstick, number(r.Value, r.Unit), bound, reached)
}

// unit returns Unit as the format of benchmark results allows it.
func (r Row) unit() string {
	return strings.ReplaceAll(strings.ReplaceAll(r.Unit, "×", "ratio"), " ", "-")
}

func number(v float64, unit string) string {
	s := fmt.Sprintf("%.3g", v)
	if unit == "×" {
		return s + " ×"
	}
	return s + " " + unit
}

// Took formats a duration with three significant digits.
func Took(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
	return fmt.Sprintf("%.3g ms", d.Seconds()*1e3)
}

// Compare times subject and yardstick alternately for as long as the benchmark runs, and returns their medians. The
// order changes each time.
func Compare(b *testing.B, subject, yardstick func()) (s, y time.Duration) {
	b.Helper()
	return CompareTimed(b, 1, Timed(subject), Timed(yardstick))
}

// Timed returns a function that runs f and returns how long it took.
func Timed(f func()) func() time.Duration {
	return func() time.Duration {
		start := time.Now()
		f()
		return time.Since(start)
	}
}

// CompareTimed is [Compare] for functions with a long preparation: each returns the duration of the part that counts.
// It runs them at least minRuns times, because a benchmark with long runs ends after the first.
func CompareTimed(b *testing.B, minRuns int, subject, yardstick func() time.Duration) (s, y time.Duration) {
	b.Helper()
	unix.Sync() // neither should wait for what builds and other benchmarks have written
	var ss, ys []time.Duration
	run := func() {
		if len(ss)%2 == 0 {
			ss = append(ss, subject())
			ys = append(ys, yardstick())
		} else {
			ys = append(ys, yardstick())
			ss = append(ss, subject())
		}
	}
	for b.Loop() {
		run()
	}
	for len(ss) < minRuns {
		run()
	}
	s, y = median(ss), median(ys)
	b.ReportMetric(float64(s.Nanoseconds()), "ns/op")
	b.ReportMetric(float64(y.Nanoseconds()), "yardstick-ns/op")
	return s, y
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}
