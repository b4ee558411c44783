package breaker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/internal/yardstick"
)

func TestRecordAllocations(t *testing.T) {
	c := breaker.New(3)
	c.Record("odilo", false)
	n := 0
	allocs := testing.AllocsPerRun(1000, func() {
		c.Record("odilo", n%7 == 0)
		c.Record("digital-twins", true) // has never failed
		n++
	})
	require.Zero(t, allocs)
	counts := false
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		c.Count("odilo")
		c.Tripped("odilo")
		counts = breaker.Counts("project-meta-odilo")
	}))
	require.True(t, counts)
}

// BenchmarkCostOfABreakerStep compares a result's cost with that of the original, which was measured once: it is a Rust
// program and cannot run here.
func BenchmarkCostOfABreakerStep(b *testing.B) {
	for _, x := range []struct {
		projects int
		original float64 // ns
	}{{1, 41}, {1_000, 53}, {100_000, 549}} {
		b.Run(fmt.Sprintf("projects=%d", x.projects), func(b *testing.B) {
			ids := make([]string, x.projects)
			c := breaker.New(breaker.DefaultThreshold)
			for i := range ids {
				ids[i] = fmt.Sprintf("project-%06d", i)
				c.Record(ids[i], false)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c.Record(ids[i], i&3 == 3)
				if i++; i == x.projects {
					i = 0
				}
			}
			took := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			yardstick.Row{
				What: fmt.Sprintf("breaker step, projects: %d", x.projects), Measured: fmt.Sprintf("%.1f ns, no allocation", took),
				Yardstick: fmt.Sprintf("the original (Rust): %.0f ns", x.original), Value: took / x.original, Unit: "×", Goal: 0.5,
			}.Report(b)
		})
	}
}

func BenchmarkStateNext(b *testing.B) {
	b.ReportAllocs()
	var s breaker.State
	for b.Loop() {
		s, _ = s.Next(breaker.DefaultThreshold, false)
	}
}
