package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// twoProjects returns a file with the projects odilo and twins, each with these keys.
func twoProjects(odilo, twins string) string {
	return projectsOf("  - id: odilo\n" + odilo + "  - id: twins\n" + twins)
}

func TestKeysInUse(t *testing.T) {
	for _, tt := range []struct {
		name       string
		text       string
		gate, exec bool // whether LoadFor fails
	}{
		{"no mistake", rest, false, false},
		{"gitea", strings.Replace(rest, "https:", "ftp:", 1), false, false},
		{"no gitea", "projects:\n  - id: odilo\n", false, false},
		{"gitea is a list", "gitea: []\nprojects:\n  - id: odilo\n", false, false},
		{"sweep", "sweep: {schedule: x}\n" + rest, false, false},
		{"http", "http: {listen: x}\n" + rest, false, false},
		{"operators", "operators: x\n" + rest, false, false},
		{"on_issue_closed", "on_issue_closed: x\n" + rest, false, false},
		{"escalation", "escalation: {labels: x}\n" + rest, false, false},
		{"history", "history: 5\n" + rest, false, false},
		{"instance", "instance: ~\n" + rest, false, false},
		{"an unknown key", "nonsense: 1\n" + rest, false, false},
		{"a secret", "password: x\n" + rest, false, false},
		{"state", "state: x\n" + rest, false, true},
		{"the state inside the pause directory", "pause_dir: /p\nstate: /p/x\n" + rest, false, true},
		{"state with a place for results", "local_dir: /l\nstate: postgres://x:y@z/d\n" + rest, false, false},
		{"state with a bad place for results", "local_dir: l\nstate: postgres://x:y@z/d\n" + rest, false, true},
		{"local_dir", "local_dir: l\n" + rest, false, true},
		{"no local_dir with PostgreSQL", "state: postgres://x@z/d\n" + rest, false, true},
		{"state_password_file", "state: postgres://x@z/d\nstate_password_file: x\n" + rest, false, true},
		{"state_listen", "state: postgres://x@z/d\nlocal_dir: /l\nstate_listen: x\n" + rest, false, false},
		{"fleet", "fleet: {poll: x}\n" + rest, false, false},
		{"breaker", "breaker: {threshold: x}\n" + rest, false, true},
		{"an unknown key in breaker", "breaker: {nonsense: 1}\n" + rest, false, true},
		{"breaker is a list", "breaker: []\n" + rest, false, true},
		{"a threshold of odilo", twoProjects("    threshold: x\n", ""), false, true},
		{"a resume_threshold of odilo", twoProjects("    resume_threshold: x\n", ""), false, true},
		{"hung_after of odilo", twoProjects("    hung_after: -1s\n", ""), false, true},
		{"ignore_exit_codes of odilo", twoProjects("    ignore_exit_codes: [x]\n", ""), false, true},
		{"a misspelt threshold of odilo", twoProjects("    treshold: 1\n", ""), false, true},
		{"labels of odilo", twoProjects("    labels: x\n", ""), false, false},
		{"a repo of odilo", twoProjects("    repo: a/b\n", ""), false, false},
		{"users of odilo", twoProjects("    users: x\n", ""), false, false},
		{"a token_file of odilo", twoProjects("    token_file: x\n", ""), false, false},
		{"another project's threshold", twoProjects("", "    threshold: x\n"), false, false},
		{"another project's unknown key", twoProjects("", "    nonsense: x\n"), false, false},
		{"another project's id", twoProjects("", "  - id: ../x\n"), true, true},
		{"another project without id", twoProjects("", "  - threshold: 1\n"), true, true},
		{"another project is a string", twoProjects("", "  - x\n"), true, true},
		{"two projects with one id", twoProjects("", "  - id: twins\n"), true, true},
		{"a merge key in another project", twoProjects("", "    <<: {}\n"), true, true},
		{"no projects", strings.Split(rest, "projects:")[0], true, true},
		{"no project", strings.Split(rest, "projects:")[0] + "projects: []\n", true, true},
		{"projects is a mapping", projectsOf("  a: b\n"), true, true},
		{"projects twice", rest + "projects:\n  - id: a\n", true, true},
		{"projects misspelt", strings.Replace(rest, "projects", "project", 1), true, true},
		{"pause_dir", "pause_dir: x\n" + rest, true, true},
		{"pause_dir twice", "pause_dir: /a\npause_dir: /b\n" + rest, true, true},
		{"pause_dir misspelt", "pause-dir: /a\n" + rest, true, true},
		{"pause_dir in the wrong place", "breaker: {threshold: 1}\nhttp: {pause_dir: /a}\n" + rest, true, true},
		{"a merge key at the top", "<<: {}\n" + rest, true, true},
		{"no YAML", "a: [\n", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			for _, command := range []struct {
				fails bool
				use   []string
			}{{tt.gate, GateKeys}, {tt.exec, ExecKeys("odilo")}} {
				c, warnings, err := LoadFor(path, command.use...)
				if command.fails {
					require.Error(t, err)
					require.Nil(t, c)
					var e *Error
					require.ErrorAs(t, err, &e)
					continue
				}
				require.NoError(t, err)
				_, known := c.Project("odilo")
				require.True(t, known)
				require.Equal(t, tt.name == "no mistake" || tt.name == "no gitea", len(warnings) == 0)
			}
			_, err := Load(path)
			require.Equal(t, tt.name == "no mistake", err == nil)
		})
	}
}

func TestErrorsAndWarnings(t *testing.T) {
	path := write(t, "sweep: {schedule: x}\npause_dir: x\n"+rest+"  - id: ../x\n")
	_, warnings, err := LoadFor(path, GateKeys...)
	require.EqualError(t, err, path+`:2: pause_dir: must be an absolute path, not "x": write the full path, starting with /; ~ and variables are not expanded`+
		"\n"+path+`:10: projects[1].id: bad project id: "../x" must begin with a letter, a digit or an underscore: `+
		"choose another id; it names the pause flag")
	require.Len(t, warnings, 1)
	require.Equal(t, "sweep.schedule", warnings[0].Key)
}

// The default of a place that has a mistake may be the place of another installation, which gate must not ask about this one.
func TestGateWithoutLocalDir(t *testing.T) {
	for text, want := range map[string]string{
		"state: /s/x.db\n":                                 "/s/x.db.d",
		"state: postgres://x:y@z/d\nlocal_dir: /l\n":       "/l",
		"state: x\n":                                       "",
		"state: ~\n":                                       "",
		"state: /a\nstate: /b\n":                           "",
		"stat: /s/x.db\n":                                  "",
		"state: postgres://x:y@z/d\n":                      "",
		"state: postgres://x@z/d\n":                        "",
		"state: postgres://x@z/d\nlocal_dirs: /l\n":        "",
		"state: /s/x.db\nlocal_dir: l\n":                   "",
		"state: postgres://x@z/d\nlocal_dir: [/l]\n":       "",
		"state: postgres://x@z/d\nlocal_dir: /l\nfl: {}\n": "/l",
	} {
		c, _, err := LoadFor(write(t, text+rest), GateKeys...)
		require.NoError(t, err, text)
		require.Equal(t, want, c.LocalDir, text)
	}
}

// The command must not see the token although it is not known which variable holds it.
func TestTokenVars(t *testing.T) {
	gitea := func(more string) string { return strings.Replace(rest, "  token_file: /etc/adfbot/token\n", more, 1) }
	require.NotEqual(t, rest, gitea(""), "the replaced line is there")
	vars := func(text string) []string {
		c, _, err := LoadFor(write(t, text), ExecKeys("odilo")...)
		require.NoError(t, err, text)
		return c.TokenVars()
	}
	require.Empty(t, vars(rest))
	require.Equal(t, []string{"BOT_TOKEN"}, vars(gitea("  token_env: BOT_TOKEN\n")))
	require.Equal(t, []string{"BOT_TOKEN"}, vars(gitea("  token_env: BOT_TOKEN\n  login: [OTHER]\n")))
	for _, text := range []string{
		gitea("  token_env: BOT_TOKEN\n  token_file: /t\n"),
		gitea("  token_env: BOT_TOKEN\n  token_env: BOT_TOKEN\n"),
		gitea("  token_env: [BOT_TOKEN]\n"),
		gitea("  token_env: $BOT_TOKEN\n"),
		gitea("  token_env: '${BOT_TOKEN} '\n"),
		gitea("  tokn_env: BOT_TOKEN\n"),
		gitea("  token: BOT_TOKEN\n"),
		gitea("  from: BOT_TOKEN\n"),
		gitea("  token_env: {name: BOT_TOKEN}\n"),
		strings.Replace(gitea("  token_env: BOT_TOKEN\n"), "gitea:", "gitee:", 1),
		gitea("") + "token_env: BOT_TOKEN\n",
		gitea("") + "http: {token_env: BOT_TOKEN}\n",
		"http: {listen: &a BOT_TOKEN}\n" + gitea("  token_env: *a\n"),
		"gitea: BOT_TOKEN\nprojects:\n  - id: odilo\n",
	} {
		require.Contains(t, vars(text), "BOT_TOKEN", text)
	}
	// Variables of the job are none of these.
	require.Empty(t, vars("history: {keep: x}\n"+strings.Replace(rest, "https:", "ftp:", 1)))
	require.NotContains(t, vars(gitea("  tokn_env: BOT_TOKEN\n")), "repo")
	require.NotContains(t, vars(gitea("  tokn_env: BOT_TOKEN\n")), "terraphim")
	require.NotContains(t, vars("escalation: {redact_env: [OPENAI_API_KEY]}\n"+gitea("  tokn_env: BOT_TOKEN\n")), "OPENAI_API_KEY")
}

// loadForExec loads the configuration for exec of odilo and expects no error.
func loadForExec(t *testing.T, text string) (*Config, []Problem) {
	t.Helper()
	c, warnings, err := LoadFor(write(t, text), ExecKeys("odilo")...)
	require.NoError(t, err)
	return c, warnings
}

func TestWrongKeysKeepDefaults(t *testing.T) {
	t.Run("bad values", func(t *testing.T) {
		c, warnings := loadForExec(t, `instance: ~
escalation: {labels: [good, good], due_in: 5, template: x}
on_issue_closed: x
sweep: {schedule: x, time_zone: x}
history: {keep: 1s}
`+rest)
		require.Len(t, warnings, 9)
		d := defaults(c.Instance)
		require.NotEmpty(t, c.Instance)
		require.Equal(t, []string{"good"}, c.Escalation.Labels)
		require.Zero(t, c.Escalation.DueIn)
		require.Empty(t, c.Escalation.Template)
		require.Equal(t, d.OnIssueClosed, c.OnIssueClosed)
		require.Equal(t, d.Sweep, c.Sweep)
		require.Equal(t, d.History, c.History)
	})
	t.Run("duplicate keys", func(t *testing.T) {
		c, _ := loadForExec(t, "history: {keep: 2h}\nhistory: {keep: 3h}\noperators: [a]\noperators: [b]\n"+giteaWith("url: https://other"))
		require.Equal(t, defaults("").History, c.History)
		require.Empty(t, c.Operators)
		require.Empty(t, c.Gitea.URL)
		require.False(t, hasIssueTarget(c, "odilo"))
	})
	t.Run("threshold of another project", func(t *testing.T) {
		c, warnings := loadForExec(t, "breaker: {threshold: 8}\n"+twoProjects("", "    threshold: x\n"))
		require.Len(t, warnings, 1)
		p, ok := c.Project("twins")
		require.True(t, ok)
		require.Equal(t, 8, p.Threshold)
	})
	t.Run("listen without its token", func(t *testing.T) {
		c, _ := loadForExec(t, "http: {listen: ':80', token_file: hunter2}\n"+rest)
		require.Empty(t, c.HTTP.Listen)
	})
}

// hasIssueTarget reports whether c has all that opening an issue for the project needs.
func hasIssueTarget(c *Config, id string) bool {
	p, _ := c.Project(id)
	g := c.Gitea
	return g.URL != "" && (g.TokenFile != "" || g.TokenEnv != "") && p.Owner != "" && p.Repo != ""
}

func TestIssueTarget(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want bool
	}{
		{"no mistake", rest, true},
		{"token from a variable", strings.Replace(rest, "token_file: /etc/adfbot/token", "token_env: T", 1), true},
		{"bad timeout", giteaWith("timeout: 1h"), true},
		{"no gitea", "projects:\n  - id: odilo\n", false},
		{"bad url", strings.Replace(rest, "https:", "ftp:", 1), false},
		{"no token", strings.Replace(rest, "token_file", "login", 1), false},
		{"two tokens", giteaWith("token_env: T"), false},
		{"bad owner", strings.Replace(rest, "terraphim", "'@x'", 1), false},
		{"misspelt repo", strings.Replace(rest, "repo:", "rep0:", 1), false},
		{"bad owner of its own", twoProjects("    owner: '@x'\n", ""), false},
		{"misspelt repo of its own", twoProjects("    rep0: x\n", ""), false},
		{"bad repo of another project", twoProjects("", "    repo: a/b\n"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := loadForExec(t, tt.text)
			require.Equal(t, tt.want, hasIssueTarget(c, "odilo"))
		})
	}
}

// While the list of values to mask may be incomplete, no output is kept.
func TestOutputTail(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want int
	}{
		{"no mistake", rest, 8192},
		{"mistake elsewhere", "sweep: {schedule: x}\n" + rest, 8192},
		{"misspelt key elsewhere", "sweep: {shedule: '@hourly'}\n" + rest, 8192},
		{"bad variable", "escalation: {redact_env: [A, B=c]}\n" + rest, 0},
		{"misspelt redact_env", "escalation: {redact_envs: [A]}\n" + rest, 0},
		{"unknown key of escalation", "escalation: {mask: [A]}\n" + rest, 0},
		{"unknown key at the top", "mask: [A]\n" + rest, 0},
		{"redact_env in the wrong section", "sweep: {redact_env: [A]}\n" + rest, 0},
		{"duplicate escalation", "escalation: {redact_env: [A]}\nescalation: {due_in: 1h}\n" + rest, 0},
		{"misspelt escalation", "escalatoin: {redact_env: [A]}\n" + rest, 0},
		{"escalation is a list", "escalation: [A]\n" + rest, 0},
		{"redact_env of a project", twoProjects("", "    redact_env: [A]\n"), 0},
		{"unknown key of a project", twoProjects("    comment: x\n", ""), 8192},
		{"unknown key of a rule", "classes: [{name: a, exit_codes: [2], comment: x}]\n" + rest, 8192},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings := loadForExec(t, tt.text)
			require.Equal(t, tt.want, c.Escalation.OutputTail)
			if tt.want == 0 {
				last := warnings[len(warnings)-1]
				require.Equal(t, "escalation.output_tail", last.Key)
				require.Regexp(t, `^is taken as 0, so no output is kept and no rule of classes sees any: because of the mistake at \S+:\d+, the values to mask in it may be incomplete$`, last.What)
			}
		})
	}
	for name, more := range map[string]string{
		"unknown key of a team":  "projects:\n  - id: sci\n    comment: x\n",
		"unknown keys of a file": "hello: 1\nprojects:\n  - id: sci\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := configOf(t, map[string]string{"config.yaml": "include: a.d\n" + rest, "a.d": more})
			for _, project := range []string{"odilo", "sci"} {
				c, warnings, err := LoadFor(path, ExecKeys(project)...)
				require.NoError(t, err)
				require.Len(t, warnings, 1)
				require.Equal(t, 8192, c.Escalation.OutputTail, project)
			}
		})
	}
	// A team that meant to mask values of its own has no output until it is corrected. Others have.
	for name, more := range map[string]string{
		"values to mask of a team":  "projects:\n  - id: sci\n    redact_env: [A]\n",
		"values to mask of a file":  "escalation: {redact_env: [A]}\nprojects:\n  - id: sci\n",
		"misspelt values of a file": "escalatoin: {redact_env: [A]}\nprojects:\n  - id: sci\n",
		"values to mask at its top": "redact_env: [A]\nprojects:\n  - id: sci\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := configOf(t, map[string]string{"config.yaml": "include: a.d\n" + rest, "a.d": more})
			for project, want := range map[string]int{"odilo": 8192, "sci": 0} {
				c, _, err := LoadFor(path, ExecKeys(project)...)
				require.NoError(t, err)
				require.Equal(t, want, c.Escalation.OutputTail, project)
			}
		})
	}
	t.Run("no output wanted", func(t *testing.T) {
		c, warnings := loadForExec(t, "escalation: {output_tail: 0, due_in: 5}\n"+rest)
		require.Zero(t, c.Escalation.OutputTail)
		require.Len(t, warnings, 1)
	})
}
