package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/internal/testworld"
)

var updateDocs = flag.Bool("update", false, "write what the commands in README and guide print into these documents")

// standIns are programs that the commands of the documents need and that a test must not run, or cannot.
var standIns = map[string]string{
	"sudo":         `[ "$1" = -u ] && shift 2; exec "$@"`,
	"useradd":      `exit 0`,
	"usermod":      `exit 0`,
	"project-meta": `echo "project-meta: planning failed: model quota used up" >&2; exit 1`,
	"install": `
		args=()
		while [ $# -gt 0 ]; do
			case $1 in -o|-g) shift 2;; *) args+=("$1"); shift;; esac
		done
		PATH=/usr/bin:/bin exec install "${args[@]}"`,
	"go": `
		case "$*" in
		"run ./cmd/adfbot "*) shift 2; exec adfbot "$@";;
		"test ./...") exit 0;; # this test is a part of it
		"build -o adfbot ./cmd/adfbot")
			printf '#!/usr/bin/env bash\nexec -a adfbot %s "$@"\n' "$(readlink -f "$(command -v adfbot)")" >adfbot
			chmod +x adfbot
			exit 0;;
		esac
		exit 1`,
	"systemctl": `
		case "$*" in
		daemon-reload) exec grep -q '^ExecStart=' "$ROOT/etc/systemd/system/adfbot.service";;
		"enable --now adfbot")
			: >"$ROOT/log" # before journalctl looks for it
			$(sed -n 's/^ExecStart=[^ ]*/adfbot/p' "$ROOT/etc/systemd/system/adfbot.service") >>"$ROOT/log" 2>&1 &
			echo $! >"$ROOT/pid"
			exit 0;;
		"enable adfbot") exit 0;;
		"restart adfbot") # as above; in the documents, it did not run
			systemctl enable --now adfbot && journalctl -u adfbot;;
		*) exit 1;;
		esac`,
	"psql":       `PATH=/usr/bin:/bin exec psql "$DATABASE" "$@"`,
	"journalctl": `sed /msg=serving/q <(exec tail -n +1 -f --pid="$(cat "$ROOT/pid")" "$ROOT/log" 2>/dev/null 3>&-)`,
}

// machine is what the commands of a document see: a file system below a directory, and a Gitea.
type machine struct {
	*testing.T
	*gitea
	root  string
	state string   // URL of the database that several machines share, or ""
	alive *os.File // held open by the daemon for as long as it lives
}

const (
	docsServer = "https://git.example.org"
	docsToken  = "89abcdef0123456789abcdef0123456789abcdef"
)

func newMachine(t *testing.T) *machine {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	g, err := newGitea()
	require.NoError(t, err)
	t.Cleanup(g.close)
	g.AddToken(botLogin, docsToken, testworld.Scopes()...)
	return newMachineWith(t, g)
}

// newMachineWith is newMachine for a Gitea that is there.
func newMachineWith(t *testing.T, g *gitea) *machine {
	t.Helper()
	m := &machine{T: t, gitea: g, root: t.TempDir()}
	for _, dir := range []string{"bin", "usr/local/bin", "etc/systemd/system"} {
		require.NoError(t, os.MkdirAll(filepath.Join(m.root, dir), 0o755))
	}
	for name, script := range standIns {
		require.NoError(t, os.WriteFile(filepath.Join(m.root, "bin", name), []byte("#!/usr/bin/env bash\n"+script+"\n"), 0o755))
	}
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(m.root, "usr/local/bin/adfbot"))) // see TestMain
	ended, alive, err := os.Pipe()
	require.NoError(t, err)
	m.alive = alive
	t.Cleanup(func() {
		if pid, err := os.ReadFile(filepath.Join(m.root, "pid")); err == nil {
			n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(n, syscall.SIGTERM))
		}
		require.NoError(t, alive.Close())
		_, err = io.Copy(io.Discard, ended)
		require.NoError(t, err)
		require.NoError(t, ended.Close())
	})
	return m
}

// here replaces the places of the documents by those of the test.
func (m *machine) here(text string) string {
	pairs := []string{docsServer, m.url()}
	for _, path := range []string{"/etc/", "/var/lib/adfbot", "/opt/ai-dark-factory", "/usr/local/bin/", "/run/adfbot"} {
		pairs = append(pairs, path, m.root+path)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// initFlags have init keep to the machine's directory, for the user who runs the test.
func (m *machine) initFlags() string {
	return " --state /var/lib/adfbot/adfbot.db --pause-dir /opt/ai-dark-factory/data/pause --unit /etc/systemd/system/adfbot.service --user " + hostlocal.Me().Name
}

// there takes here back, and replaces what differs from run to run.
func (m *machine) there(text string) string {
	text = strings.NewReplacer(m.url(), docsServer, m.root, "").Replace(text)
	text = regexp.MustCompile(`\([^\s()]+, \d{4}-\d\d-\d\d \d\d:\d\d UTC\)`).ReplaceAllString(text, "(bigbox, 2026-11-23 04:10 UTC)")
	text = regexp.MustCompile(`(?:sudo )?adfbot resume `).ReplaceAllString(text, "sudo -u adfbot adfbot resume ") // whoever runs the test
	// Below the root, the default configuration is not the default one.
	text = strings.ReplaceAll(text, " --config /etc/adfbot/config.yaml", "")
	text = regexp.MustCompile(`(?m)^(  )(?:sudo )?(adfbot test-issue)`).ReplaceAllString(text, "${1}sudo -u adfbot $2")
	text = regexp.MustCompile(`(?m)^  export ADFBOT_CONFIG=.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`(?m)^kept(  user) .*\nmade(  member) nobody of the group .*`).ReplaceAllString(text, "made$1 adfbot\nmade$2 agents of the group adfbot")
	return regexp.MustCompile(`user id \d+`).ReplaceAllString(text, "user id 2")
}

// bash runs a script as a person would type it, and returns its output and which commands in it failed.
func (m *machine) bash(script string) (output string, failed []string) {
	m.Helper()
	cmd := exec.Command("bash", "-c", `trap 'echo "$? $BASH_COMMAND" >>"$ROOT/failed"' ERR`+"\n"+m.here(strings.NewReplacer("adfbot init ", "adfbot init"+m.initFlags()+" ", "--agents agents", "--agents nobody").Replace(script)))
	cmd.Dir = m.root
	cmd.Env = []string{"PATH=" + m.root + "/bin:" + m.root + "/usr/local/bin:/usr/bin:/bin", "ROOT=" + m.root, "HOME=" + m.root, "TMPDIR=" + m.root,
		"ADFBOT_CONFIG=" + m.root + "/etc/adfbot/config.yaml", "GORACE=atexit_sleep_ms=0", "LC_ALL=C", "DATABASE=" + m.state}
	cmd.Stdin = strings.NewReader(docsToken + "\n") // for the one command that reads a token
	cmd.ExtraFiles = []*os.File{m.alive}
	b, err := cmd.CombinedOutput()
	m.Logf("%s\n%s%v", script, b, err)
	log, err := os.ReadFile(m.root + "/failed")
	if err == nil {
		require.NoError(m, os.Remove(m.root+"/failed"))
		failed = strings.Split(strings.TrimSpace(m.there(string(log))), "\n")
	}
	return m.there(string(b)), failed
}

// console runs the commands of a console block and returns the block with what they print.
func (m *machine) console(text string) string {
	m.Helper()
	var b strings.Builder
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			out, _ := m.bash(command)
			b.WriteString(line + out)
		}
	}
	return b.String()
}

// compare holds a document's console block against what its commands print, or corrects the document.
func (m *machine) compare(path string, b block) {
	m.Helper()
	got := m.console(b.text)
	if *updateDocs {
		text := strings.Replace(document(m.T, path), b.text, got, 1)
		require.NoError(m, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	require.Equal(m, b.text, got, "%s: correct it with -run Docs -update", path)
}

func TestDocsCommandsOfTheREADME(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	byLanguage := map[string]string{}
	for _, b := range blocksIn(document(t, readmeFile)) {
		byLanguage[b.language] += b.text
	}
	require.Regexp(t, `^CGO_ENABLED=0 go run ./cmd/adfbot demo +#.*\ngo test ./\.\.\. +#.*\nCGO_ENABLED=0 go build .*\nsudo install .*\nsudo adfbot init +#.*\n$`, byLanguage["sh"])
	// There is no terminal to ask on.
	out, failed := m.bash(strings.Replace(byLanguage["sh"], "init ", "init --url "+docsServer+" --repo terraphim/adf-fleet --project odilo --token-file - ", 1))
	require.Empty(t, failed)
	require.Contains(t, out, "working again")
	require.Contains(t, out, "ok    repository terraphim/adf-fleet, 0 open issues of adf-bot")
	require.FileExists(t, m.root+"/etc/systemd/system/adfbot.service")

	require.NoError(t, os.WriteFile(m.root+"/etc/adfbot/config.yaml", []byte(m.here(byLanguage["yaml"]+
		"pause_dir: /opt/ai-dark-factory/data/pause\nstate: /var/lib/adfbot/adfbot.db\n")), 0o644))
	require.NoError(t, os.WriteFile(m.root+"/etc/adfbot/gitea-token", []byte(docsToken), 0o600))
	for range 2 {
		m.bash("adfbot exec --project odilo -- project-meta")
	}
	m.compare(readmeFile, block{"console", byLanguage["console"]})
	require.Equal(t, 1, m.count(theRepo, "closed"))
}

func TestDocsCommandsOfTheGuide(t *testing.T) {
	t.Parallel()
	const path = "docs/guide.md"
	m := newMachine(t)
	var output string
	var failures []string
	for _, b := range blocksIn(document(t, path)) {
		switch b.language {
		case "console":
			if strings.Contains(b.text, "adfbot init") && os.Geteuid() != 0 {
				m.console(b.text) // it makes an installation for this user
				continue
			}
			m.compare(path, b)
		case "sh":
			out, failed := m.bash(b.text)
			output += out
			failures = append(failures, failed...)
		}
	}
	slices.Sort(failures)
	require.Equal(t, []string{
		"2 sudo -u agents adfbot exec --project odilo -- ls /no/such/file",
		"75 sudo -u agents adfbot gate odilo",
	}, slices.Compact(failures), output)
	require.Contains(t, output, "msg=serving")
	require.NotContains(t, document(t, m.root+"/log"), "level=ERROR")
	require.Regexp(t, `odilo +PAUSED .*odilo#1 `+docsServer+`/terraphim/adf-fleet/issues/2`, output)
	require.Contains(t, output, "\n75\n")
	require.Equal(t, 2, m.count(theRepo, "closed"), "the test issue, too")
	require.Equal(t, 0, m.count(theRepo, "open"))
}

func TestDocsCommandsOfTheFleet(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("psql"); err != nil {
		t.Skip("no psql here")
	}
	url := testpg.Database(t)
	const path = "docs/fleet.md"
	byLanguage := map[string][]string{}
	for _, b := range blocksIn(document(t, path)) {
		byLanguage[b.language] = append(byLanguage[b.language], b.text)
	}
	sh, config := byLanguage["sh"], byLanguage["yaml"][0]
	require.Len(t, sh, 6)
	guide := blocksIn(document(t, "docs/guide.md"))

	first := newMachine(t)
	hosts := []*machine{first, newMachineWith(t, first.gitea), newMachineWith(t, first.gitea)}
	run := func(m *machine, script string) string {
		t.Helper()
		out, failed := m.bash(regexp.MustCompile(`postgres://adfbot@\S+`).ReplaceAllString(script, "'"+url+"'"))
		require.Empty(t, failed, out)
		return out
	}
	everywhere := func(paused bool) {
		t.Helper()
		for _, m := range hosts {
			flag := m.here("/opt/ai-dark-factory/data/pause/odilo")
			require.Eventually(t, func() bool {
				_, err := os.Lstat(flag)
				return paused == (err == nil)
			}, testhost.Patience, 10*time.Millisecond, flag)
		}
	}
	for n, m := range hosts {
		m.state = url
		setUp, _, _ := strings.Cut(guide[slices.IndexFunc(guide, func(b block) bool { return strings.Contains(b.text, "adfbot init") })].text, "\n")
		run(m, strings.TrimPrefix(setUp, "$ "))
		if n == 0 {
			require.Contains(t, run(m, sh[0]), "CREATE SCHEMA")
		}
		run(m, sh[1])
		run(m, "mkdir -p /run/adfbot; echo ExecStart=/usr/local/bin/adfbot serve >/etc/systemd/system/adfbot.service")
		own := fmt.Sprintf("pause_dir: /opt/ai-dark-factory/data/pause\nfleet: {host: edge-%d, poll: 100ms}\n", n+1)
		config := regexp.MustCompile(`(?m)^state: .*$`).ReplaceAllLiteralString(config, "state: "+url)
		require.NoError(t, os.WriteFile(m.root+"/etc/adfbot/config.yaml", []byte(m.here(config+own)), 0o644))
		require.NotContains(t, run(m, sh[2]), "FAIL")
	}
	plain := func(text string) string {
		return regexp.MustCompile(`[0-9a-f]{8}  |\d+s ago +`).ReplaceAllString(text, "* ")
	}
	var shown string
	require.Eventually(t, func() bool { // the first heartbeat of each
		shown = first.console(byLanguage["console"][0])
		return strings.Count(shown, "edge-") == len(hosts)
	}, testhost.Patience, 50*time.Millisecond)
	require.Equal(t, plain(byLanguage["console"][0]), plain(shown))

	for _, m := range hosts {
		_, failed := m.bash(sh[3])
		require.Equal(t, []string{"2 sudo -u agents adfbot exec --project odilo -- ls /no/such/file"}, failed)
	}
	everywhere(true)
	for _, m := range hosts {
		out, _ := m.bash(sh[4])
		require.Contains(t, out, "odilo is paused: project-meta failed 3 times in a row")
		require.Contains(t, out, "\n75\n")
	}
	require.Eventually(t, func() bool { return first.count(theRepo, "open") == 1 }, testhost.Patience, 10*time.Millisecond) // by whichever daemon
	run(hosts[1], sh[5])
	everywhere(false)
	run(first, "sudo -u adfbot adfbot sweep")
	require.Equal(t, 1, first.count(theRepo, "closed"))
	require.Equal(t, 0, first.count(theRepo, "open"))
}
