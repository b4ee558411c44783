package config

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// The limits of numbers and durations.
const (
	maxThreshold  = 1000
	maxOutputTail = 40000 // bytes; an issue's body has room for 60,000
	maxTimeout    = 5 * time.Minute
	minKeep       = time.Hour
	forever       = time.Duration(1<<63 - 1)
)

// schema is the table of all keys, reading into c.
func schema(c *Config) []field {
	g, e, h := &c.Gitea, &c.Escalation, &c.HTTP
	return []field{
		leaf("instance", &c.Instance, text(instanceName)),
		leaf("pause_dir", &c.PauseDir, text(dirPath)),
		leaf("state", &c.State, text(filePath)),
		section("gitea",
			leaf("url", &g.URL, text(serverURL)),
			leaf("token_file", &g.TokenFile, text(optional(secretFile))),
			leaf("token_env", &g.TokenEnv, text(optional(variable))),
			leaf("login", &g.Login, text(optional(login))),
			leaf("owner", &g.Owner, text(optional(login))),
			leaf("repo", &g.Repo, text(optional(repository))),
			leaf("timeout", &g.Timeout, duration(1, maxTimeout)),
			leaf("ca_file", &g.CAFile, text(optional(credentialFile))),
		),
		section("breaker",
			leaf("threshold", &c.Breaker.Threshold, number(0, maxThreshold)),
			leaf("resume_threshold", &c.Breaker.ResumeThreshold, number(0, maxThreshold)),
		),
		section("escalation",
			list("labels", &e.Labels, text(issueLabel), self),
			list("assignees", &e.Assignees, text(login), strings.ToLower),
			list("mentions", &e.Mentions, text(mention), strings.ToLower),
			leaf("due_in", &e.DueIn, duration(0, forever)),
			leaf("output_tail", &e.OutputTail, number(0, maxOutputTail)),
			list("redact_env", &e.RedactEnv, text(variable), self),
			leaf("template", &e.Template, text(optional(templateFile))),
		),
		list("operators", &c.Operators, text(login), strings.ToLower),
		leaf("on_issue_closed", &c.OnIssueClosed, text(oneOf(Reopen, Resume))),
		section("sweep",
			leaf("schedule", &c.Sweep.Schedule, text(cronSchedule)),
			leaf("time_zone", &c.Sweep.TimeZone, text(timeZone)),
		),
		section("http",
			leaf("listen", &h.Listen, text(optional(hostPort))),
			leaf("socket", &h.Socket, text(optional(socketPath))),
			leaf("token_file", &h.TokenFile, text(optional(secretFile))),
			leaf("webhook_secret_file", &h.WebhookSecretFile, text(optional(secretFile))),
		),
		section("history",
			leaf("keep", &c.History.Keep, duration(minKeep, forever)),
		),
		{name: "projects", fields: projectFields(new(Project)), read: func(r *reader, v value) { r.projects(v, &c.Projects) }},
	}
}

// projectFields is the table of a project's keys, reading into p.
func projectFields(p *Project) []field {
	return []field{
		leaf("id", &p.ID, text(projectID)),
		leaf("threshold", &p.Threshold, number(0, maxThreshold)),
		leaf("resume_threshold", &p.ResumeThreshold, number(0, maxThreshold)),
		leaf("owner", &p.Owner, text(optional(login))),
		leaf("repo", &p.Repo, text(optional(repository))),
		list("labels", &p.Labels, text(issueLabel), self),
		list("assignees", &p.Assignees, text(login), strings.ToLower),
		list("ignore_exit_codes", &p.IgnoreExitCodes, number(1, 255), func(n int) int { return n }),
		list("users", &p.Users, text(unixUser), self),
		leaf("token_file", &p.TokenFile, text(optional(secretFile))),
	}
}

func self(s string) string { return s }

// projects reads the list of projects. One whose id is good is known, whatever else is wrong with it.
func (r *reader) projects(v value, to *[]Project) {
	all := make([]Project, 0, len(v.node.Content))
	first := make(map[string]int, len(v.node.Content))
	var p Project
	fields := projectFields(&p) // one table for all: gate reads them at each start
	ok := r.items(v, func(item value) {
		p = Project{Threshold: unset, ResumeThreshold: unset}
		before := len(r.problems)
		r.mapping(item, fields)
		idKey := item.key + ".id"
		switch {
		case item.node.Kind != yaml.MappingNode:
			return
		case !r.given(idKey):
			r.report(item.line, idKey, faultf("write id: and the project's name", "is missing"))
		case p.ID != "" && first[p.ID] > 0:
			r.report(r.lines[idKey], idKey, faultf("give each project once", "%s is already the project of line %d", p.ID, first[p.ID]))
			return
		}
		if p.ID == "" {
			return
		}
		first[p.ID] = item.line
		r.ids[item.key] = p.ID
		// A project whose own repository is in doubt must not fall back to the common one: its issue would be opened where
		// nobody looks for it.
		if slices.ContainsFunc(r.problems[before:], func(q Problem) bool {
			return q.subject() == item.key+".owner" || q.subject() == item.key+".repo"
		}) {
			r.doubt[p.ID] = true
		}
		all = append(all, p)
	})
	if ok && len(v.node.Content) == 0 {
		r.report(v.line, v.key, faultf("list at least one: - id: name", "is empty"))
	}
	if !v.dry {
		*to = all
	}
}
