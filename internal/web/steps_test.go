package web

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/exposition"
	"github.com/terraphim/adfbot/internal/store/sqlite"
)

// The description has each field of the document that a step sends, and no other.
func TestOpenAPIOfStepDocument(t *testing.T) {
	t.Parallel()
	type object struct {
		Required   []string             `yaml:"required"`
		Properties map[string]yaml.Node `yaml:"properties"`
	}
	var api struct {
		Webhooks   map[string]any `yaml:"webhooks"`
		Components struct {
			Schemas struct {
				StepDocument object `yaml:"StepDocument"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	require.NoError(t, yaml.Unmarshal(openAPI, &api))
	require.Contains(t, api.Webhooks, "step")
	keys := func(v any) []string {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		fields := map[string]any{}
		require.NoError(t, json.Unmarshal(b, &fields))
		return slices.Sorted(maps.Keys(fields))
	}
	same := func(v any, described object) {
		require.Equal(t, keys(v), slices.Sorted(maps.Keys(described.Properties)))
		require.ElementsMatch(t, keys(v), described.Required)
	}
	document := api.Components.Schemas.StepDocument
	same(escalate.WebhookDocument{}, document)
	var of object
	node := document.Properties["incident"]
	require.NoError(t, node.Decode(&of))
	same(escalate.WebhookIncident{}, of)
	version := document.Properties["version"]
	var described struct {
		Const int `yaml:"const"`
	}
	require.NoError(t, version.Decode(&described))
	require.Equal(t, escalate.WebhookVersion, described.Const)
}

// Steps are in the answers as described, on the page and in the metrics.
func TestSteps(t *testing.T) {
	t.Parallel()
	s := newStation(t, "escalation:\n", "escalation:\n  steps: [{after: 1h, webhook_file: DIR/pager-url}, {after: 999h, mention: [kim]}]\n").described()
	for range 3 {
		s.fail()
	}
	begun := time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Second)
	id := s.project("odilo").Incident.ID
	st, err := sqlite.Open(t.Context(), s.cfg.State, sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close()) }()
	_, err = st.Change(t.Context(), id, func(i *incident.Incident) {
		i.Opened = begun.Add(-time.Hour)
		i.Escalation.Begin(incident.StepBegun{Of: id, After: time.Hour, Number: 1, Begun: begun}, s.path("pager-url"))
		i.Escalation.EndPart(incident.CommentPart, []string{"Gitea refused the comment, which is given up: it is locked"})
		i.Escalation.Snooze(begun, begun.Add(240*time.Hour))
		i.Escalation.Reminder = &incident.Reminder{Of: id, After: time.Hour, Begun: begun}
		i.Escalation.ChangeWebhook(i.Escalation.Step.Key(), func(d *incident.Delivery) bool {
			d.Tries, d.NextTry, d.Err = 3, begun, "status 503"
			return false
		})
	})
	require.NoError(t, err)
	e := s.project("odilo").Incident.Escalation
	require.Equal(t, 1, e.Step)
	require.Equal(t, 2, e.Next)
	require.Equal(t, begun.Add(240*time.Hour), *e.SnoozedUntil)
	require.Equal(t, begun, *e.RemindedAt)
	require.Equal(t, []string{"Gitea refused the comment, which is given up: it is locked"}, e.Problems)
	require.Equal(t, "status 503", e.Webhooks[0].Error)
	require.Equal(t, id+"/step/3600", e.Webhooks[0].ID)

	s.spec = nil // the page is not part of the API
	for _, path := range []string{"/", "/projects/odilo"} {
		page := s.get(path, as(adminToken)).body
		require.Contains(t, page, "<dt>Escalation</dt><dd>snoozed until "+begun.Add(240*time.Hour).Format("2006-01-02 15:04"), path)
		require.Contains(t, page, "step 1 of the escalation: Gitea refused the comment, which is given up: it is locked", path)
		require.Contains(t, page, "the webhook of step 1 to be called: status 503", path)
	}
	metrics := s.get("/metrics", as(adminToken)).body
	require.Contains(t, metrics, "\nadfbot_step_webhooks_failing 1\n")
	require.Contains(t, metrics, "\nadfbot_pending_incidents 0\n")
}

func TestForgottenHoldOnPage(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	_, err := d.bot.Pause(t.Context(), "odilo", "holidays")
	require.NoError(t, err)
	require.NotContains(t, d.get("/").Body.String(), "forgotten?")
	d.now = d.now.Add(200 * time.Hour)
	for _, path := range []string{"/", "/projects/odilo"} {
		require.Equal(t, 1, strings.Count(d.get(path).Body.String(), `<span class="badge bad">forgotten?</span>`), path)
	}
}

func TestWebhookCalls(t *testing.T) {
	t.Parallel()
	m := NewMetrics("v1.2.3", "abc")
	for _, ok := range []bool{true, false, false} {
		m.WebhookCalled(ok)
	}
	p := exposition.NewPage()
	m.put(p, &config.Config{}, nil)
	page := written(t, p)
	require.Contains(t, page, `adfbot_step_webhook_requests_total{result="delivered"} 1`)
	require.Contains(t, page, `adfbot_step_webhook_requests_total{result="failed"} 2`)
}
