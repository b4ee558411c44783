package gitea

import (
	"fmt"
	"net/url"
	"strings"
	"time"

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
	return webURL(given, fmt.Sprintf("%s/%s/%s/issues/%d", repo.Server, url.PathEscape(repo.Owner), url.PathEscape(repo.Name), number))
}

// webURL returns an address, or another one if it is not plainly a web address.
func webURL(given, otherwise string) string {
	u, err := url.Parse(given)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(given) <= maxURL &&
		redact.Clean(given) == given && !strings.ContainsAny(given, " \t\n<>()[]|\\`\"'") {
		return given
	}
	return otherwise
}

// runURL is issueURL for a run of a workflow.
func runURL(given string, repo tracker.Repo, id int64) string {
	return webURL(given, fmt.Sprintf("%s/%s/%s/actions/runs/%d", repo.Server, url.PathEscape(repo.Owner), url.PathEscape(repo.Name), id))
}

// workflowTime returns a time of a run. Gitea sends that of 1970 for one that has not come yet.
func workflowTime(t time.Time) time.Time {
	if t.Unix() == 0 {
		return time.Time{}
	}
	return tracker.PossibleTime(t)
}
