package config

import (
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func mustGlob(t *testing.T, s string) glob {
	t.Helper()
	g, f := parseGlob(s)
	require.Nil(t, f, s)
	return g
}

func TestGlobMatch(t *testing.T) {
	for _, tt := range []struct{ glob, fits, not string }{
		{"*", "a odilo _ a.b-c", ""},
		{"twins-*", "twins- twins-a twins-a-b", "twins twin a-twins-b"},
		{"*-meta", "a-meta a-b-meta", "-meta meta a-meta-b"},
		{"t*s-*-x", "ts-a-x twins-a-b-x ts--x", "ts-x twins-a-y"},
		{"a?c", "abc a.c", "ac abbc"},
		{"[a-c]x[!0-9]", "axa cx-", "dxa ax1 ax"},
		{"a[.-]b", "a.b a-b", "a_b ab"},
		{"a[b-]", "a- ab", "ac"},
		{"a**b", "ab axb", "a"},
	} {
		g := mustGlob(t, tt.glob)
		for id := range strings.FieldsSeq(tt.fits) {
			require.True(t, g.match(id) || !pause.ValidID(id), "%s %s", tt.glob, id)
		}
		for id := range strings.FieldsSeq(tt.not) {
			require.False(t, g.match(id) && pause.ValidID(id), "%s %s", tt.glob, id)
		}
	}
}

func TestGlobWithoutProject(t *testing.T) {
	for s, want := range map[string]string{
		"":                                 "is empty",
		"odilo":                            "has no *, ? or [",
		"team/*":                           "can match no project: an id has only letters",
		"twins *":                          "can match no project: an id has only letters",
		"-*":                               "can match no project: an id begins with a letter",
		".?":                               "can match no project: an id begins with a letter",
		"[.-]*":                            "can match no project: an id begins with a letter",
		"a[+]*":                            "can match no project: none of its characters in brackets",
		"a[b":                              "has a [ without",
		"a[]*":                             "has a [ without",
		"a[!]*":                            "has a [ without",
		"a[z-a]":                           "has a range without characters",
		strings.Repeat("?", 129):           "can match no project: an id has at most 128 characters, and it needs 129",
		"*" + strings.Repeat(".", 128):     "can match no project: an id has at most 128 characters, and it needs 129",
		"*ü":                               "can match no project: an id has only letters",
		strings.Repeat("x", 129) + "*":     "can match no project: an id has at most 128 characters, and it needs 129",
		"*[.-]" + strings.Repeat("?", 127): "can match no project: an id has at most 128 characters, and it needs 129",
	} {
		_, f := parseGlob(s)
		require.NotNil(t, f, s)
		require.Contains(t, f.what, want, s)
	}
	for _, s := range []string{"*", "?*", "*.x", "[!.]", strings.Repeat("?", 128), "*" + strings.Repeat("x", 128)} {
		_, f := parseGlob(s)
		require.Nil(t, f, s)
	}
}

func TestGlobCoveredBy(t *testing.T) {
	for _, tt := range []struct {
		glob, by string
		want     bool
	}{
		{"twins-a*", "twins-*", true},
		{"twins-*", "twins-a*", false},
		{"twins-*", "twins-*", true},
		{"a*b*c", "a*c", true},
		{"a*c", "a*b*c", false},
		{"a?", "a*", true},
		{"*", "?*", true},
		{"*", "[A-Za-z0-9_]*", true},
		{"*x*", "*", true},
		{"?", "[!a]", false},
		{"[ab]x", "[a-c]?", true},
		{"*ab", "*b", true},
		{"*-x", "?*-x", true},
		{"odilo-*", "twins-*", false},
	} {
		require.Equal(t, tt.want, mustGlob(t, tt.glob).coveredBy(mustGlob(t, tt.by), new(int)), "%s by %s", tt.glob, tt.by)
	}
}

// Random patterns of few letters are compared with what they do to all short ids.
func TestGlobsByExample(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var ids []string
	for n := range 5 * 5 * 5 * 5 {
		id := ""
		for ; n > 0; n /= 5 {
			id += []string{"", "a", "b", "-", "."}[n%5]
		}
		if pause.ValidID(id) {
			ids = append(ids, id)
		}
	}
	parts := []string{"a", "b", "-", "*", "*", "?", "[ab]", "[!a]", "[-b]"}
	for range 300 {
		var text [2]string
		for n := range text {
			for range 1 + random.IntN(4) {
				text[n] += parts[random.IntN(len(parts))]
			}
		}
		g, f := parseGlob(text[0])
		by, f2 := parseGlob(text[1])
		fits, covered := false, true
		other := strings.NewReplacer("[!", "[^", "[-b]", `[\-b]`).Replace(text[0])
		for _, id := range ids {
			ok, err := path.Match(other, id)
			require.NoError(t, err)
			if f == nil {
				require.Equal(t, ok, g.match(id), "%s %s", text[0], id)
			}
			fits = fits || ok
			covered = covered && (!ok || by.match(id))
		}
		if f != nil {
			require.True(t, !fits || strings.Contains(f.what, "has no *"), "%s: %s", text[0], f.what)
		}
		if f == nil && f2 == nil && g.coveredBy(by, new(int)) {
			require.True(t, covered, "%s by %s", text[0], text[1])
		}
		// Ids of four characters out of four may not be enough to tell that one pattern covers another one, but with three parts they are.
		if f == nil && f2 == nil && covered && len(g) <= 3 && len(by) <= 2 && !strings.ContainsAny(text[0]+text[1], "?[") {
			require.True(t, g.coveredBy(by, new(int)), "%s by %s", text[0], text[1])
		}
	}
}
