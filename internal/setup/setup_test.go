package setup_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/setup"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestMain(m *testing.M) { testhost.Main(m, nil) }

var answers = setup.Answers{URL: "https://git.example.org", Owner: "terraphim", Repo: "adf-fleet", Project: "odilo"}

// placesIn are the places of a service below a directory.
func placesIn(dir, user string) setup.Places {
	return setup.Places{
		User: user, Config: dir + "/etc/adfbot/config.yaml", Token: dir + "/etc/adfbot/gitea-token", State: dir + "/var/lib/adfbot/adfbot.db",
		PauseDir: dir + "/opt/ai-dark-factory/data/pause", Unit: dir + "/etc/adfbot.service", Program: "/usr/local/bin/adfbot",
	}
}

func do(t *testing.T, ctx context.Context, p setup.Places, f setup.Files) (changed []string) {
	t.Helper()
	for _, s := range setup.Steps(p, f) {
		did, err := s.Do(ctx)
		require.NoError(t, err, s.What)
		if did {
			changed = append(changed, s.What)
		}
	}
	return changed
}

// Every answer that passes config.CheckValue makes a configuration that loads to it.
func TestContent(t *testing.T) {
	for _, project := range []string{"odilo", "007", "true", "null", "1e3", "0x1f", "a.b-c_d", "NO", "_"} {
		require.NoError(t, config.CheckValue("projects.id", project))
		p := placesIn(t.TempDir(), "")
		a := answers
		a.Project, a.Repo, a.Owner = project, project, "12"
		require.NoError(t, os.MkdirAll(filepath.Dir(p.Config), 0o755))
		require.NoError(t, os.WriteFile(p.Config, []byte(a.Content(p)), 0o644))
		c, err := config.Load(p.Config)
		require.NoError(t, err)
		require.Equal(t, []string{project}, c.ProjectIDs(nil))
		require.Equal(t, []string{p.State, p.PauseDir, p.Token, "https://git.example.org", "12", project, "15m0s"},
			[]string{c.State, c.PauseDir, c.Gitea.TokenFile, c.Gitea.URL, c.Gitea.Owner, c.Gitea.Repo, c.Escalation.StormWindow.String()})
	}
	state, pauseDir := config.DefaultPlaces()
	content := answers.Content(setup.Places{State: state, PauseDir: pauseDir, Token: "/t"})
	require.NotContains(t, content, "\nstate:")
	require.NotContains(t, content, "pause_dir")
}

// All directories and files of a service get the owner and the rights that the guide gives them.
func TestSteps(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	defer syscall.Umask(syscall.Umask(0o077)) // which is for nobody's service
	dir := t.TempDir()
	who, err := user.LookupId("65534")
	require.NoError(t, err)
	p := placesIn(dir, who.Username)
	f := setup.Files{Token: "secret\n", Config: answers.Content(p)}
	require.Len(t, do(t, t.Context(), p, f), 6)
	require.Empty(t, do(t, t.Context(), p, f), "the second time nothing is left to do")
	type rights struct {
		mode fs.FileMode
		uid  uint32
	}
	for path, want := range map[string]rights{
		filepath.Dir(p.State):    {fs.ModeDir | fs.ModeSetgid | 0o770, testhost.Nobody},
		p.PauseDir:               {fs.ModeDir | fs.ModeSetgid | 0o775, testhost.Nobody},
		filepath.Dir(p.PauseDir): {fs.ModeDir | 0o755, 0},
		filepath.Dir(p.Config):   {fs.ModeDir | 0o755, 0},
		p.Config:                 {0o644, 0},
		p.Token:                  {0o600, testhost.Nobody},
		p.Unit:                   {0o644, 0},
		dir + "/var/lib":         {fs.ModeDir | 0o755, 0},
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, rights{info.Mode(), info.Sys().(*syscall.Stat_t).Uid}, path)
	}

	// What somebody else made stays as it is.
	require.NoError(t, os.Chmod(p.PauseDir, 0o700))
	require.NoError(t, os.Chown(p.PauseDir, 0, 0))
	require.Empty(t, do(t, t.Context(), p, f))
	info, err := os.Stat(p.PauseDir)
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|0o700, info.Mode())
}

// Killed between any two effects, and repeated.
func TestStepsKilled(t *testing.T) {
	dir := t.TempDir()
	whole := placesIn(dir+"/whole", "")
	seen := 0
	count := fault.With(t.Context(), func(string) { seen++ })
	files := func(p setup.Places) setup.Files { return setup.Files{Token: "secret\n", Config: answers.Content(p)} }
	made := do(t, count, whole, files(whole))
	require.Len(t, made, 6)
	require.Greater(t, seen, 6)
	for n := range seen {
		p := placesIn(filepath.Join(dir, "killed", strings.Repeat("x", n+1)), "")
		at := 0
		killed := fault.With(t.Context(), func(string) {
			if at++; at == n+1 {
				panic("killed")
			}
		})
		require.Panics(t, func() { do(t, killed, p, files(p)) })
		do(t, t.Context(), p, files(p))
		for _, path := range []string{p.Token, p.Config, p.Unit} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NotZero(t, info.Size(), "a file appears whole")
		}
		for path, mode := range map[string]fs.FileMode{filepath.Dir(p.State): 0o700, p.PauseDir: 0o755} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, mode, info.Mode().Perm(), path)
		}
		require.NoError(t, filepath.WalkDir(filepath.Dir(p.Config), func(path string, _ fs.DirEntry, err error) error {
			require.NotContains(t, path, ".adfbot-init-", "nothing is left, also not a token")
			return err
		}))
	}
}

// A file that exists is never written, even if it appeared a moment ago.
func TestNothingIsOverwritten(t *testing.T) {
	p := placesIn(t.TempDir(), "")
	mine := fault.With(t.Context(), func(name string) {
		if name == "init-complete" {
			for _, path := range []string{p.Token, p.Config, p.Unit} {
				if _, err := os.Lstat(path); err != nil {
					_ = os.WriteFile(path, []byte("mine"), 0o600)
				}
			}
		}
	})
	do(t, mine, p, setup.Files{Token: "secret\n", Config: answers.Content(p)})
	for _, path := range []string{p.Token, p.Config, p.Unit} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "mine", string(b), path)
	}

	p = placesIn(t.TempDir(), "")
	require.NoError(t, os.MkdirAll(filepath.Dir(p.PauseDir), 0o755))
	require.NoError(t, os.WriteFile(p.PauseDir, nil, 0o644))
	for _, s := range setup.Steps(p, setup.Files{}) {
		if _, err := s.Do(t.Context()); s.What == "directory "+p.PauseDir {
			require.ErrorContains(t, err, "is not a directory: name another place")
		}
	}
}

// The commands that are shown do the same, but for users.
func TestShell(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh here")
	}
	dir := t.TempDir()
	done, shown := placesIn(dir+"/done here", ""), placesIn(dir+"/shown here", "")
	do(t, t.Context(), done, setup.Files{Token: "secret\n", Config: answers.Content(done)})
	script := "set -e\n"
	for _, s := range setup.Steps(shown, setup.Files{Token: "secret\n", Config: answers.Content(shown)}) {
		script += s.Shell
	}
	require.NotContains(t, script, "secret")
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdin = strings.NewReader("secret\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
	tree := func(root string) (all []string) {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			line := strings.TrimPrefix(path, root) + " " + info.Mode().String()
			if info.Mode().IsRegular() {
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				line += "\n" + strings.ReplaceAll(string(b), root, "ROOT")
			}
			all = append(all, line)
			return nil
		}))
		return all
	}
	require.Equal(t, tree(dir+"/done here"), tree(dir+"/shown here"))
}

// The service's user and the members of its group are made by the system's programs, whose failures are shown.
func TestUsers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/useradd", []byte("#!/bin/sh\necho \"$@\" >>"+dir+"/called\necho useradd: cannot lock /etc/passwd >&2\nexit 1\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	p := placesIn(dir, "adfbot-test-nobody-has")
	steps := setup.Steps(p, setup.Files{}, "adfbot-test-agents")
	require.Equal(t, "useradd --system --user-group --home-dir "+dir+"/var/lib/adfbot --shell /usr/sbin/nologin adfbot-test-nobody-has\n", steps[0].Shell)
	require.Equal(t, "usermod -aG adfbot-test-nobody-has adfbot-test-agents\n", steps[1].Shell)
	_, err := steps[0].Do(t.Context())
	require.ErrorContains(t, err, "cannot make the user adfbot-test-nobody-has: useradd: cannot lock /etc/passwd: make it by hand")
	_, err = steps[1].Do(t.Context())
	require.ErrorContains(t, err, "there is no user adfbot-test-agents: correct --agents")

	me, err := user.Current()
	require.NoError(t, err)
	p.User = me.Username
	steps = setup.Steps(p, setup.Files{}, me.Username)
	for _, s := range steps[:2] { // the user is there, and in their own group
		changed, err := s.Do(t.Context())
		require.NoError(t, err)
		require.False(t, changed)
	}
	called, err := os.ReadFile(dir + "/called")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(called), "\n"))
}

// A person's installation is below the directories that XDG names.
func TestOwnPlaces(t *testing.T) {
	getenv := func(vars map[string]string) func(string) string {
		return func(name string) string { return vars[name] }
	}
	p, err := setup.Own("", "/bin/adfbot", getenv(map[string]string{"HOME": "/home/kim", "XDG_DATA_HOME": "relative"}))
	require.NoError(t, err)
	require.Equal(t, []string{"/home/kim/.config/adfbot/config.yaml", "/home/kim/.config/adfbot/gitea-token", "/home/kim/.local/share/adfbot/adfbot.db", "/home/kim/.local/share/adfbot/pause"},
		[]string{p.Config, p.Token, p.State, p.PauseDir})
	p, err = setup.Own("", "/bin/adfbot", getenv(map[string]string{"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d"}))
	require.NoError(t, err)
	require.Equal(t, []string{"/c/adfbot/config.yaml", "/d/adfbot/adfbot.db"}, []string{p.Config, p.State})
	_, err = setup.Own("", "/bin/adfbot", getenv(nil))
	require.ErrorContains(t, err, "$HOME is not set")
}

// Paths that systemd would read as something else are quoted, and it accepts both units.
func TestUnits(t *testing.T) {
	for _, userUnit := range []bool{false, true} {
		p := placesIn(t.TempDir(), "adfbot")
		p.UserUnit, p.Program, p.Config, p.Local = userUnit, "/bin/true", `/etc/a b%h$HOME"/config.yaml`, "/var/lib/local"
		p.Unit = filepath.Join(t.TempDir(), "adfbot.service")
		if userUnit {
			p.User = ""
		}
		var text string
		for _, s := range setup.Steps(p, setup.Files{}) {
			if s.What == "unit "+p.Unit {
				_, err := s.Do(t.Context())
				require.NoError(t, err)
				b, err := os.ReadFile(p.Unit)
				require.NoError(t, err)
				text = string(b)
			}
		}
		require.Contains(t, text, `ExecStart=/bin/true serve --config "/etc/a b%%h$$HOME\"/config.yaml"`+"\n")
		require.Equal(t, !userUnit, strings.Contains(text, "User=adfbot\n"))
		require.Equal(t, !userUnit, strings.Contains(text, "RequiresMountsFor=/var/lib/local "+p.PauseDir+"\n"))
		if _, err := exec.LookPath("systemd-analyze"); err != nil {
			continue
		}
		require.NoError(t, os.WriteFile(p.Unit, []byte(strings.Replace(text, "User=adfbot", "User=root", 1)), 0o644))
		args := []string{"verify", "--man=no", p.Unit}
		if userUnit {
			args = append([]string{"--user"}, args...)
		}
		cmd := exec.Command("systemd-analyze", args...)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), "adfbot.service:", "systemd has something to say")
	}
}

// A unit does not hide from the service what init was told to use, nor keep it from writing there.
func TestUnitLeavesItsPlacesOpen(t *testing.T) {
	const home, tmp = "ProtectHome=yes\n", "PrivateTmp=yes\n"
	for _, c := range []struct {
		set         func(p *setup.Places)
		has, hasNot string
	}{
		{func(*setup.Places) {}, home + tmp, "ReadWritePaths="},
		{func(p *setup.Places) { p.State = "/home/adfbot/adfbot.db" }, tmp, home},
		{func(p *setup.Places) { p.PauseDir = "/home/alex/pause" }, tmp, home},
		{func(p *setup.Places) { p.Config = "/root/adfbot.yaml" }, tmp, home},
		{func(p *setup.Places) { p.Token = "/run/user/1000/token" }, tmp, home},
		{func(p *setup.Places) { p.Local = "/homes/x" }, home + tmp, "ReadWritePaths="},
		{func(p *setup.Places) { p.PauseDir = "/var/tmp/pause" }, home, tmp},
		{func(p *setup.Places) { p.PauseDir = "/tmp" }, home, tmp},
		{func(p *setup.Places) { p.PauseDir = "/etc/adfbot/a pause" }, home + tmp + "ReadWritePaths=\"-/etc/adfbot/a pause\"\n", "xx"},
		{func(p *setup.Places) { p.State = "/usr/local/var/adfbot/adfbot.db" }, home + tmp + "ReadWritePaths=-/usr/local/var/adfbot\n", "xx"},
	} {
		p := placesIn("", "adfbot")
		c.set(&p)
		text := setup.Unit(p)
		require.Contains(t, text, "\n"+c.has)
		require.NotContains(t, text, c.hasNot)
	}
}
