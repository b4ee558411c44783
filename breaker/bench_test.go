package breaker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/breaker"
)

func TestRecordDoesNotAllocateForKnownProjects(t *testing.T) {
	c := breaker.New(3)
	c.Record("odilo", false)
	n := 0
	allocs := testing.AllocsPerRun(1000, func() {
		c.Record("odilo", n%7 == 0)
		c.Record("digital-twins", true) // has never failed, and needs no room either
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

func BenchmarkCounterRecord(b *testing.B) {
	for _, n := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprintf("projects=%d", n), func(b *testing.B) {
			ids := make([]string, n)
			c := breaker.New(breaker.DefaultThreshold)
			for i := range ids {
				ids[i] = fmt.Sprintf("project-%06d", i)
				c.Record(ids[i], false)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c.Record(ids[i], i&3 == 3)
				if i++; i == n {
					i = 0
				}
			}
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
