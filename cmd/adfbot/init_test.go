package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/setup"
	"github.com/terraphim/adfbot/internal/testhost"
)

// conversation is a command on a terminal, and what it has shown so far.
type conversation struct {
	*testing.T
	*testhost.Child
	master *os.File
	shown  bytes.Buffer
	ended  chan error
}

// talk starts a command on a terminal of its own.
func (w *world) talk(args ...string) *conversation {
	w.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		w.t.Skip("no terminals here: ", err)
	}
	require.NoError(w.t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(w.t, err)
	slave, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(w.t, err)
	c := &conversation{T: w.t, Child: w.child(args, "ADFBOT_CONFIG="), master: master, ended: make(chan error, 1)}
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(w.t, c.Start())
	require.NoError(w.t, slave.Close())
	w.t.Cleanup(func() { _ = master.Close() })
	require.NoError(w.t, master.SetReadDeadline(time.Now().Add(testhost.Patience)))
	return c
}

// until waits for a text, and returns all that was shown since the last call.
func (c *conversation) until(text string) string {
	c.Helper()
	begin := c.shown.Len()
	buf := make([]byte, 4096)
	for !strings.Contains(c.shown.String()[begin:], text) {
		n, err := c.master.Read(buf)
		c.shown.Write(buf[:n])
		require.NoError(c, err, "it never showed %q:\n%s", text, &c.shown)
	}
	return c.shown.String()[begin:]
}

// types waits for a question and answers it.
func (c *conversation) types(question, answer string) string {
	c.Helper()
	shown := c.until(question)
	_, err := c.master.WriteString(answer)
	require.NoError(c, err)
	return shown
}

// end waits for the end, and returns the exit code.
func (c *conversation) end() int {
	c.Helper()
	_, err := io.Copy(&c.shown, c.master)
	require.ErrorIs(c, err, syscall.EIO) // of a terminal that nobody has open any more
	return testhost.ExitCode(c.Wait())
}

// initHere are the flags with which init keeps to the world's directory, for the user who runs the test.
func (w *world) initHere() []string {
	me, err := user.Current()
	require.NoError(w.t, err)
	return []string{"init", "--config", w.path("etc/config.yaml"), "--state", w.path("lib/adfbot.db"), "--pause-dir", w.path("flags"), "--unit", "none", "--user", me.Username}
}

// On a terminal, init asks, asks again what is wrong, and shows the token to nobody.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.talk(w.initHere()...)
	c.types("Address of Gitea, e.g. https://git.example.org: ", "\n")
	require.Contains(t, c.types("Gitea, e.g. https://git.example.org: ", "git.example.org\n"), "must be the address of a server")
	require.Contains(t, c.types("Gitea, e.g. https://git.example.org: ", w.url()+"\n"), "must be an absolute http or https URL: write it like https://git.example.org")
	c.types("owner/name: ", "adf-fleet\n")
	require.Contains(t, c.types("owner/name: ", theRepo+"\n"), "must be owner/name, such as terraphim/adf-fleet")
	c.types("First project: the name of a job or of a group of jobs: ", "\n")
	require.Contains(t, c.types("First project", "odilo\n"), "choose another id")
	require.Contains(t, c.types("The bot's token (it is not shown): ", "two words\n"), w.url()+"/user/settings/applications, with the scopes write:issue and read:user")
	require.Contains(t, c.types("The bot's token (it is not shown): ", botToken+"\n"), "contains white space")
	if os.Geteuid() == 0 {
		c.types("empty: none: ", "adfbot-test-nobody-has\n")
		require.Contains(t, c.types("empty: none: ", "\n"), `must be a user of this machine, not "adfbot-test-nobody-has"`)
	}
	require.Zero(t, c.end(), "%s", &c.shown)
	require.NotContains(t, c.shown.String(), botToken)
	require.NotContains(t, c.shown.String(), "two words")
	require.Regexp(t, `ok +account +adf-bot`, c.shown.String())
	require.Equal(t, botToken+"\n", document(t, w.path("etc/gitea-token")))
	require.Contains(t, document(t, w.path("etc/config.yaml")), "  - id: odilo\n")
}

// Ctrl-C and Ctrl-D at a question leave nothing behind, and a terminal that shows what is typed.
func TestInitIsInterrupted(t *testing.T) {
	t.Parallel()
	for key, says := range map[string]string{"\x03": "interrupted: nothing was done", "\x04": "no answer: nothing was done"} {
		w := newWorld(t)
		c := w.talk(append(w.initHere(), "--url", w.url(), "--repo", theRepo, "--project", "odilo")...)
		c.until("it is not shown): ")
		fd := int(c.master.Fd())
		during, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		require.NoError(t, err)
		require.Zero(t, during.Lflag&unix.ECHO)
		c.types("", key)
		c.until(says)
		require.NoFileExists(t, w.path("etc/config.yaml"))
		require.NoDirExists(t, w.path("lib"))
		after, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		require.NoError(t, err)
		require.NotZero(t, after.Lflag&unix.ECHO)
		require.Equal(t, exitFailed, c.end())
	}
}

// An init that is killed at any moment can be repeated, and comes to the same.
func TestInitIsKilled(t *testing.T) {
	t.Parallel()
	tree := func(w *world) (all []string) {
		for _, dir := range []string{"etc", "lib", "flags"} {
			require.NoError(t, filepath.WalkDir(w.path(dir), func(path string, _ os.DirEntry, _ error) error {
				info, err := os.Lstat(path)
				require.NoError(t, err)
				all = append(all, fmt.Sprint(strings.TrimPrefix(path, w.dir), " ", info.Mode()))
				return nil
			}))
		}
		return all
	}
	run := func(w *world, env ...string) error {
		args := append(w.initHere(), "--url", w.url(), "--repo", theRepo, "--project", "odilo", "--token-file", w.path("token"))
		return w.child(args, env...).Run()
	}
	w := newWorld(t)
	log := w.path("steps")
	require.NoError(t, run(w, logSteps+"="+log))
	want := tree(w)
	points := strings.Fields(document(t, log))
	require.GreaterOrEqual(t, len(points), 5)
	for n := range points {
		w := newWorld(t)
		require.Equal(t, 128+int(syscall.SIGKILL), testhost.ExitCode(run(w, fmt.Sprintf("%s=*:%d", killAt, n+1))))
		require.NoError(t, run(w))
		require.Equal(t, want, tree(w), "killed at %s", points[n])
	}
}

// Directories that are there, as a package makes them, may be closed to the agents who join the group. init keeps them, and says so.
func TestInitKeepsClosedDirectories(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to make users members of a group")
	for modes, fix := range map[string]string{
		"chmod 750": "\nwarn  /var/lib/adfbot is closed to its group (drwxr-x---), so nobody may not report, pause or resume: run chmod g+rwxs /var/lib/adfbot; ",
		"chmod 750 /var/lib/adfbot; chown nobody": "may not report, pause or resume: run install -d -o root -g root -m 2770 /var/lib/adfbot\n", // a disk that is just made
		"chmod 2770": "",
	} {
		m := newMachine(t)
		out, failed := m.bash("mkdir -p /opt/ai-dark-factory/data /var/lib; install -d /var/lib/adfbot /opt/ai-dark-factory/data/pause\n" +
			modes + " /var/lib/adfbot /opt/ai-dark-factory/data/pause\n" +
			"adfbot init --url " + docsServer + " --repo " + theRepo + " --project odilo --agents agents --token-file -")
		require.Empty(t, failed)
		require.Contains(t, out, "kept  directory /var/lib/adfbot\n")
		require.Equal(t, map[bool]int{true: 2}[fix != ""], strings.Count(out, "is closed to its group"))
		require.Contains(t, out, fix)
	}
}

// withUsers is child on a machine that has the user database in the directory users.
func (w *world) withUsers(args []string, env ...string) *testhost.Child {
	c := w.child(args, env...)
	link := w.path("adfbot") // the name by which it knows what to run
	if err := os.Symlink(c.Path, link); !errors.Is(err, fs.ErrExist) {
		require.NoError(w.t, err)
	}
	c.Args = append([]string{"sh", "-c", `mount --bind "$0" /etc && exec "$@"`, w.path("users"), link}, c.Args[1:]...)
	c.Path = "/bin/sh"
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return c
}

// initForRoot makes an installation whose user is root.
func (w *world) initForRoot() {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path("token"), []byte(botToken+"\n"), 0o600))
	args := w.initHere()
	w.ok(append(args[:len(args)-1], "root", "--url", w.url(), "--repo", theRepo, "--project", "odilo", "--token-file", w.path("token"))...)
}

// A directory that comes from another machine is to become that of the service's user.
func TestInitNamesTheUserWhoChecks(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give a directory to another user")
	bin, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(bin+"/sudo", nil, 0o755))
	a := &app{process: process{getenv: func(string) string { return bin }}}
	p := setup.Places{User: "adfbot", Config: config.DefaultPath, State: dir + "/adfbot.db"}
	for _, owner := range []int{997, testhost.Nobody} {
		require.NoError(t, os.Chown(dir, owner, owner))
		require.Equal(t, "sudo -u adfbot adfbot check", a.asService(p, "check", false))
	}
}

// Where the service is a person's, whoever has made it with sudo is not that person, and may not use runuser.
func TestInitForAPersonNamesSudo(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files to another user")
	w := newWorld(t)
	require.NoError(t, os.WriteFile(w.path("token"), []byte(botToken+"\n"), 0o600))
	for _, dir := range []string{"users", "bin"} {
		require.NoError(t, os.Mkdir(w.path(dir), 0o755))
	}
	require.NoError(t, os.WriteFile(w.path("users/passwd"), []byte("root:x:0:0::/root:/bin/sh\nalex:x:4711:4711::/:/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(w.path("users/group"), []byte("root:x:0:\nalex:x:4711:\n"), 0o644))
	require.NoError(t, os.WriteFile(w.path("bin/sudo"), nil, 0o755))
	args := w.initHere()
	args = append(args[:len(args)-1], "alex", "--url", w.url(), "--repo", theRepo, "--project", "odilo", "--token-file", w.path("token"))
	out, _ := w.withUsers(args, "PATH="+w.path("bin")+":/usr/bin:/bin").CombinedOutput()
	require.Contains(t, string(out), "sudo -u alex adfbot --config "+w.path("etc/config.yaml"))
	require.NotContains(t, string(out), "runuser")
}

// A state that came from another machine, with the ids that users had there, does not make another service adfbot's user.
func TestInitOnAStateFromAnotherMachine(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files to another user")
	w := newWorld(t)
	w.initForRoot()
	require.NoError(t, os.Chown(w.path("lib"), 991, 991))
	require.NoError(t, os.Mkdir(w.path("users"), 0o755))
	require.NoError(t, os.WriteFile(w.path("users/passwd"), []byte("root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::"+w.path("lib")+":/bin/sh\nchrony:x:991:991::/:/bin/sh\n"), 0o644))
	again := w.withUsers([]string{"init", "--print", "--config", w.path("etc/config.yaml"), "--unit", "none"})
	out, err := again.CombinedOutput()
	require.Equal(t, exitUsage, testhost.ExitCode(err), string(out))
	require.Contains(t, string(out), w.path("lib")+" belongs to chrony, and is the home of adfbot: if it came from another machine")
	require.Contains(t, string(out), "run chown -R adfbot: "+w.path("lib")+" "+w.path("flags")+";")

	// The daemon says as whom to check: root lacks nothing.
	require.NoError(t, os.Mkdir(w.path("bin"), 0o755))
	require.NoError(t, os.WriteFile(w.path("bin/sudo"), nil, 0o755))
	for dir := w.dir; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			require.NoError(t, os.Chmod(dir, info.Mode()|0o001))
		}
	}
	out, err = w.withUsers([]string{"serve", "--config", w.path("etc/config.yaml")}, testhost.UIDVar+"=990", "PATH="+w.path("bin")+":/usr/bin:/bin").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "to see what this user lacks, run: sudo -u adfbot adfbot check --config "+w.path("etc/config.yaml"))
}

// Nothing tells any more that the set-up was shared. Without the socket agents can report as members of the bot's own group alone, so the
// directories are made for that.
func TestCheckNamesTheGroupWhereBothDirectoriesAreLost(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become another user")
	w := newWorld(t)
	w.initForRoot()
	require.NoError(t, os.RemoveAll(w.path("lib")))
	require.NoError(t, os.RemoveAll(w.path("flags")))
	require.NoError(t, os.Mkdir(w.path("users"), 0o755))
	require.NoError(t, os.WriteFile(w.path("users/passwd"), []byte("root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::/nonexistent:/bin/sh\n"), 0o644))
	require.NoError(t, os.WriteFile(w.path("users/group"), []byte("root:x:0:\nadfbot:x:990:agents\n"), 0o644))
	for dir := w.dir; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			require.NoError(t, os.Chmod(dir, info.Mode()|0o001))
		}
	}
	out, err := w.withUsers([]string{"check", "--offline", "--config", w.path("etc/config.yaml")}, testhost.UIDVar+"=990").CombinedOutput()
	require.Equal(t, 1, testhost.ExitCode(err), string(out))
	require.Contains(t, string(out), "run as root: install -d -g adfbot -m 2770 -o adfbot "+w.path("lib"))
	require.Contains(t, string(out), "run as root: install -d -g adfbot -m 2775 -o adfbot "+w.path("flags"))

	// Agents cannot tell what was paused, and root's restore makes nothing for root.
	file := "--config=" + w.path("etc/config.yaml")
	for _, args := range [][]string{{"gate", file, "odilo"}, {"exec", file, "--project", "odilo", "--", "true"}} {
		out, err = w.withUsers(args, testhost.UIDVar+"=4012").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), w.path("lib")+", the directory of the state, is missing, too: ")
		require.Contains(t, string(out), "stop the jobs, run adfbot init, which makes them again without any flag, then pause what must not run")
		require.NotContains(t, string(out), "adfbot restore")
	}
	out, err = w.withUsers([]string{"restore", "--config", w.path("etc/config.yaml")}).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "run `adfbot init`, which makes it, and the pause directory, for the user adfbot")
	require.NoDirExists(t, w.path("lib"))

	// With the socket the daemon makes the state, and needs both directories for it.
	f, err := os.OpenFile(w.path("etc/config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("http:\n  socket: " + w.path("s") + "\n")
	require.NoError(t, errors.Join(err, f.Close()))
	out, err = w.withUsers([]string{"gate", "--config", w.path("etc/config.yaml"), "odilo"}, testhost.UIDVar+"=4012").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "make it as root: install -d -o adfbot "+w.path("lib")+" "+w.path("flags")+"; after that, ")
}

// On the machine of a container, init would make a second installation, which knows of no pause, and take token and pause directory from the
// first one.
func TestInitBesideAContainer(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files to another user")
	w := newWorld(t)
	w.initForRoot()
	require.NoError(t, os.RemoveAll(w.path("lib")))
	require.NoError(t, os.RemoveAll(w.path("flags")))
	token := w.path("etc/gitea-token")
	require.NoError(t, os.Chown(token, 65532, 65532))
	out, err := w.child([]string{"init", "--config", w.path("etc/config.yaml"), "--unit", "none"}).CombinedOutput()
	require.Equal(t, exitUsage, testhost.ExitCode(err), string(out))
	require.Contains(t, string(out), token+" belongs to user 65532, whom this machine does not have")
	require.Contains(t, string(out), "if not, run chown root: "+token)
	require.NoDirExists(t, w.path("lib"))
	require.NoDirExists(t, w.path("flags"))
	require.NoError(t, os.Chown(token, 0, 0))
	w.ok("init", "--config", w.path("etc/config.yaml"), "--unit", "none", "--user", "root")
	require.DirExists(t, w.path("flags"))
}

// The service's user of an installation is the one to whom its state belongs. Another one, made because --user was not repeated, could not
// use what is there.
func TestInitKeepsTheUser(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files to another user")
	nobody, err := user.LookupId(fmt.Sprint(testhost.Nobody))
	require.NoError(t, err)
	w := newWorld(t)
	w.initForRoot()
	again := []string{"init", "--print", "--config", w.path("etc/config.yaml"), "--unit", "none"}
	require.Contains(t, w.ok(again...), "install -d -o adfbot ", "what belongs to root may do so by mistake")
	require.NoError(t, os.Chown(w.path("lib"), testhost.Nobody, testhost.Nobody))
	shown := w.ok(again...)
	require.Contains(t, shown, "install -d -o "+nobody.Username+" ")
	require.NotContains(t, shown, "-o adfbot ")
	require.Equal(t, shown, w.ok(append(again, "--user", nobody.Username)...))
	refused := w.child(append(again, "--user", "adfbot"))
	out, err := refused.CombinedOutput()
	require.Equal(t, exitUsage, testhost.ExitCode(err))
	require.Contains(t, string(out), "--user adfbot: "+w.path("lib")+" is there already and belongs to "+nobody.Username+"; init gives nothing away: leave --user out")
}
