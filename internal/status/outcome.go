package status

import "github.com/terraphim/adfbot/internal/store"

// Outcome returns an outcome as it is where it is a known one, else "ignored": nothing is built from words from outside.
func Outcome(s string) string {
	switch s {
	case store.Success, store.Failure:
		return s
	}
	return store.Ignored
}

// Symbol returns the character that stands for an outcome in a row of runs.
func Symbol(outcome string) string {
	switch outcome {
	case store.Success:
		return "✔"
	case store.Failure:
		return "✘"
	}
	return "–"
}
