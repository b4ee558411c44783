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

// testMark is what the bot writes into the flag of the test incident.
var testMark = Mark{Pause: incident.Pause{ID: testIncident, Generation: 2}, Written: time.Date(2026, 11, 23, 7, 4, 6, 0, time.UTC)}

func TestFlagNote(t *testing.T) {
	golden(t, "flag-note.txt", FlagNote(testData().Incident, testResume, testMark))
}

func TestFlagNoteClass(t *testing.T) {
	i := testData().Incident
	i.Class = "quota"
	first, _, _ := strings.Cut(FlagNote(i, testResume, testMark), "\n")
	require.Equal(t, "odilo is paused: project-meta failed 3 times in a row, quota (bigbox, 2026-11-23 07:04 UTC).", first)
}

func TestParseFlagNote(t *testing.T) {
	i := testData().Incident
	want := incident.FlagInfo{Project: "odilo", Seq: 3, Incident: testIncident, Agent: "project-meta", Failures: 3, Opened: i.Opened,
		Pause: testMark.Pause, Written: testMark.Written}
	note := FlagNote(i, testResume, testMark)
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

	i.Class = "quota"
	for note, class := range map[string]string{FlagNote(i, testResume, testMark): "quota", SpoolNote(i, testResume, testMark.Written): "quota",
		strings.Replace(FlagNote(i, testResume, testMark), "class: quota", "class: a/b", 1): ""} {
		info, ok := ParseFlagNote(note)
		require.True(t, ok)
		require.Equal(t, class, info.Class, note)
	}
}

func TestHoldFlag(t *testing.T) {
	for _, note := range []string{"", "odilo is paused by kim\nReason: disk\n", "incident: odilo#3 " + testInstallation, "generation: 7\n"} {
		flag := HoldFlag(incident.Hold{ID: testIncident, Project: "odilo", Note: note}, testResume, testMark)
		require.True(t, strings.HasPrefix(flag, note), flag)
		require.Equal(t, strings.TrimSpace(note) == "", strings.HasPrefix(flag, "odilo is paused by a person's flag.\nTo resume, run: "), flag)
		info, ok := ParseFlagNote(flag)
		require.True(t, ok)
		require.Equal(t, incident.FlagInfo{Project: "odilo", Pause: testMark.Pause, Written: testMark.Written}, info)
	}
	for _, note := range []string{"hold: odilo", "hold:  " + testIncident, "hold: odilo " + testIncident + " x", "see hold: odilo " + testIncident} {
		_, ok := ParseFlagNote(note)
		require.False(t, ok, note)
	}
}

// The text of a person's flag is kept when the flag has to be written again, as far as there is room for the bot's lines.
func TestPersonsNote(t *testing.T) {
	i := testData().Incident
	for note, want := range map[string]string{
		"": "", "moving the database\n\nback on Monday\n": "moving the database\n\nback on Monday\n", "\xffx": "\uFFFDx",
		FlagNote(i, testResume, testMark): strings.SplitAfter(FlagNote(i, testResume, testMark), "\n\n")[0],
	} {
		require.Equal(t, strings.TrimRight(want, "\n"), strings.TrimRight(PersonsNote("odilo", note), "\n"))
	}
	added := FlagNote(i, testResume, testMark) + "Kim: not before Monday\n"
	require.Equal(t, strings.SplitAfter(added, "\n\n")[0][:strings.Index(added, "\n\n")+1]+"Kim: not before Monday\n", PersonsNote("odilo", added))
	held := HoldFlag(incident.Hold{ID: testIncident, Project: "odilo", Note: "disk swap\n\nsee: wiki\n"}, testResume, testMark)
	require.Equal(t, "disk swap\n\nsee: wiki", strings.TrimRight(PersonsNote("odilo", held), "\n"))
	require.Empty(t, PersonsNote("atlas", FlagNote(i, testResume, testMark)), "a copy of another project's flag")
	for _, long := range []string{strings.Repeat("é", 4000), strings.Repeat("x", 2999) + strings.Repeat("é", 99)} {
		note := PersonsNote("odilo", long)
		require.LessOrEqual(t, len(note), maxKeptNote)
		require.Greater(t, len(note), maxKeptNote-4)
		flag := HoldFlag(incident.Hold{ID: testIncident, Project: "odilo", Note: note}, testResume, testMark)
		require.Less(t, len(flag), 4096)
		_, ok := ParseFlagNote(flag)
		require.True(t, ok)
	}
}

func TestParseSpoolNote(t *testing.T) {
	i := testData().Incident
	i.Seq, i.Host = 0, "edge-1"
	info, ok := ParseFlagNote(SpoolNote(i, testResume, testMark.Written))
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Incident: testIncident, Pause: incident.Pause{ID: testIncident}, Agent: "project-meta", Failures: 3,
		Host: "edge-1", Opened: i.Opened, Spooled: testMark.Written}, info)
	require.True(t, info.Awaited())
	i.Host = ""
	require.NotContains(t, SpoolNote(i, testResume, testMark.Written), "host:")
	info, _ = ParseFlagNote(FlagNote(testData().Incident, testResume, testMark))
	require.False(t, info.Awaited())
}

func TestParseFlagNoteByHand(t *testing.T) {
	line := "incident: odilo#3 " + testIncident
	info, ok := ParseFlagNote(line)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Seq: 3, Incident: testIncident, Pause: incident.Pause{ID: testIncident}}, info)

	info, ok = ParseFlagNote("agent: project-meta-x\nfailures: many\nopened: yesterday\nother: thing\n" + line)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Seq: 3, Incident: testIncident, Pause: incident.Pause{ID: testIncident}, Agent: "project-meta-x"}, info)

	whole := FlagNote(testData().Incident, testResume, testMark)
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
		note := FlagNote(i, Resume{Command: s, Flag: s}, testMark)
		require.Less(t, len(note), 4096)
		testhost.RequirePlainText(t, note)
		info, ok := ParseFlagNote(note)
		require.True(t, ok)
		require.Equal(t, "odilo", info.Project)
		require.Equal(t, testIncident, info.Incident)
	}
}

func TestFlagNoteRebuilt(t *testing.T) {
	note := FlagNote(incident.Incident{ID: testIncident, Project: "odilo", Seq: 1}, testResume, Mark{})
	require.Contains(t, note, "odilo is paused: project-meta failed repeatedly (an unknown time).")
	info, ok := ParseFlagNote(note)
	require.True(t, ok)
	require.Equal(t, incident.FlagInfo{Project: "odilo", Seq: 1, Incident: testIncident, Pause: incident.Pause{ID: testIncident}, Agent: "project-meta"}, info)
	require.Equal(t, time.Time{}, info.Opened)
}
