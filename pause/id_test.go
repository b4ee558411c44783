package pause_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestCheckID(t *testing.T) {
	for _, id := range []string{
		"odilo", "digital-twins", "a", "A", "0", "_", "__global__", "a.b", "a..", "a-", "v1.20.1",
		strings.Repeat("x", 128),
	} {
		require.NoError(t, pause.CheckID(id), "id %q", id)
	}
}

var badIDs = map[string]string{
	"the parent's file":       "../escaped",
	"an absolute path":        "/etc/x",
	"a path":                  "a/b",
	"empty":                   "",
	"200 bytes":               strings.Repeat("x", 200),
	"129 bytes":               strings.Repeat("x", 129),
	"a newline":               "odilo\nx",
	"a newline at the end":    "odilo\n",
	"NUL":                     "odi\x00lo",
	"this directory":          ".",
	"the parent":              "..",
	"the sentinel":            pause.SentinelName,
	"a temporary file":        ".tmp-0123456789abcdef",
	"an option":               "-x",
	"letters beyond ASCII":    "prüfung",
	"a homoglyph":             "оdilo", // Cyrillic о
	"invalid UTF-8":           "a\xffb",
	"a blank":                 "a b",
	"a backslash":             `a\b`,
	"a colon":                 "a:b",
	"a tilde":                 "~",
	"an escape sequence":      "a\x1b[2J",
	"letters of double width": "ａ",
}

func TestBadIDs(t *testing.T) {
	d, path := newDir(t)
	for what, id := range badIDs {
		t.Run(what, func(t *testing.T) {
			require.ErrorIs(t, pause.CheckID(id), pause.ErrID)
			require.Empty(t, d.FlagPath(id))
			_, err := d.Write(id, "note")
			require.ErrorIs(t, err, pause.ErrID)
			_, err = d.Remove(id)
			require.ErrorIs(t, err, pause.ErrID)
			if id == "" {
				return // methods that read take it for an agent without a project
			}
			_, err = d.Look(id)
			require.ErrorIs(t, err, pause.ErrID)
			_, err = d.Paused(id)
			require.ErrorIs(t, err, pause.ErrID)
		})
	}
	require.Equal(t, []string{pause.SentinelName}, names(t, path))
}

func TestCheckIDError(t *testing.T) {
	require.ErrorContains(t, pause.CheckID("../escaped"), `bad project id: "../escaped"`)
	require.ErrorContains(t, pause.CheckID(""), "empty")
	require.ErrorContains(t, pause.CheckID("a\nb"), `"a\nb"`)

	msg := pause.CheckID(strings.Repeat("\x1b", 10_000)).Error()
	require.Less(t, len(msg), 300)
	require.Contains(t, msg, "10000 bytes")
	for id := range strings.SplitSeq("a\x1b[2J|a\u202eb|a\u2028b", "|") {
		for _, r := range pause.CheckID(id).Error() {
			require.True(t, unicode.IsPrint(r), "%q of id %q", r, id)
		}
	}
}

func TestRandomID(t *testing.T) {
	id := pause.NewRandomID()
	require.True(t, pause.IsRandomID(id), id)
	require.NotEqual(t, id, pause.NewRandomID())
	for _, bad := range []string{"", id[1:], id + "0", strings.ToUpper(theirs), id[1:] + "g", id[1:] + "\n", strings.Repeat("é", 16)} {
		require.False(t, pause.IsRandomID(bad), "id %q", bad)
	}
}

func FuzzCheckID(f *testing.F) {
	f.Add("odilo")
	f.Add(strings.Repeat("x", 128))
	for _, id := range badIDs {
		f.Add(id)
	}
	rule := regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\z`)
	f.Fuzz(func(t *testing.T, id string) {
		err := pause.CheckID(id)
		require.Equal(t, rule.MatchString(id), err == nil)
		require.Equal(t, err == nil, pause.ValidID(id))
		if err != nil {
			require.ErrorIs(t, err, pause.ErrID)
			require.Less(t, len(err.Error()), 600)
		}
	})
}
