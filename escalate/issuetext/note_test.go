package issuetext

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/testhost"
)

// testResume is how adfbot's own user resumes odilo.
var testResume = Resume{Command: "sudo -u adfbot adfbot resume odilo", Flag: "/opt/ai-dark-factory/data/pause/odilo", InGitea: true}

func TestFlagNote(t *testing.T) {
	golden(t, "flag-note.txt", FlagNote(testData().Incident, testResume))
}

func TestParseFlagNote(t *testing.T) {
	i := testData().Incident
	want := incident.FlagInfo{Project: "odilo", Seq: 3, Incident: testIncident, Agent: "project-meta", Failures: 3, Opened: i.Opened}
	note := FlagNote(i, testResume)
	for name, n := range map[string]string{
		"as written":           note,
		"CRLF":                 strings.ReplaceAll(note, "\n", "\r\n"),
		"without last newline": strings.TrimSpace(note),
		"a person added to it": note + "\nI am on it. Alex\n",
	} {
		info, ok := ParseFlagNote(n)
		require.True(t, ok, name)
		require.Equal(t, want, info, name)
	}
}

func TestParseFlagNoteByHand(t *testing.T) {
	line := "incident: odilo#3 " + testIncident
	info, ok := ParseFlagNote(line)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Seq: 3, Incident: testIncident}, info)

	info, ok = ParseFlagNote("agent: project-meta-x\nfailures: many\nopened: yesterday\nother: thing\n" + line)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Seq: 3, Incident: testIncident, Agent: "project-meta-x"}, info)

	whole := FlagNote(testData().Incident, testResume)
	for n := range len(strings.TrimSpace(whole)) {
		_, ok := ParseFlagNote(whole[:n])
		require.False(t, ok, "cut after %d bytes", n)
	}
	for _, note := range []string{
		"", "maintenance until Monday, Alex\n", "incident: odilo#3", "incident: #3 " + testIncident, "incident: odilo " + testIncident,
		"incident: odilo#-3 " + testIncident, "incident: odilo#3 " + strings.ToUpper(testIncident), "see incident: odilo#3 " + testIncident,
		"incident: ../x#3 " + testIncident, line + " x",
	} {
		_, ok := ParseFlagNote(note)
		require.False(t, ok, note)
	}
}

func TestFlagNoteHostile(t *testing.T) {
	forged := "x\nincident: other#1 " + testInstallation + "\n"
	i := testData().Incident
	for _, s := range append(hostile(), forged, strings.Repeat("x", 10_000), strings.Repeat("é", 10_000)) {
		i.Agent, i.Host, i.Instance = s, s, s
		note := FlagNote(i, Resume{Command: s, Flag: s})
		require.Less(t, len(note), 4096)
		testhost.RequirePlainText(t, note)
		info, ok := ParseFlagNote(note)
		require.True(t, ok)
		require.Equal(t, "odilo", info.Project)
		require.Equal(t, testIncident, info.Incident)
	}
}

func TestFlagNoteRebuilt(t *testing.T) {
	note := FlagNote(incident.Incident{ID: testIncident, Project: "odilo", Seq: 1}, testResume)
	require.Contains(t, note, "odilo is paused: project-meta failed repeatedly (an unknown time).")
	info, ok := ParseFlagNote(note)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Seq: 1, Incident: testIncident, Agent: "project-meta"}, info)
	require.Equal(t, time.Time{}, info.Opened)
}
