//go:build race

package testhost

// Race reports whether the race detector is on.
const Race = true
