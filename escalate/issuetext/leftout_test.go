package issuetext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLeftOutSentences(t *testing.T) {
	for want, got := range map[string]string{
		`The label "adf" is not set: Gitea refused.`:                                                                                    LabelsLeftOut([]string{"adf"}, Refused),
		`The labels "a" and "b" are not set: the bot's account may not write to this repository.`:                                       LabelsLeftOut([]string{"a", "b"}, Forbidden),
		`The labels "a", "b", "c", "d", "e" and 2 more are not set: Gitea failed when it was asked.`:                                    LabelsLeftOut([]string{"a", "b", "c", "d", "e", "f", "g"}, ServerFailed),
		`The labels "a", "b", "c", "d" and "e" are not set: Gitea ignored the request.`:                                                 LabelsLeftOut([]string{"a", "b", "c", "d", "e"}, Ignored),
		"kim is not assigned: this account has blocked the bot.":                                                                        AssigneeLeftOut("kim", Forbidden),
		"kim is not assigned: the bot's account may not write to this repository.":                                                      AssigneeLeftOut("kim", Ignored),
		"kim is not assigned: Gitea cannot assign this login. It may be unknown, an organisation, or without access to the repository.": AssigneeLeftOut("kim", Refused),
	} {
		require.Equal(t, want, got)
	}
}

func TestAddLeftOut(t *testing.T) {
	l := testData()
	body, _ := compose(t, "").Body(l)
	once := AddLeftOut(body, []string{"One.", "Two."})
	marker := "\n" + markerOf(l).String()
	require.Equal(t, strings.TrimSuffix(body, marker)+"\n### Left out\n\n- One.\n- Two.\n"+marker, once)
	requireBody(t, l, once)
	require.Equal(t, once, AddLeftOut(once, []string{"Two.", "One."}), "nothing is said twice")
	require.Contains(t, AddLeftOut(once, []string{"Three."}), "### Left out\n\n- One.\n- Two.\n- Three.\n"+marker)

	t.Run("without a marker", func(t *testing.T) {
		require.Equal(t, "text\n\n### Left out\n\n- One.\n", AddLeftOut("text", []string{"One."}))
	})
	t.Run("the output has such a heading", func(t *testing.T) {
		l.Incident.Evidence.Output = "x\n### Left out\n\n- One.\n"
		body, _ := compose(t, "").Body(l)
		got := AddLeftOut(body, []string{"One."})
		require.Equal(t, 2, strings.Count(got, "\n- One.\n"))
		require.True(t, strings.HasSuffix(got, "\n### Left out\n\n- One.\n"+marker))
	})
	t.Run("the text has left something out already", func(t *testing.T) {
		l := testData()
		l.Incident.Evidence.Output = strings.Repeat("word\n", 1000)
		body, _ := compose(t, strings.Repeat("word ", (MaxBody-1500)/5)+
			"\n\n{{.Output}}{{if .Missing}}\n### Left out\n{{range .Missing}}\n- {{text .}}{{end}}{{end}}").Body(l)
		require.Contains(t, body, "The output of the last failed run is not shown: the text would be too long.")
		require.Equal(t, 1, strings.Count(AddLeftOut(body, []string{"One."}), "### Left out"))
	})
	t.Run("no room", func(t *testing.T) {
		long := strings.Repeat("x", MaxBody-20)
		require.Equal(t, long, AddLeftOut(long, []string{"One."}))
	})
	l = testData()
	l.Mentions = []string{"alex"}
	alex, _ := compose(t, "").Body(l)
	for _, s := range hostile() {
		got := AddLeftOut(alex, []string{AssigneeLeftOut(s, Refused), LabelsLeftOut([]string{s, s}, Ignored)})
		requireBody(t, testData(), got)
		requireInert(t, got)
	}
}
