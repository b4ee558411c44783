package web

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An answer about a body has no words of encoding/json, which name types of Go.
func TestBodyThatIsNotRead(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                         "it ends early",
		`{"issue":{"number":1`:     "it ends early",
		`{"issue" 1}`:              "it is no JSON at byte 10",
		`hello`:                    "it is no JSON at byte 1",
		`[]`:                       "it is a JSON array",
		`7`:                        "it is a JSON number",
		`{"issue":{"number":"x"}}`: `"issue.number" is a JSON string`,
		`{"issue":{"at":"today"}}`: "one of its values cannot be read",
	} {
		var e struct {
			Issue struct {
				Number int       `json:"number"`
				At     time.Time `json:"at"`
			} `json:"issue"`
		}
		err := json.Unmarshal([]byte(body), &e)
		require.Error(t, err, body)
		require.Equal(t, want, notRead([]byte(body), err), body)
	}
}
