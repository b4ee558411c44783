package exposition

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// clockTicks is the number of ticks per second in proc_pid_stat(5), the same on every architecture that Go supports.
const clockTicks = 100

// Process adds the metrics process_* of Prometheus's client library, as far as they can be read from Linux.
func (p *Page) Process() {
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.Gauge("process_open_fds", "Number of open file descriptors.", float64(len(fds)-1)) // without the directory itself
	}
	limit := func(name, help string, what int) {
		var l syscall.Rlimit
		if syscall.Getrlimit(what, &l) == nil {
			p.Gauge(name, help, float64(l.Cur))
		}
	}
	limit("process_max_fds", "Maximum number of open file descriptors.", syscall.RLIMIT_NOFILE)
	limit("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", syscall.RLIMIT_AS)

	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // the program's name may contain anything
	field := func(n int) float64 {                                            // as numbered in proc_pid_stat(5)
		if n-3 >= len(fields) {
			return 0
		}
		v, _ := strconv.ParseFloat(fields[n-3], 64)
		return v
	}
	p.Total("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", (field(14)+field(15))/clockTicks)
	p.Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", field(23))
	p.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.", field(24)*float64(os.Getpagesize()))
	if boot, ok := bootTime(); ok {
		p.Gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", boot+field(22)/clockTicks)
	}
}

// bootTime returns when the machine started, in seconds since 1970.
func bootTime() (float64, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(stat)) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			s, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return s, err == nil
		}
	}
	return 0, false
}
