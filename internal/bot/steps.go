package bot

import (
	"fmt"

	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/pager"
	"github.com/terraphim/adfbot/internal/text"
)

// escalation returns the steps of the configuration.
func escalation(c config.Escalation) plan.Escalation {
	e := plan.Escalation{Remind: c.Remind}
	for _, s := range c.Steps {
		e.Steps = append(e.Steps, plan.Step{After: s.After, Mention: s.Mention, Assign: s.Assign, Labels: s.Labels, Webhook: s.WebhookFile})
	}
	return e
}

// newPager returns what calls the webhooks of steps. It trusts gitea.ca_file, too: they often are in the same house.
func (b *Bot) newPager() *pager.Client {
	read := func(file string) (string, error) { return config.ReadBotSecret(file, b.env.Getenv) }
	return pager.New(read, b.roots, func(ok bool) { b.env.observe(func(o Observer) { o.WebhookCalled(ok) }) })
}

// steps checks the webhooks of the escalation, without calling them.
func (c *checker) steps() {
	read := func(file string) (string, error) { return config.ReadBotSecret(file, c.env.Getenv) }
	steps, good := c.cfg.Escalation.Steps, true
	for n, s := range steps {
		if s.WebhookFile == "" {
			continue
		}
		c.openToAgents("steps", fmt.Sprintf("escalation.steps[%d].webhook_file", n), s.WebhookFile)
		if err := pager.New(read, nil, nil).Check(s.WebhookFile); err != nil {
			c.failed("steps", fmt.Errorf("escalation.steps[%d].webhook_file: %w", n, err))
			good = false
		}
	}
	if good && len(steps) > 0 {
		c.stepsOK = fmt.Sprintf("%s, the first one after %s", text.Plural(len(steps), "step"), text.Duration(steps[0].After))
	}
	if len(steps) > 0 && len(c.cfg.Operators) == 0 {
		c.add(Warn, "steps", "nobody may answer with /adf ack, because there are no operators: list some, or have people assign themselves")
	}
}
