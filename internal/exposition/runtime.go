package exposition

import (
	"runtime"
	"runtime/debug"
	"time"
)

// Runtime adds the metrics go_* of Prometheus's client library. Reading them stops the program for some microseconds.
func (p *Page) Runtime() {
	p.Gauge("go_info", "Information about the Go environment.", 1, "version", runtime.Version())
	p.Gauge("go_goroutines", "Number of goroutines that currently exist.", float64(runtime.NumGoroutine()))
	threads, _ := runtime.ThreadCreateProfile(nil)
	p.Gauge("go_threads", "Number of OS threads created.", float64(threads))
	p.Gauge("go_sched_gomaxprocs_threads", "The current runtime.GOMAXPROCS setting.", float64(runtime.GOMAXPROCS(0)))
	p.Gauge("go_gc_gomemlimit_bytes", "Go runtime memory limit configured by the user, otherwise math.MaxInt64.", float64(debug.SetMemoryLimit(-1)))
	p.gcPauses()
	p.memory()
}

func (p *Page) gcPauses() {
	gc := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&gc)
	const name = "go_gc_duration_seconds"
	lines := ""
	for i, q := range gc.PauseQuantiles {
		lines += line(name, `quantile="`+number(float64(i)/float64(len(gc.PauseQuantiles)-1))+`"`, q.Seconds())
	}
	p.add(name, "A summary of the wall-time pause (stop-the-world) duration in garbage collection cycles.", "summary", "",
		lines+line(name+"_sum", "", gc.PauseTotal.Seconds())+line(name+"_count", "", float64(gc.NumGC)))
}

func (p *Page) memory() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, f := range []struct {
		name, help string
		value      uint64
	}{
		{"alloc_bytes", "Number of bytes allocated in heap and currently in use.", m.Alloc},
		{"buck_hash_sys_bytes", "Number of bytes used by the profiling bucket hash table.", m.BuckHashSys},
		{"gc_sys_bytes", "Number of bytes used for garbage collection system metadata.", m.GCSys},
		{"heap_alloc_bytes", "Number of heap bytes allocated and currently in use, same as go_memstats_alloc_bytes.", m.HeapAlloc},
		{"heap_idle_bytes", "Number of heap bytes waiting to be used.", m.HeapIdle},
		{"heap_inuse_bytes", "Number of heap bytes that are in use.", m.HeapInuse},
		{"heap_objects", "Number of currently allocated objects.", m.HeapObjects},
		{"heap_released_bytes", "Number of heap bytes released to OS.", m.HeapReleased},
		{"heap_sys_bytes", "Number of heap bytes obtained from system.", m.HeapSys},
		{"mcache_inuse_bytes", "Number of bytes in use by mcache structures.", m.MCacheInuse},
		{"mcache_sys_bytes", "Number of bytes used for mcache structures obtained from system.", m.MCacheSys},
		{"mspan_inuse_bytes", "Number of bytes in use by mspan structures.", m.MSpanInuse},
		{"mspan_sys_bytes", "Number of bytes used for mspan structures obtained from system.", m.MSpanSys},
		{"next_gc_bytes", "Number of heap bytes when next garbage collection will take place.", m.NextGC},
		{"other_sys_bytes", "Number of bytes used for other system allocations.", m.OtherSys},
		{"stack_inuse_bytes", "Number of bytes obtained from system for stack allocator in non-CGO environments.", m.StackInuse},
		{"stack_sys_bytes", "Number of bytes obtained from system for stack allocator.", m.StackSys},
		{"sys_bytes", "Number of bytes obtained from system.", m.Sys},
	} {
		p.Gauge("go_memstats_"+f.name, f.help, float64(f.value))
	}
	p.Gauge("go_memstats_last_gc_time_seconds", "Number of seconds since 1970 of last garbage collection.", float64(m.LastGC)/1e9)
	p.Total("go_memstats_alloc_bytes_total", "Total number of bytes allocated in heap until now, even if released already.", float64(m.TotalAlloc))
	p.Total("go_memstats_mallocs_total", "Total number of heap objects allocated, both live and gc-ed.", float64(m.Mallocs))
	p.Total("go_memstats_frees_total", "Total number of heap objects frees.", float64(m.Frees))
}
