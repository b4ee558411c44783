package tracker

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// MaxRetryAfter caps [Error.RetryAfter].
const MaxRetryAfter = time.Hour

// Outcome says what is known about a failed request.
type Outcome int

const (
	// NotSent means that the request never reached the server. Another program may have answered, such as a proxy without a route.
	NotSent Outcome = iota
	// Refused means that the server answered that it did not carry out the request.
	Refused
	// Lost means that there is no usable answer: the server may have carried out the request, or may do so later.
	Lost
)

// Refusal says what a request was refused for.
type Refusal int

const (
	OfRequest Refusal = iota // the request itself: the same one will be refused again
	OfToken                  // the token or its account may not write, or read, anything of the kind; a status 401 says that by itself
	OfWay                    // it was not Gitea that refused, but what stands in front of it or is at its address
)

// Error is a failed request. All methods of a [Client] return errors of this type.
type Error struct {
	Op         string // what was attempted, e.g. "create issue"
	Where      string // e.g. terraphim/adf-fleet
	Outcome    Outcome
	Refusal    Refusal       // of the outcome Refused
	Status     int           // HTTP status; 0 without an answer
	Location   string        // target of a redirect, which is never followed
	RetryAfter time.Duration // how long the server asks to wait; 0 if it does not
	Detail     string        // message of the server or the network, shortened and masked
	Advice     string        // what to do, where the client knows it better than the status tells; else ""
}

func (e *Error) Error() string {
	s := fmt.Sprintf("gitea: %s in %s: ", e.Op, e.Where)
	switch {
	case e.Status == 0:
		s += e.Detail
	case e.Detail == "":
		s += fmt.Sprintf("status %d", e.Status)
	default:
		s += fmt.Sprintf("status %d (%s)", e.Status, e.Detail)
	}
	if fix := e.Fix(); fix != "" {
		s += ": " + fix
	}
	return s
}

// fixes tells people what to do about an HTTP status.
var fixes = map[int]string{
	http.StatusUnauthorized: "the token is wrong or was revoked: make a new one in Gitea and put it where gitea.token_file or gitea.token_env points; restart a daemon that has it from LoadCredential= or the environment",
	http.StatusForbidden:    "the token's account may not do this: look in Gitea for its access to the repository, and whether it is blocked",
	http.StatusNotFound: "the repository is missing, hidden from the token's account, or has its issues disabled: check gitea.owner and gitea.repo, or the project's own, and the account's access, its two-factor authentication where Gitea enforces that, " +
		"and that the token is not limited to public repositories; " +
		"if it was deleted, make an empty repository of its name that the account can write to; open incidents then get new issues in the configured repository",
	http.StatusGone:            "the repository is gone: set gitea.owner and gitea.repo, or the project's own, to another one",
	http.StatusLocked:          "the repository is archived: unarchive it, or set gitea.owner and gitea.repo, or the project's own, to another one",
	http.StatusTooManyRequests: "Gitea asks to wait; this is retried automatically",
}

// Fix returns advice for people, or "" if there is none.
func (e *Error) Fix() string {
	if e.Advice != "" {
		return e.Advice
	}
	if fix, ok := fixes[e.Status]; ok || e.Outcome != NotSent {
		return fix
	}
	return "Gitea can't be reached; this is retried automatically"
}

// IsStatus reports whether the server itself answered with the given HTTP status.
func IsStatus(err error, status int) bool {
	var te *Error
	return errors.As(err, &te) && te.Status == status && te.Outcome != NotSent
}

// IsNobody reports whether the server answers a look-up of a login with that nobody has it. If whoever had it has another one now, that is
// renamed; else it is "".
func IsNobody(err error, login string) (renamed string, is bool) {
	var te *Error
	switch {
	case IsStatus(err, http.StatusNotFound):
		return "", true
	case !IsStatus(err, http.StatusMovedPermanently) && !IsStatus(err, http.StatusTemporaryRedirect) || !errors.As(err, &te):
		return "", false
	}
	_, now, _ := strings.Cut(te.Location, "/api/v1/users/")
	now, _, _ = strings.Cut(now, "/")
	if now == "" || strings.EqualFold(now, login) {
		return "", false // it leads to another address of Gitea, or to a login in front of it
	}
	return now, true
}

// LacksScope reports whether the token lacks the scope for a request.
func LacksScope(err error) bool {
	var te *Error
	return errors.As(err, &te) && te.Status == http.StatusForbidden && strings.Contains(te.Detail, "required scope")
}

// OutcomeOf returns the outcome of an [Error]. Any other error counts as [Lost].
func OutcomeOf(err error) Outcome {
	var te *Error
	if errors.As(err, &te) {
		return te.Outcome
	}
	return Lost
}

// RefusalOf returns what a request was refused for; OfRequest if it was not refused.
func RefusalOf(err error) Refusal {
	var te *Error
	if errors.As(err, &te) && te.Outcome == Refused {
		return te.Refusal
	}
	return OfRequest
}

// IsRetryable reports whether the same request may succeed later, because the cause is the network, the token, what stands in front of
// Gitea, or a rate limit. Any other refusal is about the request itself.
func IsRetryable(err error) bool {
	return err != nil && (OutcomeOf(err) == NotSent || RefusalOf(err) != OfRequest ||
		IsStatus(err, http.StatusTooManyRequests) || IsStatus(err, http.StatusUnauthorized))
}

// IsPermanent reports whether the server has refused the request itself, so that the same request will be refused again.
func IsPermanent(err error) bool {
	return OutcomeOf(err) == Refused && !IsRetryable(err)
}
