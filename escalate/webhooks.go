package escalate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
)

// Steps may send a document to a webhook. That is done after all else, so that a receiver which hangs keeps no project waiting, and until
// it has arrived: the receiver may get it twice, with the same id.

// WebhookSender sends documents to webhooks.
type WebhookSender interface {
	// Send posts a document to the URL in a file. With an error it may return how long the receiver asks to wait. The error shows
	// nothing of the URL.
	Send(ctx context.Context, file, event string, document []byte) (wait time.Duration, err error)
}

// WebhookVersion is the version of [WebhookDocument]. It grows when a field gets another meaning or is left out, not with new fields.
const WebhookVersion = 1

// WebhookDocument is what a step sends, as JSON.
type WebhookDocument struct {
	Version  int             `json:"version"`
	ID       string          `json:"id"`    // of the event: the same each time that it is sent
	Event    string          `json:"event"` // "step"
	Text     string          `json:"text"`  // for chat
	Instance string          `json:"instance"`
	Project  string          `json:"project"`
	Incident WebhookIncident `json:"incident"`
	Issue    string          `json:"issue_url"`
	Projects []string        `json:"projects"` // all that are paused and that the issue is about
	Step     int             `json:"step"`     // from 1
	After    int64           `json:"after_seconds"`
	StepAt   time.Time       `json:"step_at"`
}

// WebhookIncident is the incident in a [WebhookDocument]: of those that the issue carries, the one that has waited for the longest.
type WebhookIncident struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Agent    string    `json:"agent"`
	Failures int       `json:"failures"`
	Class    string    `json:"class"` // "": not known
	Opened   time.Time `json:"opened"`
}

// MarshalJSON adds the names that fields had before each thing had one name everywhere. Version 1 keeps it.
func (d WebhookDocument) MarshalJSON() ([]byte, error) {
	type plain WebhookDocument
	return json.Marshal(struct {
		plain
		OldIssue string    `json:"issue"`
		OldAt    time.Time `json:"begun_at"`
	}{plain(d), d.Issue, d.StepAt})
}

// MarshalJSON is like that of [WebhookDocument].
func (i WebhookIncident) MarshalJSON() ([]byte, error) {
	type plain WebhookIncident
	return json.Marshal(struct {
		plain
		OldOpened time.Time `json:"opened_at"`
	}{plain(i), i.Opened})
}

const (
	webhooksAtOnce = 4
	webhookWait    = 15 * time.Second // for another process that sends the same document
	webhookBudget  = time.Minute      // of all documents of a sweep; the next one goes on
)

// due is a document to be sent now.
type dueWebhook struct {
	incident.Delivery
	lead incident.Incident
}

// sendWebhooks sends the documents that wait, of one project or of all.
func (r *Reconciler) sendWebhooks(ctx context.Context, c *sweepCache, project string) []error {
	if r.opt.Webhooks == nil || len(r.opt.Escalation.Steps) == 0 {
		return nil
	}
	unsettled, err := r.opt.State.Unsettled(ctx, "")
	if err != nil {
		return []error{err}
	}
	byFile := map[string][]dueWebhook{}
	for _, lead := range unsettled {
		if project != "" && lead.Project != project {
			continue
		}
		for _, d := range lead.Escalation.Webhooks {
			waits := plan.AwaitsAnswer(carriedIn(unsettled, lead), r.opt.Now())
			d.File = r.webhookFile(d)
			if waits && (c.force || plan.TimeCome(r.opt.Now(), d.NextTry, d.Wait)) {
				byFile[d.File] = append(byFile[d.File], dueWebhook{d, lead})
			}
		}
	}
	for _, due := range byFile { // a document that is refused again and again keeps no other one waiting
		slices.SortStableFunc(due, func(a, b dueWebhook) int { return cmp.Compare(a.Tries, b.Tries) })
	}
	files := slices.SortedFunc(maps.Keys(byFile), func(a, b string) int {
		return cmp.Or(cmp.Compare(byFile[a][0].Tries, byFile[b][0].Tries), cmp.Compare(a, b))
	})
	ctx, cancel := context.WithTimeout(ctx, webhookBudget)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	places := make(chan struct{}, webhooksAtOnce)
	for _, file := range files {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := r.sendTo(ctx, byFile[file]); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errs
}

// webhookFile returns the file with the URL for a document. Hosts may have it in different places, and somebody may have moved it.
func (r *Reconciler) webhookFile(d incident.Delivery) string {
	for _, s := range r.opt.Escalation.Steps {
		if s.After == d.After && s.Webhook != "" {
			return s.Webhook
		}
	}
	return d.File
}

// carriedIn returns the incidents that the issue of one carries, itself first.
func carriedIn(unsettled []incident.Incident, lead incident.Incident) []incident.Incident {
	out := []incident.Incident{lead}
	for _, i := range unsettled {
		if i.Lead == lead.ID && i.ID != lead.ID {
			out = append(out, i)
		}
	}
	return out
}

// sendTo sends documents to one place, up to the first that does not arrive: the others would not either.
func (r *Reconciler) sendTo(ctx context.Context, due []dueWebhook) error {
	for _, d := range due {
		if ctx.Err() != nil {
			return nil // the next sweep goes on
		}
		if _, err := r.guarded(d.lead.Project, func() ([]plan.Action, error) { return nil, r.sendWebhook(ctx, d) }); err != nil {
			return fmt.Errorf("%s: %w", d.lead.Name(), err)
		}
	}
	return nil
}

// sendWebhook sends a document and stores what came of it.
func (r *Reconciler) sendWebhook(ctx context.Context, d dueWebhook) error {
	ctx, release, err := r.opt.State.Claim(ctx, "webhook/"+d.lead.Project, webhookWait)
	if err != nil {
		return err
	}
	defer release()
	unsettled, err := r.opt.State.Unsettled(ctx, "")
	if err != nil {
		return err
	}
	n := slices.IndexFunc(unsettled, func(i incident.Incident) bool { return i.ID == d.lead.ID })
	if n < 0 || !slices.ContainsFunc(unsettled[n].Escalation.Webhooks, func(e incident.Delivery) bool { return e.Event == d.Event && e.Tries == d.Tries }) {
		return nil // another process has sent it
	}
	carried := carriedIn(unsettled, unsettled[n])
	if !plan.AwaitsAnswer(carried, r.opt.Now()) {
		return nil
	}
	document, err := json.Marshal(r.webhookDocument(d.Delivery, carried))
	if err != nil {
		return err
	}
	fault.Point(ctx, "webhook-next")
	wait, sendErr := r.opt.Webhooks.Send(ctx, d.File, d.Event, document)
	fault.Point(ctx, "webhook-sent")
	if sendErr != nil && ctx.Err() != nil {
		return nil // it was interrupted
	}
	_, err = r.opt.State.Change(context.WithoutCancel(ctx), d.lead.ID, func(i *incident.Incident) {
		i.Escalation.ChangeWebhook(d.Event, func(d *incident.Delivery) bool {
			if sendErr == nil {
				return true
			}
			d.Tries++
			d.Wait = max(plan.RetryWait(d.Tries, rand.Float64()), wait)
			d.NextTry, d.Err = r.opt.Now().UTC().Add(d.Wait), redact.Line(sendErr.Error(), 500)
			return false
		})
	})
	if err == nil && sendErr == nil {
		r.opt.Log.Info("webhook called", "project", d.lead.Project, "incident", d.lead.Name(), "event", d.Event)
	}
	return errors.Join(sendErr, err)
}

// webhookDocument is the same each time that it is sent, but for who is paused and who waits for an answer by then.
func (r *Reconciler) webhookDocument(d incident.Delivery, carried []incident.Incident) WebhookDocument {
	lead := carried[0]
	of, others := plan.Named(carried, d.Of, plan.IsUnanswered)
	projects := []string{}
	for _, i := range carried {
		if i.IsOpen() {
			projects = append(projects, i.Project)
		}
	}
	slices.Sort(projects)
	return WebhookDocument{
		Version: WebhookVersion, ID: d.Event, Event: "step", Text: issuetext.StepText(d, of, others, lead.Issue), Instance: of.Instance, Project: of.Project,
		Incident: WebhookIncident{
			ID: of.ID, Name: of.Name(), Agent: cmp.Or(of.Agent, "project-meta"), Failures: of.Failures, Class: of.Class, Opened: of.Opened.UTC(),
		},
		Issue: lead.Issue.URL, Projects: projects, Step: d.Number, After: int64(d.After / time.Second), StepAt: d.Begun.UTC(),
	}
}
