package pause

// ReadStart is readStart.
var ReadStart = readStart

// SetFault calls f before each step that reaches the disk. If f returns an error,
// the step fails with it.
func SetFault(f func(step string) error) (restore func()) {
	old := fault
	fault = f
	return func() { fault = old }
}
