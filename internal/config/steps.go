package config

import (
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	maxSteps  = 20
	maxAfter  = 365 * 24 * time.Hour
	minRemind = time.Hour
	maxRemind = 365 * 24 * time.Hour
)

// Step is what is done when nobody has answered for an incident for a time.
type Step struct {
	After       time.Duration // since its opening, in whole seconds; longer than that of the step before
	Mention     []string      // login or organisation/team, without @
	Assign      []string
	Labels      []string
	WebhookFile string // holds the URL of a webhook, as Gitea.TokenFile; "": none
}

// stepFields is the table of the keys of a step. Their values go to s.
func stepFields(s *Step) []field {
	return []field{
		leaf("after", &s.After, stepTime),
		list("mention", &s.Mention, str(mention), exact),
		list("assign", &s.Assign, str(login), exact),
		labels(&s.Labels),
		leaf("webhook_file", &s.WebhookFile, str(optional(secretFile))),
	}
}

// steps is the list of steps. If there is a mistake in one, none is used: another one would have its number.
func steps(to *[]Step) field {
	return field{name: "steps", read: func(r *reader, v value) {
		before := len(r.problems)
		var all []Step
		ok := r.items(v, func(item value) {
			var s Step
			problems := len(r.problems)
			r.mapping(item, stepFields(&s))
			if len(r.problems) > problems {
				return
			}
			if f := stepFault(s, all); f != nil {
				r.report(item.line, item.key, f)
				return
			}
			all = append(all, s)
		})
		if len(all) > maxSteps {
			r.report(v.line, v.key, faultf("", "must be at most %d, not %d", maxSteps, len(all)))
		}
		if ok && len(r.problems) == before && !v.checkOnly {
			*to = all
		}
	}, below: func() []field { return stepFields(new(Step)) }, items: func() [][]field { return tables(*to, stepFields) }}
}

// stepFault returns what is wrong with a step after earlier ones.
func stepFault(s Step, earlier []Step) *fault {
	n := len(earlier)
	switch {
	case s.After == 0:
		return faultf("write after: 1h, the time since the pause began", "does not say when")
	case len(s.Mention)+len(s.Assign)+len(s.Labels) == 0 && s.WebhookFile == "":
		return faultf("give it mention, assign, labels or webhook_file", "does nothing")
	case n > 0 && s.After <= earlier[n-1].After:
		return faultf("put the steps in the order of their times", "must come later than the step before it: %s is not after %s", written(s.After), written(earlier[n-1].After))
	}
	return nil
}

// stepTime accepts a duration of whole seconds.
func stepTime(n *yaml.Node) (time.Duration, *fault) {
	d, f := duration(time.Second, maxAfter)(n)
	if f == nil && d != d.Truncate(time.Second) {
		f = faultf("", "must be whole seconds, not %s", written(d))
	}
	return d, f
}

// reminderTime accepts 0, which is never, or a duration that people can bear.
func reminderTime(n *yaml.Node) (time.Duration, *fault) {
	d, f := duration(0, maxRemind)(n)
	if f == nil && d > 0 && d < minRemind {
		f = faultf("write 0s for no reminders", "must be at least %s, not %s", written(minRemind), written(d))
	}
	return d, f
}

// WebhookFiles returns the files of the steps' webhooks, each once.
func (e Escalation) WebhookFiles() (files []string) {
	for _, s := range e.Steps {
		if s.WebhookFile != "" && !slices.Contains(files, s.WebhookFile) {
			files = append(files, s.WebhookFile)
		}
	}
	return files
}
