package issuetext

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplacePath(t *testing.T) {
	for body, want := range map[string]string{
		"":                              "",
		"/old/odilo":                    "/new/odilo",
		"rm /old/odilo\n":               "rm /new/odilo\n",
		"`/old/odilo` and '/old/odilo'": "`/new/odilo` and '/new/odilo'",
		"Remove /old/odilo.":            "Remove /new/odilo.",
		"/old/odilo-2 /old/odilo.bak /old/odilo/x /srv/old/odilo /old/odilo2 ü/old/odilo": "/old/odilo-2 /old/odilo.bak /old/odilo/x /srv/old/odilo /old/odilo2 ü/old/odilo",
		"/old/odilo/old/odilo":  "/old/odilo/old/odilo",
		"/old/odilo,/old/odilo": "/new/odilo,/new/odilo",
	} {
		got := ReplacePath(body, "/old/odilo", "/new/odilo")
		require.Equal(t, want, got, body)
	}
	// Twice is once, also where the new path holds the old one.
	once := ReplacePath("rm /old/odilo", "/old/odilo", "/srv/old/odilo")
	require.Equal(t, "rm /srv/old/odilo", once)
	require.Equal(t, once, ReplacePath(once, "/old/odilo", "/srv/old/odilo"))
	require.Equal(t, "x", ReplacePath("x", "", "/new"))
}
