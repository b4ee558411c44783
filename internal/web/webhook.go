package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
)

const webhookPath = "/webhooks/gitea"

// postEvent receives Gitea's events about issues. An event is only a hint: the bot sweeps one project at once, and asks Gitea
// what is true. An event that is missed, repeated, reordered, replayed or forged does no harm. One that says that a comment
// was edited keeps its commands from being run, and one that says that a commit closed the issue keeps the project paused.
func (s *Server) postEvent(w http.ResponseWriter, r *request) error {
	body, err := s.signedBody(r)
	if err != nil {
		return err
	}
	event := r.Header.Get("X-Gitea-Event")
	if event == "workflow_run" {
		return s.postWorkflowEvent(w, r, body)
	}
	if event != "issues" && event != "issue_comment" {
		w.WriteHeader(http.StatusNoContent) // the webhook is configured to send more than needed
		return nil
	}
	hint, err := parseEvent(body)
	if err != nil {
		return err
	}
	project, err := r.bot.AcceptEvent(r.Context(), hint)
	switch {
	case err != nil:
		s.log.Error("webhook", "err", err)
		return refused(http.StatusServiceUnavailable, "State not readable", "the bot's log says more; the next sweep checks everything anyway")
	case project == "":
		w.WriteHeader(http.StatusNoContent)
	case !s.hints.add(project):
		return refused(http.StatusServiceUnavailable, "Too many events", "the next sweep checks everything anyway")
	default:
		w.WriteHeader(http.StatusAccepted)
	}
	return nil
}

// postWorkflowEvent has the projects swept whose workflow an event says to have ended a run.
func (s *Server) postWorkflowEvent(w http.ResponseWriter, r *request, body []byte) error {
	var e struct {
		Action   string `json:"action"`
		Workflow struct {
			ID string `json:"id"` // name of its file
		} `json:"workflow"`
		Run struct {
			ID int64 `json:"id"`
		} `json:"workflow_run"`
		Repository struct {
			Name  string    `json:"name"`
			Owner eventUser `json:"owner"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return refused(http.StatusBadRequest, titleBody, "this is no event of Gitea's: %s", notRead(body, err))
	}
	code := http.StatusNoContent
	if e.Action == "completed" {
		for _, project := range r.bot.AcceptWorkflowEvent(bot.WorkflowEvent{
			Owner: e.Repository.Owner.Login, Repo: e.Repository.Name, Workflow: e.Workflow.ID, Run: e.Run.ID,
		}) {
			if !s.hints.add(project) {
				return refused(http.StatusServiceUnavailable, "Too many events", "the next sweep checks everything anyway")
			}
			code = http.StatusAccepted
		}
	}
	w.WriteHeader(code)
	return nil
}

// signedBody checks the body's signature. It reads the secret each time, so that the secret can be replaced without
// a reload, and registers it for masking.
func (s *Server) signedBody(r *request) ([]byte, error) {
	secret, err := config.ReadBotSecret(r.cfg.HTTP.WebhookSecretFile, s.getenv)
	if err != nil {
		s.log.Error("http.webhook_secret_file cannot be read, events are refused", "err", err)
		return nil, refused(http.StatusServiceUnavailable, "Secret not readable", "the bot cannot read its webhook secret; its log says more")
	}
	r.bot.Redactor().Learn(secret)
	sent := r.Header.Values("X-Gitea-Signature")
	if len(sent) != 1 || !signed(r.body, secret, sent[0]) {
		return nil, refused(http.StatusForbidden, "Wrong signature",
			"set the webhook's secret in Gitea to the one in the bot's http.webhook_secret_file; where systemd provides the file, restart the bot after the secret was replaced")
	}
	return r.body, nil
}

func signed(body []byte, secret, signature string) bool {
	got, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

type eventUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// parseEvent reads which issue an event is about. It ignores unknown fields, which differ between versions of Gitea.
func parseEvent(body []byte) (bot.IssueEvent, error) {
	var e struct {
		Action  string    `json:"action"`
		Commit  string    `json:"commit_id"`
		Sender  eventUser `json:"sender"`
		Comment struct {
			ID      int64     `json:"id"`
			Body    string    `json:"body"`
			User    eventUser `json:"user"`
			Created time.Time `json:"created_at"`
		} `json:"comment"`
		Repository struct {
			Name  string    `json:"name"`
			Owner eventUser `json:"owner"`
		} `json:"repository"`
		Issue struct {
			Number int64     `json:"number"`
			Body   string    `json:"body"`
			User   eventUser `json:"user"`
			Closed time.Time `json:"closed_at"`
		} `json:"issue"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return bot.IssueEvent{}, refused(http.StatusBadRequest, titleBody, "this is no event of Gitea's: %s", notRead(body, err))
	}
	var closed time.Time
	if e.Action == "closed" && e.Commit != "" {
		closed = tracker.PossibleTime(e.Issue.Closed)
	}
	return bot.IssueEvent{
		Sender: tracker.Account(e.Sender), Author: tracker.Account(e.Issue.User),
		Owner: e.Repository.Owner.Login, Repo: e.Repository.Name, Number: e.Issue.Number, Body: e.Issue.Body,
		ClosedByCommit: closed,
		Edited:         e.Action == "edited" && e.Comment.ID != 0,
		Comment: tracker.Comment{ID: e.Comment.ID, Number: e.Issue.Number, By: tracker.Account(e.Comment.User), Body: e.Comment.Body,
			Created: e.Comment.Created},
	}, nil
}
