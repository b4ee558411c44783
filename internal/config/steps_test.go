package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSteps(t *testing.T) {
	t.Parallel()
	c, problems := parsed(t, `escalation:
  remind: 0s
  steps:
    - after: 1h
      mention: [ops/on-call, kim]
    - after: 4h
      assign: [lead]
      labels: [priority/critical, page]
    - {after: 24h, webhook_file: $CREDENTIALS_DIRECTORY/pager-url}
    - {after: 48h, webhook_file: $CREDENTIALS_DIRECTORY/pager-url}
`+rest)
	require.Empty(t, problems)
	require.Zero(t, c.Escalation.Remind)
	require.Equal(t, []Step{
		{After: time.Hour, Mention: []string{"ops/on-call", "kim"}},
		{After: 4 * time.Hour, Assign: []string{"lead"}, Labels: []string{"priority/critical", "page"}},
		{After: 24 * time.Hour, WebhookFile: "$CREDENTIALS_DIRECTORY/pager-url"},
		{After: 48 * time.Hour, WebhookFile: "$CREDENTIALS_DIRECTORY/pager-url"},
	}, c.Escalation.Steps)
	require.Equal(t, []string{"$CREDENTIALS_DIRECTORY/pager-url"}, c.Escalation.WebhookFiles())

	c, problems = parsed(t, rest)
	require.Empty(t, problems)
	require.Empty(t, c.Escalation.Steps)
	require.Equal(t, 168*time.Hour, c.Escalation.Remind)
}

func TestStepsRefuse(t *testing.T) {
	t.Parallel()
	list := func(steps ...string) string {
		return "escalation:\n  steps:\n    - " + strings.Join(steps, "\n    - ") + "\n" + rest
	}
	for _, tt := range []struct{ name, doc, want string }{
		{"no time", list("{mention: [kim]}"), "3: escalation.steps[0]: does not say when"},
		{"nothing to do", list("{after: 1h}"), "3: escalation.steps[0]: does nothing"},
		{"empty lists", list("{after: 1h, mention: [], webhook_file: ''}"), "3: escalation.steps[0]: does nothing"},
		{"out of order", list("{after: 4h, mention: [kim]}", "{after: 1h, mention: [kim]}"),
			"4: escalation.steps[1]: must come later than the step before it: 1h is not after 4h"},
		{"at the same time", list("{after: 1h, mention: [kim]}", "{after: 60m, mention: [kim]}"), "4: escalation.steps[1]: must come later"},
		{"zero", list("{after: 0s, mention: [kim]}"), "3: escalation.steps[0].after: must be at least 1s, not 0s"},
		{"too fine", list("{after: 1500ms, mention: [kim]}"), "3: escalation.steps[0].after: must be whole seconds, not 1.5s"},
		{"no unit", list("{after: 4, mention: [kim]}"), `3: escalation.steps[0].after: must be a duration with a unit, not "4"`},
		{"a bad mention", list("{after: 1h, mention: ['@kim']}"), `3: escalation.steps[0].mention[0]: must be a person or a team, not "@kim"`},
		{"a team is no assignee", list("{after: 1h, assign: [ops/on-call]}"), `3: escalation.steps[0].assign[0]: must be a Gitea login, not "ops/on-call"`},
		{"two labels of a scope", list("{after: 1h, labels: [priority/high, priority/low]}"), "3: escalation.steps[0].labels[1]: has the same scope as escalation.steps[0].labels[0]"},
		{"the secret itself", list("{after: 1h, webhook_file: 'https://hooks.example/secret'}"), "3: escalation.steps[0].webhook_file: must be the path of a file that holds the secret"},
		{"an unknown key", list("{after: 1h, notify: [kim]}"), "3: escalation.steps[0].notify: unknown key"},
		{"no list", "escalation: {steps: 1h}\n" + rest, "1: escalation.steps: must be a list"},
		{"reminders all the time", "escalation: {remind: 1m}\n" + rest, "1: escalation.remind: must be at least 1h, not 1m"},
		{"reminders never", "escalation: {remind: -1h}\n" + rest, "1: escalation.remind: must be at least 0s, not -1h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := parsed(t, tt.doc)
			said := problemsOf(t, tt.doc)
			require.Len(t, said, 1)
			require.Contains(t, said[0], tt.want)
			require.NotContains(t, said[0], "hooks.example")
			require.Empty(t, c.Escalation.Steps, "none is used")
		})
	}
}
