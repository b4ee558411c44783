package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// write creates a configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestMistakes(t *testing.T) {
	path := filepath.Join("testdata", "mistakes.yaml")
	_, err := Load(path)
	var e *Error
	require.ErrorAs(t, err, &e)

	// A comment on each line with a mistake names the keys concerned.
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var want, got []string
	for i, line := range strings.Split(string(data), "\n") {
		if _, keys, ok := strings.Cut(line, "# wrong: "); ok {
			for _, key := range strings.Fields(keys) {
				want = append(want, fmt.Sprintf("%d %s", i+1, key))
			}
		}
	}
	for _, p := range e.Problems {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Key))
	}
	require.Greater(t, len(want), 20)
	require.Equal(t, want, got)

	golden, err := os.ReadFile(filepath.Join("testdata", "mistakes.txt"))
	require.NoError(t, err)
	require.Equal(t, string(golden), e.Error()+"\n")
}

func TestNotAConfiguration(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "config.yaml: is empty: "},
		{"only comments", "# a\n# b\n", "config.yaml: is empty: "},
		{"only a document mark", "---\n", "config.yaml: is empty: "},
		{"a list", "- a\n", "config.yaml:1: must be a mapping of keys, not a list: "},
		{"a word", "\nhello\n", "config.yaml:2: must be a mapping of keys, not a string: "},
		{"two documents", rest + "---\n" + rest, "config.yaml:8: a second YAML document starts here: "},
		{"a broken second document", rest + "---\na: [\n", "is not YAML: "},
		{"an open bracket", "x: 1\ny: [1, 2\nz: 3\n", "config.yaml:2: is not YAML: a list in [ ] is not closed, or lacks a comma: "},
		{"a wrong indentation", "a:\n  - x\n - y\n", "config.yaml:3: is not YAML: something stands behind the end of a value, or the indentation does not fit that of the lines above: "},
		{"text behind a quote", "a: 'x' y\n", "config.yaml:1: is not YAML: something stands behind the end of a value, or"},
		{"two colons", "x: 1\na: b: c\n", "config.yaml:2: is not YAML: a colon stands where no key can be: "},
		{"two colons on the first line", "a: b: c\n", "config.yaml:1: is not YAML: a colon stands "},
		{"a tab", "a: 1\nb:\n\tc: 2\n", "config.yaml:3: is not YAML: here is a tab, or a character with which no value begins: indent with spaces"},
		{"an unknown anchor", "a: 1\nb: *nobody\n", "config.yaml:2: is not YAML: an alias, which begins with *, has no anchor: write the value out"},
		{"a pattern without quotes", "a: 1\nb: *\nc: 2\n", `config.yaml:2: is not YAML: a value begins with * or &: put it in "quotes"`},
		{"a pattern that looks like an alias", "a: 1\nb: *-bot\n", `; put one that begins with * in "quotes"`},
		{"a control character", "a: 1\nb: \x00\n", "config.yaml:2: contains the control character 0x00: remove it"},
		{"a delete character", "a: \x7f\n", "config.yaml:1: contains the control character 0x7f: remove it"},
		{"Latin-1", "a: 1\nb: M\xfcller\n", "config.yaml:2: is not UTF-8: "},
		{"Latin-1 after a replacement character", "a: \ufffd\nb: M\xfcller\n", "config.yaml:2: is not UTF-8: "},
		{"UTF-16", "\xff\xfea\x00", "config.yaml:1: is not UTF-8: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parse("config.yaml", []byte(tt.text), "host", noFiles)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Len(t, e.Problems, 1)
			require.Contains(t, err.Error(), tt.want)
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	t.Run("absent", func(t *testing.T) {
		path, home := filepath.Join(dir, "none.yaml"), t.TempDir()
		t.Setenv("XDG_CONFIG_HOME", home)
		_, err := Load(path)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.EqualError(t, err, path+": does not exist: run `adfbot init`, or name another file with --config or "+
			"$ADFBOT_CONFIG; the default is /etc/adfbot/config.yaml")

		own := filepath.Join(home, "adfbot", "config.yaml")
		require.NoError(t, os.Mkdir(filepath.Dir(own), 0o755))
		require.NoError(t, os.WriteFile(own, nil, 0o644))
		_, err = Load(path)
		require.EqualError(t, err, path+": does not exist: yours is "+own+": name it with --config or $ADFBOT_CONFIG, also in crontabs and units")
	})
	t.Run("directory", func(t *testing.T) {
		_, err := Load(dir)
		require.EqualError(t, err, dir+": is a directory: name a file in it, e.g. "+dir+"/config.yaml")
	})
	t.Run("named pipe", func(t *testing.T) {
		path := filepath.Join(dir, "pipe")
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		_, err := Load(path)
		require.EqualError(t, err, path+": is not a regular file: write the configuration to a file: a pipe or a device can't be read again")
	})
	t.Run("device", func(t *testing.T) {
		_, err := Load("/dev/zero")
		require.ErrorContains(t, err, "/dev/zero: is not a regular file")
	})
	t.Run("a link to itself, a file for a directory", func(t *testing.T) {
		loop, below := filepath.Join(dir, "loop"), filepath.Join(dir, "file", "config.yaml")
		require.NoError(t, os.Symlink("loop", loop))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
		for _, read := range []func(path string) error{
			func(path string) error { _, err := Load(path); return err },
			func(path string) error { _, err := ReadSecretFile(path); return err },
			func(path string) error { _, err := ReadFile(path, 1); return err }, // of gitea.ca_file and the template
		} {
			require.ErrorContains(t, read(loop), "a link on this path leads back to itself: correct the link (`namei "+loop+"` shows it)")
			require.ErrorContains(t, read(below), "a part of this path before its end is a file: correct the path")
		}
	})
	t.Run("a link to nothing", func(t *testing.T) {
		link, dir := filepath.Join(dir, "to-nothing"), filepath.Join(dir, "to-no-directory")
		require.NoError(t, os.Symlink("/no/where", link))
		require.NoError(t, os.Symlink("/no/where", dir))
		for path, from := range map[string]string{link: link, filepath.Join(dir, "config.yaml"): dir} {
			_, err := Load(path)
			_, secretErr := ReadSecretFile(path)
			for _, err := range []error{err, secretErr} {
				require.ErrorIs(t, err, fs.ErrNotExist)
				require.ErrorContains(t, err, from+" is a link to /no/where, which does not exist: mount the file system that it leads to, or correct the link")
				require.NotContains(t, err.Error(), "adfbot init", "it overwrites no link")
				require.NotContains(t, err.Error(), "write the secret to it", "there may be no directory for it")
			}
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		err := readError("/c.yaml", &fs.PathError{Op: "open", Path: "/c.yaml", Err: fs.ErrPermission})
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, "/c.yaml: cannot be read by this user (uid ")
		require.ErrorContains(t, err, "chmod a+r")
	})
	t.Run("other error", func(t *testing.T) {
		require.EqualError(t, readError("/c.yaml", fs.ErrClosed), "/c.yaml: cannot be read: file already closed")
	})
	t.Run("too large", func(t *testing.T) {
		text := rest + "#"
		_, err := Load(write(t, text+strings.Repeat("x", 1<<20-len(text))))
		require.NoError(t, err)
		_, err = Load(write(t, text+strings.Repeat("x", 1<<20-len(text)+1)))
		require.ErrorContains(t, err, "is larger than 1 MiB")
	})
}

func TestFind(t *testing.T) {
	t.Chdir(filepath.Dir(write(t, rest))) // where it must not look
	env := func(v string) func(string) string {
		return func(name string) string { return map[string]string{"ADFBOT_CONFIG": v}[name] }
	}
	require.Equal(t, "/flag", Find("/flag", env("/env")))
	require.Equal(t, "/env", Find("", env("/env")))
	require.Equal(t, "/etc/adfbot/config.yaml", Find("", env("")))
}

// If aliases were followed, there would be 9 to the power of 100 items.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 100; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9))
	}
	b.WriteString("operators: *a99\n" + rest)
	_, problems := parsed(t, b.String())
	require.Len(t, problems, 101)
}

func TestMessages(t *testing.T) {
	t.Run("one short line", func(t *testing.T) {
		_, problems := parsed(t, "\"a\\nb\": 1\n"+strings.Repeat("k", 500)+": 1\non_issue_closed: "+strings.Repeat("v", 500)+
			"\nhistory: {keep: "+strings.Repeat("1", 500)+"}\n"+rest)
		require.Len(t, problems, 4)
		for _, p := range problems {
			require.NotContains(t, p.String(), "\n")
			require.Less(t, len(p.String()), 350)
		}
	})
	t.Run("no secrets", func(t *testing.T) {
		for _, text := range []string{
			giteaOf("  url: https://joe:hunter2@g\n  token: hunter2\n  token_file: hunter2\n  token_env: hunter2-\n"),
			giteaOf("  url: 'https://joe:hunter2@g:x'\n  token_file: 'hunter2\n\n    '\n"),
			giteaOf("  url: 'joe:hunter2@g'\n  token_file: [hunter2]\n  token_env: {hunter3: 1}\n"),
			"http: {token_file: hunter2, webhook_secret_file: ~/hunter2, password: hunter2}\nescalation: {redact_env: [A=hunter2]}\n" +
				projectsOf("  - {id: a, token_file: /hunter2/, secret: {x: hunter2}}\n"),
		} {
			_, problems := parsed(t, text)
			require.NotEmpty(t, problems)
			for _, p := range problems {
				require.NotContains(t, p.String(), "hunter2")
			}
		}
	})
}

func TestFixes(t *testing.T) {
	const (
		absolute   = "write the full path, starting with /; ~ and variables are not expanded"
		credential = "write the full path, starting with /, or $CREDENTIALS_DIRECTORY/name for a systemd credential"
		brackets   = "check the indentation, and that every bracket and quote is closed, here and above"
		tabs       = `indent with spaces, not tabs, and put a value that begins with @, % or a backquote in "quotes"`
		giteaKeys  = "remove it; the keys here are url, token_file, token_env, login, owner, repo, timeout, ca_file"
		goDuration = "write it like 90s, 10m, 1h30m or 720h; a day is 24h"
	)
	for _, tt := range []struct{ name, text, want string }{
		// unknown keys
		{"missing separator", "pausedir: /p\n" + rest, "did you mean pause_dir?"},
		{"other separator", "pause-dir: /p\n" + rest, "did you mean pause_dir?"},
		{"same beginning", "pause_directory: /p\n" + rest, "did you mean pause_dir?"},
		{"key in the wrong section", "threshold: 3\n" + rest, "did you mean breaker.threshold? It does not belong here"},
		{"key in another wrong section", "sweep: {redact_env: [A]}\n" + rest, "did you mean escalation.redact_env? It does not belong here"},
		{"nothing near", "sweep: {cron: x}\n" + rest, "remove it; the keys here are schedule, time_zone"},
		{"missing letter", "breaker: {treshold: 3}\n" + rest, "did you mean threshold?"},
		{"swapped letters", giteaWith("onwer: x"), "did you mean owner?"},
		{"short key", giteaWith("uro: x"), "did you mean url?"},
		{"short key, two edits", giteaWith("uno: x"), giteaKeys},
		{"file of a secret", giteaWith("token-file: /x"), "did you mean token_file?"},
		{"variable of a secret", giteaWith("token-env: X"), "did you mean token_env?"},
		{"secret", giteaWith("token: x"), "put it in a file of its own, and name that file in token_file"},
		{"secret with its own key", "http: {webhook-secret: x}\n" + rest, "put it in a file of its own, and name that file in webhook_secret_file"},
		// values
		{"duration without unit", "history: {keep: 10}\n" + rest, goDuration},
		{"duration in days", "history: {keep: 30d}\n" + rest, goDuration},
		{"duration in words", "history: {keep: soon}\n" + rest, goDuration},
		{"repo with owner", strings.Replace(rest, "fleet", "terraphim/fleet", 1), "write the name alone; the owner belongs in owner"},
		{"repo with .git", strings.Replace(rest, "fleet", "fleet.git", 1), "write the name without .git"},
		{"unknown variable", giteaWith("ca_file: $HOME/ca.pem"), credential},
		{"relative file", giteaWith("ca_file: ca.pem"), credential},
		{"tab in a file", giteaWith("ca_file: \"/etc/ca\\t.pem\""), "remove it"},
		{"directory as a file", giteaWith("ca_file: /etc/ssl/"), "name the file in it"},
		{"relative path", "state: ~/adfbot.db\n" + rest, absolute},
		{"login with @", "operators: ['@alice']\n" + rest, "write it without @; a login has at most 40 letters, digits, dots, underscores and hyphens"},
		// syntax
		{"two colons", "a: b: c\n", `check the indentation, and put a value that contains a colon in "quotes"`},
		{"reserved character", "a: @b\n", tabs},
		{"tab", "a: 1\n\tb: 2\n", tabs},
		{"open bracket", "a: [1\n", brackets},
		{"no colon", "a: 1\nb\nc: 1\n", brackets},
		{"open quote", "a: \"b\n", brackets},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := parsed(t, tt.text)
			require.Len(t, problems, 1)
			require.Equal(t, tt.want, problems[0].Fix)
		})
	}
}

func TestInheritance(t *testing.T) {
	c, problems := parsed(t, `breaker:
  threshold: 4
escalation:
  labels: [l]
  assignees: [joe]
`+projectsOf(`  - id: plain
  - id: own
    threshold: 7
    owner: o
    repo: r
    labels: []
    assignees: [eve]
    ignore_exit_codes: [75, 1]
    users: [agent]
    token_file: /t
  - id: probe
    resume_threshold: 1
  - id: zero
    threshold: 0
    resume_threshold: 0
`))
	require.Empty(t, problems)
	require.Equal(t, []string{"plain", "own", "probe", "zero"}, c.ProjectIDs(nil))
	require.Equal(t, Breaker{Threshold: 4, ResumeThreshold: 4}, c.Breaker)
	base := Project{Threshold: 4, ResumeThreshold: 4, Owner: "terraphim", Repo: "fleet", Labels: []string{"l"}, Assignees: []string{"joe"}}
	plain, probe, zero := base, base, base
	plain.ID, probe.ID, zero.ID = "plain", "probe", "zero"
	probe.ResumeThreshold = 1
	zero.Threshold, zero.ResumeThreshold = 1, 1
	own := Project{ID: "own", Threshold: 7, ResumeThreshold: 7, Owner: "o", Repo: "r", Labels: []string{}, Assignees: []string{"eve"},
		IgnoreExitCodes: []int{75, 1}, Users: []string{"agent"}, TokenFile: "/t"}
	require.Equal(t, []Project{plain, own, probe, zero}, c.Projects)

	got, ok := c.Project("own")
	require.True(t, ok)
	require.Equal(t, own, got)
	_, ok = c.Project("nobody")
	require.False(t, ok)
}

func TestResumeThreshold(t *testing.T) {
	t.Run("common before the project's threshold", func(t *testing.T) {
		c, problems := parsed(t, "breaker: {threshold: 0, resume_threshold: 2}\n"+projectsOf("  - id: a\n    threshold: 5\n  - id: b\n"))
		require.Empty(t, problems)
		require.Equal(t, Breaker{Threshold: 1, ResumeThreshold: 2}, c.Breaker)
		require.Equal(t, 2, c.Projects[0].ResumeThreshold)
		require.Equal(t, 1, c.Projects[1].Threshold)
		require.Equal(t, 2, c.Projects[1].ResumeThreshold)
	})
	t.Run("zero", func(t *testing.T) {
		c, problems := parsed(t, "breaker: {resume_threshold: 0}\n"+rest)
		require.Empty(t, problems)
		require.Equal(t, 1, c.Breaker.ResumeThreshold)
	})
}

func TestNormalForms(t *testing.T) {
	c, problems := parsed(t, "pause_dir: /a//b/../c/\nstate: /d/./e\n"+strings.Replace(rest, ".org", ".org/gitea//", 1))
	require.Empty(t, problems)
	require.Equal(t, "/a/c", c.PauseDir)
	require.Equal(t, "/d/e", c.State)
	require.Equal(t, "https://git.example.org/gitea", c.Gitea.URL)
}

func TestInstance(t *testing.T) {
	for _, tt := range []struct{ name, text, host, want string }{
		{"host name", rest, "bigbox", "bigbox"},
		{"unknown host name", rest, "", "adfbot"},
		{"key", "instance: factory\n" + rest, "bigbox", "factory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := parse("/c.yaml", []byte(tt.text), tt.host, noFiles)
			require.NoError(t, err)
			require.Equal(t, tt.want, c.Instance)
			require.Equal(t, "/c.yaml", c.Path)
		})
	}
}

func TestHungAfter(t *testing.T) {
	c, problems := parsed(t, "breaker: {hung_after: 2h}\n"+projectsOf("  - id: a\n    hung_after: 0s\n  - id: b\n  - id: c\n    hung_after: 5m\n"))
	require.Empty(t, problems)
	for i, want := range []time.Duration{0, 2 * time.Hour, 5 * time.Minute} {
		require.Equal(t, want, c.Projects[i].HungAfter)
	}
	require.Equal(t, 2*time.Hour, c.ProjectOrDefault("gone").HungAfter)
}

func TestEveryFieldHasAKey(t *testing.T) {
	c, problems := parsed(t, `instance: x
pause_dir: /x
state: postgres://x@y/z
state_password_file: /x
state_listen: "off"
local_dir: /y
fleet: {host: x, poll: 2s, away_after: 2m, forget_after: 2h}
gitea: {url: http://x, token_file: /x, login: x, owner: x, repo: x, timeout: 1s, ca_file: /x}
breaker: {threshold: 1, resume_threshold: 1, hung_after: 1s}
escalation: {labels: [x], assignees: [x], mentions: [x], due_in: 1s, storm_window: 1s, remind: 2h, output_tail: 1,
  steps: [{after: 1s, mention: [x], assign: [x], labels: [x], webhook_file: /x}], redact_env: [x], template: /x}
operators: [x]
on_issue_closed: resume
sweep: {schedule: "@hourly", time_zone: UTC}
http: {listen: "localhost:1", socket: /y/x, hosts: [x], token_file: /x, webhook_secret_file: /x}
classes: [{name: x, exit_codes: [2], output: [x], agents: [x], outcome: trip, anywhere: true}]
builtin_classes: true
history: {keep: 1h}
projects: [{id: x, threshold: 1, resume_threshold: 1, owner: x, repo: x, labels: [x], assignees: [x],
  ignore_exit_codes: [1], classes: [{name: x, exit_codes: [2], output: [x], agents: [x], anywhere: true}], hung_after: 1s, expect: {cron: "@hourly"}, actions: {repo: x/x, workflow: x.yml, disable: true}, users: [x], token_file: /x},
  {match: "*"}, {match: "x*"}]
`)
	require.Empty(t, problems)
	c.Projects[0].Match = c.Projects[1].Match // not allowed beside id
	c.globs[0] = c.globs[1]
	c.globs[0][0].any = true
	c.Projects[0].Expect.Every++ // not allowed beside cron
	c.Gitea.TokenEnv = "x"       // not allowed beside token_file
	c.StateErr = errors.New("x") // of LoadFor
	c.SocketErr = c.StateErr     // likewise
	c.hiding = c.Warnings()      // likewise
	c.hiding[0].about, c.hiding[0].unknownKey, c.hiding[0].hidesNone = "x", true, true
	c.tokenVars = []string{"x"} // likewise
	var check func(name string, v reflect.Value)
	check = func(name string, v reflect.Value) {
		require.False(t, v.IsZero(), name)
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				check(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			require.NotZero(t, v.Len(), name)
			check(name, v.Index(0))
		}
	}
	check("Config", reflect.ValueOf(*c))
}

func BenchmarkFiftyProjects(b *testing.B) {
	var text strings.Builder
	text.WriteString(strings.TrimSuffix(rest, "  - id: odilo\n"))
	for i := range 50 {
		fmt.Fprintf(&text, "  - id: project-%d\n    threshold: 5\n", i)
	}
	data := []byte(text.String())
	for b.Loop() {
		if _, r, err := parse("config.yaml", data, "host", noFiles); err != nil || len(r.problems) > 0 {
			b.Fatal(err, r.problems)
		}
	}
}
