package tracker

import (
	"fmt"
	"time"
)

// TimelineEntry is an event in the history of an issue, with the fields that show who closed it.
type TimelineEntry struct {
	ID     int64
	Type   string // "close", "reopen", "commit_ref", "pull_ref", "comment_ref", …
	By     Account
	Text   string // of a commit_ref: the first line of the commit message
	At     time.Time
	Closes bool       // a pull request, or a comment on one, that says it closes the issue
	Merged *time.Time // when that pull request was merged; nil if it was not, or if the server did not say
}

// Repo identifies a repository.
type Repo struct {
	Server string `json:"Server"` // base URL without a trailing slash, e.g. https://git.example.org
	Owner  string `json:"Owner"`
	Name   string `json:"Name"`
}

func (r Repo) String() string { return r.Owner + "/" + r.Name }

// IssueRef identifies an issue. ID is unique on the server, so it differs after the repository was deleted and an issue
// of the same Number was created in its successor.
type IssueRef struct {
	Repo   Repo   `json:"Repo"`
	ID     int64  `json:"ID"`
	Number int64  `json:"Number"`
	URL    string `json:"URL"` // for people
}

// IsZero reports whether r refers to no issue.
func (r IssueRef) IsZero() bool { return r.Number == 0 }

func (r IssueRef) String() string { return fmt.Sprintf("%s#%d", r.Repo, r.Number) }

// Issue is an issue as the server returned it. Only the markers of the body are kept: fifty bodies can take megabytes.
type Issue struct {
	IssueRef
	Title    string
	AuthorID int64
	Author   string // login, for messages only
	Marker   Marker // zero if the body has none
	// Members are the markers of the other incidents that the issue carries; nil: none.
	Members   []Marker
	Ticked    int    // how many boxes are ticked in the list of them, by the bot or by people
	Unticked  int    // how many are not
	Test      string // of a test issue, the installation that opened it: see [TestMarker]; else ""
	Open      bool
	Labels    []string
	Assignees []Account
	Due       time.Time // zero: none
	Created   time.Time
	Updated   time.Time
}

// Markers returns the markers of all incidents that the issue carries; none if it has no marker.
func (i Issue) Markers() []Marker {
	if i.Marker.IsZero() {
		return nil
	}
	return append([]Marker{i.Marker}, i.Members...)
}

// MarkerOf returns the marker of an incident that the issue carries, or false.
func (i Issue) MarkerOf(incident string) (Marker, bool) {
	for _, m := range i.Markers() {
		if m.Incident == incident {
			return m, true
		}
	}
	return Marker{}, false
}

// Carries reports whether the issue carries an incident.
func (i Issue) Carries(incident string) bool {
	_, ok := i.MarkerOf(incident)
	return ok
}

// Text is what is written in an issue.
type Text struct{ Title, Body string }

// Comment is a comment as the server returned it.
type Comment struct {
	ID      int64
	Number  int64 // of the issue; 0 for a comment on a pull request
	By      Account
	Body    string
	Created time.Time
	Updated time.Time
}

// Account is a user of the tracker. Compare accounts by ID: a login can pass to another person.
type Account struct {
	ID    int64  `json:"ID"`
	Login string `json:"Login"`
}

// NewIssue holds the fields of an issue to create.
type NewIssue struct {
	Title     string
	Body      string
	Labels    []int64 // ids; Gitea ignores unknown ones without an error
	Assignees []string
	Due       time.Time // zero: none
}
