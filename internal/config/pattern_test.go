package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An id comes before patterns, the first pattern that fits before later ones.
func TestPatterns(t *testing.T) {
	c, problems := parsed(t, projectsOf(`  - match: "twins-a*"
    threshold: 2
  - match: "twins-*"
    threshold: 4
  - id: twins-ab
    threshold: 6
  - id: odilo
`))
	require.Empty(t, problems)
	require.Empty(t, c.Warnings())
	for id, want := range map[string]int{"twins-a": 2, "twins-b": 4, "twins-ab": 6, "odilo": 3} {
		p, ok := c.Project(id)
		require.True(t, ok, id)
		require.Equal(t, id, p.ID)
		require.Equal(t, want, p.Threshold, id)
		require.Equal(t, id == "twins-a" || id == "twins-b", c.ByPattern(id), id)
	}
	for _, id := range []string{"other", "twins", "", "twins-/x", "twins-" + strings.Repeat("x", 128)} {
		require.Error(t, c.CheckProject(id), id)
		require.False(t, c.ByPattern(id), id)
	}
	require.ErrorContains(t, c.CheckProject("other"), "the configuration has twins-a*, twins-*, twins-ab, odilo")
	name, at, ok := c.Entry("twins-x")
	require.True(t, ok)
	require.Equal(t, "twins-* config.yaml:9", name+" "+at.String())
	require.Equal(t, []string{"twins-ab", "odilo", "twins-a", "twins-z"}, c.ProjectIDs([]string{"twins-z", "gone", "odilo", "twins-a", "twins-z", "twins-ab"}))
}

func TestPatternsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no pattern", "  - match: odilo\n", `7: projects[0].match: has no *, ? or [ and so is no pattern: "odilo"`},
		{"without projects", "  - match: team/*\n", `7: projects[0].match: can match no project: an id has only letters, digits, '.', '_' and '-', and this is "team/*"`},
		{"beside id", "  - id: a\n    match: a*\n", "8: projects[0].match: must not be set together with id"},
		{"in place of id", "  - id: twins-*\n", `7: projects[0].id: is a pattern, and id is one project: "twins-*"`},
		{"neither", "  - threshold: 1\n", "7: projects[0].id: is missing"},
		{"without repository", "  - match: a*\n    repo: b/c\n", `8: projects[0].repo: must be a repository name, not "b/c"`},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, []string{tt.want}, problemsOf(t, projectsOf(tt.text))) })
	}
}

func TestPatternWithoutEffect(t *testing.T) {
	c, problems := parsed(t, projectsOf("  - match: twins-*\n  - id: twins-1\n  - match: twins-a?\n  - match: twin*\n  - match: twin*\n"))
	require.Empty(t, problems)
	var all []string
	for _, w := range c.Warnings() {
		all = append(all, w.String())
	}
	require.Equal(t, []string{
		"config.yaml:9: projects[2].match: has no effect, because the first pattern that fits is used, and twins-* on line 7 fits all projects that " +
			"twins-a? fits: put it before that one, or remove it; included files come after the main file, by name",
		"config.yaml:11: projects[4].match: has no effect, because the first pattern that fits is used, and twin* on line 10 fits all projects that " +
			"twin* fits: put it before that one, or remove it; included files come after the main file, by name",
	}, all)
}

// exec needs the threshold of the entry that its project falls under.
func TestKeysInUseOfPatterns(t *testing.T) {
	text := projectsOf("  - match: twins-*\n    threshold: x\n  - match: '*'\n  - match: /\n")
	_, _, err := LoadFor(write(t, text), ExecKeys("odilo")...)
	require.ErrorContains(t, err, ":10: projects[2].match: can match no project")
	text = strings.Replace(text, "  - match: /\n", "", 1)
	_, _, err = LoadFor(write(t, text), ExecKeys("twins-a")...)
	require.ErrorContains(t, err, ":8: projects[0].threshold: must be a whole number")
	for _, use := range [][]string{ExecKeys("odilo"), GateKeys} {
		_, warnings, err := LoadFor(write(t, text), use...)
		require.NoError(t, err)
		require.Len(t, warnings, 1)
	}
}

// configOf writes files and returns the path of config.yaml among them.
func configOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return filepath.Join(dir, "config.yaml")
}

func TestInclude(t *testing.T) {
	path := configOf(t, map[string]string{
		"config.yaml": "include: conf.d/*.yaml\n" + rest, "conf.d/b.yaml": "projects:\n  - id: b\n  - match: b*\n", "conf.d/a.yaml": "projects:\n  - match: '*'\n    threshold: 9\n",
		"conf.d/.a.yaml": "x", "conf.d/c.txt": "x",
	})
	dir := filepath.Dir(path)
	c, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, []string{"odilo", "*", "b", "b*"}, c.EntryNames())
	require.Equal(t, []string{path, dir + "/conf.d/a.yaml", dir + "/conf.d/b.yaml"}, c.Files)
	p, _ := c.Project("bb")
	require.Equal(t, 9, p.Threshold)
	require.Equal(t, "fleet", p.Repo)
	_, at, _ := c.Entry("b")
	require.Equal(t, dir+"/conf.d/b.yaml:2", at.String())
	require.Len(t, c.Warnings(), 1)
	require.Contains(t, c.Warnings()[0].String(), dir+"/conf.d/b.yaml:3: projects[1].match: has no effect, because the first pattern that fits is used, and * in "+dir+"/conf.d/a.yaml:2 fits all")

	was := c.SharedHash()
	require.NoError(t, os.WriteFile(dir+"/conf.d/b.yaml", []byte("projects:\n  - id: b\n    threshold: 8\n  - match: b*\n"), 0o644))
	c, err = Load(path)
	require.NoError(t, err)
	require.NotEqual(t, was, c.SharedHash())
}

// The projects may all be in other files.
func TestIncludeAlone(t *testing.T) {
	text, _, _ := strings.Cut(rest, "projects:")
	path := configOf(t, map[string]string{"config.yaml": text + "include: more.yaml\n", "more.yaml": "projects:\n  - id: b\n"})
	c, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, c.EntryNames())
	path = configOf(t, map[string]string{"config.yaml": text + "include: '*.yml'\n"})
	_, err = Load(path)
	require.EqualError(t, err, path+": projects: is missing: list at least one: - id: name")
}

func TestIncludeRefused(t *testing.T) {
	main := "include: conf.d/*.yaml\n" + rest
	for _, tt := range []struct {
		name, text, more string
		want             []string
	}{
		{"an include in an include", main, "include: x\nprojects: [{id: a}]\n", []string{"conf.d/a.yaml:1: include: must not be here: an included file includes no others: name all files in include of the main file"}},
		{"another key", main, "operators: [x]\nprojects: [{id: a}]\n", []string{"conf.d/a.yaml:1: operators: must not be here: an included file holds projects only: move it to the main file"}},
		{"an unknown key", main, "project: [{id: a}]\n", []string{"conf.d/a.yaml:1: project: unknown key: did you mean projects?"}},
		{"an id twice", main, "projects:\n  - id: a\n  - id: odilo\n", []string{"conf.d/a.yaml:3: projects[1].id: odilo is already the project in config.yaml:8: list each project once"}},
		{"no YAML", main, "projects: [\n", []string{"conf.d/a.yaml:2: is not YAML:"}},
		{"an empty file", main, "", []string{"conf.d/a.yaml: is empty: write projects: and a list of them, or remove the file"}},
		{"a bad threshold", main, "projects:\n  - id: a\n    threshold: x\n", []string{"conf.d/a.yaml:3: projects[0].threshold: must be a whole number"}},
		{"a missing file", "include: x.yaml\n" + rest, "", []string{"x.yaml: does not exist: create it, or correct include"}},
		{"a missing directory", "include: x/*.yaml\n" + rest, "", []string{"config.yaml:1: include: names files in ", "x/, which does not exist: create it, or remove include"}},
		{"a wildcard in a directory", "include: '*/x.yaml'\n" + rest, "", []string{`config.yaml:1: include: has a wildcard in the name of a directory: "*/x.yaml"`}},
		{"a directory", "include: conf.d/\n" + rest, "", []string{`config.yaml:1: include: names no file: "conf.d/"`}},
		{"a bad pattern", "include: '[.yaml'\n" + rest, "", []string{`config.yaml:1: include: is no pattern of file names: "[.yaml"`}},
		{"the file itself", "include: '*.yaml'\n" + rest, "", []string{
			"config.yaml:1: include: names this file itself: move the files with more projects to a directory of their own, and write conf.d/*.yaml"}},
		{"mistakes in both", "instance: 5\n" + main, "x: 1\nprojects: [{id: a}]\n", []string{"config.yaml:1: instance: must be", "\n", "conf.d/a.yaml:1: x: unknown key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := configOf(t, map[string]string{"config.yaml": tt.text, "conf.d/a.yaml": tt.more})
			_, err := Load(path)
			require.Error(t, err)
			text := strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", "")
			for _, want := range tt.want {
				require.Contains(t, text, want)
			}
		})
	}
}

// A pattern that fits the main file, too, names it once, and not each of its keys. gate goes on.
func TestIncludeOfItself(t *testing.T) {
	path := configOf(t, map[string]string{"config.yaml": "include: '*.yaml'\n" + rest, "more.yaml": "projects:\n  - id: a\n  - match: twins-*\n"})
	const says = "config.yaml:1: include: names this file itself"
	_, err := Load(path)
	require.ErrorContains(t, err, says)
	require.NotContains(t, err.Error(), "\n")
	for _, at := range []string{path, filepath.Join(filepath.Dir(path), "..", filepath.Base(filepath.Dir(path)), "config.yaml")} {
		c, warnings, err := LoadFor(at, GateKeys...)
		require.NoError(t, err)
		require.Equal(t, []string{"odilo", "a", "twins-*"}, c.EntryNames())
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0].String(), says)
		require.NoError(t, c.CheckProject("twins-a"), "it is not in the file itself")
	}
}

// The main file may be named by its name alone, as for a look at a new one before it takes the place of the old.
func TestIncludeBesideAFileWithoutDirectory(t *testing.T) {
	path := configOf(t, map[string]string{"config.yaml": "include: '*.d'\n" + rest, "a.d": "projects:\n  - id: a\n"})
	t.Chdir(filepath.Dir(path))
	for _, name := range []string{"config.yaml", "./config.yaml"} {
		c, err := Load(name)
		require.NoError(t, err)
		require.Equal(t, []string{"odilo", "a"}, c.EntryNames())
	}
}

// What a link leads to is not there while its disk is not mounted, and no mkdir can make it.
func TestIncludeFromLinkToNothing(t *testing.T) {
	path := configOf(t, map[string]string{"config.yaml": "include: x/*.yaml\n" + rest})
	require.NoError(t, os.Symlink("/no/where", filepath.Join(filepath.Dir(path), "x")))
	_, err := Load(path)
	require.ErrorContains(t, err, "/x is a link to /no/where, which does not exist: mount the file system that it leads to, or correct the link")
	require.NotContains(t, err.Error(), "create it")
}

// A mistake of one team does not stop the projects of another.
func TestMistakesInIncludedFiles(t *testing.T) {
	for _, more := range []string{"projects: [\n", "", "projects:\n  - id: ../x\n", "projects:\n  - id: a\n    threshold: x\n", "x: 1\n", "projects:\n  - id: odilo\n"} {
		path := configOf(t, map[string]string{"config.yaml": "include: '*.d'\n" + rest, "a.d": more, "b.d": "projects:\n  - id: b\n"})
		for _, project := range []string{"odilo", "b"} {
			for _, use := range [][]string{ExecKeys(project), GateKeys} {
				c, warnings, err := LoadFor(path, use...)
				require.NoError(t, err, more)
				require.NoError(t, c.CheckProject(project))
				require.NotEmpty(t, warnings, more)
			}
		}
		_, _, err := LoadFor(path, "", "projects[odilo]")
		require.NoError(t, err, more)
		_, err = Load(path)
		require.Error(t, err, more)
	}
	path := configOf(t, map[string]string{"config.yaml": "include: '*.d'\n" + rest, "a.d": "projects:\n  - id: a\n    threshold: x\n"})
	for _, use := range [][]string{ExecKeys("a"), {"", "projects[a]"}} {
		_, _, err := LoadFor(path, use...)
		require.ErrorContains(t, err, "a.d:3: projects[0].threshold: must be a whole number")
	}
}

// The files must be readable by those who run gate, as the main file.
func TestUnreadableInclude(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	path := configOf(t, map[string]string{"config.yaml": "include: conf.d/*.yaml\n" + rest, "conf.d/a.yaml": ""})
	require.NoError(t, os.Chmod(filepath.Join(filepath.Dir(path), "conf.d/a.yaml"), 0))
	_, err := Load(path)
	require.ErrorContains(t, err, "conf.d/a.yaml: cannot be read by this user")
	require.ErrorContains(t, err, "run chmod a+r on it")
	require.NoError(t, os.Chmod(filepath.Join(filepath.Dir(path), "conf.d"), 0o311))
	_, err = Load(path)
	require.ErrorContains(t, err, "which this user (uid")
	require.ErrorContains(t, err, "run chmod a+rx")
}

// While an included file may hide the entry of a project, no pattern is known to be its own. What is listed by its id goes on.
func TestEntryThatMayBeHidden(t *testing.T) {
	text := strings.Replace(rest, "  - id: odilo\n", "  - id: odilo\n  - match: '*'\n", 1)
	for _, tt := range []struct {
		name, main, more string
		at               string // of the mistake; "": no entry can be hidden
	}{
		{"no YAML", "include: '*.d'\n", "projects:\n  - id: [\n", "a.d:3"},
		{"an empty file", "include: '*.d'\n", "", "a.d"},
		{"no such file", "include: x.d\n", "x", "x.d"},
		{"no such directory", "include: x/*.d\n", "x", "config.yaml:1"},
		{"a bad include", "include: '*/x'\n", "x", "config.yaml:1"},
		{"a misspelt include", "includes: '*.d'\n", "x", "config.yaml:1"},
		{"a bad id", "include: '*.d'\n", "projects:\n  - id: sci!\n", "a.d:2"},
		{"a misspelt id", "include: '*.d'\n", "projects:\n  - ID: sci\n", "a.d:2"},
		{"an entry that is no mapping", "include: '*.d'\n", "projects:\n  - sci\n", "a.d:2"},
		{"an id that is taken", "include: '*.d'\n", "projects:\n  - id: odilo\n", "a.d:2"},
		{"misspelt projects", "include: '*.d'\n", "project:\n  - id: sci\n", "a.d:1"},
		{"a bad pattern", "include: '*.d'\n", "projects:\n  - match: 'sci-[*'\n", "a.d:2"},
		{"a bad threshold of another project", "include: '*.d'\n", "projects:\n  - id: a\n    threshold: x\n", ""},
		{"an unknown key", "include: '*.d'\n", "hello: 1\nprojects:\n  - id: a\n    comment: x\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := configOf(t, map[string]string{"config.yaml": tt.main + text, "a.d": tt.more})
			for _, use := range [][]string{ExecKeys("sci"), GateKeys, {"", "projects[sci]"}} {
				c, warnings, err := LoadFor(path, use...)
				if tt.name == "a bad include" || tt.name == "a misspelt include" {
					if slices.Contains(use, "") { // all of the main file is in use
						require.Error(t, err)
						continue
					}
				}
				require.NoError(t, err)
				require.NotEmpty(t, warnings)
				require.NoError(t, c.CheckProject("odilo"))
				err = c.CheckProject("sci")
				if tt.at == "" {
					require.NoError(t, err)
					continue
				}
				var hidden *HiddenEntryError
				require.ErrorAs(t, err, &hidden)
				require.Contains(t, strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""), "the mistake at "+tt.at+" may hide an entry of it")
				require.Contains(t, err.Error(), "falls under * ("+path)
			}
		})
	}
}

// An asterisk or a bracket at the beginning means something else to YAML: what is said to be written is read as it is meant.
func TestAdviceOnPatternsIsYAML(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{`id: "*"`, `id: "*-twins"`, `id: "[a-c]x"`, `id: "twins-*"`, `match: "1234"`, `match: odilo`} {
		file := func(entry string) error {
			return CheckContent("/c.yaml", []byte("gitea: {url: https://git.example.org, token_file: /t, owner: o, repo: r}\nprojects:\n  - "+entry+"\n"))
		}
		err := file(wrong)
		require.Error(t, err, wrong)
		_, right, found := strings.Cut(err.Error(), ": write ")
		require.True(t, found, err)
		require.NoError(t, file(right), right)
	}
}
