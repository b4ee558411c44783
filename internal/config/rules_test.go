package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rest is what a file needs apart from the key under test.
const rest = `gitea:
  url: https://git.example.org
  token_file: /etc/adfbot/token
  owner: terraphim
  repo: fleet
projects:
  - id: odilo
`

// projectsOf returns a file with these projects. Their list begins on line 7.
func projectsOf(list string) string {
	return strings.Replace(rest, "  - id: odilo\n", list, 1)
}

// giteaOf returns a file with this gitea section, which begins on line 2.
func giteaOf(section string) string {
	return "gitea:\n" + section + "projects:\n  - id: odilo\n"
}

// giteaWith returns a file with a good gitea section that ends with this line 6.
func giteaWith(line string) string {
	return strings.Replace(rest, "projects:", "  "+line+"\nprojects:", 1)
}

// problemsOf returns the problems of a file as "line: key: what".
func problemsOf(t *testing.T, text string) []string {
	t.Helper()
	_, problems := parsed(t, text)
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d: %s: %s", p.Line, p.Key, p.What))
	}
	return all
}

// saidBySchema matches the mistakes that a JSON Schema always tells.
var saidBySchema = regexp.MustCompile(`^(unknown key|must be (a list|a mapping|true or false|a duration)|has no value|does nothing|does not say when|has no name|can never match: it says neither)`)

// parsed parses a file on a host with the name host.
func parsed(t *testing.T, text string) (*Config, []Problem) {
	t.Helper()
	c, r, err := parse("config.yaml", []byte(text), "host", noFiles)
	if err != nil {
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Len(t, e.Problems, 1)
		return nil, e.Problems
	}
	if len(r.problems) == 0 {
		requireShown(t, text, c)
		require.NoError(t, validate(t, text), "the JSON Schema refuses a good file")
	}
	for _, p := range r.problems {
		if saidBySchema.MatchString(p.What) {
			require.Error(t, validate(t, text), "the JSON Schema accepts a file with %s", p)
		}
	}
	return c, r.problems
}

// beyondSchema are the mistakes in [TestRulesRefuse] that a JSON Schema cannot tell, because they are about more than one value, about text
// that no simple pattern describes, or about how the file is written.
var beyondSchema = []string{
	"a wrong hour", "a wrong weekday", "a minute that is a comma", "a range from a star",
	"a date for a string", "a value with a tag of its own", "a merge key", "the pause directory as the state",
	"the state inside the pause directory", "the default state inside the pause directory", "the pause directory beside the state",
	"the pause directory in the spool", "a socket inside the pause directory", "a socket in place of the state",
	"a socket in place of the state's log", "an operator twice", "no owner", "an empty owner", "no repo",
	"a credential above the directory", "a url with a bad escape", "a url with a port out of range", "a timeout of zero",
	"a timeout over five minutes", "a threshold with many zeros", "an octal threshold", "a hexadecimal threshold",
	"two labels of one scope", "two labels of one deeper scope", "an assignee twice", "a mention twice", "a schedule without a date",
	"an interval of zero", "an interval below a second", "an interval with a fraction", "an interval over the maximum",
	"an unknown time zone", "a port out of range", "a public name twice", "a short history", "an id twice",
	"two labels of one scope of a project",
}

func TestRulesRefuse(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name string
		text string
		want string
	}{
		// structure
		{"an unknown key", "nonsense: 1\n" + rest, "1: nonsense: unknown key"},
		{"an unknown key in a section", giteaWith("nonsense: 1"), "6: gitea.nonsense: unknown key"},
		{"an unknown key in a project", projectsOf("  - id: a\n    nonsense: 1\n"), "8: projects[0].nonsense: unknown key"},
		{"a duplicate key", "instance: a\ninstance: b\n" + rest, "2: instance: duplicate key, first given on line 1"},
		{"a duplicate section", "history: {keep: 2h}\nhistory: {keep: 3h}\n" + rest, "2: history: duplicate key, first given on line 1"},
		{"a duplicate key in a section", giteaWith("repo: x"), "6: gitea.repo: duplicate key, first given on line 5"},
		{"a duplicate key in a project", projectsOf("  - id: a\n    owner: b\n    owner: b\n"), "9: projects[0].owner: duplicate key, first given on line 8"},
		{"a number for a string", "instance: 5\n" + rest, "1: instance: must be a string, not a number"},
		{"a boolean for a string", "instance: true\n" + rest, "1: instance: must be a string, not a boolean"},
		{"a number for a string in the next line", "instance:\n  5\n" + rest, "2: instance: must be a string, not a number"},
		{"a date for a string", "instance: 2026-01-01\n" + rest, "1: instance: must be a string, not a date"},
		{"a list for a string", "instance: [a]\n" + rest, "1: instance: must be a string, not a list"},
		{"a mapping for a list", "operators: {a: b}\n" + rest, "1: operators: must be a list, not a mapping"},
		{"a string for a list", "operators: alice\n" + rest, "1: operators: must be a list, not a string"},
		{"a list for a section", "sweep: [a]\n" + rest, "1: sweep: must be a mapping of keys, not a list"},
		{"a value with a tag of its own", "instance: !secret x\n" + rest, `1: instance: must be a string, not a value tagged "!secret"`},
		{"a null", "instance: ~\n" + rest, "1: instance: has no value"},
		{"nothing after the colon", "\ninstance:\n" + rest, "2: instance: has no value"},
		{"an empty section", "http:\n" + rest, "1: http: has no value"},
		{"null in a list", "operators: [a, null]\n" + rest, "1: operators[1]: has no value"},
		{"an alias", "instance: &a x\npause_dir: *a\n" + rest, "2: pause_dir: is an alias (*), which is not supported"},
		{"a merge key", "sweep:\n  <<: {time_zone: UTC}\n" + rest, `2: sweep: "<<" is not a key: merge keys and nested keys are not supported`},
		{"a list as a key", "? [a, b]\n: 1\n" + rest, `1: : "" is not a key: merge keys and nested keys are not supported`},

		// secrets
		{"a token", giteaOf("  url: https://g\n  token: x\n  owner: a\n  repo: b\n"), "3: gitea.token: must not be here: this file holds no secrets"},
		{"a password at the top", "password: x\n" + rest, "1: password: must not be here: this file holds no secrets"},
		{"a secret in a project", projectsOf("  - id: a\n    api-key: x\n"), "8: projects[0].api-key: must not be here: this file holds no secrets"},
		{"a webhook secret", "http:\n  webhook_secret: x\n" + rest, "2: http.webhook_secret: must not be here: this file holds no secrets"},

		// the top level
		{"an empty instance", "instance: ''\n" + rest, "1: instance: is empty"},
		{"an instance with a line break", "instance: \"a\\nb\"\n" + rest, `1: instance: contains an unprintable character: "a\nb"`},
		{"an instance with spaces around it", "instance: ' a'\n" + rest, `1: instance: has white space around it: " a"`},
		{"a very long instance", "instance: " + long + "\n" + rest, "1: instance: must have at most 100 characters, not 300"},
		{"a relative pause directory", "pause_dir: data/pause\n" + rest, `1: pause_dir: must be an absolute path, not "data/pause"`},
		{"an empty pause directory", "pause_dir: ''\n" + rest, `1: pause_dir: must be an absolute path, not ""`},
		{"a pause directory below ~", "pause_dir: ~/pause\n" + rest, `1: pause_dir: must be an absolute path, not "~/pause"`},
		{"a pause directory from a variable", "pause_dir: $HOME/pause\n" + rest, `1: pause_dir: must be an absolute path, not "$HOME/pause"`},
		{"the pause directory as the state", "pause_dir: /p\nstate: /p\n" + rest, `2: state: is inside pause_dir, where every file is a pause flag: "/p"`},
		{"the root as the pause directory", "pause_dir: //\n" + rest, "1: pause_dir: must not be /"},
		{"a line break in a path", "pause_dir: \"/a\\nb\"\n" + rest, `1: pause_dir: contains a control character: "/a\nb"`},
		{"a relative state", "state: adfbot.db\n" + rest, `1: state: must be an absolute path, not "adfbot.db"`},
		{"a directory as the state", "state: /var/lib/\n" + rest, `1: state: must be a file, not the directory "/var/lib/"`},
		{"the state inside the pause directory", "pause_dir: /p\nstate: /p/adfbot.db\n" + rest, `2: state: is inside pause_dir, where every file is a pause flag: "/p/adfbot.db"`},
		{"the default state inside the pause directory", "pause_dir: /var/lib/adfbot\n" + rest, `1: state: is inside pause_dir, where every file is a pause flag: "/var/lib/adfbot/adfbot.db"`},
		{"the pause directory beside the state", "pause_dir: /p.d\nstate: /p\n" + rest, `1: pause_dir: is inside the directory of the spool, beside the state: "/p.d"`},
		{"the pause directory in the spool", "pause_dir: /p.d/spool\nstate: /p\n" + rest, `1: pause_dir: is inside the directory of the spool, beside the state: "/p.d/spool"`},
		{"a socket inside the pause directory", "pause_dir: /p\nhttp: {socket: /p/s}\n" + rest, `2: http.socket: is inside pause_dir, where every file is a pause flag: "/p/s"`},
		{"a socket in place of the state", "state: /s/adfbot.db\nhttp: {socket: /s/adfbot.db}\n" + rest, `2: http.socket: is the state or a file beside it: "/s/adfbot.db"`},
		{"a socket in place of the state's log", "state: /s/adfbot.db\nhttp: {socket: /s/../s/adfbot.db-wal}\n" + rest, `2: http.socket: is the state or a file beside it: "/s/adfbot.db-wal"`},
		{"an operator with @", "operators: ['@alice']\n" + rest, `1: operators[0]: must be a Gitea login, not "@alice"`},
		{"an operator with a space", "operators: [a b]\n" + rest, `1: operators[0]: must be a Gitea login, not "a b"`},
		{"an empty operator", "operators: ['']\n" + rest, `1: operators[0]: must be a Gitea login, not ""`},
		{"an operator that begins with a dot", "operators: [.a]\n" + rest, `1: operators[0]: must be a Gitea login, not ".a"`},
		{"an operator that begins with a hyphen", "operators: [-a]\n" + rest, `1: operators[0]: must be a Gitea login, not "-a"`},
		{"an operator that is too long", "operators: [" + long[:41] + "]\n" + rest, `1: operators[0]: must be a Gitea login, not "` + long[:41] + `"`},
		{"an operator twice", "operators: [alice, bob, Alice]\n" + rest, "1: operators[2]: is the same as operators[0]"},
		{"a bad on_issue_closed", "on_issue_closed: close\n" + rest, `1: on_issue_closed: must be reopen or resume, not "close"`},

		// gitea
		{"no gitea", "projects:\n  - id: odilo\n", "0: gitea: is missing"},
		{"no url", giteaOf("  token_file: /t\n  owner: a\n  repo: b\n"), "1: gitea.url: is missing"},
		{"an empty url", giteaOf("  url: ''\n  token_file: /t\n  owner: a\n  repo: b\n"), "2: gitea.url: is empty"},
		{"no owner", giteaOf("  url: https://g\n  token_file: /t\n  repo: b\n"), "1: gitea.owner: is missing"},
		{"an empty owner", giteaOf("  url: https://g\n  token_file: /t\n  owner: ''\n  repo: b\n"), "4: gitea.owner: is empty"},
		{"no repo", giteaOf("  url: https://g\n  token_file: /t\n  owner: a\n"), "1: gitea.repo: is missing"},
		{"no token", giteaOf("  url: https://g\n  owner: a\n  repo: b\n"), "1: gitea.token_file: is missing"},
		{"an empty token_file", giteaOf("  url: https://g\n  owner: a\n  repo: b\n  token_file: ''\n"), "5: gitea.token_file: is empty"},
		{"an empty token_env", giteaOf("  url: https://g\n  owner: a\n  repo: b\n  token_env: ''\n"), "1: gitea.token_file: is missing"},
		{"two tokens", giteaWith("token_env: TOKEN"), "6: gitea.token_env: must not be set together with token_file"},
		{"a token in place of its file", giteaOf("  url: https://g\n  token_file: hunter2\n  owner: a\n  repo: b\n"), "3: gitea.token_file: must be the path of a file that holds the secret"},
		{"a token file that is a directory", giteaOf("  url: https://g\n  token_file: /etc/\n  owner: a\n  repo: b\n"), "3: gitea.token_file: must be the path of a file that holds the secret"},
		{"a credential below a directory", giteaOf("  url: https://g\n  token_file: $CREDENTIALS_DIRECTORY/a/b\n  owner: a\n  repo: b\n"), "3: gitea.token_file: must be the path of a file that holds the secret"},
		{"a credential above the directory", giteaOf("  url: https://g\n  token_file: $CREDENTIALS_DIRECTORY/..\n  owner: a\n  repo: b\n"), "3: gitea.token_file: must be the path of a file that holds the secret"},
		{"another variable in a path", giteaOf("  url: https://g\n  token_file: $HOME/token\n  owner: a\n  repo: b\n"), "3: gitea.token_file: must be the path of a file that holds the secret"},
		{"a token in place of its variable", giteaOf("  url: https://g\n  token_env: 0123abc\n  owner: a\n  repo: b\n"), "3: gitea.token_env: must be the name of an environment variable"},
		{"a variable with $", giteaOf("  url: https://g\n  token_env: $TOKEN\n  owner: a\n  repo: b\n"), "3: gitea.token_env: must be the name of an environment variable"},
		{"a url without scheme", strings.Replace(rest, "https://git.example.org", "git.example.org", 1), "2: gitea.url: must be an absolute http or https URL"},
		{"a url with another scheme", strings.Replace(rest, "https:", "ssh:", 1), "2: gitea.url: must be an absolute http or https URL"},
		{"a url without host", strings.Replace(rest, "git.example.org", "/path", 1), "2: gitea.url: must be an absolute http or https URL"},
		{"a url with a space", strings.Replace(rest, "git.example.org", "git.example.org/a b", 1), "2: gitea.url: is not a URL"},
		{"a url with a bad escape", strings.Replace(rest, "git.example.org", "%zz", 1), "2: gitea.url: is not a URL"},
		{"a url with credentials", strings.Replace(rest, "git.example", "u:hunter2@git.example", 1), "2: gitea.url: contains credentials"},
		{"a url with a query", strings.Replace(rest, ".org", ".org/?a=b", 1), "2: gitea.url: has a query or fragment"},
		{"a url with an empty query", strings.Replace(rest, ".org", ".org/?", 1), "2: gitea.url: has a query or fragment"},
		{"a url with a fragment", strings.Replace(rest, ".org", ".org/#a", 1), "2: gitea.url: has a query or fragment"},
		{"a url with a port out of range", strings.Replace(rest, ".org", ".org:70000", 1), "2: gitea.url: has an invalid port"},
		{"a url with an empty port", strings.Replace(rest, "https://git.example.org", "https://g:/x", 1), "2: gitea.url: has an invalid port"},
		{"a url of the API", strings.Replace(rest, ".org", ".org/api/v1/", 1), "2: gitea.url: is the address of the API"},
		{"a bad login", giteaWith("login: a b"), `6: gitea.login: must be a Gitea login, not "a b"`},
		{"a bad owner", strings.Replace(rest, "terraphim", "a/b", 1), `4: gitea.owner: must be a Gitea login, not "a/b"`},
		{"a repo with its owner", strings.Replace(rest, "fleet", "a/b", 1), `5: gitea.repo: must be a repository name, not "a/b"`},
		{"a repo with .git", strings.Replace(rest, "fleet", "a.git", 1), `5: gitea.repo: must be a repository name, not "a.git"`},
		{"a repo with a space", strings.Replace(rest, "fleet", "a b", 1), `5: gitea.repo: must be a repository name, not "a b"`},
		{"a repo with .wiki", strings.Replace(rest, "fleet", "a.wiki", 1), `5: gitea.repo: must be a repository name, not "a.wiki"`},
		{"a repo that is a dot", strings.Replace(rest, "fleet", ".", 1), `5: gitea.repo: must be a repository name, not "."`},
		{"a repo that is too long", strings.Replace(rest, "fleet", long[:101], 1), `5: gitea.repo: must be a repository name, not "` + long[:60] + `"…`},
		{"a repo that is two dots", strings.Replace(rest, "fleet", "..", 1), `5: gitea.repo: must be a repository name, not ".."`},
		{"a timeout of zero", giteaWith("timeout: 0s"), "6: gitea.timeout: must be at least 1ns, not 0s"},
		{"a negative timeout", giteaWith("timeout: -1s"), "6: gitea.timeout: must be at least 1ns, not -1s"},
		{"a timeout over five minutes", giteaWith("timeout: 301s"), "6: gitea.timeout: must be at most 5m, not 5m1s"},
		{"a timeout without unit", giteaWith("timeout: 10"), `6: gitea.timeout: must be a duration with a unit, not "10"`},
		{"a timeout in words", giteaWith("timeout: soon"), `6: gitea.timeout: must be a duration with a unit, not "soon"`},
		{"a list of timeouts", giteaWith("timeout: [1s]"), "6: gitea.timeout: must be a duration with a unit, not a list"},
		{"a relative ca_file", giteaWith("ca_file: ca.pem"), `6: gitea.ca_file: must be an absolute path, not "ca.pem"`},

		// breaker
		{"a negative threshold", "breaker: {threshold: -1}\n" + rest, "1: breaker.threshold: must be from 0 to 1000, not -1"},
		{"a threshold over the maximum", "breaker: {threshold: 1001}\n" + rest, "1: breaker.threshold: must be from 0 to 1000, not 1001"},
		{"a fractional threshold", "breaker: {threshold: 2.5}\n" + rest, `1: breaker.threshold: must be a whole number, not "2.5"`},
		{"a list tagged as a threshold", "breaker: {threshold: !!int [3]}\n" + rest, "1: breaker.threshold: must be a whole number, not a list"},
		{"a threshold with many zeros", "breaker: {threshold: " + strings.Repeat("0", 99) + "}\n" + rest, `1: breaker.threshold: must be a whole number, not "` + strings.Repeat("0", 60) + `"…`},
		{"a quoted threshold", "breaker: {threshold: '3'}\n" + rest, `1: breaker.threshold: must be a whole number, not "3"`},
		{"an octal threshold", "breaker: {threshold: 010}\n" + rest, `1: breaker.threshold: must be a whole number, not "010"`},
		{"a hexadecimal threshold", "breaker: {threshold: 0x10}\n" + rest, `1: breaker.threshold: must be a whole number, not "0x10"`},
		{"a threshold too large for a number", "breaker: {threshold: 9999999999999999999}\n" + rest, `1: breaker.threshold: must be a whole number, not "9999999999999999999"`},
		{"a negative resume_threshold", "breaker: {resume_threshold: -1}\n" + rest, "1: breaker.resume_threshold: must be from 0 to 1000, not -1"},

		// escalation
		{"an empty label", "escalation: {labels: ['']}\n" + rest, "1: escalation.labels[0]: is empty"},
		{"a label with a comma", "escalation: {labels: ['a,b']}\n" + rest, `1: escalation.labels[0]: contains a comma: "a,b"`},
		{"a label twice", "escalation: {labels: [a, a]}\n" + rest, "1: escalation.labels[1]: is the same as escalation.labels[0]"},
		{"two labels of one scope", "escalation: {labels: [priority/high, x, priority/low]}\n" + rest,
			"1: escalation.labels[2]: has the same scope as escalation.labels[0]: an issue has one label of each scope"},
		{"two labels of one deeper scope", "escalation: {labels: [a/b, a/b/c, a/b/d]}\n" + rest,
			"1: escalation.labels[2]: has the same scope as escalation.labels[1]: an issue has one label of each scope"},
		{"a label that is too long", "escalation: {labels: [" + long[:51] + "]}\n" + rest, "1: escalation.labels[0]: must have at most 50 characters, not 51"},
		{"a bad assignee", "escalation: {assignees: ['@a']}\n" + rest, `1: escalation.assignees[0]: must be a Gitea login, not "@a"`},
		{"an assignee twice", "escalation: {assignees: [a, A]}\n" + rest, "1: escalation.assignees[1]: is the same as escalation.assignees[0]"},
		{"a mention with @", "escalation: {mentions: ['@a/b']}\n" + rest, `1: escalation.mentions[0]: must be a person or a team, not "@a/b"`},
		{"a mention with an empty team", "escalation: {mentions: [a/]}\n" + rest, `1: escalation.mentions[0]: must be a person or a team, not "a/"`},
		{"a mention of a team that is too long", "escalation: {mentions: [a/" + long[:256] + "]}\n" + rest, `1: escalation.mentions[0]: must be a person or a team, not "a/` + long[:58] + `"…`},
		{"a mention of a person with @", "escalation: {mentions: ['@a']}\n" + rest, `1: escalation.mentions[0]: must be a person or a team, not "@a"`},
		{"a mention twice", "escalation: {mentions: [o/t, O/t]}\n" + rest, "1: escalation.mentions[1]: is the same as escalation.mentions[0]"},
		{"a negative due_in", "escalation: {due_in: -1h}\n" + rest, "1: escalation.due_in: must be at least 0s, not -1h"},
		{"a negative output_tail", "escalation: {output_tail: -1}\n" + rest, "1: escalation.output_tail: must be from 0 to 40000, not -1"},
		{"an output_tail over the maximum", "escalation: {output_tail: 40001}\n" + rest, "1: escalation.output_tail: must be from 0 to 40000, not 40001"},
		{"a variable with its value", "escalation: {redact_env: [KEY=hunter2]}\n" + rest, "1: escalation.redact_env[0]: must be the name of an environment variable"},
		{"a variable without name", "escalation: {redact_env: ['']}\n" + rest, "1: escalation.redact_env[0]: must be the name of an environment variable"},
		{"a variable twice", "escalation: {redact_env: [A, A]}\n" + rest, "1: escalation.redact_env[1]: is the same as escalation.redact_env[0]"},
		{"a relative template", "escalation: {template: body.tmpl}\n" + rest, `1: escalation.template: must be an absolute path, not "body.tmpl"`},
		{"a template in place of its file", "escalation: {template: '{{.Project}}'}\n" + rest, `1: escalation.template: must be an absolute path, not "{{.Project}}"`},

		// sweep
		{"an empty schedule", "sweep: {schedule: ''}\n" + rest, `1: sweep.schedule: is not a cron schedule: it is empty`},
		{"a word as the schedule", "sweep: {schedule: hourly}\n" + rest, `1: sweep.schedule: is not a cron schedule: it has 1 field, not 5: "hourly"`},
		{"a schedule with seconds", "sweep: {schedule: '0 * * * * *'}\n" + rest, `1: sweep.schedule: is not a cron schedule: it has 6 fields, not 5: "0 * * * * *"`},
		{"a schedule without a date", "sweep: {schedule: '0 0 31 2 *'}\n" + rest, `1: sweep.schedule: matches no date: "0 0 31 2 *"`},
		{"a time zone alone", "sweep: {schedule: TZ=UTC}\n" + rest, `1: sweep.schedule: must not begin with a time zone: "TZ=UTC"`},
		{"a time zone before the schedule", "sweep: {schedule: 'CRON_TZ=UTC * * * * *'}\n" + rest, `1: sweep.schedule: must not begin with a time zone: "CRON_TZ=UTC * * * * *"`},
		{"a space before the schedule", "sweep: {schedule: ' @hourly'}\n" + rest, `1: sweep.schedule: is not a cron schedule: there is no " @hourly"`},
		{"a wrong hour", "sweep: {schedule: '* 24 * * 7'}\n" + rest, `1: sweep.schedule: is not a cron schedule: its hour is "24"`},
		{"a minute that is a comma", "sweep: {schedule: ', * * * *'}\n" + rest, `1: sweep.schedule: is not a cron schedule: its minute is ","`},
		{"a range from a star", "sweep: {schedule: '* *-5 * * *'}\n" + rest, `1: sweep.schedule: is not a cron schedule: its hour is "*-5"`},
		{"a wrong weekday", "sweep: {schedule: '0 6 * * monday'}\n" + rest, `1: sweep.schedule: is not a cron schedule: its weekday is "monday"`},
		{"@reboot", "sweep: {schedule: '@reboot'}\n" + rest, `1: sweep.schedule: is not a cron schedule: there is no "@reboot"`},
		{"an interval of zero", "sweep: {schedule: '@every 0s'}\n" + rest, `1: sweep.schedule: must have whole seconds from 1s to 8760h after @every, not "0s"`},
		{"a negative interval", "sweep: {schedule: '@every -1h'}\n" + rest, `1: sweep.schedule: must have whole seconds from 1s to 8760h after @every, not "-1h"`},
		{"an interval below a second", "sweep: {schedule: '@every 500ms'}\n" + rest, `1: sweep.schedule: must have whole seconds from 1s to 8760h after @every, not "500ms"`},
		{"an interval with a fraction", "sweep: {schedule: '@every 1.5s'}\n" + rest, `1: sweep.schedule: must have whole seconds from 1s to 8760h after @every, not "1.5s"`},
		{"an interval over the maximum", "sweep: {schedule: '@every 8760h0m1s'}\n" + rest, `1: sweep.schedule: must have whole seconds from 1s to 8760h after @every, not "8760h0m1s"`},
		{"an interval in words", "sweep: {schedule: '@every day'}\n" + rest, `1: sweep.schedule: must have whole seconds from 1s to 8760h after @every, not "day"`},
		{"an unknown time zone", "sweep: {time_zone: Mars/Olympus}\n" + rest, `1: sweep.time_zone: is not a time zone: "Mars/Olympus"`},
		{"an empty time zone", "sweep: {time_zone: ''}\n" + rest, `1: sweep.time_zone: is not a time zone: ""`},

		// http, history
		{"a port alone", "http: {listen: '9753'}\n" + rest, `1: http.listen: must be host:port, not "9753"`},
		{"a named port", "http: {listen: 'localhost:http'}\n" + rest, `1: http.listen: must have a port from 0 to 65535, not "http"`},
		{"a port with a sign", "http: {listen: '127.0.0.1:+80'}\n" + rest, `1: http.listen: must have a port from 0 to 65535, not "+80"`},
		{"a port out of range", "http: {listen: '127.0.0.1:65536'}\n" + rest, `1: http.listen: must have a port from 0 to 65535, not "65536"`},
		{"a url to listen on", "http: {listen: 'a/b:80', token_file: /t}\n" + rest, `1: http.listen: must be host:port, not "a/b:80"`},
		{"the network without a token", "http: {listen: '10.0.0.1:80'}\n" + rest, "1: http.listen: is reachable from other machines, but http.token_file is not set"},
		{"all addresses without a token", "http: {listen: ':80'}\n" + rest, "1: http.listen: is reachable from other machines, but http.token_file is not set"},
		{"a host name without a token", "http: {listen: 'bigbox:80'}\n" + rest, "1: http.listen: is reachable from other machines, but http.token_file is not set"},
		{"a relative socket", "http: {socket: adfbot.sock}\n" + rest, `1: http.socket: must be an absolute path, not "adfbot.sock"`},
		{"a socket that is too long", "http: {socket: /" + long[:107] + "}\n" + rest, "1: http.socket: must have at most 107 bytes, not 108"},
		{"a token in place of the file of http", "http: {token_file: hunter2}\n" + rest, "1: http.token_file: must be the path of a file that holds the secret"},
		{"a webhook secret in place of its file", "http: {webhook_secret_file: hunter2}\n" + rest, "1: http.webhook_secret_file: must be the path of a file that holds the secret"},
		{"a public name with a scheme", "http: {hosts: ['https://a.example']}\n" + rest, `1: http.hosts[0]: must be a host name, not "https://a.example"`},
		{"a public name with a port", "http: {hosts: ['a.example:443']}\n" + rest, `1: http.hosts[0]: must be a host name, not "a.example:443"`},
		{"any public name", "http: {hosts: ['*']}\n" + rest, `1: http.hosts[0]: must be a host name, not "*"`},
		{"a public name with umlauts", "http: {hosts: [ädf.example]}\n" + rest, `1: http.hosts[0]: must be a host name, not "ädf.example"`},
		{"an empty public name", "http: {hosts: ['']}\n" + rest, `1: http.hosts[0]: must be a host name, not ""`},
		{"a public name twice", "http: {hosts: [a.example, A.example.]}\n" + rest, "1: http.hosts[1]: is the same as http.hosts[0]"},
		{"a short history", "history: {keep: 59m}\n" + rest, "1: history.keep: must be at least 1h, not 59m"},

		// projects
		{"no projects", strings.Split(rest, "projects:")[0], "0: projects: is missing"},
		{"an empty list of projects", strings.Split(rest, "projects:")[0] + "projects: []\n", "6: projects: is empty"},
		{"null as projects", strings.Split(rest, "projects:")[0] + "projects:\n", "6: projects: has no value"},
		{"a mapping of projects", projectsOf("  odilo: {}\n"), "6: projects: must be a list, not a mapping"},
		{"a string as a project", projectsOf("  - odilo\n"), "7: projects[0]: must be a mapping of keys, not a string"},
		{"a project without id", projectsOf("  - id: a\n  - threshold: 5\n"), "8: projects[1].id: is missing"},
		{"an id that is null", projectsOf("  - id: ~\n"), "7: projects[0].id: has no value"},
		{"an id outside the directory", projectsOf("  - id: ../x\n"), `7: projects[0].id: bad project id: "../x" must begin with a letter, a digit or an underscore`},
		{"an id that is a number", projectsOf("  - id: 007\n"), "7: projects[0].id: must be a string, not a number"},
		{"an id twice", projectsOf("  - id: a\n  - id: b\n  - id: a\n"), "9: projects[2].id: a is already the project on line 7"},
		{"a bad threshold", projectsOf("  - id: a\n    threshold: -1\n"), "8: projects[0].threshold: must be from 0 to 1000, not -1"},
		{"a bad resume_threshold", projectsOf("  - id: a\n    resume_threshold: -1\n"), "8: projects[0].resume_threshold: must be from 0 to 1000, not -1"},
		{"a bad owner of a project", projectsOf("  - id: a\n    owner: '@b'\n"), `8: projects[0].owner: must be a Gitea login, not "@b"`},
		{"a bad repo of a project", projectsOf("  - id: a\n    repo: b/c\n"), `8: projects[0].repo: must be a repository name, not "b/c"`},
		{"two labels of one scope of a project", projectsOf("  - id: a\n    labels: [b/c, b/d]\n"),
			"8: projects[0].labels[1]: has the same scope as projects[0].labels[0]: an issue has one label of each scope"},
		{"a duplicate label of a project", projectsOf("  - id: a\n    labels: [b, b]\n"), "8: projects[0].labels[1]: is the same as projects[0].labels[0]"},
		{"a bad assignee of a project", projectsOf("  - id: a\n    assignees: [b c]\n"), `8: projects[0].assignees[0]: must be a Gitea login, not "b c"`},
		{"an exit code over 255", projectsOf("  - id: a\n    ignore_exit_codes: [256]\n"), "8: projects[0].ignore_exit_codes[0]: must be from 1 to 255, not 256"},
		{"a negative exit code", projectsOf("  - id: a\n    ignore_exit_codes: [-1]\n"), "8: projects[0].ignore_exit_codes[0]: must be from 1 to 255, not -1"},
		{"exit code 0", projectsOf("  - id: a\n    ignore_exit_codes: [0]\n"), "8: projects[0].ignore_exit_codes[0]: must be from 1 to 255, not 0"},
		{"an exit code twice", projectsOf("  - id: a\n    ignore_exit_codes:\n      - 75\n      - 75\n"), "10: projects[0].ignore_exit_codes[1]: is the same as projects[0].ignore_exit_codes[0]"},
		{"a bad user", projectsOf("  - id: a\n    users: ['a:b']\n"), `8: projects[0].users[0]: must be a Unix user, not "a:b"`},
		{"a user that is an option", projectsOf("  - id: a\n    users: ['-b']\n"), `8: projects[0].users[0]: must be a Unix user, not "-b"`},
		{"a user with a space", projectsOf("  - id: a\n    users: [b c]\n"), `8: projects[0].users[0]: must be a Unix user, not "b c"`},
		{"a user that is too long", projectsOf("  - id: a\n    users: [" + long + "]\n"), `8: projects[0].users[0]: must be a Unix user, not "` + long[:60] + `"…`},
		{"a user's number with a zero before it", projectsOf("  - id: a\n    users: ['01000']\n"), `8: projects[0].users[0]: must not begin with 0, since it is a user's number: "01000"`},
		{"an empty user", projectsOf("  - id: a\n    users: ['']\n"), `8: projects[0].users[0]: must be a Unix user, not ""`},
		{"a user twice", projectsOf("  - id: a\n    users: [b, b]\n"), "8: projects[0].users[1]: is the same as projects[0].users[0]"},
		{"a token in place of the file of a project", projectsOf("  - id: a\n    token_file: hunter2\n"), "8: projects[0].token_file: must be the path of a file that holds the secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, []string{tt.want}, problemsOf(t, tt.text))
			require.Equal(t, slices.Contains(beyondSchema, tt.name), validate(t, tt.text) == nil, "whether the JSON Schema accepts it")
		})
	}
}

func TestRulesAccept(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"required keys only", rest},
		{"a byte order mark and CRLF", "\ufeff" + strings.ReplaceAll(rest, "\n", "\r\n")},
		{"an unused anchor", "instance: &a x\n" + rest},
		{"the longest timeout", giteaWith("timeout: 5m")},
		{"the shortest timeout", giteaWith("timeout: 1ns")},
		{"a token from a variable", strings.Replace(rest, "token_file: /etc/adfbot/token", "token_env: ADFBOT_GITEA_TOKEN", 1)},
		{"an empty token_env beside token_file", giteaWith("token_env: ''")},
		{"a token from systemd", strings.Replace(rest, "/etc/adfbot/token", "$CREDENTIALS_DIRECTORY/token", 1)},
		{"a ca_file from systemd", giteaWith("ca_file: $CREDENTIALS_DIRECTORY/ca")},
		{"a url with path and port", strings.Replace(rest, ".org", ".org:3000/gitea/", 1)},
		{"a url with an IPv6 address", strings.Replace(rest, "git.example.org", "[::1]:3000", 1)},
		{"no common repository", giteaOf("  url: https://g\n  token_file: /t\n") + "    owner: a\n    repo: b\n"},
		{"thresholds of 0 and 1000", "breaker: {threshold: 0, resume_threshold: 1000}\n" + rest},
		{"the largest output_tail", "escalation: {output_tail: 40000}\n" + rest},
		{"no labels", "escalation: {labels: []}\n" + rest},
		{"labels without a scope", "escalation: {labels: [/a, /b, a/, b/, a/b, a/b/c]}\n" + rest},
		{"a label of fifty characters", "escalation: {labels: [" + strings.Repeat("ä", 50) + "]}\n" + rest},
		{"a team and a login", "escalation: {mentions: [terraphim/ops, alice]}\n" + rest},
		{"a zero duration without unit", "escalation: {due_in: 0}\n" + rest},
		{"every second", "sweep: {schedule: '@every 1s'}\n" + rest},
		{"every year", "sweep: {schedule: '@every 8760h'}\n" + rest},
		{"hourly", "sweep: {schedule: '@hourly', time_zone: Local}\n" + rest},
		{"the 29th of February", "sweep: {schedule: '0 0 29 2 *', time_zone: Europe/Berlin}\n" + rest},
		{"loopback without a token", "http: {listen: '127.0.0.1:9753'}\n" + rest},
		{"loopback by IPv6", "http: {listen: '[::1]:0'}\n" + rest},
		{"loopback by name", "http: {listen: 'localhost:9753'}\n" + rest},
		{"the network with a token", "http: {listen: ':9753', token_file: /t}\n" + rest},
		{"one hour of history", "history: {keep: 1h}\n" + rest},
		{"the state beside the pause directory", "pause_dir: /d/pause\nstate: /d/pause.db\n" + rest},
		{"the state above the pause directory", "pause_dir: /d/pause\nstate: /d/adfbot.db\n" + rest},
		{"all exit codes", projectsOf("  - id: a\n    ignore_exit_codes: [1, 255]\n")},
		{"users by name and number", projectsOf("  - id: a\n    users: [agent, '1000', joe@corp]\n")},
		{"an id that needs quotes", projectsOf("  - id: '007'\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Empty(t, problemsOf(t, tt.text))
		})
	}
}
