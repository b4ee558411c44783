package escalate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Client is everything that the bot asks of an issue tracker. Every method is one request, or one request a page; none of
// them retries. An error is always a *[TrackerError], which tells whether the request may have been carried out all the same.
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
	Comments(ctx context.Context, ref IssueRef, author int64) ([]IssueComment, error)
	// CommentsSince returns the comments on a repository's issues that were written or edited since then, the oldest first.
	CommentsSince(ctx context.Context, repo Repo, since time.Time) ([]IssueComment, error)
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

// Account is a user of the tracker. The id is what counts: a login can be given to somebody else.
type Account struct {
	ID    int64
	Login string
}

// NewIssue is what an issue is made from.
type NewIssue struct {
	Title     string
	Body      string
	Labels    []int64 // ids; Gitea ignores a wrong one silently
	Assignees []string
	Due       time.Time // zero: none
}

// Outcome tells what is known of a request that failed.
type Outcome int

const (
	// NotSent: it never reached the server, so it was not carried out.
	NotSent Outcome = iota
	// Refused: the server answered that it did not do it.
	Refused
	// Lost: there is no usable answer. The request may have been carried out, or may yet be.
	Lost
)

// TrackerError is the one kind of error that a tracker returns.
type TrackerError struct {
	Op         string // what was tried, e.g. "create issue"
	Where      string // e.g. terraphim/adf-fleet
	Outcome    Outcome
	Status     int           // HTTP status, 0 where there was no answer
	Location   string        // of a redirect, which is never followed
	RetryAfter time.Duration // the server's wish, 0 where it had none
	Detail     string        // the server's words or the network's, cut and masked
}

func (e *TrackerError) Error() string {
	s := fmt.Sprintf("gitea: %s in %s: ", e.Op, e.Where)
	if e.Status != 0 {
		s += fmt.Sprintf("status %d", e.Status)
		if e.Detail != "" {
			s += " (" + e.Detail + ")"
		}
	} else {
		s += e.Detail
	}
	if fix := e.Fix(); fix != "" {
		s += ": " + fix
	}
	return s
}

// Fix says what a person can do, where one has to.
func (e *TrackerError) Fix() string {
	switch e.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Sprintf("the repository or the server moved to %s: set gitea.owner and gitea.repo (or gitea.url) to the new place", e.Location)
	case http.StatusUnauthorized:
		return "the token is wrong or was revoked: make a new one in Gitea and put it where gitea.token_file or gitea.token_env points"
	case http.StatusForbidden:
		return "the token may not do this, or issues are disabled in the repository: give the token the scope write:issue, its account write access to the repository, and the repository its issue tracker"
	case http.StatusNotFound:
		return "the repository is missing, hidden from the token's account, or has its issues disabled: check gitea.owner, gitea.repo and the account's access; " +
			"if it was deleted, make an empty repository of its name that the account can write to, and open incidents get new issues where issues go now"
	case http.StatusGone:
		return "the repository is gone: set gitea.owner and gitea.repo to another one"
	case http.StatusLocked:
		return "the repository is archived: unarchive it, or set gitea.owner and gitea.repo to another one"
	case http.StatusTooManyRequests:
		return "Gitea asks to wait; it is tried again by itself"
	}
	if e.Outcome == NotSent {
		return "Gitea can't be reached; it is tried again by itself"
	}
	return ""
}

// isStatus tells whether err is a tracker's answer with that status.
func isStatus(err error, status int) bool {
	var te *TrackerError
	return errors.As(err, &te) && te.Status == status
}

// outcomeOf is Lost for an error of unknown kind: the careful reading.
func outcomeOf(err error) Outcome {
	var te *TrackerError
	if errors.As(err, &te) {
		return te.Outcome
	}
	return Lost
}
