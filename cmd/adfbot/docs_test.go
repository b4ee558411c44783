package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
)

const (
	repoRoot   = "../.."
	readmeFile = repoRoot + "/README.md"
)

// document reads a Markdown file.
func document(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// topic reads a help topic.
func topic(t *testing.T, name string) string {
	t.Helper()
	text := topicText(name)
	require.NotEmpty(t, text, "there is no topic %s", name)
	return text
}

// documents are the README and all topics, by their path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{readmeFile: document(t, readmeFile)}
	for _, name := range topicNames() {
		all["docs/"+name+".md"] = topic(t, name)
	}
	require.Greater(t, len(all), 10)
	return all
}

// block is a fenced block of a document.
type block struct{ language, text string }

var fences = expression("(?ms)^```(\\w*)\n(.*?)^```$")

func blocksIn(text string) (blocks []block) {
	for _, m := range fences().FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// codeIn is all code in a document: its fenced blocks, and each code span in a line of its own.
func codeIn(text string) string {
	var b strings.Builder
	for _, code := range blocksIn(text) {
		b.WriteString(code.text)
	}
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(fences().ReplaceAllString(text, ""), -1) {
		b.WriteString(m[1] + "\n")
	}
	return b.String()
}

// submatches returns what one group of an expression matches in a text, sorted, each once.
func submatches(expression, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestDocsForm(t *testing.T) {
	require.LessOrEqual(t, strings.Count(document(t, readmeFile), "\n"), 150, "the README is short")
	for path, text := range documents(t) {
		require.Regexp(t, `^# \S`, text, path)
		for _, link := range submatches(`\]\(([^)#]+)`, text) {
			if !strings.Contains(link, "://") {
				require.FileExists(t, filepath.Join(filepath.Dir(path), link), path)
			}
		}
		fenced := false
		for line := range strings.Lines(text) {
			fenced = fenced != strings.HasPrefix(line, "```")
			if !fenced && !strings.HasPrefix(line, "|") {
				require.LessOrEqual(t, len([]rune(line)), 105, "%s: a terminal wraps %s", path, line)
			}
		}
	}
}

// Gitea's test buttons send a push, which a webhook for issues and comments does not deliver.
func TestDocsTestTheWebhookWithAComment(t *testing.T) {
	for path, text := range documents(t) {
		require.NotRegexp(t, `"Test (Delivery|Push Event)" shows`, text, path)
	}
	require.Regexp(t, `write a comment .*\n?.*Recent Deliveries`, document(t, filepath.Join("docs", "gitea.md")))
}

func TestDocsLinkEveryTopic(t *testing.T) {
	for _, name := range topicNames() {
		require.Contains(t, submatches(`cmd/adfbot/docs/(\w+)\.md`, document(t, readmeFile)), name, "in the README")
	}
}

func TestDocsMapEveryPackage(t *testing.T) {
	text := document(t, readmeFile)
	err := filepath.WalkDir(repoRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir, err := filepath.Rel(repoRoot, filepath.Dir(path))
		require.Regexp(t, `(?m)(^|, )`+dir+`( |,|$)`, text)
		return err
	})
	require.NoError(t, err)
}

func TestDocsNameEveryDependency(t *testing.T) {
	direct, _, ok := strings.Cut(document(t, repoRoot+"/go.mod"), ")")
	require.True(t, ok)
	text := topic(t, "contributing")
	for _, module := range submatches(`(?m)^\t(\S+) v`, direct) {
		require.Contains(t, text, "`"+module+"`")
	}
}

// commandTree is the root command with everything that cobra adds when it runs.
func commandTree() *cobra.Command {
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// commandSections are the parts of a topic about one command each.
func commandSections(text string) map[string]string {
	sections := map[string]string{}
	name := ""
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if m := regexp.MustCompile("^`adfbot ([a-z-]+)").FindStringSubmatch(paragraph); m != nil {
			name = m[1]
		} else if strings.HasPrefix(paragraph, "#") {
			name = ""
		}
		sections[name] += paragraph + "\n"
	}
	return sections
}

func TestDocsCommandsAndFlags(t *testing.T) {
	text := topic(t, "commands")
	sections := commandSections(text)
	known := map[string]bool{"--help": true}
	root := commandTree()
	note := func(section string) func(*pflag.Flag) {
		return func(f *pflag.Flag) {
			require.Contains(t, section, "`--"+f.Name)
			known["--"+f.Name] = true
		}
	}
	root.LocalFlags().VisitAll(note(text))
	for _, cmd := range root.Commands() {
		section := sections[cmd.Name()]
		require.NotEmpty(t, section, "the command %s", cmd.Name())
		cmd.LocalNonPersistentFlags().VisitAll(note(section))
		for _, child := range cmd.Commands() {
			child.LocalNonPersistentFlags().VisitAll(note(section))
		}
	}
	for _, flag := range submatches("(--[a-z][a-z-]+)", text) {
		require.True(t, known[flag], "there is no flag %s", flag)
	}
}

// TestDocsCommandLines looks at every command line of adfbot in every document.
func TestDocsCommandLines(t *testing.T) {
	line := regexp.MustCompile(`(?m)(?:^|/|do |if |&& |\$ |sudo -u \w+ )adfbot ([a-z][^;|>#&\n]*)`)
	seen := 0
	for path, text := range documents(t) {
		for _, m := range line.FindAllStringSubmatch(codeIn(text), -1) {
			args := strings.Fields(m[1])
			if n := slices.Index(args, "--"); n >= 0 {
				args = args[:n]
			}
			cmd, rest, err := commandTree().Find(args)
			require.NoError(t, err, "%s: adfbot %s", path, m[1])
			require.NotEqual(t, "adfbot", cmd.Name(), "%s: adfbot %s", path, m[1])
			if cmd.Name() == "help" && len(rest) > 0 && rest[0] != "TOPIC" {
				require.Contains(t, helpNames(commandTree()), rest[0], "%s: adfbot %s", path, m[1])
			}
			flags := slices.DeleteFunc(rest, func(s string) bool { return !strings.HasPrefix(s, "--") })
			for _, f := range flags {
				name, _, _ := strings.Cut(strings.Trim(f, "-"), "=")
				require.True(t, cmd.Flag(name) != nil || name == "help", "%s: adfbot %s: no flag %s", path, m[1], f)
			}
			seen++
		}
	}
	require.Greater(t, seen, 40)
}

func TestDocsExitCodes(t *testing.T) {
	_, table, ok := strings.Cut(topic(t, "commands"), "## Exit codes")
	require.True(t, ok)
	documented := submatches(`(?m)^\| ([0-9n+]+) \|`, table)
	for _, code := range []int{exitDone, exitFailed, exitUsage, exitUnknown, bot.ExitPaused, bot.ExitNotStarted} {
		require.Contains(t, documented, strconv.Itoa(code))
	}
	w := newWorld(t)
	w.trip()
	require.NoError(t, os.WriteFile(w.path("plain"), nil, 0o644))
	run := func(more ...string) []string {
		return append([]string{"exec", "--project", "digital-twins", "--agent", "tester"}, more...)
	}
	examples := map[string]struct {
		code int
		args []string
	}{
		"0":     {0, []string{"status"}},
		"1":     {1, []string{"check", "--config", w.path("broken.yaml"), "--offline"}},
		"2":     {2, []string{"status", "--bogus"}},
		"75":    {75, []string{"gate", "odilo"}},
		"124":   {124, run("--timeout", "200ms", "--", "sh", "-c", `trap "exit 0" TERM; sleep 60 & wait`)},
		"125":   {125, []string{"exec", "--project", "odilo"}},
		"126":   {126, run("--", w.path("plain"))},
		"127":   {127, run("--", "no-such-command")},
		"128+n": {128 + 9, run("--", "sh", "-c", "kill -KILL $$")},
		"255":   {255, []string{"gate", "unknown"}},
	}
	require.ElementsMatch(t, documented, slices.Collect(maps.Keys(examples)))
	broken := strings.ReplaceAll(document(t, w.path("config.yaml")), w.path("token"), w.path("no-token"))
	require.NoError(t, os.WriteFile(w.path("broken.yaml"), []byte(broken), 0o644))
	for _, x := range examples {
		_, code := w.run(x.args...)
		require.Equal(t, x.code, code, "adfbot %q", x.args)
	}
}

// exampleKeys are the keys in config.example.yaml, of which another test says that it shows every key with its default.
func exampleKeys(t *testing.T) map[string]any {
	t.Helper()
	text := document(t, repoRoot+"/config.example.yaml")
	text = regexp.MustCompile(`(?m)^( *)# (token_env: \w+)$`).ReplaceAllString(text, "$1$2")
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &tree))
	keys := map[string]any{}
	for name, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			for below, v := range v {
				keys[name+"."+below] = v
			}
		case []any:
			if name != "projects" {
				keys[name] = v
				continue
			}
			for _, project := range v {
				for below := range project.(map[string]any) {
					keys["projects[]."+below] = nil
				}
			}
		default:
			keys[name] = v
		}
	}
	return keys
}

func TestDocsConfigurationKeys(t *testing.T) {
	keys := exampleKeys(t)
	require.Contains(t, keys, "gitea.token_env")
	_, text, ok := strings.Cut(topic(t, "configuration"), "\n## ")
	require.True(t, ok)
	text = strings.ReplaceAll(text, "\n  ", " ") // each item of the lists in one line
	documented := map[string]string{}
	for _, item := range submatches(`(?m)^- (.*)`, text) {
		names, meaning, _ := strings.Cut(item, ":")
		for _, name := range submatches("`([a-z_]+(?:\\[\\])?(?:\\.[a-z_]+)?)`", strings.SplitN(names, "(", 2)[0]) {
			documented[name] = names + ":" + meaning
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(keys)), slices.Collect(maps.Keys(documented)))

	defaults := 0
	for name, item := range documented {
		m := regexp.MustCompile("\\(default `([^`]*)`").FindStringSubmatch(item)
		if m == nil {
			continue
		}
		var v any
		require.NoError(t, yaml.Unmarshal([]byte(m[1]), &v))
		require.Equal(t, keys[name], v, "the default of %s", name)
		defaults++
	}
	require.Greater(t, defaults, 15)
}

// TestDocsYAML loads every snippet, with the keys added that a whole configuration needs.
func TestDocsYAML(t *testing.T) {
	whole := map[string]any{
		"gitea":    map[string]any{"url": "https://git.example.org", "token_file": "/etc/adfbot/gitea-token", "owner": "terraphim", "repo": "adf-fleet"},
		"projects": []any{map[string]any{"id": "odilo"}},
	}
	loaded := 0
	for path, text := range documents(t) {
		for _, b := range blocksIn(text) {
			if b.language != "yaml" {
				continue
			}
			snippet := map[string]any{}
			require.NoError(t, yaml.Unmarshal([]byte(b.text), &snippet), "%s:\n%s", path, b.text)
			if snippet["groups"] != nil {
				continue // rules for Prometheus
			}
			file := b.text
			for key, v := range whole {
				if snippet[key] == nil {
					more, err := yaml.Marshal(map[string]any{key: v})
					require.NoError(t, err)
					file += string(more)
				}
			}
			name := filepath.Join(t.TempDir(), "config.yaml")
			require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(name), "conf.d"), 0o755)) // for include
			require.NoError(t, os.WriteFile(name, []byte(file), 0o644))
			_, err := config.Load(name)
			require.NoError(t, err, "%s:\n%s", path, file)
			loaded++
		}
	}
	require.GreaterOrEqual(t, loaded, 6)
}

// For what exec cannot do alone, its topic has a workaround.
func TestDocsExecLimits(t *testing.T) {
	text := strings.Join(strings.Fields(topic(t, "exec")), " ")
	for limit, way := range map[string]string{
		"a limit from outside does not count": "Set `--timeout` below the outer limit",
		"zombies in a container":              "Run it with `docker run --init` (Compose: `init: true`)",
	} {
		require.Contains(t, text, way, limit)
	}
}

func TestDocsFiles(t *testing.T) {
	w := newWorld(t)
	w.ok("exec", "--project", "odilo", "--", "true")
	w.trip()
	text := topic(t, "files")
	for dir, named := range map[string]string{"state": "", "state/adfbot.db.d": "<local_dir>/", "pause": "<pause_dir>/"} {
		entries, err := os.ReadDir(w.path(dir))
		require.NoError(t, err)
		require.NotEmpty(t, entries)
		for _, e := range entries {
			name := named + e.Name()
			switch {
			case name == "adfbot.db.d":
				continue
			case name == "<pause_dir>/odilo":
				name = "<pause_dir>/<project>"
			case named == "":
				name = strings.Replace(name, "adfbot.db", "<state>", 1)
			}
			require.Regexp(t, fmt.Sprintf("(?m)^\\|.*`%s/?`.*\\|", regexp.QuoteMeta(name)), text)
		}
	}
}
