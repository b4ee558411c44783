// Package tracker defines the issue tracker as the bot sees it: issues, comments and markers, and the small interfaces
// that a client implements.
//
// A [Marker] is the hidden last line of an issue that the bot wrote. It names the installation, the project and the
// incident. Anyone who may edit an issue can forge one, so callers also check the issue's author.
package tracker

import (
	"context"
	"time"
)

// Client is everything that the bot needs of an issue tracker. Each method is one request, or one request per page, and
// never retries. Every error is an [*Error]; its [Outcome] says whether the server may have carried out the request
// nevertheless. A Client is safe for concurrent use.
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
	// List returns the repository's issues, newest first: only open ones unless all is set, and only those that login
	// opened unless it is "". It reads every page and never returns a partial list.
	List(ctx context.Context, repo Repo, login string, all bool) ([]Issue, error)
	// Get returns one issue.
	Get(ctx context.Context, repo Repo, number int64) (Issue, error)
	// Readable returns an error if the repository's issues cannot be read: it is missing, or its issues are disabled.
	Readable(ctx context.Context, repo Repo) error
	// Timeline returns the history of an issue, oldest first.
	Timeline(ctx context.Context, ref IssueRef) ([]TimelineEntry, error)
}

// IssueWriter changes issues.
type IssueWriter interface {
	// Create opens an issue. The server may drop labels, assignees and due date without an error: the result shows what it
	// kept.
	Create(ctx context.Context, repo Repo, n NewIssue) (Issue, error)
	// SetOpen opens or closes an issue and returns it. It fails if the answer shows the other state.
	SetOpen(ctx context.Context, ref IssueRef, open bool) (Issue, error)
	// Assign replaces the assignees of an issue. It is [Refused] if one of them cannot be assigned.
	Assign(ctx context.Context, ref IssueRef, logins []string) error
	// EditText replaces the text of an issue by what edit makes of it, unless that is the same. If somebody else changes the text
	// meanwhile, edit is called again with theirs.
	EditText(ctx context.Context, ref IssueRef, edit func(Text) Text) error
}

// CommentClient reads and writes comments.
type CommentClient interface {
	// Comments returns the comments on an issue that were written or edited since then; the zero time means all.
	Comments(ctx context.Context, ref IssueRef, since time.Time) ([]Comment, error)
	// CommentsSince returns the comments on a repository's issues that were written or edited since then, in the order in which
	// they were written. With an error it returns those that it has read before. Of a long one it may return only the beginning.
	CommentsSince(ctx context.Context, repo Repo, since time.Time) ([]Comment, error)
	// AddComment writes a comment and returns its author: the token's account.
	AddComment(ctx context.Context, ref IssueRef, body string) (Account, error)
}

// LabelClient reads and writes the labels of a repository.
type LabelClient interface {
	// Labels returns the ids of the repository's own labels by name; if several labels have the same name, the lowest id.
	Labels(ctx context.Context, repo Repo) (map[string]int64, error)
	// OwnerLabels returns those that the repository's owner has for all its repositories. There are none where the owner is
	// not an organisation, or where the token may not list them.
	OwnerLabels(ctx context.Context, repo Repo) (map[string]int64, error)
	// AddLabel creates a label and returns its id. Gitea accepts a second label of the same name.
	AddLabel(ctx context.Context, repo Repo, name string) (int64, error)
	// DeleteLabel deletes a label of the repository, and removes it from its issues. A missing label is not an error.
	DeleteLabel(ctx context.Context, repo Repo, id int64) error
	// LabelIssue adds labels to an issue and returns the names of all that it has then. Gitea ignores unknown ids.
	LabelIssue(ctx context.Context, ref IssueRef, ids []int64) ([]string, error)
}

// AccountClient looks up accounts.
type AccountClient interface {
	// Me returns the account of the token, which needs the scope read:user.
	Me(ctx context.Context) (Account, error)
	// User returns the account with the given login, and when it was made.
	User(ctx context.Context, login string) (a Account, made time.Time, err error)
}

// Limiter limits the number of concurrent requests.
type Limiter interface {
	// Reserve waits for a slot and holds it until release is called. Sequential requests with the returned context use
	// that slot instead of waiting for one each. If ctx ends first, Reserve returns without a slot.
	Reserve(ctx context.Context) (held context.Context, release func())
}
