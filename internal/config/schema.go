package config

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxThreshold   = 1000
	maxOutputTail  = 40000 // bytes; the body of an issue has room for 60,000
	maxStormWindow = 24 * time.Hour
	maxTimeout     = 5 * time.Minute
	minKeep        = time.Hour
	forever        = time.Duration(1<<63 - 1)
)

// schema is the table of all keys. Their values go to c, the files to include to include, and the projects to the reader.
func schema(c *Config, include *string) []field {
	g, e, h := &c.Gitea, &c.Escalation, &c.HTTP
	return []field{
		leaf("instance", &c.Instance, str(instanceName)),
		leaf("pause_dir", &c.PauseDir, str(dirPath)),
		leaf("state", &c.State, str(statePlace)),
		leaf("state_password_file", &c.StatePasswordFile, str(optional(secretFile))),
		leaf("state_listen", &c.StateListen, str(optional(listenPlace))),
		leaf("local_dir", &c.LocalDir, str(optional(dirPath))),
		section("fleet",
			leaf("host", &c.Fleet.Host, str(optional(instanceName))),
			leaf("poll", &c.Fleet.Poll, duration(minPoll, maxPoll)),
			leaf("away_after", &c.Fleet.AwayAfter, duration(minAway, maxAway)),
			leaf("forget_after", &c.Fleet.ForgetAfter, duration(minForget, maxForget)),
		),
		section("gitea",
			leaf("url", &g.URL, str(optional(serverURL))),
			leaf("token_file", &g.TokenFile, str(optional(secretFile))),
			leaf("token_env", &g.TokenEnv, str(optional(variable))),
			leaf("login", &g.Login, str(optional(login))),
			leaf("owner", &g.Owner, str(optional(login))),
			leaf("repo", &g.Repo, str(optional(repository))),
			leaf("timeout", &g.Timeout, duration(1, maxTimeout)),
			leaf("ca_file", &g.CAFile, str(optional(credentialFile))),
		),
		section("breaker",
			leaf("threshold", &c.Breaker.Threshold, number(0, maxThreshold)),
			leaf("resume_threshold", &c.Breaker.ResumeThreshold, number(0, maxThreshold)),
			leaf("hung_after", &c.Breaker.HungAfter, duration(0, forever)),
		),
		section("escalation",
			labels(&e.Labels),
			list("assignees", &e.Assignees, str(login), strings.ToLower),
			list("mentions", &e.Mentions, str(mention), strings.ToLower),
			leaf("due_in", &e.DueIn, duration(0, forever)),
			leaf("storm_window", &e.StormWindow, duration(0, maxStormWindow)),
			steps(&e.Steps),
			leaf("remind", &e.Remind, reminderTime),
			leaf("output_tail", &e.OutputTail, number(0, maxOutputTail)),
			list("redact_env", &e.RedactEnv, str(variable), exact),
			leaf("template", &e.Template, str(optional(filePath))),
		),
		list("operators", &c.Operators, str(login), strings.ToLower),
		leaf("on_issue_closed", &c.OnIssueClosed, str(oneOf(Reopen, Resume))),
		section("sweep",
			leaf("schedule", &c.Sweep.Schedule, str(cronSchedule)),
			leaf("time_zone", &c.Sweep.TimeZone, str(timeZone)),
		),
		section("http",
			leaf("listen", &h.Listen, str(optional(hostPort))),
			leaf("socket", &h.Socket, str(optional(socketPath))),
			list("hosts", &h.Hosts, str(hostName), exact),
			leaf("token_file", &h.TokenFile, str(optional(secretFile))),
			leaf("webhook_secret_file", &h.WebhookSecretFile, str(optional(secretFile))),
		),
		section("metrics",
			leaf("per_project", &c.Metrics.PerProject, boolean),
		),
		classes(&c.Classes),
		leaf("builtin_classes", &c.BuiltinClasses, boolean),
		section("history",
			leaf("keep", &c.History.Keep, duration(minKeep, forever)),
		),
		projectsField(),
		leaf("include", include, str(optional(includePath))),
	}
}

func projectsField() field {
	return field{name: "projects", fields: projectFields(new(Project)), read: func(r *reader, v value) { r.projects(v) }}
}

// projectFields is the table of the keys of a project. Their values go to p.
func projectFields(p *Project) []field {
	return []field{
		leaf("id", &p.ID, str(projectID)),
		leaf("match", &p.Match, str(projectGlob)),
		leaf("threshold", &p.Threshold, number(0, maxThreshold)),
		leaf("resume_threshold", &p.ResumeThreshold, number(0, maxThreshold)),
		leaf("owner", &p.Owner, str(optional(login))),
		leaf("repo", &p.Repo, str(optional(repository))),
		labels(&p.Labels),
		list("assignees", &p.Assignees, str(login), strings.ToLower),
		list("ignore_exit_codes", &p.IgnoreExitCodes, number(1, 255), exact),
		classes(&p.Classes),
		leaf("hung_after", &p.HungAfter, duration(0, forever)),
		expect(&p.Expect),
		actions(&p.Actions),
		list("users", &p.Users, str(unixUser), exact),
		leaf("token_file", &p.TokenFile, str(optional(secretFile))),
	}
}

func exact[T any](v T) T { return v }

// entry is an item of projects.
type entry struct {
	Project
	glob        glob // of Match
	file        string
	line        int
	key         string         // projects[n] of the file
	lines       map[string]int // of the file, see reader
	unknownRepo bool           // a mistake hides the project's own repository
}

// projects reads the list of projects. A project with a good id or pattern is kept, whatever else is wrong with it.
func (r *reader) projects(v value) {
	var p Project
	fields := projectFields(&p) // one table for all projects: gate builds it at each start
	ok := r.items(v, func(item value) {
		p = Project{Threshold: unset, ResumeThreshold: unset, HungAfter: unset}
		before := len(r.problems)
		r.mapping(item, fields)
		idKey, matchKey := item.key+".id", item.key+".match"
		wrong := func(key string) bool { return concerned(r.problems[before:], key) }
		switch {
		case r.given(idKey) && r.given(matchKey):
			r.report(r.lines[matchKey], matchKey, faultf("keep one of the two: id is one project, match all whose ids fit", "must not be set together with id"))
			p.Match = ""
		case !r.given(idKey) && !r.given(matchKey) && !wrong(idKey) && !wrong(matchKey):
			r.report(item.line, idKey, faultf("write id: and the name of the project, or match: and a pattern", "is missing"))
		}
		if p.Name() == "" {
			return
		}
		e := &entry{
			Project: p, file: r.file, line: max(r.lines[idKey], r.lines[matchKey]), key: item.key, lines: r.lines,
			// A project whose own repository is wrong must not use the common one: nobody would look for its issue there.
			unknownRepo: wrong(item.key+".owner") || wrong(item.key+".repo"),
		}
		if !v.checkOnly {
			r.entries = append(r.entries, e)
		}
	})
	if ok && len(v.node.Content) == 0 {
		r.report(v.line, v.key, faultf("list at least one: - id: name", "is empty"))
	}
}

// place says where the entry is, for a reader of the file.
func (e *entry) place(reader string) string {
	if e.file == reader {
		return fmt.Sprintf("on line %d", e.line)
	}
	return fmt.Sprintf("in %s:%d", e.file, e.line)
}

// labels is the list of an issue's labels. adfbot creates scoped labels as exclusive ones; Gitea's API would set two of a
// scope on one issue, and its pages would not.
func labels(to *[]string) field {
	type identity struct{ scope, label string }
	return distinct("labels", to, str(issueLabel), func(label string) identity {
		if scope := labelScope(label); scope != "" {
			return identity{scope: scope}
		}
		return identity{label: label}
	}, func(label string) string {
		if labelScope(label) != "" {
			return "has the same scope as %s: an issue has one label of each scope"
		}
		return "is the same as %s"
	})
}
