package tracker

import (
	"fmt"
	"time"
)

// TimelineEntry is one thing that happened to an issue, as far as it tells who closed it.
type TimelineEntry struct {
	ID     int64
	Type   string // "close", "reopen", "commit_ref", "pull_ref", "comment_ref", …
	By     Account
	Text   string // of a commit_ref: the first line of the commit's message, as HTML
	At     time.Time
	Closes bool       // a pull request, or a comment in one, that says it closes the issue
	Merged *time.Time // when that pull request was merged; nil: not, or not told
}

// Repo names a repository on one Gitea server.
type Repo struct {
	Server string `json:"Server"` // base URL without a trailing slash, e.g. https://git.example.org
	Owner  string `json:"Owner"`
	Name   string `json:"Name"`
}

func (r Repo) String() string { return r.Owner + "/" + r.Name }

// IssueRef is where an issue is. ID is the server's own number for it: it tells an issue apart from another one that got
// the same Number in a repository that was deleted and made again.
type IssueRef struct {
	Repo   Repo   `json:"Repo"`
	ID     int64  `json:"ID"`
	Number int64  `json:"Number"`
	URL    string `json:"URL"` // for people
}

// IsZero tells whether no issue is named.
func (r IssueRef) IsZero() bool { return r.Number == 0 }

func (r IssueRef) String() string { return fmt.Sprintf("%s#%d", r.Repo, r.Number) }

// Issue is an issue as the server showed it. The body is dropped as soon as its marker has been read: fifty of them can
// be megabytes.
type Issue struct {
	IssueRef
	Title    string
	AuthorID int64
	Author   string // login, for messages only
	Marker   Marker // zero where the body has none
	Open     bool
	Labels   []string
	Created  time.Time
	Updated  time.Time

	Assignees []Account
}

// Comment is a comment as the server showed it.
type Comment struct {
	ID      int64
	Number  int64 // of the issue; 0 for a pull request's
	By      Account
	Body    string
	Created time.Time
	Updated time.Time
}

// Account is a user of the tracker. The id is what counts: a login can be given to somebody else.
type Account struct {
	ID    int64  `json:"ID"`
	Login string `json:"Login"`
}

// NewIssue is what an issue is made from.
type NewIssue struct {
	Title     string
	Body      string
	Labels    []int64 // ids; Gitea ignores a wrong one silently
	Assignees []string
	Due       time.Time // zero: none
}
