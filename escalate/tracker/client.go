// Package tracker says what an issue, a comment and a marker are, and which small interfaces a client of an issue tracker
// implements. A marker is the hidden last line of an issue that the bot wrote: it names the installation, the project and
// the incident. It is no proof, because whoever may edit an issue can write one; callers check the author too.
//
// Every failed request is an [*Error], whose [Outcome] tells whether the request may have been carried out all the same.
package tracker

import (
	"context"
	"time"
)

// Client is everything that the bot asks of an issue tracker. Every method is one request, or one request a page; none of
// them retries. An error is always a *[Error], which tells whether the request may have been carried out all the same.
type Client interface {
	IssueReader
	IssueWriter
	CommentClient
	LabelClient
	AccountClient
	Limiter
}

// IssueReader reads issues.
type IssueReader interface {
	// List returns the issues that login wrote in the repository, or everybody's where it is "", newest first: the open
	// ones, or all of them. It follows the server's pages to the end and returns either everything or an error, never a part.
	List(ctx context.Context, repo Repo, login string, all bool) ([]Issue, error)
	// Get returns one issue as it is now.
	Get(ctx context.Context, repo Repo, number int64) (Issue, error)
	// Readable returns an error where the repository's issues cannot be read: it is missing, or its issues are disabled.
	Readable(ctx context.Context, repo Repo) error
	// Timeline returns what happened to an issue, the oldest first.
	Timeline(ctx context.Context, ref IssueRef) ([]TimelineEntry, error)
}

// IssueWriter changes issues.
type IssueWriter interface {
	// Create opens an issue. What the server left out silently (labels) shows in the Issue that it returns.
	Create(ctx context.Context, repo Repo, n NewIssue) (Issue, error)
	// SetOpen opens or closes an issue and returns it; an answer in which the state did not change is an error.
	SetOpen(ctx context.Context, ref IssueRef, open bool) (Issue, error)
	// Assign makes these logins the assignees of an issue.
	Assign(ctx context.Context, ref IssueRef, logins []string) error
}

// CommentClient reads and writes comments.
type CommentClient interface {
	// Comments returns all comments on an issue by the given author.
	Comments(ctx context.Context, ref IssueRef, author int64) ([]Comment, error)
	// CommentsSince returns the comments on a repository's issues that were written or edited since then, the oldest first.
	CommentsSince(ctx context.Context, repo Repo, since time.Time) ([]Comment, error)
	// AddComment writes a comment.
	AddComment(ctx context.Context, ref IssueRef, body string) error
}

// LabelClient knows a repository's labels.
type LabelClient interface {
	// Labels returns the ids of all labels by name; of several with one name the lowest id.
	Labels(ctx context.Context, repo Repo) (map[string]int64, error)
	// AddLabel creates a label and returns its id. Gitea creates a second one of the same name without complaint.
	AddLabel(ctx context.Context, repo Repo, name string) (int64, error)
}

// AccountClient looks up accounts.
type AccountClient interface {
	// Me returns the token's account. It needs the scope read:user.
	Me(ctx context.Context) (Account, error)
	// User returns the account that has a login.
	User(ctx context.Context, login string) (Account, error)
}

// Limiter limits how many requests are under way at once.
type Limiter interface {
	// Reserve waits until a request may be made. Requests with the context that it returns, one after the other, do not wait
	// again until release is called.
	Reserve(ctx context.Context) (held context.Context, release func())
}
