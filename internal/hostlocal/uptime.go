package hostlocal

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/incident"
)

// MachineUptime returns how long this machine has been up in which boot, or the zero Uptime if it is unknown.
func MachineUptime() incident.Uptime {
	boot, err := BootID()
	var ts unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return incident.Uptime{}
	}
	return incident.Uptime{Boot: boot, For: time.Duration(ts.Nano())}
}
