// Package yardstick is for benchmarks whose figures mean something on a noisy machine: what is measured and what it is held
// against are timed in turns, in one run, and the ratio is what counts. `.ci/bench` runs every benchmark whose name begins
// with BenchmarkCost and prints the rows that they report as one table.
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

// TableFile names the environment variable with the file that [Row.Report] appends a line of a Markdown table to. Where it
// is not set, a benchmark reports to the benchmark's own output only.
const TableFile = "ADFBOT_BENCH_TABLE"

// Row is one line of the table.
type Row struct {
	What      string // what was measured, as in the README's table
	Measured  string // its figure, with the unit
	Yardstick string // what it is held against, with its figure; "–" where there is none
	Value     float64
	Unit      string // of Value and Goal: "×" for a ratio, "MB", "requests"
	Goal      float64
	AtLeast   bool // more is better; else less is
}

// Reached tells whether the value is at or within the goal.
func (r Row) Reached() bool {
	if r.AtLeast {
		return r.Value >= r.Goal
	}
	return r.Value <= r.Goal
}

// Report gives the row to the benchmark's output, and to the table where one is asked for.
func (r Row) Report(b *testing.B) {
	b.Helper()
	b.ReportMetric(r.Value, r.unit())
	b.ReportMetric(r.Goal, "goal")
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
		b.Fatalf("the table's row can't be written: %v", err)
	}
}

// line is the row in Markdown.
func (r Row) line() string {
	bound, reached := "at most", "yes"
	if r.AtLeast {
		bound = "at least"
	}
	if !r.Reached() {
		reached = "**no**"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s %s | %s |\n", r.What, r.Measured, r.Yardstick, number(r.Value, r.Unit), bound, number(r.Goal, r.Unit), reached)
}

// unit is Unit in letters that the benchmark format takes.
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

// Took writes a time with three digits, in the unit that makes them readable.
func Took(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
	return fmt.Sprintf("%.3g ms", d.Seconds()*1e3)
}

// Compare times subject and yardstick in turns, each turn in the other order, for as long as the benchmark runs, and
// returns their medians.
func Compare(b *testing.B, subject, yardstick func()) (s, y time.Duration) {
	b.Helper()
	return CompareTimed(b, 1, Timed(subject), Timed(yardstick))
}

// Timed tells how long all of f took.
func Timed(f func()) func() time.Duration {
	return func() time.Duration {
		begun := time.Now()
		f()
		return time.Since(begun)
	}
}

// CompareTimed is Compare for what takes long to prepare: each of the two tells how long the part took that counts. There
// are at least so many turns, since a benchmark of long turns is over after the first.
func CompareTimed(b *testing.B, least int, subject, yardstick func() time.Duration) (s, y time.Duration) {
	b.Helper()
	unix.Sync() // what was written before, the builds and the other benchmarks' gigabytes, is not for these two to wait for
	var ss, ys []time.Duration
	turn := func() {
		if len(ss)%2 == 0 {
			ss = append(ss, subject())
			ys = append(ys, yardstick())
		} else {
			ys = append(ys, yardstick())
			ss = append(ss, subject())
		}
	}
	for b.Loop() {
		turn()
	}
	for len(ss) < least {
		turn()
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
