package bot

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/hostlocal"
)

// MachineUptime asks the machine's own clock. Where Linux does not tell, it is the zero Uptime.
func MachineUptime() incident.Uptime {
	boot, err := hostlocal.BootID()
	var ts unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return incident.Uptime{}
	}
	return incident.Uptime{Boot: boot, For: time.Duration(ts.Nano())}
}
