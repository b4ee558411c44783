package bot

import "time"

// SetWaits shortens how long exec waits for pipes that are held open, and between SIGTERM and SIGKILL.
func SetWaits(pipe, kill time.Duration) (restore func()) {
	oldPipe, oldKill := pipeWait, killWait
	pipeWait, killWait = pipe, kill
	return func() { pipeWait, killWait = oldPipe, oldKill }
}

// GateWith is [Gate] with another look at the directory.
var GateWith = gate
