package hostlocal

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/incident"
)

// MachineUptime returns a function that returns how long this machine has been up in which boot, or the zero Uptime if it is
// unknown. The boot is read once: a process does not outlive it.
func MachineUptime() func() incident.Uptime {
	boot, err := bootID()
	return func() incident.Uptime {
		var ts unix.Timespec
		if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
			return incident.Uptime{}
		}
		return incident.Uptime{Boot: boot, For: time.Duration(ts.Nano())}
	}
}
