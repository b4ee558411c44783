package exposition

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/require"
)

// types returns the type of each metric of a page.
func types(page string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(page) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			out[f[2]] = f[3]
		}
	}
	return out
}

// value returns one sample of a page.
func value(t *testing.T, page, series string) float64 {
	t.Helper()
	_, rest, ok := strings.Cut("\n"+page, "\n"+series+" ")
	require.True(t, ok, series)
	text, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

func TestRuntime(t *testing.T) {
	want := library(t, collectors.NewGoCollector())
	p := NewPage()
	p.Runtime()
	page := text(t, p)
	names := types(want)
	delete(names, "go_gc_gogc_percent") // only runtime/metrics has it, which would slow down each start of the program
	require.Equal(t, names, types(page))
	for _, same := range []string{`go_info{version="` + runtime.Version() + `"}`, "go_sched_gomaxprocs_threads", "go_gc_gomemlimit_bytes"} {
		require.Equal(t, value(t, want, same), value(t, page, same), same)
	}
	// These change all the time, and a collection may run between the two reads: compare the magnitude.
	for _, like := range []string{"go_memstats_sys_bytes", "go_memstats_heap_sys_bytes", "go_memstats_stack_sys_bytes", "go_threads"} {
		theirs, ours := value(t, want, like), value(t, page, like)
		require.Less(t, ours, 3*theirs, like)
		require.Greater(t, ours, theirs/3, like)
	}
	require.Equal(t, value(t, page, "go_memstats_heap_sys_bytes"), value(t, page, "go_memstats_heap_idle_bytes")+value(t, page, "go_memstats_heap_inuse_bytes"))
	require.Equal(t, value(t, page, "go_memstats_alloc_bytes"), value(t, page, "go_memstats_heap_alloc_bytes"))
	require.LessOrEqual(t, value(t, page, "go_memstats_heap_released_bytes"), value(t, page, "go_memstats_heap_idle_bytes"))
	for _, more := range []string{"go_memstats_mallocs_total", "go_memstats_alloc_bytes_total", "go_memstats_frees_total"} {
		require.GreaterOrEqual(t, value(t, page, more), value(t, want, more), more)
	}
	runtime.GC()
	p = NewPage()
	p.Runtime()
	page = text(t, p)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.Positive(t, value(t, page, "go_gc_duration_seconds_count"))
	require.Positive(t, value(t, page, `go_gc_duration_seconds{quantile="0.25"}`))
	require.GreaterOrEqual(t, value(t, page, `go_gc_duration_seconds{quantile="1"}`), value(t, page, `go_gc_duration_seconds{quantile="0"}`))
	require.LessOrEqual(t, value(t, page, "go_memstats_last_gc_time_seconds"), float64(m.LastGC)/1e9)
}

func TestProcess(t *testing.T) {
	for used := (syscall.Rusage{}); used.Utime.Nano() < 1e8; { // use some CPU time
		require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	}
	want := library(t, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p := NewPage()
	p.Process()
	page := text(t, p)
	names := types(want)
	for _, net := range []string{"process_network_receive_bytes_total", "process_network_transmit_bytes_total"} {
		delete(names, net) // they count the traffic of the whole machine
	}
	require.Equal(t, names, types(page))
	for _, same := range []string{"process_max_fds", "process_virtual_memory_max_bytes", "process_start_time_seconds", "process_open_fds"} {
		require.Equal(t, value(t, want, same), value(t, page, same), same)
	}
	for _, like := range []string{"process_resident_memory_bytes", "process_virtual_memory_bytes"} {
		theirs, ours := value(t, want, like), value(t, page, like)
		require.Less(t, ours, 3*theirs, like)
		require.Greater(t, ours, theirs/3, like)
	}
	require.InDelta(t, value(t, want, "process_cpu_seconds_total"), value(t, page, "process_cpu_seconds_total"), 0.09)

	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	q := NewPage()
	q.Process()
	require.Equal(t, value(t, page, "process_open_fds")+1, value(t, text(t, q), "process_open_fds"))
}
