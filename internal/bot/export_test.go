package bot

import "time"

// SetWaits shortens how long exec waits for pipes that are held open, and between SIGTERM and SIGKILL.
func SetWaits(pipe, kill time.Duration) (restore func()) {
	oldPipe, oldKill := pipeWait, killWait
	pipeWait, killWait = pipe, kill
	return func() { pipeWait, killWait = oldPipe, oldKill }
}

// SetTogether sets how long a command's end by SIGINT or SIGTERM waits for adfbot's own.
func SetTogether(wait time.Duration) { togetherWait = wait }

// GateWith is [Gate] with another look at the directory.
var GateWith = gate
