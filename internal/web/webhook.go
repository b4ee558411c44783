package web

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
)

const webhookPath = "/webhooks/gitea"

// webhookRoutes registers the address to which Gitea reports what happens to issues. An event is only a hint: the bot sweeps one
// project at once, and asks Gitea what is true. An event that is missed, repeated, reordered or replayed does no harm, and
// neither does a forged one.
func (s *Server) webhookRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+webhookPath, s.allow(accessSigned, s.webhook))
}

func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	body, event, err := s.signedEvent(w, r)
	if err == nil && event != "issues" && event != "issue_comment" {
		w.WriteHeader(http.StatusNoContent) // the webhook sends more than is needed
		return
	}
	var hint bot.IssueEvent
	if err == nil {
		hint, err = parseEvent(body)
	}
	var no *refusal
	if errors.As(err, &no) {
		writeProblem(w, r, no.status, no.title, no.detail)
		return
	}
	b, release := s.use(r)
	defer release()
	project, err := b.ProjectOfEvent(r.Context(), hint)
	switch {
	case err != nil:
		s.log.Error("webhook", "err", err)
		writeProblem(w, r, http.StatusServiceUnavailable, "State not readable", "the bot's log says more; the next sweep looks at everything anyway")
	case project == "":
		w.WriteHeader(http.StatusNoContent)
	case !s.hints.add(project):
		writeProblem(w, r, http.StatusServiceUnavailable, "Too many events", "the next sweep looks at everything anyway")
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

const titleWebhook = "No webhook"

// signedEvent reads the body and checks its signature. It reads the secret each time, so that it can be replaced without a
// reload, and has it masked.
func (s *Server) signedEvent(w http.ResponseWriter, r *http.Request) (body []byte, event string, err error) {
	file := s.config(r).HTTP.WebhookSecretFile
	if file == "" {
		return nil, "", refused(http.StatusNotFound, titleWebhook, "this bot takes no events: set http.webhook_secret_file and reload it")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, "", refused(http.StatusUnsupportedMediaType, "Not JSON", "set the webhook's content type to application/json in Gitea")
	}
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, "", refused(http.StatusRequestEntityTooLarge, "Body too large", "an event has at most 1 MiB; the next sweep finds what it was about")
	case err != nil:
		return nil, "", refused(http.StatusBadRequest, titleBody, "the body did not arrive whole and in time")
	}
	path, err := config.ExpandCredentials(file, s.getenv)
	var secret string
	if err == nil {
		secret, err = config.ReadSecretFile(path)
	}
	if err != nil {
		s.log.Error("http.webhook_secret_file can't be read, events are refused", "err", err)
		return nil, "", refused(http.StatusServiceUnavailable, "Secret not readable", "the bot can't read its webhook secret; its log says more")
	}
	b, release := s.use(r)
	b.Redactor().Learn(secret)
	release()
	sent := r.Header.Values("X-Gitea-Signature")
	if len(sent) != 1 || !signed(body, secret, sent[0]) {
		return nil, "", refused(http.StatusForbidden, "Wrong signature", "set the webhook's secret in Gitea to the one in the bot's http.webhook_secret_file")
	}
	return body, r.Header.Get("X-Gitea-Event"), nil
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

// event is the part of an event that says which issue it is about.
type event struct {
	Sender     eventUser `json:"sender"`
	Repository struct {
		Name  string    `json:"name"`
		Owner eventUser `json:"owner"`
	} `json:"repository"`
	Issue struct {
		Number int64     `json:"number"`
		Body   string    `json:"body"`
		User   eventUser `json:"user"`
	} `json:"issue"`
}

type eventUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// parseEvent ignores unknown fields, which versions of Gitea add.
func parseEvent(body []byte) (bot.IssueEvent, error) {
	var e event
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&e); err != nil {
		return bot.IssueEvent{}, refused(http.StatusBadRequest, titleBody, "this is no event of Gitea's: %s", clip(err.Error()))
	}
	return bot.IssueEvent{
		Sender: tracker.Account{ID: e.Sender.ID, Login: e.Sender.Login}, Author: e.Issue.User.ID,
		Owner: e.Repository.Owner.Login, Repo: e.Repository.Name, Number: e.Issue.Number, Body: e.Issue.Body,
	}, nil
}
