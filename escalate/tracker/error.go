package tracker

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// IsRetryable tells what passes by itself, or with the token, from a refusal that concerns this very comment. It is not
// gone on without such a comment: nobody would make it later.
func IsRetryable(err error) bool {
	return err != nil && (IsStatus(err, 429) || IsStatus(err, 401) || OutcomeOf(err) == NotSent)
}

// MaxRetryAfter is the longest wait that a server may ask for.
const MaxRetryAfter = time.Hour

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

// Error is the one kind of error that a tracker returns.
type Error struct {
	Op         string // what was tried, e.g. "create issue"
	Where      string // e.g. terraphim/adf-fleet
	Outcome    Outcome
	Status     int           // HTTP status, 0 where there was no answer
	Location   string        // of a redirect, which is never followed
	RetryAfter time.Duration // the server's wish, 0 where it had none
	Detail     string        // the server's words or the network's, cut and masked
}

func (e *Error) Error() string {
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
func (e *Error) Fix() string {
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

// IsStatus tells whether err is a tracker's answer with that status.
func IsStatus(err error, status int) bool {
	var te *Error
	return errors.As(err, &te) && te.Status == status
}

// OutcomeOf is Lost for an error of unknown kind: the careful reading.
func OutcomeOf(err error) Outcome {
	var te *Error
	if errors.As(err, &te) {
		return te.Outcome
	}
	return Lost
}
