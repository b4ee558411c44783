package issuetext_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
)

// The flag of a stop says for people and for the bot when it ends, and which stop it is a part of.
func TestStopNote(t *testing.T) {
	at := time.Date(2026, 11, 23, 6, 30, 0, 0, time.UTC)
	s := incident.Stop{ID: strings.Repeat("e", 32), Patterns: []string{"*"}, Reason: "the provider\nis down", By: "kim", Since: at, Until: at.Add(2 * time.Hour)}
	how := issuetext.Resume{Command: "adfbot resume odilo", Flag: "/pause/odilo"}
	h := incident.Hold{ID: strings.Repeat("a", 32), Project: "odilo", Until: s.Until, Stop: s.ID, Note: issuetext.StopNote("odilo", s, "bigbox", how)}
	mark := issuetext.Mark{Pause: incident.Pause{ID: h.ID, Generation: 4}, Written: at}
	note := issuetext.HoldFlag(h, how, mark)
	require.True(t, strings.HasPrefix(note, `odilo is paused with all projects by kim (bigbox, 2026-11-23 06:30 UTC).
It resumes by itself at 2026-11-23 08:30 UTC.
Reason: the provider is down
To resume, run: adfbot resume odilo
or remove the file /pause/odilo
`), note)
	info, ok := issuetext.ParseFlagNote(note)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Pause: mark.Pause, Until: s.Until, Stop: s.ID, Written: at}, info)
	require.Equal(t, strings.TrimRight(h.Note, "\n"), strings.TrimRight(issuetext.PersonsNote("odilo", note), "\n"))
}

func TestEndCommand(t *testing.T) {
	require.Equal(t, "adfbot resume --all --config /x", issuetext.EndCommand("", incident.Stop{Patterns: []string{"*"}}, " --config /x"))
	require.Equal(t, "sudo adfbot resume odilo 'twins-*'", issuetext.EndCommand("sudo ", incident.Stop{Patterns: []string{"odilo", "twins-*"}}, ""))
}
