package pause

// SetFault has f called before each step that reaches the disk; an error that
// it returns takes the place of the step. The result puts things back.
func SetFault(f func(step string) error) (restore func()) {
	old := fault
	fault = f
	return func() { fault = old }
}
