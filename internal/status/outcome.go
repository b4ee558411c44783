package status

import "github.com/terraphim/adfbot/internal/store"

// Outcome returns a known outcome, or "ignored" for any other text, so that no text from outside is used as an outcome.
func Outcome(s string) string {
	switch s {
	case store.Success, store.Failure:
		return s
	}
	return store.Ignored
}

// Symbol returns the character that shows an outcome in a row of runs.
func Symbol(outcome string) string {
	switch outcome {
	case store.Success:
		return "✔"
	case store.Failure:
		return "✘"
	}
	return "–"
}
