package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// installation is a way to install adfbot that the guide describes.
type installation struct {
	makes    string // by its operator
	serve    string // what systemd does to start the daemon
	check    string // as the operator runs it
	me       string // what comes before other commands of the operator
	operator string // "": root
	jobs     string // whose they are; "": agents
	state    string // its directory; "": /var/lib/adfbot
	pause    string // the pause directory; "": /opt/ai-dark-factory/data/pause
	config   string // its directory; "": /etc/adfbot
	service  string // the daemon's user; "": adfbot
	prepares string // what root has done to the machine before, e.g. made accounts
}

const (
	bothDirs  = "/var/lib/adfbot /opt/ai-dark-factory/data/pause"
	asService = "exec setpriv --reuid adfbot --regid adfbot --init-groups --no-new-privs env HOME=/var/lib/adfbot "
)

// sharedInit is what the guide has an operator run.
const sharedInit = "adfbot init --url URL --repo " + theRepo + " --project odilo --agents agents --token-file -\n"

var installations = map[string]installation{
	"shared": {
		makes: sharedInit,
		serve: asService + "adfbot serve",
		check: "sudo -u adfbot adfbot check", me: "sudo -u adfbot ",
	},
	"separated": {
		makes: separate + "cat >/etc/adfbot/gitea-token; chown adfbot /etc/adfbot/gitea-token; chmod 600 /etc/adfbot/gitea-token\n" +
			"echo 'gitea: {url: URL, token_file: /etc/adfbot/gitea-token, owner: terraphim, repo: adf-fleet}' >>/etc/adfbot/config.yaml",
		serve: "install -d -o adfbot -g adfbot /run/adfbot; " + asService + "adfbot serve",
		check: "sudo -u adfbot adfbot check", me: "sudo -u adfbot ",
	},
	"hardened": { // as `adfbot help adfbot.service` has it
		makes: separate + "cat >/etc/adfbot/gitea-token; chmod 600 /etc/adfbot/gitea-token\n" +
			"echo 'gitea: {url: URL, token_file: $CREDENTIALS_DIRECTORY/gitea-token, owner: terraphim, repo: adf-fleet}' >>/etc/adfbot/config.yaml",
		serve: "exec unshare -m sh -ec '" + // LoadCredential=, StateDirectory=, RuntimeDirectory= and ProtectSystem=strict
			"install -d -o adfbot -g adfbot /run/adfbot; install -d /run/credentials; cp /etc/adfbot/gitea-token /run/credentials; chown -R adfbot /run/credentials; " +
			"mkdir -p /var/lib/adfbot; test $(stat -c %U /var/lib/adfbot) = adfbot || chown -R adfbot:adfbot /var/lib/adfbot; chmod 700 /var/lib/adfbot; " +
			"for d in " + bothDirs + " /run/adfbot; do mount --bind $d $d; done; for d in /etc /opt /var/lib; do mount -o remount,ro,bind $d; done; " +
			asService + "CREDENTIALS_DIRECTORY=/run/credentials adfbot serve'",
		check: "CREDENTIALS_DIRECTORY=/etc/adfbot adfbot check", me: "sudo -u adfbot ",
	},
	"moved": { // the hardened one, with both directories on a disk of their own, as `adfbot help files` moves them
		makes: separate + `cat >/etc/adfbot/gitea-token; chmod 600 /etc/adfbot/gitea-token
			install -d -o adfbot -g adfbot -m 700 /opt/disk/adfbot; install -d -o adfbot -g adfbot -m 755 /opt/disk/pause
			rmdir /var/lib/adfbot /opt/ai-dark-factory/data/pause
			echo 'state: /opt/disk/adfbot/adfbot.db\npause_dir: /opt/disk/pause' >>/etc/adfbot/config.yaml
			echo 'gitea: {url: URL, token_file: $CREDENTIALS_DIRECTORY/gitea-token, owner: terraphim, repo: adf-fleet}' >>/etc/adfbot/config.yaml
			adfbot help adfbot.service | sed '/^StateDirectory/d; /^[^#]/s,/opt/ai-dark-factory/data/pause,/opt/disk/adfbot /opt/disk/pause,' >/etc/systemd/system/adfbot.service
			grep -q ^ReadWritePaths=/opt/disk /etc/systemd/system/adfbot.service
			`,
		serve: "exec unshare -m sh -ec '" +
			"install -d -o adfbot -g adfbot /run/adfbot; install -d /run/credentials; cp /etc/adfbot/gitea-token /run/credentials; chown -R adfbot /run/credentials; " +
			"for d in /opt/disk/adfbot /opt/disk/pause /run/adfbot; do mount --bind $d $d; done; for d in /etc /opt /var/lib; do mount -o remount,ro,bind $d; done; " +
			asService + "CREDENTIALS_DIRECTORY=/run/credentials adfbot serve'",
		check: "CREDENTIALS_DIRECTORY=/etc/adfbot adfbot check", me: "sudo -u adfbot ",
		state: "/opt/disk/adfbot", pause: "/opt/disk/pause",
	},
	"fleet": { // as `adfbot help fleet` has it, with one host
		makes: sharedInit + "echo hunter2 | install -o adfbot -g adfbot -m 600 /dev/stdin /etc/adfbot/state-password\n" +
			"echo 'state: DATABASE\nstate_password_file: /etc/adfbot/state-password\nlocal_dir: /var/lib/adfbot\n" +
			"gitea: {url: URL, token_file: /etc/adfbot/gitea-token, owner: terraphim, repo: adf-fleet}\n" +
			"http:\n  socket: /run/adfbot/adfbot.sock\nprojects:\n  - id: odilo\n    users: [agents]' >/etc/adfbot/config.yaml",
		serve: "install -d -o adfbot -g adfbot /run/adfbot; " + asService + "adfbot serve",
		check: "sudo -u adfbot adfbot check", me: "sudo -u adfbot ",
	},
	"paged": { // the shared one, with a socket for the page
		makes: sharedInit + "printf 'http:\n  socket: /run/adfbot/adfbot.sock\n' >>/etc/adfbot/config.yaml",
		serve: "install -d -o adfbot -g adfbot /run/adfbot; " + asService + "adfbot serve",
		check: "sudo -u adfbot adfbot check", me: "sudo -u adfbot ",
	},
	"own": { // of an ordinary user, whose jobs they are
		makes: strings.Replace(sharedInit, "--agents agents ", "", 1), operator: "admin", jobs: "admin", service: "admin",
		serve: "exec setpriv --reuid admin --regid admin --init-groups env HOME=/home/admin adfbot --config /home/admin/.config/adfbot/config.yaml serve",
		check: "adfbot check",
		state: "/home/admin/.local/share/adfbot", pause: "/home/admin/.local/share/adfbot/pause", config: "/home/admin/.config/adfbot",
	},
	"linked": { // the shared one, whose directories are on a larger disk
		makes: sharedInit + "install -d /opt/disk; mv /var/lib/adfbot /opt/disk/state; mv /opt/ai-dark-factory/data/pause /opt/disk/pause\n" +
			"ln -s /opt/disk/state /var/lib/adfbot; ln -s /opt/disk/pause /opt/ai-dark-factory/data/pause",
		serve: asService + "adfbot serve",
		check: "sudo -u adfbot adfbot check", me: "sudo -u adfbot ",
		state: "/opt/disk/state", pause: "/opt/disk/pause",
	},
	"own, elsewhere": {
		makes:    "export XDG_DATA_HOME=$HOME/data\n" + strings.Replace(sharedInit, "--agents agents ", "", 1),
		operator: "admin", jobs: "admin", service: "admin",
		serve: "exec setpriv --reuid admin --regid admin --init-groups env HOME=/home/admin adfbot --config /home/admin/.config/adfbot/config.yaml serve",
		check: "adfbot check",
		state: "/home/admin/data/adfbot", pause: "/home/admin/data/adfbot/pause", config: "/home/admin/.config/adfbot",
	},
}

// ofFile are the installations whose state is a file.
const ofFile = "shared linked separated hardened moved paged own, elsewhere"

// hasOwnPause are those whose pause directory is not below that of the state.
const hasOwnPause = "shared separated hardened moved paged fleet"

// An account of the jobs may be a system's, as that of a web server or a runner is, and that of the bot may have an id like a person's.
const (
	systemAgents = "sed -i s/:4012:4012:/:812:812:/ /etc/passwd; sed -i s/:4012:/:812:/ /etc/group; chown -R 812:812 /home/agents\n"
	personalBot  = "groupadd -g 1500 adfbot; useradd -u 1500 -g adfbot adfbot\n"
)

// variants are the same ways to install adfbot on machines with other accounts.
var variants = map[string]struct {
	of      []string
	changes func(i *installation)
}{
	"a person whose login is the bot's": {[]string{"own"}, func(i *installation) {
		i.prepares = "echo adfbot:x:4013:4013::/home/adfbot:/bin/sh >>/etc/passwd; echo adfbot:x:4013: >>/etc/group; install -d -o adfbot -g adfbot /home/adfbot\n"
		for _, text := range []*string{&i.operator, &i.jobs, &i.service, &i.serve, &i.state, &i.pause, &i.config} {
			*text = strings.ReplaceAll(*text, "admin", "adfbot")
		}
	}},
	"agents of the system": {[]string{"shared", "separated", "fleet"}, func(i *installation) { i.prepares = systemAgents }},
	"a bot with a person's id": {[]string{"shared", "separated"}, func(i *installation) {
		i.prepares = personalBot
		i.makes = strings.Replace(i.makes, "useradd --system ", ": ", 1)
	}},
	"a person as the bot": {[]string{"shared", "separated"}, func(i *installation) {
		i.service, i.me, i.check = "admin", "sudo -u admin ", strings.Replace(i.check, "-u adfbot", "-u admin", 1)
		unit := `printf '[Service]\nUser=admin\nExecStart=/usr/local/bin/adfbot serve\n' >/etc/systemd/system/adfbot.service` // as init's
		i.makes = strings.NewReplacer("--agents", "--user admin --agents",
			"useradd --system --user-group --home-dir /var/lib/adfbot --shell /usr/sbin/nologin adfbot", unit,
			"-o adfbot", "-o admin", "-g adfbot", "-g admin", "chown adfbot", "chown admin").Replace(i.makes)
		i.serve = strings.NewReplacer("reuid adfbot", "reuid admin", "regid adfbot", "regid admin", "-o adfbot", "-o admin", "-g adfbot", "-g admin").Replace(i.serve)
	}},
}

// separate makes what `adfbot help install` describes for agents who may only report.
const separate = `
	useradd --system --user-group --home-dir /var/lib/adfbot --shell /usr/sbin/nologin adfbot
	install -d -o adfbot -g adfbot -m 700 /var/lib/adfbot; install -d -o adfbot -g adfbot -m 755 /opt/ai-dark-factory/data/pause; install -d /etc/adfbot
	printf 'http:\n  socket: /run/adfbot/adfbot.sock\nprojects:\n  - id: odilo\n    users: [agents]\n' >/etc/adfbot/config.yaml
`

// mishap is what happens to the files of an installation.
type mishap struct {
	does    string
	forgets bool   // nothing is left that knows what was paused, unless the state is in a database
	only    string // installations to which it can happen; "": all
}

var mishaps = map[string]mishap{
	"no pause directory":                {does: "rm -rf PAUSE"},
	"pause directory of root":           {does: "rm -rf PAUSE; install -d PAUSE"}, // a mount point
	"pause directory of a person":       {does: "rm -rf PAUSE; install -d -o PERSON -g PERSON PAUSE"},
	"no parents of the pause directory": {does: "rm -rf /opt/ai-dark-factory", only: hasOwnPause},
	"no sentinel":                       {does: "rm PAUSE/.adfbot"},
	"pause directory closed":            {does: "chmod 700 PAUSE"},
	"flags of root":                     {does: "chown -R root:root PAUSE"},
	"no state":                          {does: "rm -f STATE/adfbot.db STATE/adfbot.db-*", only: ofFile},
	"state directory empty":             {does: "rm -rf STATE/*", only: hasOwnPause},
	"no state directory":                {does: "rm -rf STATE", only: hasOwnPause},
	"state directory of root":           {does: "rm -rf STATE; install -d STATE", only: hasOwnPause},
	"state directory of a person":       {does: "rm -rf STATE; install -d -o PERSON -g PERSON STATE", only: hasOwnPause},
	"state of root":                     {does: "chown -R root:root STATE"},
	"state file of root":                {does: "chown root:root STATE/adfbot.db; chmod 644 STATE/adfbot.db; rm -f STATE/adfbot.db-*", only: ofFile},
	"directory beside state of root":    {does: "chown -R root:root STATE/adfbot.db.d", only: ofFile},
	"no directory beside state":         {does: "rm -rf STATE/adfbot.db.d", only: ofFile},
	"state closed":                      {does: "chmod -R go= STATE"},
	"state damaged":                     {does: "rm -f STATE/adfbot.db-*; yes garbage | head -c 20000 >STATE/adfbot.db", only: ofFile},
	"all of root":                       {does: "chown -R root:root STATE PAUSE"},
	"a copy by root":                    {does: "cp -r STATE /root/state; cp -r PAUSE /root/pause; rm -rf STATE PAUSE; cp -r /root/state STATE; cp -r /root/pause PAUSE", only: hasOwnPause},
	"a closed copy by root":             {does: "umask 077; cp -r STATE /root/state; cp -r PAUSE /root/pause; rm -rf STATE PAUSE; cp -r /root/state STATE; cp -r /root/pause PAUSE", only: hasOwnPause},
	"pause directory of root, a group may write the state": {does: "chmod 775 STATE; rm -rf PAUSE; install -d PAUSE", only: "own"},
	"all of nobody":                {does: "chown -R 4777:4777 STATE PAUSE"},
	"no state, no pause directory": {does: "rm -rf PAUSE; rm -f STATE/adfbot.db STATE/adfbot.db-*", forgets: true, only: ofFile},
	"no directories":               {does: "rm -rf PAUSE STATE", forgets: true},
	"directories of root":          {does: "rm -rf PAUSE STATE; install -d PAUSE STATE", forgets: true, only: hasOwnPause}, // mount points
	"a new disk for the state":     {does: "mount -t tmpfs none STATE", only: "fleet"},
	"another group":                {does: "chgrp -R 4999 STATE PAUSE", only: "shared separated hardened moved paged"},
	"all of another service":       {does: "echo other:x:888:888::/:/bin/sh >>/etc/passwd; echo other:x:888: >>/etc/group; chown -R 888:888 STATE PAUSE"},
	"open to all":                  {does: "chmod -R a+rwX STATE PAUSE"},
	"no token":                     {does: "rm CONFIG/gitea-token"},
	"no host file":                 {does: "rm STATE/host", only: "fleet"},
	"no socket":                    {does: "rm -rf /run/adfbot; install -d /run/adfbot", only: "separated hardened moved paged fleet"},
}

// sampleMishaps are those of a quick test.
var sampleMishaps = []string{
	"shared, all of root, running true", "shared, no state directory, running true", "separated, no directories, running false",
	"hardened, pause directory of a person, running true", "hardened, all of root, running true",
	"moved, all of another service, running false",
	"shared with agents of the system, all of root, running true",
	"separated with a bot with a person's id, no directories, running false", "shared with a person as the bot, a closed copy by root, running true",
}

// follower does what it is told, word by word, on a machine of its own.
type follower struct {
	*testing.T
	*gitea
	installation
	holder string // a process in the machine's namespace
	daemon *exec.Cmd
	ended  chan struct{} // closed when the daemon has ended
	log    strings.Builder
}

func newFollower(t *testing.T, i installation) *follower {
	t.Helper()
	testhost.NeedRoot(t, "to make users and mount directories")
	g, err := newGitea()
	require.NoError(t, err)
	t.Cleanup(g.close)
	i.operator, i.jobs, i.service = cmp.Or(i.operator, "root"), cmp.Or(i.jobs, "agents"), cmp.Or(i.service, "adfbot")
	i.state, i.pause = cmp.Or(i.state, "/var/lib/adfbot"), cmp.Or(i.pause, "/opt/ai-dark-factory/data/pause")
	i.config = cmp.Or(i.config, "/etc/adfbot")
	f := &follower{T: t, gitea: g, installation: i}
	dir := testhost.PublicDir(t)
	self, err := os.Executable()
	require.NoError(t, err)
	for _, sub := range []string{"etc/systemd/system", "lib", "opt", "run/systemd/system", "home/admin", "home/agents", "root", "bin", "tmp"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	require.NoError(t, os.Symlink(testhost.PublicCopy(t, self), dir+"/bin/adfbot"))
	require.NoError(t, os.Chown(dir+"/home/admin", 4011, 4011))
	require.NoError(t, os.Chown(dir+"/home/agents", 4012, 4012))
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0::/root:/bin/sh\nadmin:x:4011:4011::/home/admin:/bin/sh\nagents:x:4012:4012::/home/agents:/bin/sh\n",
		"etc/group":  "root:x:0:\nadmin:x:4011:\nagents:x:4012:\n",
		"etc/shadow": "root:*:1::::::\nadmin:*:1::::::\nagents:*:1::::::\n", "etc/gshadow": "root:*::\nadmin:!::\nagents:!::\n",
		"etc/login.defs": "SYS_UID_MIN 100\nSYS_UID_MAX 999\nSYS_GID_MIN 100\nSYS_GID_MAX 999\n",
		"bin/sudo":       "#!/bin/sh\n[ \"$1\" = -u ] || exec \"$@\"\nu=$2; shift 2; exec setpriv --reuid \"$u\" --regid \"$(id -g \"$u\")\" --init-groups \"$@\"\n",
		"bin/systemctl":  "#!/bin/sh\nexit 0\n", // the test is the manager of the machine's services
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	holder := exec.Command("sh", "-ec", `for d in etc root run home opt; do mount --bind "$0/$d" "/$d"; done; mount --bind "$0/lib" /var/lib; mount --bind "$0/bin" /usr/local/bin; chmod 1777 "$0/tmp"; mount --bind "$0/tmp" /var/tmp; echo ready; read end`, dir)
	holder.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	end, err := holder.StdinPipe()
	require.NoError(t, err)
	ready, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	t.Cleanup(func() {
		f.stop()
		require.NoError(t, end.Close())
		_ = holder.Wait()
		if t.Failed() {
			t.Log(f.log.String())
		}
	})
	line, err := bufio.NewReader(ready).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	f.holder = fmt.Sprint(holder.Process.Pid)
	out, code := f.sh("root", i.prepares)
	require.Zero(t, code, out)
	makes := strings.ReplaceAll(i.makes, "URL", g.url())
	if strings.Contains(makes, "DATABASE") {
		makes = strings.ReplaceAll(makes, "DATABASE", f.database())
	}
	out, code = f.sh(i.operator, makes)
	require.Zero(t, code, out)
	return f
}

// database returns the URL of a new database, whose server only this machine can reach.
func (f *follower) database() string {
	f.Helper()
	u, err := url.Parse(testpg.Database(f))
	require.NoError(f, err)
	out, code := f.sh("root", "install -d /run/postgresql; cd /run/postgresql; touch .s.PGSQL.5432; mount --bind "+u.Query().Get("host")+"/.s.PGSQL.5432 .s.PGSQL.5432")
	require.Zero(f, code, out)
	return "postgres://postgres@" + u.Path + "?host=/run/postgresql&sslmode=disable"
}

// command is a command line of a user on the machine.
func (f *follower) command(ctx context.Context, user, line string) *exec.Cmd {
	home := map[string]string{"root": "/root"}[user]
	if home == "" {
		home = "/home/" + user
	}
	if user != "root" && f.operator == user { // as init has told
		line = "export ADFBOT_CONFIG=" + f.config + "/config.yaml; " + line
	}
	cmd := exec.CommandContext(ctx, "nsenter", "-t", f.holder, "-m", "--", "setpriv", "--reuid", user, "--regid", user, "--init-groups",
		"env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME="+home, "USER="+user, "LC_ALL=C", "GORACE=atexit_sleep_ms=0", "sh", "-c", "cd /; "+line)
	cmd.WaitDelay = time.Second
	return cmd
}

func (f *follower) sh(user, line string) (out string, code int) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
	defer cancel()
	cmd := f.command(ctx, user, line)
	cmd.Stdin = strings.NewReader(botToken + "\n") // for the one command that reads a token
	b, err := cmd.CombinedOutput()
	require.NoError(f, ctx.Err(), "%s: %s hangs", user, line)
	return string(b), testhost.ExitCode(err)
}

func (f *follower) logf(format string, args ...any) {
	fmt.Fprintf(&f.log, time.Now().Format("05.0 ")+format+"\n", args...)
}

// job runs a command as those who run jobs do.
func (f *follower) job(line string) (out string, code int) { return f.sh(f.jobs, line) }

// places puts the places of the installation into the text of a mishap.
func (f *follower) places(text string) string {
	person := "admin"
	if f.operator == person || f.service == person {
		person = "agents"
	}
	return strings.NewReplacer("STATE", f.state, "PAUSE", f.pause, "CONFIG", f.config, "PERSON", person).Replace(text)
}

// start starts the daemon and returns when it serves, or has ended.
func (f *follower) start() {
	f.Helper()
	if f.runs() {
		return
	}
	cmd := f.command(context.WithoutCancel(f.Context()), "root", f.installation.serve)
	r, w, err := os.Pipe()
	require.NoError(f, err)
	cmd.Stdout, cmd.Stderr = w, w
	require.NoError(f, cmd.Start())
	require.NoError(f, w.Close())
	serves, ended := make(chan struct{}), make(chan struct{})
	var said bytes.Buffer
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(io.TeeReader(r, &said)); lines.Scan(); {
			if strings.Contains(lines.Text(), "msg=serving") {
				close(serves)
				_, _ = io.Copy(io.Discard, r)
			}
		}
		_, _ = cmd.Process.Wait()
	}()
	f.daemon, f.ended = cmd, ended
	select {
	case <-serves:
	case <-ended:
		f.logf("the daemon has ended: %s", said.String())
	case <-time.After(time.Minute):
		require.Fail(f, "the daemon neither serves nor ends")
	}
}

func (f *follower) runs() bool {
	if f.daemon == nil {
		return false
	}
	select {
	case <-f.ended:
		return false
	default:
		return true
	}
}

func (f *follower) stop() {
	if f.runs() {
		_ = f.daemon.Process.Signal(syscall.SIGTERM)
		<-f.ended
	}
	f.daemon = nil
}

// awaitHost waits until a daemon has seen that the id of its host is lost, if it is: a person is slower than that.
func (f *follower) awaitHost() {
	f.Helper()
	for begin := time.Now(); f.runs(); time.Sleep(100 * time.Millisecond) {
		if _, code := f.sh("root", "test -e /var/lib/adfbot/host"); code == 0 {
			return
		}
		require.Less(f, time.Since(begin), testhost.Patience, "the daemon goes on under an id that is lost")
	}
}

// aJob is what cron goes on running.
const aJob = "adfbot exec --project odilo -- echo RAN"

// advice finds what a text tells somebody to run.
var advice = []*regexp.Regexp{
	regexp.MustCompile(`run: ((?:sudo )?[^\n;` + "`" + `]*(?:adfbot [a-z-]+[^\n;,]*))`),
	regexp.MustCompile(`as root: ([^\n;]+)`),
	regexp.MustCompile(`run ((?:sudo |chown |chmod |install |chgrp |mkdir )[^\n;,]*?)(?: as root|, then|, and|;|,|\n|$|: the)`),
	regexp.MustCompile("`(sudo [^`]+)`"),
	regexp.MustCompile(`restart (?:it|the daemon|that service)`),
	regexp.MustCompile(`\b(start (?:it|the daemon))(?:[^,]|$)`), // "start it, and use docker exec" is for containers
	regexp.MustCompile(`stop the daemon`),
	regexp.MustCompile(`It opens a new http.socket when it is reloaded`),
	regexp.MustCompile(`a daemon does so by itself within a minute`), // which nobody waits for here
	regexp.MustCompile(`stop every adfbot, move it away with its -wal and -shm`),
	regexp.MustCompile(`write the secret to it, then chown it to the bot's user and chmod it to 600`),
	regexp.MustCompile(`mount the file system that it leads to, or correct the link`),
	regexp.MustCompile(`the file gitea-token has to be in /etc/adfbot`),
	regexp.MustCompile(`if that is lost, (remove \S+/\.adfbot\.host), and this host joins as a new one`),
}

func commandsIn(text string) (commands []string) {
	at := map[string]int{}
	for _, pattern := range advice {
		for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
			command := strings.TrimRight(text[m[len(m)-2]:m[len(m)-1]], ". ")
			if first, ok := at[command]; !ok || m[0] < first {
				at[command] = m[0]
			}
		}
	}
	for command := range at {
		commands = append(commands, command)
	}
	slices.SortFunc(commands, func(a, b string) int { return at[a] - at[b] })
	return commands
}

// do does what a person does who is told so, and returns what they read then.
func (f *follower) do(command string) (said string) {
	f.Helper()
	var code int
	switch {
	case command == aJob:
		said, code = f.job(command)
		said = strings.TrimPrefix(said, "RAN\n")
	case strings.HasPrefix(command, "write the secret"):
		said, code = f.sh("root", "cd "+f.config+"; cat >gitea-token; chown "+f.service+" gitea-token; chmod 600 gitea-token")
	case strings.HasPrefix(command, "the file gitea-token has to be"):
		said, code = f.sh("root", "cat >/etc/adfbot/gitea-token; chmod 600 /etc/adfbot/gitea-token")
	case strings.HasSuffix(command, "correct the link"): // what it led to is lost, so the directory is to be where the link is
		said, code = f.sh("root", "find "+bothDirs+" -maxdepth 0 -xtype l -delete")
	case strings.HasPrefix(command, "stop every adfbot"):
		f.stop()
		said, code = f.sh("root", "mkdir /root/damaged; find "+f.state+" -name adfbot.db -o -name adfbot.db-* | xargs mv -t /root/damaged")
		f.start()
	case strings.HasPrefix(command, "start "):
		f.start()
	case strings.HasPrefix(command, "restart "), strings.HasSuffix(command, "when it is reloaded"), strings.HasSuffix(command, "within a minute"):
		f.stop()
		f.start()
	case strings.HasPrefix(command, "stop "):
		f.stop()
	case strings.HasPrefix(command, "remove "):
		said, code = f.sh("root", "rm"+strings.TrimPrefix(command, "remove"))
	case strings.HasPrefix(command, "adfbot "):
		said, code = f.sh(f.operator, f.me+command)
	case strings.HasPrefix(command, "chmod "), strings.HasPrefix(command, "mkdir "):
		said, code = f.sh(f.operator, command)
	default: // with sudo, or another one that only root may run
		said, code = f.sh("root", command)
	}
	f.logf("$ %s\n%s[%d]", command, said, code)
	if code == 0 && command != aJob && !strings.Contains(said, "restart the daemon") || command == aJob && code == 75 { // paused, as it should be
		return ""
	}
	return said
}

// expected is what check says of a new installation, of a new host, and of a server that tests use.
var expected = []string{" of another installation by ", status.NameSharedText, " is off on the server: "}

// complaints are the lines of check that are not ok, with what belongs to them.
func complaints(check string) string {
	var b strings.Builder
	for line := range strings.Lines(check) {
		if !strings.HasPrefix(line, "ok ") && !slices.ContainsFunc(expected, func(text string) bool { return strings.Contains(line, text) }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// follow does the first thing that is said and was not done yet, until nothing is said any more.
func (f *follower) follow(running bool, said string) {
	f.Helper()
	done := map[string]bool{}
	for range 8 {
		if running && !f.runs() { // systemd does that
			f.start()
		}
		gate, code := f.job("adfbot gate odilo")
		check, _ := f.sh(f.operator, f.check)
		bad := complaints(check)
		f.logf("--- gate %d: %scheck:\n%s", code, gate, bad)
		if bad == "" && (code == 0 || code == 75) && said == "" {
			return
		}
		text := said + bad
		if code != 0 && code != 75 {
			text += gate
		}
		next := ""
		for _, c := range commandsIn(text) {
			if !done[c] {
				next = c
				break
			}
		}
		if next == "" && !f.runs() { // as a person would
			next = "start it"
		}
		if next == "" {
			next = aJob
		}
		if done[next] {
			return
		}
		done[next] = true
		said = f.do(next)
	}
}

// After each mishap, whoever literally does what gate, check and failed commands say has a machine again on which a paused project is paused
// until it is resumed, runs then, and trips again.
func TestAdviceIsFollowed(t *testing.T) {
	t.Parallel()
	type machine struct {
		kind, title string
		made        installation
	}
	var machines []machine
	for kind, made := range installations {
		machines = append(machines, machine{kind, kind, made})
		for title, v := range variants {
			if slices.Contains(v.of, kind) {
				made := made
				v.changes(&made)
				machines = append(machines, machine{kind, kind + " with " + title, made})
			}
		}
	}
	for _, on := range machines {
		kind, made := on.kind, on.made
		for name, m := range mishaps {
			if m.only != "" && !strings.Contains(m.only, kind) {
				continue
			}
			for _, running := range []bool{true, false} {
				title := fmt.Sprintf("%s, %s, running %t", on.title, name, running)
				if !testhost.Exhaustive() && !slices.Contains(sampleMishaps, title) {
					continue
				}
				t.Run(title, func(t *testing.T) {
					t.Parallel()
					f := newFollower(t, made)
					f.start()
					require.True(t, f.runs())
					for range 3 {
						f.job("adfbot exec --project odilo -- false")
					}
					out, code := f.job("adfbot gate odilo")
					require.Equal(t, 75, code)
					require.Contains(t, out, "To resume, run: "+f.me+"adfbot resume odilo")
					check, _ := f.sh(f.operator, f.check)
					require.Empty(t, complaints(check))
					if !running {
						f.stop()
					}
					out, code = f.sh("root", f.places(m.does))
					require.Zero(t, code, out)
					if f.jobs != f.operator { // whatever they read must not make the bot theirs
						check, _ := f.job("adfbot check --offline")
						require.NotRegexp(t, `(chown|install) [^;\n]*\b`+f.jobs+`\b`, check)
					}
					out, _ = f.job(aJob) // a job is not told
					forgets := m.forgets && kind != "fleet"
					require.True(t, forgets || !strings.Contains(out, "RAN"), out)
					if kind == "fleet" {
						f.awaitHost()
					}

					f.follow(running, "")
					f.start()
					require.True(t, f.runs(), "the daemon")
					out, code = f.job("adfbot gate odilo")
					require.True(t, code == 75 || forgets && code == 0, "gate %d: %s", code, out)
					resume := func() {
						out, code := f.sh(f.operator, f.me+"adfbot resume odilo")
						require.Zero(t, code, out)
					}
					resume()
					if said := f.do(aJob); said != "" {
						f.follow(running, said)
					}
					out, code = f.job(aJob)
					require.Zero(t, code, out)
					require.Regexp(t, `^RAN\n(adfbot: sent \d kept results?\n)?$`, out)
					check, _ = f.sh(f.operator, f.check)
					require.Empty(t, complaints(check))
					for range 3 {
						out, _ = f.job("adfbot exec --project odilo -- false")
					}
					_, code = f.job("adfbot gate odilo")
					require.Equal(t, 75, code, out)
					out, code = f.sh(f.operator, f.me+"adfbot sweep")
					if kind != "hardened" && kind != "moved" { // its token is the unit's alone
						require.Zero(t, code, out)
					}
					resume()
				})
			}
		}
	}
}

// While the directories belong to another service by mistake, a daemon with its state in a database goes on. What it writes then, and after
// they have been given back, names the bot's user.
func TestResumeCommandOfAWrongOwner(t *testing.T) {
	t.Parallel()
	f := newFollower(t, installations["fleet"])
	f.start()
	out, code := f.sh("root", f.places(mishaps["all of another service"].does))
	require.Zero(t, code, out)
	for range 3 {
		f.job("adfbot exec --project odilo -- false")
	}
	out, code = f.sh("root", f.places("chown -R adfbot:adfbot STATE PAUSE"))
	require.Zero(t, code, out)
	require.Eventually(t, func() bool {
		out, code = f.job("adfbot gate odilo")
		return code == 75
	}, testhost.Patience, 100*time.Millisecond)
	require.Contains(t, out, "To resume, run: sudo -u adfbot adfbot resume odilo\n")
	out, code = f.sh("root", "sudo -u adfbot adfbot sweep")
	require.Zero(t, code, out)
	issues := f.Issues(theRepo)
	require.Len(t, issues, 1)
	require.NotContains(t, issues[0].Body, "-u other")
	require.Contains(t, issues[0].Body, "sudo -u adfbot ")
}

// Root's check with the credentials of the unit speaks of the user whom the unit has, whoever owns the directories.
func TestCheckKnowsTheUnitsUser(t *testing.T) {
	t.Parallel()
	const (
		other  = "echo other:x:888:888::/srv:/bin/sh >>/etc/passwd; echo other:x:888: >>/etc/group; chown -R other:other STATE PAUSE; "
		edited = "mkdir /etc/systemd/system/adfbot.service.d; printf '[Service]\nUser=%s\n' >/etc/systemd/system/adfbot.service.d/override.conf"
		noUnit = "rm /etc/systemd/system/adfbot.service"
		second = "cd /etc/systemd/system; sed 's/serve$/--config \\/etc\\/second.yaml serve/; s/^User=.*/User=admin/' adfbot.service >adfbot-2.service"
		job    = "printf '[Service]\nUser=admin\nExecStart=/usr/local/bin/adfbot exec --project odilo -- sh observe\n' >/etc/systemd/system/adfbot-odilo.service"
	)
	for name, tt := range map[string]struct {
		does string
		want string // "": nothing is wrong
	}{
		"another service's":          {other, "adfbot"},
		"of a drop-in":               {other + strings.Replace(edited, "%s", "other", 1), ""},
		"of a drop-in by number":     {other + strings.Replace(edited, "%s", "888", 1), ""},
		"of a drop-in, root's":       {other + "chown -R root:root STATE PAUSE; " + strings.Replace(edited, "%s", "other", 1), "other"},
		"of a unit of root":          {"chown -R root:root STATE PAUSE; " + strings.Replace(edited, "%s", "root", 1), ""},
		"of a unit of another name":  {other + "cd /etc/systemd/system; sed s/User=.*/User=other/ adfbot.service >adfbot-fleet.service; " + noUnit, ""},
		"a second unit":              {other + second, "adfbot"},
		"a unit of a job":            {noUnit + "; chown -R root:root STATE PAUSE; " + job, "adfbot"},
		"no unit, root's":            {noUnit + "; chown -R root:root STATE PAUSE", "adfbot"},
		"no unit, another service's": {other + noUnit, ""}, // whose unit it may be
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFollower(t, installations["moved"])
			out, code := f.sh("root", f.places("install -d -o root /run/adfbot; "+tt.does))
			require.Zero(t, code, out)
			check, _ := f.sh("root", f.check)
			if tt.want == "" {
				require.NotContains(t, check, f.pause+": ")
				require.NotContains(t, check, f.state+": ")
				require.NotRegexp(t, `chown .*/opt/disk`, check)
				return
			}
			require.Regexp(t, `(?m)^FAIL +state .*: run chown (-R )?`+tt.want+`:? `+f.state+`$`, check)
			require.Regexp(t, `(?m)^FAIL +pause_dir .*: run chown (-R )?`+tt.want+`:? `+f.pause+`$`, check)
		})
	}
}
