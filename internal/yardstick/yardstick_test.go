package yardstick

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRowLine(t *testing.T) {
	r := Row{What: "a result", Measured: "0.2 ms", Yardstick: "an append, 0.1 ms", Value: 2, Unit: "×", Goal: 1.5}
	require.Equal(t, "| a result | 0.2 ms | an append, 0.1 ms | 2 × | at most 1.5 × | **no** |\n", r.line())
	r.Value = 1.5
	require.Equal(t, "| a result | 0.2 ms | an append, 0.1 ms | 1.5 × | at most 1.5 × | yes |\n", r.line())
	r = Row{What: "a start", Measured: "3 ms", Yardstick: "1 ms", Value: 3, Unit: "×", NoGoal: true}
	require.Equal(t, "| a start | 3 ms | 1 ms | 3 × | – | – |\n", r.line())
	r = Row{What: "memory", Measured: "31 MB", Yardstick: "–", Value: 31, Unit: "MB", Goal: 40, AtLeast: true}
	require.Equal(t, "| memory | 31 MB | – | 31 MB | at least 40 MB | **no** |\n", r.line())
}

func TestTook(t *testing.T) {
	require.Equal(t, "0.175 ms", Took(174_761*time.Nanosecond))
	require.Equal(t, "18.9 ms", Took(18_941_906*time.Nanosecond))
	require.Equal(t, "2.67 s", Took(2_670*time.Millisecond))
}

func TestReport(t *testing.T) {
	once(t)
	file := filepath.Join(t.TempDir(), "table")
	t.Setenv(TableFile, file)
	testing.Benchmark(func(b *testing.B) {
		s, y := Compare(b, func() {}, func() {})
		require.Less(b, max(s, y), time.Second)
		Row{What: "nothing", Measured: "0", Yardstick: "nothing", Value: 1, Unit: "×", Goal: 1}.Report(b)
	})
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(got), "| nothing | 0 | nothing | 1 × | at most 1 × | yes |\n")
}

func TestCompareTimed(t *testing.T) {
	once(t)
	runs := 0
	testing.Benchmark(func(b *testing.B) {
		s, y := CompareTimed(b, 5, func() time.Duration {
			runs++
			return time.Duration(runs) * time.Hour
		}, func() time.Duration { return time.Minute })
		require.Equal(b, 3*time.Hour, s)
		require.Equal(b, time.Minute, y)
	})
	require.Equal(t, 5, runs)
}

// once makes benchmarks loop once. Otherwise, one that takes no time loops for a second.
func once(t *testing.T) {
	t.Helper()
	const name = "test.benchtime"
	was := flag.Lookup(name).Value.String()
	require.NoError(t, flag.Set(name, "1x"))
	t.Cleanup(func() { require.NoError(t, flag.Set(name, was)) })
}
