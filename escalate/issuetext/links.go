package issuetext

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/markdown"
	"github.com/terraphim/adfbot/pause"
)

// issueLink returns a link to an issue, in its shortest form if it is in the repository from.
func issueLink(ref tracker.IssueRef, from tracker.Repo) string {
	number := "#" + strconv.FormatInt(ref.Number, 10)
	switch {
	case ref.IsZero():
		return markdown.Dash
	case ref.Repo == from && from != (tracker.Repo{}):
		return number
	case !pause.ValidID(ref.Repo.Owner) || !pause.ValidID(ref.Repo.Name):
		return markdown.CodeSpan(ref.String())
	case from.Server == "" || ref.Repo.Server == from.Server:
		return ref.Repo.String() + number
	}
	u, err := url.Parse(ref.URL)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsAny(ref.URL, "<>() \t\n|\\`") {
		return "[" + ref.Repo.String() + number + "](" + ref.URL + ")"
	}
	return markdown.CodeSpan(ref.Repo.Server + "/" + ref.Repo.String() + number)
}

// link is issueLink with its text masked.
func (c *Composer) link(ref tracker.IssueRef, from tracker.Repo) string {
	for _, s := range []*string{&ref.Repo.Server, &ref.Repo.Owner, &ref.Repo.Name, &ref.URL} {
		*s = c.redact.Line(*s, maxSentence)
	}
	return issueLink(ref, from)
}

// mentions returns logins and teams as mentions. It omits invalid names.
func mentions(names []string) string {
	var out []string
	for _, n := range names {
		n = strings.TrimPrefix(strings.TrimSpace(n), "@")
		owner, team, isTeam := strings.Cut(n, "/")
		if pause.ValidID(owner) && (!isTeam || pause.ValidID(team)) && len(out) < 50 {
			out = append(out, "@"+n)
		}
	}
	return strings.Join(out, " ")
}
