package gitea

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// What comes from the server is printed, logged and linked, so it is cleaned here.

const (
	maxName = 255 // bytes
	maxLine = 2000
	maxURL  = 500
)

// name returns a login or the name of a label. One that had to be cleaned begins with "?", which no login does: it is never
// taken for another one.
func name(s string) string {
	if len(s) <= maxName && redact.Clean(s) == s && !strings.ContainsAny(s, "\n\t") {
		return s
	}
	return "?" + redact.Line(s, maxName)
}

// issueURL returns the address of an issue as the server gives it, or where it should be if that is not plainly a web address.
func issueURL(given string, repo tracker.Repo, number int64) string {
	u, err := url.Parse(given)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(given) <= maxURL &&
		redact.Clean(given) == given && !strings.ContainsAny(given, " \t\n<>()[]|\\`\"'") {
		return given
	}
	return fmt.Sprintf("%s/%s/%s/issues/%d", repo.Server, url.PathEscape(repo.Owner), url.PathEscape(repo.Name), number)
}
