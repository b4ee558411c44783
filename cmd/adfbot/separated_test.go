package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// The users of the separated set-up. They need no entry in the user database.
const (
	daemonUser   = 4710
	agentUser    = testhost.Nobody // may report for odilo
	strangerUser = 4712            // may nothing
)

// separated is the set-up in which state, pause directory and token belong to the daemon's user, and agents can read the
// flags and nothing else.
type separated struct {
	*testing.T
	*gitea
	dir    string
	env    []string // of all commands
	daemon *testhost.Child
	log    bytes.Buffer
}

func newSeparated(t *testing.T) *separated {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become two other users: run the tests as root, e.g. in a container")
	}
	g, err := newGitea()
	require.NoError(t, err)
	t.Cleanup(g.close)
	dir, err := os.MkdirTemp("", "adfbot-separated-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &separated{T: t, gitea: g, dir: dir}
	require.NoError(t, prepare(dir, g))
	require.NoError(t, os.Chmod(dir, 0o755))
	for name, mode := range map[string]os.FileMode{"state": 0o700, "run": 0o755} {
		require.NoError(t, os.Mkdir(s.path(name), 0o700))
		require.NoError(t, os.Chmod(s.path(name), mode))
		require.NoError(t, os.Chown(s.path(name), daemonUser, daemonUser))
	}
	// The daemon makes flags, which everybody may see.
	require.NoError(t, os.Mkdir(s.path("pause"), 0o755))
	require.NoError(t, os.Chown(s.path("pause"), daemonUser, daemonUser))
	require.NoError(t, os.Chown(s.path("token"), daemonUser, daemonUser))
	for _, uid := range []int{agentUser, strangerUser} {
		home := s.home(uid)
		require.NoError(t, os.Mkdir(home, 0o700))
		require.NoError(t, os.Chown(home, uid, uid))
	}
	b, err := os.ReadFile(s.path("config.yaml"))
	require.NoError(t, err)
	// A sweep may be at a project this very moment, and then a command leaves its issue to it.
	text := strings.NewReplacer("@every 1s", "@every 24h", "  - id: odilo\n", "  - id: odilo\n    users: [\""+strconv.Itoa(agentUser)+"\"]\n").Replace(string(b)) +
		"http:\n  socket: " + s.path("run/s") + "\n"
	require.NoError(t, os.WriteFile(s.path("config.yaml"), []byte(text), 0o644))
	require.NoError(t, os.Chmod(s.path("config.yaml"), 0o644))
	return s
}

func (s *separated) path(name string) string  { return filepath.Join(s.dir, name) }
func (s *separated) home(uid int) string      { return s.path("home-" + strconv.Itoa(uid)) }
func (s *separated) issues(state string) int  { return s.count(theRepo, state) }
func (s *separated) socketIsThere() (ok bool) { _, err := os.Stat(s.path("run/s")); return err == nil }

// as prepares a command of a user, in a process of its own.
func (s *separated) as(uid int, args ...string) *testhost.Child {
	c := testhost.Command(s, "adfbot", args...)
	c.Dir = "/"
	c.Env = append(c.Env, s.env...)
	c.Env = append(c.Env, "ADFBOT_CONFIG="+s.path("config.yaml"), "HOME="+s.home(uid), testhost.UIDVar+"="+strconv.Itoa(uid))
	return c
}

func (s *separated) run(uid int, args ...string) (stdout, stderr string, code int) {
	s.Helper()
	var out, errs bytes.Buffer
	cmd := s.as(uid, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	code = testhost.ExitCode(cmd.Run())
	s.Logf("%d: adfbot %s: %d\n%s%s", uid, strings.Join(args, " "), code, out.String(), errs.String())
	return out.String(), errs.String(), code
}

// edit changes the configuration.
func (s *separated) edit(f func(string) string) {
	s.Helper()
	b, err := os.ReadFile(s.path("config.yaml"))
	require.NoError(s, err)
	text := f(string(b))
	require.NotEqual(s, string(b), text)
	require.NoError(s, os.WriteFile(s.path("config.yaml"), []byte(text), 0o644))
}

// change replaces a text in the configuration wherever it stands.
func (s *separated) change(old, new string) {
	s.Helper()
	s.edit(func(text string) string { return strings.ReplaceAll(text, old, new) })
}

// removeSocket leaves agents without a way to the daemon.
func (s *separated) removeSocket() {
	s.Helper()
	s.edit(func(text string) string {
		text, _, _ = strings.Cut(text, "http:\n")
		return text
	})
}

// installSudo has commands find a sudo, which nobody runs.
func (s *separated) installSudo() {
	s.Helper()
	bin := s.path("bin")
	require.NoError(s, os.Mkdir(bin, 0o755))
	require.NoError(s, os.WriteFile(bin+"/sudo", nil, 0o755))
	s.env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
}

// start starts the daemon and returns after its first sweep, which is the only one.
func (s *separated) start() {
	s.Helper()
	s.startUntil("its first sweep does not end", func(code int) bool { return code == http.StatusOK })
}

// startUntil starts the daemon and waits for an answer of /readyz.
func (s *separated) startUntil(late string, ready func(code int) bool) {
	s.Helper()
	s.daemon = s.as(daemonUser, "serve")
	s.daemon.Stderr = &s.log
	startDaemon(s, s.daemon)
	s.Cleanup(s.stop)
	require.Eventually(s, func() bool {
		resp, err := over(s.path("run/s")).Get("http://adfbot/readyz")
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		return ready(resp.StatusCode)
	}, testhost.Patience, time.Millisecond, late)
}

func (s *separated) stop() {
	if s.daemon == nil {
		return
	}
	_ = s.daemon.Process.Signal(syscall.SIGTERM)
	if err := s.daemon.Wait(); err != nil {
		s.Errorf("serve: %v", err)
	}
	s.Logf("serve said:\n%s", s.log.String())
	s.daemon = nil
}

// page returns the page that root sees at a path, with HTML's escapes resolved.
func (s *separated) page(path string) string {
	s.Helper()
	return html.UnescapeString(fetch(s.T, over(s.path("run/s")), http.StatusOK, path, ""))
}

// In the separated set-up agents report through the socket and can do nothing else.
func TestSeparatedUsers(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()

	// The agent's own runs count, and it sees the command's exit code.
	_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "sh", "-c", "echo no space left; exit 3")
	require.Equal(t, 3, code)
	require.Empty(t, stderr)
	out, _, code := s.run(agentUser, "record", "--project", "odilo", "--failure", "--json")
	require.Zero(t, code)
	var v struct {
		Failures int `json:"consecutive_failures"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, 2, v.Failures)

	// The third failure pauses the project and opens the issue, with the token that the agent can't read.
	_, stderr, code = s.run(agentUser, "exec", "--project", "odilo", "--", "sh", "-c", "echo the last words; exit 4")
	require.Equal(t, 4, code)
	require.Contains(t, stderr, "the project is paused, see "+s.url())
	require.FileExists(t, s.path("pause/odilo"))
	require.Equal(t, 1, s.issues("open"))
	require.Contains(t, s.Issues(theRepo)[0].Body, "the last words")
	_, stderr, code = s.run(agentUser, "exec", "--project", "odilo", "--", "touch", s.path("home-65534/ran"))
	require.Equal(t, 75, code)
	require.Contains(t, stderr, "odilo is paused")
	require.NoFileExists(t, s.path("home-65534/ran"))
	_, _, code = s.run(agentUser, "gate", "odilo")
	require.Equal(t, 75, code)

	// It can neither resume nor touch what is not its own.
	_, _, code = s.run(agentUser, "resume", "odilo")
	require.NotZero(t, code)
	require.FileExists(t, s.path("pause/odilo"))
	for _, args := range [][]string{{"status"}, {"sweep"}, {"pause", "digital-twins"}, {"restore"}} {
		_, _, code = s.run(agentUser, args...)
		require.NotZero(t, code, args)
	}
	_, stderr, code = s.run(agentUser, "record", "--project", "digital-twins", "--failure")
	require.NotZero(t, code)
	require.Contains(t, stderr, "may report for odilo")
	_, stderr, code = s.run(strangerUser, "record", "--project", "odilo", "--success")
	require.NotZero(t, code)
	require.Contains(t, stderr, "projects[].users")

	// The daemon's user resumes; then a run that began before counts no more.
	_, _, code = s.run(daemonUser, "resume", "odilo")
	require.Zero(t, code)
	require.NoFileExists(t, s.path("pause/odilo"))
	require.Equal(t, 1, s.issues("closed"))
	out, _, code = s.run(agentUser, "record", "--project", "odilo", "--failure", "--started", time.Now().Add(-time.Hour).Format(time.RFC3339))
	require.Zero(t, code)
	require.Contains(t, out, "it does not count")
}

// In the separated set-up results wait for a daemon that is away.
func TestSeparatedDaemonAway(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	s.stop()
	require.False(t, s.socketIsThere(), "the socket goes with the daemon")
	for range 2 {
		_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
		require.Equal(t, 1, code, "the command's exit code stands")
		require.Contains(t, stderr, "is `adfbot serve` running?")
		require.Contains(t, stderr, "is kept in "+s.home(agentUser)+"/.local/state/adfbot/spool-")
	}
	spools, err := filepath.Glob(s.home(agentUser) + "/.local/state/adfbot/spool-*")
	require.NoError(t, err)
	require.Len(t, spools, 1)
	info, err := os.Stat(spools[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	s.start()
	_, stderr, code := s.run(agentUser, "record", "--project", "odilo", "--failure")
	require.Zero(t, code)
	require.Contains(t, stderr, "sent 2 kept results")
	require.NotContains(t, stderr, "is paused", "the new result has tripped, and is printed")
	require.FileExists(t, s.path("pause/odilo"))
	require.Equal(t, 1, s.issues("open"))
}

// A project that the kept failures have paused may be the user's only one. So what waits is sent by a run that is refused, too.
func TestSeparatedKeptResultsOfAPausedProject(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	s.stop()
	for range 3 {
		s.run(agentUser, "exec", "--project", "odilo", "--", "sh", "-c", "echo no room; exit 1")
	}
	require.NoError(t, os.WriteFile(s.path("pause/odilo"), nil, 0o644)) // these users may not write it
	s.start()
	_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "true")
	require.Equal(t, 75, code)
	require.Contains(t, stderr, "odilo is paused")
	require.Contains(t, stderr, "sent 3 kept results")
	stdout, _, _ := s.run(daemonUser, "runs", "odilo", "--output", "3")
	require.Equal(t, 3, strings.Count(stdout, "| no room"), stdout)
}

// Results that an agent has kept for the daemon are recorded by its next command if it may write the state by then.
func TestKeptResultsOnceStateIsWritable(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	s.stop()
	_, stderr, _ := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
	require.Contains(t, stderr, "is kept in ")
	for _, dir := range []string{"state", "pause"} {
		require.NoError(t, filepath.WalkDir(s.path(dir), func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, agentUser, agentUser))
		}))
	}
	out, stderr, _ := s.run(agentUser, "record", "--project", "odilo", "--failure")
	require.Contains(t, out, "odilo: failure 2 of 3", stderr)
}

// Where the daemon runs in a container, its state is not on the machine. No command there makes a second one, which would know of no pause:
// who may read the daemon's socket reports through it, root too, and everybody else is told where to go.
func TestStateInContainer(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.installSudo()
	s.start()
	s.change(s.path("state"), s.path("nothing"))
	for range 2 {
		s.run(agentUser, "exec", "--project", "odilo", "--", "false")
	}
	_, stderr, code := s.run(0, "exec", "--project", "odilo", "--", "false")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "the project is paused, see ", "the failures of all users count together")
	require.Equal(t, 1, s.issues("open"))

	for _, args := range [][]string{{"status"}, {"runs"}, {"check", "--offline"}, {"sweep"}, {"pause", "odilo"}, {"resume", "odilo"}, {"restore"}} {
		for _, uid := range []int{0, strangerUser} {
			stdout, stderr, code := s.run(uid, args...)
			require.Equal(t, 1, code)
			require.Contains(t, stdout+stderr, "the daemon at "+s.path("run/s")+" has its state elsewhere")
			require.Contains(t, stdout+stderr, "if the daemon runs in a container, run this there (`docker exec`)")
			require.NotContains(t, stdout+stderr, "run it as")
		}
	}
	flags, err := filepath.Glob(s.path("pause/*odilo"))
	require.NoError(t, err)
	require.Len(t, flags, 1, "nobody has resumed it")
	require.NoError(t, os.RemoveAll(s.path("pause")))
	require.NoError(t, os.Mkdir(s.path("pause"), 0o755))
	_, stderr, _ = s.run(agentUser, "exec", "--project", "odilo", "--", "false")
	require.Contains(t, stderr, "if the daemon runs in a container, restart that, which goes on with the directory that it started with, and run it there: `docker exec`")
	require.NotContains(t, stderr, "run: sudo")
	require.NoDirExists(t, s.path("nothing"))
}

// Nor does it while the container is stopped: neither the daemon nor its state is there then.
func TestStateInStoppedContainer(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.installSudo()
	s.start()
	for range 3 {
		s.run(agentUser, "exec", "--project", "odilo", "--", "false")
	}
	s.stop()
	s.change(s.path("state"), s.path("nothing"))
	for _, args := range [][]string{{"status"}, {"check", "--offline"}, {"incidents"}, {"resume", "odilo"}} {
		stdout, stderr, _ := s.run(agentUser, args...)
		require.Contains(t, stdout+stderr, "if the daemon runs in a container, its state is there: start it, and use `docker exec`; if its disk", "%q", args)
	}
	require.NoError(t, os.Rename(s.path("pause"), s.path("unmounted")))
	const start = "if the daemon runs in a container, "
	for _, args := range [][]string{{"gate", "odilo"}, {"exec", "--project", "odilo", "--", "true"}, {"status"}, {"check", "--offline"}, {"pause", "odilo"}, {"restore"}} {
		stdout, stderr, code := s.run(agentUser, args...)
		require.Contains(t, stdout+stderr, start, "%q", args)
		require.Contains(t, stdout+stderr, "`docker exec`")
		require.NotContains(t, stderr, "\nadfbot: run: sudo")
		require.NotContains(t, stderr, "\nadfbot: run it as")
		require.Equal(t, args[0] == "status", code == 0, "%q", args)
	}
	for _, uid := range []int{0, daemonUser} {
		_, stderr, code := s.run(uid, "restore")
		require.NotZero(t, code)
		require.Contains(t, stderr, start+"start it, and run this there (`docker exec`); else start it here")
	}
	require.NoDirExists(t, s.path("nothing"))
	require.NoDirExists(t, s.path("pause"))

	// Who may not look whether there is a state is told to start the daemon first.
	require.NoError(t, os.Mkdir(s.path("nothing"), 0o700))
	_, stderr, _ := s.run(agentUser, "gate", "odilo")
	require.Contains(t, stderr, "no daemon answers: mount ")
	require.NoError(t, os.Remove(s.path("nothing")))

	// It was none: the daemon makes what is missing.
	require.NoError(t, os.Mkdir(s.path("nothing"), 0o700))
	require.NoError(t, os.Chown(s.path("nothing"), daemonUser, daemonUser))
	require.NoError(t, os.Mkdir(s.path("pause"), 0o755))
	require.NoError(t, os.Chown(s.path("pause"), daemonUser, daemonUser))
	s.start()
	s.stop()
	stdout, stderr, code := s.run(daemonUser, "restore")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "nothing to restore")
}

// A unit may not start without the pause directory, and Docker would make it for root: whoever is told to start the daemon is told to make that first.
func TestStartNeedsPauseDirectory(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.installSudo()
	s.start()
	s.stop()
	require.NoError(t, os.Rename(s.path("pause"), s.path("unmounted")))
	makes := fmt.Sprintf("mount %[1]s, or if it is lost make it as root: install -d -o %[2]d %[1]s; after that, ", s.path("pause"), daemonUser)
	_, stderr, _ := s.run(agentUser, "gate", "odilo")
	require.Contains(t, stderr, "no daemon answers: "+makes+"start it; if that does not mend it, run: sudo")

	require.NoError(t, os.Rename(s.path("state"), s.path("lost")))
	_, stderr, _ = s.run(agentUser, "gate", "odilo")
	require.Contains(t, stderr, makes+"adfbot serve, the first result or adfbot pause creates the rest")
	_, stderr, _ = s.run(agentUser, "exec", "--project", "odilo", "--", "true")
	require.Contains(t, stderr, makes+"if the daemon runs in a container, start it, and run that there (`docker exec`); else start it here first")
	for _, uid := range []int{0, daemonUser} {
		_, stderr, code := s.run(uid, "restore")
		require.NotZero(t, code)
		require.Contains(t, stderr, makes+"if the daemon runs in a container, start it, and run this there (`docker exec`); else start it here")
	}

	// Members of a group may have to write it.
	require.NoError(t, os.Mkdir(s.path("state"), 0o700))
	require.NoError(t, os.Chown(s.path("state"), daemonUser, daemonUser))
	require.NoError(t, os.Chmod(s.path("state"), 0o770))
	_, stderr, _ = s.run(daemonUser, "restore")
	require.Contains(t, stderr, fmt.Sprintf("install -d -g %[1]d -m 2775 -o %[1]d ", daemonUser))
	require.NoError(t, os.Mkdir(s.path("pause"), 0o755))
	_, stderr, _ = s.run(daemonUser, "restore")
	require.NotContains(t, stderr, "install -d", "it is there")
}

// A pause directory that root or Docker has made anew is not the bot's: what root restored there, the bot could not remove.
func TestRestoreIntoRootsDirectory(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	s.run(daemonUser, "pause", "odilo")
	s.stop()
	require.NoError(t, os.RemoveAll(s.path("pause")))
	require.NoError(t, os.Mkdir(s.path("pause"), 0o755))
	_, stderr, code := s.run(daemonUser, "restore")
	require.NotZero(t, code)
	require.Contains(t, stderr, fmt.Sprintf("install -d -o %d -m 755 %s && ", daemonUser, s.path("pause")))
	require.NoError(t, os.Chown(s.path("pause"), daemonUser, daemonUser))
	stdout, stderr, code := s.run(daemonUser, "restore")
	require.Zero(t, code, stderr)
	require.FileExists(t, s.path("pause/odilo"))
	const hint = "restart the daemon if its unit is hardened: it cannot write a directory that was made since it started"
	require.Contains(t, stdout, hint)
	require.NoError(t, os.RemoveAll(s.path("pause")))
	require.NoError(t, os.Chown(s.dir, daemonUser, daemonUser))
	stdout, _, _ = s.run(daemonUser, "restore")
	require.Contains(t, stdout, hint)
}

// Where the pause directory was made again by root, as below a mount point, restore names the command that gives it to the service's user.
func TestRestoreNamesWhoseTheDirectoryIs(t *testing.T) {
	t.Parallel()
	const service, group = 471, 472
	s := newSeparated(t)
	s.installSudo()
	s.run(daemonUser, "pause", "odilo")
	require.NoError(t, filepath.WalkDir(s.path("state"), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, service, group))
	}))
	pause := s.path("pause")
	for mode, command := range map[os.FileMode]string{
		0o700:                 "sudo install -d -o 471 -m 755 " + pause,
		0o770 | os.ModeSetgid: "sudo install -d -o 471 -g 472 -m 2775 " + pause,
	} {
		require.NoError(t, os.Chmod(s.path("state"), mode))
		require.NoError(t, os.RemoveAll(pause))
		require.NoError(t, os.Mkdir(pause, 0o755))
		command += " && sudo adfbot restore --config " + s.path("config.yaml")
		_, stderr, code := s.run(service, "restore")
		require.NotZero(t, code)
		require.Contains(t, stderr, "\nadfbot: run: "+command+"\n")
		out, _, _ := s.run(service, "check", "--offline")
		require.Contains(t, out, "\nrun: "+command+"\n")
		_, stderr, _ = s.run(0, "gate", "odilo")
		require.Contains(t, stderr, "\nadfbot: run: "+command+"\n")
		if mode == 0o700 { // others may not see the state
			_, stderr, _ = s.run(agentUser, "restore")
			require.Contains(t, stderr, "run: "+command+"\n")
			require.Equal(t, 1, strings.Count(stderr, " restore"))
		}
		require.NoError(t, os.Chown(pause, service, group))
		out, _, _ = s.run(service, "check", "--offline")
		require.NotContains(t, out, "install -d")
		_, stderr, code = s.run(service, "restore")
		require.Zero(t, code, stderr)
		require.FileExists(t, pause+"/odilo")
	}
}

// A daemon whose directory was removed seems to have its state elsewhere, too.
func TestStateDirectoryIsLost(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	require.NoError(t, os.Rename(s.path("state"), s.path("removed")))
	stdout, _, _ := s.run(0, "check", "--offline")
	require.Contains(t, stdout, "; if the state is lost, stop the daemon and run `adfbot check`")
	s.stop()
	stdout, _, _ = s.run(daemonUser, "check", "--offline")
	require.Contains(t, stdout, "run as root: install -d -o "+strconv.Itoa(daemonUser)+" "+s.path("state"))
}

// What issue, flag, refusal and page say about resuming works for a person who is neither root nor the bot's user.
func TestSeparatedResumeAdvice(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.installSudo()
	run := func(uid int, args ...string) (string, int) {
		out, err := s.as(uid, args...).CombinedOutput()
		return string(out), testhost.ExitCode(err)
	}
	command := "sudo adfbot resume odilo --config " + s.path("config.yaml")
	for range 3 {
		out, code := run(daemonUser, "record", "--project", "odilo", "--failure")
		require.Zero(t, code, out)
	}
	flag := s.path("pause/odilo")
	note, err := os.ReadFile(flag)
	require.NoError(t, err)
	require.Contains(t, string(note), "To resume, run: "+command+"\nor remove the file "+flag+"\n")
	issue := s.Issues(theRepo)[0].Body
	require.Contains(t, issue, "run `"+command+"`")
	require.Contains(t, issue, "remove the pause flag: `sudo rm "+flag+"`")
	for _, operators := range []string{"[]", "[" + person + "]"} {
		b, err := os.ReadFile(s.path("config.yaml"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.path("config.yaml"), append([]byte("operators: "+operators+"\n"), b...), 0o644))
		s.start()
		index, project := s.page("/"), s.page("/projects/odilo")
		s.stop()
		require.NoError(t, os.WriteFile(s.path("config.yaml"), b, 0o644))
		for _, page := range []string{index, project} {
			page = strings.NewReplacer("<span>", "", "</span>", "").Replace(page) // of the words of commands
			require.Contains(t, page, "<dt>To resume</dt><dd><code>"+command+"</code>")
			require.Equal(t, operators != "[]", strings.Contains(page, "or comment <code>/adf resume odilo</code> on the issue, as an operator"), page)
		}
		require.Contains(t, project, "or remove <code>"+flag+"</code>")
	}

	for _, args := range [][]string{{"resume", "odilo"}, {"pause", "odilo"}, {"resume", "--all"}, {"pause", "--all"}, {"sweep"}, {"status"}} {
		nobody, _ := run(agentUser, args...)
		require.Contains(t, nobody, "run it as root, as #4710 has no name here")
		require.NotContains(t, nobody, "a project now")
		out, code := run(strangerUser, args...)
		require.Equal(t, 1, code, out)
		require.NotContains(t, out, "a project now")
		require.Contains(t, out, "adfbot: run it as root, as #4710 has no name here: sudo adfbot --config "+s.path("config.yaml")+" "+strings.Join(args, " ")+"\n")
		require.NotContains(t, out, "chown")
		require.NotContains(t, out, "nothing done", "no sweep took place")
	}
	s.removeSocket()
	lost, _ := run(strangerUser, "record", "--project", "odilo", "--failure", "--run-id", "one")
	require.Regexp(t, "is LOST unless you record it: sudo adfbot record --project odilo --agent project-meta --run-id one --exit-code 1 --finished \\S+Z --config "+
		s.path("config.yaml")+"\n", lost)
	out, code := run(strangerUser, "check", "--offline")
	require.Equal(t, 1, code)
	require.Contains(t, out, "run it as root, as #4710 has no name here: sudo adfbot --config "+s.path("config.yaml")+" check")

	require.FileExists(t, flag)
	out, code = run(daemonUser, "resume", "odilo")
	require.Zero(t, code, out)
	require.NoFileExists(t, flag)
	out, code = run(daemonUser, "pause", "odilo")
	require.Zero(t, code, out)
	require.Contains(t, out, "to resume: "+command)

	// A member of the bot's group may write the state but may not read the token.
	for _, root := range []string{s.path("state"), s.path("pause")} {
		require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, -1, strangerUser), os.Chmod(path, 0o770))
		}))
	}
	out, code = run(strangerUser, "sweep")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "adfbot: run it as root, as #4710 has no name here: sudo adfbot --config "+s.path("config.yaml")+" sweep\n")
}

// While the configuration has a mistake in the address of the socket, an agent's results wait as they do for a daemon that is down.
func TestSeparatedUsersWithMistakeInSocket(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	good, err := os.ReadFile(s.path("config.yaml"))
	require.NoError(t, err)
	_, _, code := s.run(daemonUser, "record", "--project", "odilo", "--success")
	require.Zero(t, code)
	for _, mistake := range []string{"http:\n  socket: run/s\n", "http:\n  soket: /run/s\n"} {
		text, _, _ := strings.Cut(string(good), "http:\n")
		require.NoError(t, os.WriteFile(s.path("config.yaml"), []byte(text+mistake), 0o644))
		_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "warning: ")
		require.Contains(t, stderr, "the result is kept in "+s.home(agentUser)+"/.local/state/adfbot/")
		require.NotContains(t, stderr, "LOST")
	}
	require.NoError(t, os.WriteFile(s.path("config.yaml"), good, 0o644))
	s.start()
	_, stderr, _ := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
	require.Contains(t, stderr, "adfbot: sent 2 kept results\n")
	require.Contains(t, stderr, "failed 3 times in a row on odilo: the project is paused")
}

// After a move to PostgreSQL, agents who wrote the file themselves cannot read the password, which is not for them.
func TestAgentsCannotReadPassword(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	require.NoError(t, os.MkdirAll(s.path("pause"), 0o755))
	require.NoError(t, os.WriteFile(s.path("pause/.adfbot"), nil, 0o644))
	require.NoError(t, os.WriteFile(s.path("password"), []byte("hunter2\n"), 0o600))
	require.NoError(t, os.Chown(s.path("password"), daemonUser, daemonUser))
	require.NoError(t, os.Chown(s.path("state"), daemonUser, agentUser)) // as init does, for members of its group
	require.NoError(t, os.Chmod(s.path("state"), 0o2770))
	b, err := os.ReadFile(s.path("config.yaml"))
	require.NoError(t, err)
	text, _, _ := strings.Cut(string(b), "http:\n")
	text = strings.Replace(text, "state: "+s.path("state/adfbot.db"),
		"state: postgres://adfbot@127.0.0.1:1/adfbot\nstate_password_file: "+s.path("password")+"\nlocal_dir: "+s.path("state"), 1)
	const advice = "to let users who may not read it report through the daemon, set http.socket and projects[].users"
	for _, file := range []string{s.path("password"), "$CREDENTIALS_DIRECTORY/state-password"} { // systemd passes the second one to the daemon alone
		text := strings.Replace(text, s.path("password"), file, 1)
		for socket, want := range map[string]bool{"": true, "http:\n  socket: " + s.path("run/s") + "\n": false} {
			require.NoError(t, os.WriteFile(s.path("config.yaml"), []byte(text+socket), 0o644))
			for _, args := range [][]string{{"record", "--project", "odilo", "--failure"}, {"exec", "--project", "odilo", "--", "false"}} {
				_, stderr, _ := s.run(agentUser, args...)
				require.Equal(t, want, strings.Contains(stderr, advice), stderr)
				require.NotEqual(t, want, strings.Contains(stderr, "the daemon does not answer at "+s.path("run/s")), stderr)
			}
		}
	}
}

// While the disk of the state is not mounted, nobody may write what is in its place. That says nothing about a member of the bot's group,
// who may write the state itself.
func TestMemberWhileStateIsNotMounted(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	for _, dir := range []string{s.path("state"), s.path("pause")} {
		require.NoError(t, os.Chown(dir, daemonUser, agentUser))
		require.NoError(t, os.Chmod(dir, 0o2775))
	}
	s.removeSocket()
	_, _, code := s.run(agentUser, "record", "--project", "odilo", "--success")
	require.Zero(t, code)

	require.NoError(t, os.Rename(s.path("state"), s.path("mounted")))
	require.NoError(t, os.Mkdir(s.path("state"), 0o755))
	missing := s.path("state/adfbot.db") + " is missing, although the pause directory belongs to an installation: if its disk is not mounted, mount it; "
	for n := range 3 {
		_, stderr, _ := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
		require.Contains(t, stderr, "the result is kept in "+s.home(agentUser)+"/.local/state/adfbot/")
		require.Contains(t, stderr, "\nadfbot: "+missing)
		require.Equal(t, n == 2, strings.Contains(stderr, "failed 3 times in a row while its results could not be stored: the project is paused"), stderr)
	}
	_, stderr, _ := s.run(strangerUser, "resume", "odilo")
	require.Contains(t, stderr, "\nadfbot: "+missing)
	require.NotContains(t, stderr, "run it as root", "which would make a new state")

	require.NoError(t, os.Remove(s.path("state")))
	require.NoError(t, os.Rename(s.path("mounted"), s.path("state")))
	_, _, code = s.run(agentUser, "exec", "--project", "odilo", "--", "true")
	require.Equal(t, 75, code)
	out, _, _ := s.run(agentUser, "status")
	require.Contains(t, out, "PAUSED")
	require.Contains(t, out, "3/3 failures")
}

// Where systemd holds the password of the state, jobs of root ask the daemon and report to it as those of agents do.
func TestRootWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	s.change("state: "+s.path("state/adfbot.db"),
		"state: postgres://adfbot@127.0.0.1:1/adfbot\nstate_password_file: $CREDENTIALS_DIRECTORY/password\nlocal_dir: "+s.path("state"))
	_, stderr, code := s.run(0, "exec", "--project", "odilo", "--", "false")
	require.Equal(t, 1, code)
	require.Empty(t, stderr)
	out, _, code := s.run(0, "record", "--project", "odilo", "--failure")
	require.Zero(t, code)
	require.Contains(t, out, "odilo: failure 2 of 3")
	require.NoError(t, os.Chown(s.path("pause"), 0, 0)) // so that the daemon cannot write the flag, and only it knows of the pause
	s.run(0, "record", "--project", "odilo", "--failure")
	require.NoFileExists(t, s.path("pause/odilo"))
	_, stderr, code = s.run(0, "exec", "--project", "odilo", "--", "true")
	require.Equal(t, 75, code)
	require.Contains(t, stderr, "its pause flag could not be written")
}

// Where systemd hands the token to the daemon, check is for root, who may read and write more than the daemon.
func TestCheckByRootWithCredentials(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.run(daemonUser, "record", "--project", "odilo", "--success")
	require.NoError(t, os.Chown(s.path("token"), 0, 0))
	s.change(s.path("token"), "$CREDENTIALS_DIRECTORY/token")
	s.env = []string{"CREDENTIALS_DIRECTORY=" + s.dir}
	out, _, code := s.run(0, "check")
	require.Zero(t, code)
	require.Contains(t, out, "ok    state ")
	require.NotContains(t, out, "FAIL")
	require.NotContains(t, out, "warn  user")
	relative := s.as(0, "--config", "config.yaml", "check")
	relative.Dir = s.dir
	found, err := relative.Output()
	require.NoError(t, err, string(found))

	// init, where a configuration is there, ends with that check, and a bot's user who may not read the token is no mistake.
	s.env = nil
	out, _, code = s.run(0, "init", "--unit", "none", "--user", "nobody")
	require.Zero(t, code, out)
	require.Contains(t, out, "ok    token ")
	require.Regexp(t, `(?m)^  (sudo )?CREDENTIALS_DIRECTORY=`+s.dir+` adfbot --config `+s.path("config.yaml")+` test-issue `, out)
	shown, _, _ := s.run(0, "init", "--print", "--unit", s.path("adfbot.service"), "--user", "nobody")
	require.Contains(t, shown, "\nLoadCredential=token:"+s.path("token")+"\n")
	s.env = []string{"CREDENTIALS_DIRECTORY=" + s.dir}
	_, stderr, _ := s.run(daemonUser, "test-issue")
	require.NotContains(t, stderr, "chown")

	secret := s.path("http-token")
	require.NoError(t, os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600))
	s.change("http:\n", "http:\n  token_file: "+secret+"\n")
	s.change("gitea:\n", "gitea:\n  ca_file: "+secret+"\n")
	require.NoError(t, os.Chown(s.path("state/adfbot.db"), 0, 0))
	out, _, code = s.run(0, "check")
	require.Equal(t, 1, code)
	require.Contains(t, out, "FAIL  http       http.token_file: open "+secret+": permission denied: uid 4710 cannot read it: it belongs to uid 0")
	require.Contains(t, out, "FAIL  state      "+s.path("state/adfbot.db")+": #4710 may not write it")
	require.Contains(t, out, "FAIL  gitea      gitea.ca_file: open "+secret+": permission denied\n")
	require.NotContains(t, out, "ok    state ")
	require.Contains(t, out, "ok    token ")
	require.NotContains(t, out, "$CREDENTIALS_DIRECTORY is not set", "root checks that")
	out, _, _ = s.run(0, "check", "--json")
	require.Contains(t, out, "cannot read it: it belongs to uid 0")

	// What root has restored, or a new disk, belongs to root, and the flags show who the bot's user is.
	const service = 971
	require.NoError(t, os.Chown(s.path("pause"), service, service))
	require.NoError(t, os.Chown(s.path("state"), 0, 0))
	for _, dir := range []string{"with the state", "new"} {
		out, _, code = s.run(0, "check")
		require.Equal(t, 1, code, dir)
		require.Regexp(t, `FAIL  state      `+s.path("state")+`.*#971 may not write it`, out, dir)
		require.NotContains(t, out, "ok    state ", dir)
		require.NoError(t, os.RemoveAll(s.path("state")))
		require.NoError(t, os.Mkdir(s.path("state"), 0o755))
	}
	require.NoError(t, os.Chown(s.path("state"), daemonUser, daemonUser))

	require.NoError(t, os.Chmod(s.path("config.yaml"), 0o600))
	out, _, code = s.run(0, "check")
	require.Equal(t, 1, code)
	require.Contains(t, out, "FAIL  user       as #4710: "+s.path("config.yaml")+": cannot be read by this user (uid 4710)")
}

// Without the socket, nothing takes an agent's result: the command that records it helps only the owner of the state.
func TestSeparatedUsersWithoutSocket(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.removeSocket()
	_, _, code := s.run(daemonUser, "record", "--project", "odilo", "--success")
	require.Zero(t, code)
	for _, args := range [][]string{
		{"exec", "--project", "odilo", "--", "false"},
		{"record", "--project", "odilo", "--failure"},
	} {
		_, stderr, code := s.run(agentUser, args...)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "is LOST unless you record it: adfbot record --project odilo")
		require.Contains(t, stderr, "to let nobody report through the daemon, set http.socket and projects[].users")
	}
	_, stderr, _ := s.run(daemonUser, "exec", "--project", "odilo", "--", "true")
	require.NotContains(t, stderr, "http.socket")

	// Of a fleet's host, such a user cannot see local_dir, which may then not look like one that is not mounted.
	alone, shared := "state: "+s.path("state/adfbot.db"), "state: postgres://adfbot@127.0.0.1:1/adfbot\nlocal_dir: "
	s.change(alone, shared+s.path("state"))
	mark := pause.Mark{Host: pause.NewRandomID(), Epoch: pause.NewRandomID()}.String()
	require.NoError(t, os.WriteFile(s.path("pause/"+pause.MarkName), []byte(mark), 0o644))
	_, stderr, _ = s.run(agentUser, "record", "--project", "odilo", "--failure")
	require.Contains(t, stderr, "is LOST unless you record it: adfbot record --project odilo")
	// A directory in it that the bot's user cannot see need not have the id of a host.
	require.NoError(t, os.MkdirAll(s.path("local"), 0o755))
	require.NoError(t, os.Chown(s.path("local"), daemonUser, daemonUser))
	require.NoError(t, os.Mkdir(s.path("local/conf.d"), 0o700))
	require.NoError(t, os.Remove(s.path("pause/"+pause.MarkName)))
	s.change(shared+s.path("state"), shared+s.path("local"))
	stdout, _, _ := s.run(daemonUser, "check", "--offline")
	require.Contains(t, stdout, "has no id yet; serve or the first result makes it")
	s.change(shared+s.path("local"), alone)

	// A session that began before its user joined the group.
	require.NoError(t, os.Chown(s.path("state"), daemonUser, agentUser))
	require.NoError(t, os.Chmod(s.path("state"), 0o770))
	old := s.as(agentUser, "exec", "--project", "odilo", "--", "false")
	old.Env = slices.DeleteFunc(old.Env, func(kv string) bool { return strings.HasPrefix(kv, testhost.UIDVar+"=") })
	old.Path = testhost.PublicCopy(t, old.Path)
	old.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: agentUser, Gid: 1}}
	var said bytes.Buffer
	old.Stderr = &said
	require.Equal(t, 1, testhost.ExitCode(old.Run()))
	require.Contains(t, said.String(), "is LOST unless")
	require.Contains(t, said.String(), "nobody may write "+s.path("state")+" by now, as a member of its group, but what runs this began before: log in again")
	require.NoError(t, os.Chmod(s.path("state"), 0o700))

	// By mistake, root may have made the state of a bot that is this user's.
	require.NoError(t, filepath.WalkDir(s.path("state"), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, 0, 0))
	}))
	_, stderr, _ = s.run(agentUser, "exec", "--project", "odilo", "--", "false")
	require.Contains(t, stderr, "\nadfbot: if nobody is the bot's user, run chown -R nobody "+s.path("state")+" as root\nadfbot: to let nobody report")
}

// Agents may not read the id of the pause directory. The daemon tells them that another directory is in its place, whose flags say nothing.
func TestSeparatedOtherPauseDirectory(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	for range 3 {
		_, _, code := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
		require.Equal(t, 1, code)
	}
	sentinel, err := os.ReadFile(s.path("pause/.adfbot"))
	require.NoError(t, err)
	installation, directory, _ := strings.Cut(strings.TrimSpace(string(sentinel)), " ")
	other := strings.Repeat("0", len(installation))
	require.NoError(t, os.Rename(s.path("pause"), s.path("right")))
	ran := s.path("home-65534/ran")
	for _, ids := range []string{other + " " + directory, installation + " " + other} {
		require.NoError(t, os.Mkdir(s.path("pause"), 0o755))
		require.NoError(t, os.Chown(s.path("pause"), daemonUser, daemonUser))
		require.NoError(t, os.WriteFile(s.path("pause/.adfbot"), []byte(ids+"\n"), 0o644))
		_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "touch", ran)
		require.Equal(t, 125, code, stderr)
		require.Contains(t, stderr, "it is not known whether odilo is paused, so nothing is run: the pause directory is not the one that was used last: ")
		require.NoFileExists(t, ran)
		require.NoError(t, os.RemoveAll(s.path("pause")))
	}
	require.NoError(t, os.Rename(s.path("right"), s.path("pause")))
	_, _, code := s.run(agentUser, "exec", "--project", "odilo", "--", "touch", ran)
	require.Equal(t, 75, code)
}

// Until restore, the daemon cannot tell whether a flag that is missing in the directory that pause_dir was changed to was left behind.
func TestSeparatedMovedPauseDirectory(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	for range 3 {
		_, _, code := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
		require.Equal(t, 1, code)
	}
	s.stop()
	require.NoError(t, os.Rename(s.path("pause"), s.path("moved")))
	require.NoError(t, os.Rename(s.path("moved/odilo"), s.path("left")))
	s.change("pause_dir: "+s.path("pause"), "pause_dir: "+s.path("moved"))
	s.startUntil("it does not answer", func(int) bool { return true }) // it is not ready before restore
	ran := s.path("home-65534/ran")
	_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "touch", ran)
	require.Equal(t, 125, code, stderr)
	require.Contains(t, stderr, "it is not known whether odilo is paused, so nothing is run: the pause directory is not the one that was used last: ")
	require.Contains(t, stderr, "pause_dir was changed from "+s.path("pause")+" to "+s.path("moved")+" while 1 incident or hold depends on it: run `")
	require.Contains(t, stderr, "; the daemon goes on within a minute after that\n")
	require.NoFileExists(t, ran)

	_, stderr, code = s.run(daemonUser, "restore")
	require.Zero(t, code, stderr)
	_, _, code = s.run(agentUser, "exec", "--project", "odilo", "--", "touch", ran)
	require.Equal(t, 75, code)
	require.NoFileExists(t, ran)
}

// A project whose flag cannot be written is paused for agents, too: they can ask the daemon.
func TestSeparatedFlagNotWritable(t *testing.T) {
	t.Parallel()
	s := newSeparated(t)
	s.start()
	require.NoError(t, os.Chown(s.path("pause"), 0, 0))
	for range 3 {
		_, _, code := s.run(agentUser, "exec", "--project", "odilo", "--", "false")
		require.Equal(t, 1, code)
	}
	require.NoFileExists(t, s.path("pause/odilo"))
	ran := s.path("home-65534/ran")
	_, stderr, code := s.run(agentUser, "exec", "--project", "odilo", "--", "touch", ran)
	require.Equal(t, 75, code)
	require.Contains(t, stderr, "odilo is paused: incident odilo#1 is open, and its pause flag could not be written: ")
	require.NoFileExists(t, ran)
	require.Contains(t, s.page("/projects/odilo"), "3 in a row", "what was refused is no result")

	// Without the daemon, the directory is all that agents can ask.
	s.stop()
	_, _, code = s.run(agentUser, "exec", "--project", "odilo", "--", "touch", ran)
	require.Zero(t, code)
	require.FileExists(t, ran)
}
