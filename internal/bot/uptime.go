package bot

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate"
)

// MachineUptime asks the machine's own clock. Where Linux does not tell, it is the zero Uptime.
func MachineUptime() escalate.Uptime {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var ts unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return escalate.Uptime{}
	}
	return escalate.Uptime{Boot: strings.TrimSpace(string(boot)), For: time.Duration(ts.Nano())}
}
