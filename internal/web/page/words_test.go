package page

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
)

func TestWebLink(t *testing.T) {
	require.Equal(t, "https://git.example.org/a/b/issues/1", webLink("https://git.example.org/a/b/issues/1"))
	require.Equal(t, "http://[::1]:3000/x", webLink("http://[::1]:3000/x"))
	require.Equal(t, "https://b%C3%BCcher.example/x", webLink("https://bücher.example/x"))
	for _, s := range []string{"", "javascript:alert(1)", "data:text/html,x", "//evil.example", "/relative", "ftp://h/x", "https://", "https:opaque", "http://h/%zz", " https://h/",
		"https://a\"b/", "https://a<b>/", "https://a(b)/", "https://a%b/"} {
		require.Empty(t, webLink(s), s)
	}
}

func TestIssueName(t *testing.T) {
	require.Equal(t, "odilo#3 in terraphim/adf-fleet#17", issueName("odilo#3", "https://git.example.org/terraphim/adf-fleet/issues/17"))
	require.Equal(t, "odilo#3 in terraphim/adf-fleet#17", issueName("odilo#3", "https://example.org/git/terraphim/adf-fleet/issues/17"))
	for _, s := range []string{"", "https://h/x", "javascript:/issues/1", "https://h/issues/1", "https://h/a/b/issues/"} {
		require.Equal(t, "odilo#3: "+s, issueName("odilo#3", s))
	}
}

func TestPicture(t *testing.T) {
	runs := []status.Run{
		{Outcome: "failure", ExitCode: 1, Agent: "project-meta", Counted: true, Finished: before(time.Minute)},
		{Outcome: "ignored", Agent: "project-meta"}, {Outcome: "success", Agent: "developer"}, {Outcome: "success", Counted: true},
	}
	p := newPicture(runs, seven)
	require.Equal(t, "last 4 runs, oldest first: ✔✔–✘ (2 successful, 1 failed, 1 ignored)", p.Label)
	require.Equal(t, 4*markWidth, p.Width)
	require.Equal(t, mark{X: 3 * markWidth, Kind: "failure", Title: "failure, exit code 1, 2026-11-23 06:59 UTC, project-meta"}, p.Marks[3])
	require.Equal(t, mark{X: markWidth, Kind: "success", Faint: true, Title: "success, developer (does not count)"}, p.Marks[1])
	require.Equal(t, "ignored, project-meta", p.Marks[2].Title)
	require.Empty(t, newPicture(nil, seven).Marks)
}

func TestHowEnded(t *testing.T) {
	require.Equal(t, "", howEnded("success", 0, "", ""))
	require.Equal(t, "exit code 0", howEnded("failure", 0, "", ""))
	require.Equal(t, "exit code 75", howEnded("ignored", 75, "", ""))
	require.Equal(t, "SIGKILL, timed out after 1h0m0s", howEnded("failure", 137, "SIGKILL", "timed out after 1h0m0s"))
}
