package bot_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
	"github.com/terraphim/adfbot/pause"
)

// finding is the text of the one finding of its kind and level.
func (w *world) finding(what string, level bot.Level) string {
	w.Helper()
	return findingOf(w, bot.Check(ctx, w.cfg, false, w.env()), what, level)
}

func findingOf(t testing.TB, all []bot.Finding, what string, level bot.Level) string {
	t.Helper()
	var found []string
	for _, f := range all {
		if f.What == what && f.Level == level {
			found = append(found, f.Text)
		}
	}
	require.Len(t, found, 1, "%s %s of %v", level, what, all)
	return found[0]
}

func (w *world) fails() (out []string) {
	w.Helper()
	for _, f := range bot.Check(ctx, w.cfg, false, w.env()) {
		if f.Level == bot.Fail {
			out = append(out, f.What+": "+f.Text)
		}
	}
	return out
}

// Nothing is wrong with a new machine, and nothing is made.
func TestCheckOfNewMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Empty(t, w.fails())
	require.Contains(t, w.finding("config", bot.OK), w.cfg.Path+": 2 projects")
	require.Contains(t, w.finding("state", bot.OK), "is missing; the first result creates it")
	require.Contains(t, w.finding("pause_dir", bot.OK), "is not ready yet; serve or the first result prepares it")
	require.Contains(t, w.finding("gitea", bot.OK), "http://gitea.example answers, version ")
	require.Contains(t, w.finding("account", bot.OK), "adf-bot (user id ")
	require.Contains(t, w.finding("repository", bot.OK), "terraphim/adf-fleet, 0 open issues of adf-bot")
	require.Len(t, w.files(), 2, "the directory and the configuration")
	for _, r := range w.Gitea.Requests() {
		require.True(t, r.Method == "GET" || r.Status == 422, "%s %s: %d: a check leaves no trace", r.Method, r.Path, r.Status)
	}
}

func TestCheckOfMachineInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	require.Empty(t, w.fails())
	w.inState(func(s store.State) { require.Contains(t, w.finding("state", bot.OK), s.Installation()) })
	require.Contains(t, w.finding("pause_dir", bot.OK), "1 project paused")
	require.Contains(t, w.finding("repository", bot.OK), "1 open issue of adf-bot")
}

func TestCheckOfOneProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("  - id: atlas\n    threshold: 2\n    ignore_exit_codes: [75, 9]\n", "")
	require.Equal(t, w.cfg.Path+": 1 project", w.finding("config", bot.OK))
}

// An offline check makes no request.
func TestCheckOffline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, f := range bot.Check(ctx, w.cfg, true, w.env()) {
		require.NotContains(t, []string{"gitea", "account", "repository"}, f.What)
	}
	require.Empty(t, w.Gitea.Requests())
}

// A proxy may change the answers' type.
func TestCheckBehindProxyThatChangesTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Do: giteatest.Status(422, `{"message":"[Title]: Required"}`, "Content-Type", "text/plain")})
	require.Contains(t, w.finding("repository", bot.OK), "open issues of adf-bot")
}

// disabled makes Gitea answer as it does to a token of an account that may not sign in.
func (w *world) disabled() {
	w.Gitea.Inject(giteatest.Fault{Match: func(r *http.Request) bool { return !strings.HasSuffix(r.URL.Path, "/version") },
		Do: giteatest.Status(403, `{"message":"This account is prohibited from signing in, please contact your site administrator."}`, "Content-Type", "application/json")})
}

// Each finding names what is wrong and how to fix it.
func TestCheckFindings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do    func(w *world)
		what  string
		level bot.Level
		wants []string
	}{
		"Gitea down": {func(w *world) { w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()}) },
			"gitea", bot.Fail, []string{"read version"}},
		"a web page instead of Gitea": {func(w *world) { w.Gitea.Inject(giteatest.Fault{Do: giteatest.HTML()}) },
			"gitea", bot.Fail, []string{"read version"}},
		"no token": {func(w *world) { delete(w.vars, "BOT_TOKEN") },
			"token", bot.Fail, []string{"gitea.token_env: $BOT_TOKEN is empty: set it"}},
		"a wrong token": {func(w *world) { w.Gitea.RevokeToken(token) },
			"gitea", bot.Fail, []string{"status 401", "the token is wrong or was revoked: make a new one in Gitea"}},
		"a token without read:user": {func(w *world) {
			w.Gitea.RevokeToken(token)
			w.Gitea.AddToken(testworld.Bot, token, "write:issue")
		}, "account", bot.Fail, []string{"make one with the scope read:user too, or set gitea.login"}},
		"a disabled account": {func(w *world) { w.disabled() },
			"account", bot.Fail, []string{"prohibited from signing in", "let its administrator activate it"}},
		"a disabled account with gitea.login": {func(w *world) { w.disabled(); w.change("  repo:", "  login: adf-bot\n  repo:") },
			"account", bot.Fail, []string{"prohibited from signing in", "let its administrator activate it"}},
		"a token without write:issue": {func(w *world) {
			w.Gitea.RevokeToken(token)
			w.Gitea.AddToken(testworld.Bot, token, "read:user")
		}, "repository", bot.Fail, []string{"status 403", "make a token with the scope write:issue"}},
		"another login": {func(w *world) { w.change("  repo:", "  login: robot\n  repo:") },
			"account", bot.Fail, []string{"the token belongs to adf-bot, and gitea.login is robot: correct one of them"}},
		"a login that nobody has": {func(w *world) {
			w.Gitea.RevokeToken(token)
			w.Gitea.AddToken(testworld.Bot, token, "write:issue")
			w.change("  repo:", "  login: robot\n  repo:")
		}, "repository", bot.Fail, []string{"nobody has the login robot: set gitea.login to the token's account"}},
		"an operator's own token": {func(w *world) { w.change("projects:", "operators: [ADF-bot]\nprojects:") },
			"operators", bot.Warn, []string{"adf-bot is the bot's own account, whose comments and closings never count: give the bot an account of its own"}},
		"an operator whom nobody knows": {func(w *world) { w.change("projects:", "operators: [ops-nigth]\nprojects:") },
			"operators", bot.Warn, []string{"ops-nigth: nobody has this login, or the profile is private: correct operators if the login is wrong"}},
		"a renamed operator": {func(w *world) {
			w.change("projects:", "operators: [Alex]\nprojects:")
			w.Gitea.RenameUser("alex", "alexandra")
		},
			"operators", bot.Warn, []string{"Alex: this login was changed to alexandra: name that one in operators"}},
		"an organisation as operator": {func(w *world) { w.change("projects:", "operators: [terraphim]\nprojects:") },
			"operators", bot.Warn, []string{"terraphim seems to be an organisation, which never comments: list its members instead"}},
		"a missing repository": {func(w *world) { w.Gitea.DeleteRepo(repo) },
			"repository", bot.Fail, []string{"terraphim/adf-fleet", "check gitea.owner and gitea.repo, or the project's own, and the account's access"}},
		"an archived repository": {func(w *world) { w.Gitea.Archive(repo) },
			"repository", bot.Fail, []string{"terraphim/adf-fleet", "is archived: unarchive it"}},
		"disabled issues": {func(w *world) { w.Gitea.DisableIssues(repo) },
			"repository", bot.Fail, []string{"terraphim/adf-fleet is there, but its issues are disabled or hidden from adf-bot"}},
		"a renamed repository": {func(w *world) { w.Gitea.Rename(repo, "fleet") },
			"repository", bot.Fail, []string{"moved to ", "set gitea.owner and gitea.repo"}},
		"an account that may only read": {func(w *world) { w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Read) },
			"repository", bot.Warn, []string{"adf-bot may open issues in terraphim/adf-fleet, but not write to others: issues are opened without labels, assignees and due date; give it write access to issues"}},
		"an account that may only read issues, and write code": {func(w *world) {
			w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Write)
			w.Gitea.SetIssuePermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Read)
		}, "repository", bot.Warn, []string{"adf-bot may open issues in terraphim/adf-fleet, but not write to others", "give it write access to issues"}},
		"an account that may not see issues": {func(w *world) {
			w.Gitea.SetIssuePermission("terraphim", "adf-fleet", testworld.Bot, giteatest.None)
		}, "repository", bot.Fail, []string{"terraphim/adf-fleet is there, but its issues are disabled or hidden from adf-bot", "enable"}},
		"a token that only reads issues": {func(w *world) {
			w.Gitea.RevokeToken(token)
			w.Gitea.AddToken(testworld.Bot, token, "read:issue", "read:user", "read:repository")
		}, "repository", bot.Fail, []string{"status 403", "required=[write:issue]", "make a token with the scope write:issue"}},
		"a missing certificate": {func(w *world) { w.change("  repo:", "  ca_file: DIR/ca.pem\n  repo:") },
			"gitea", bot.Fail, []string{"gitea.ca_file: open ", "ca.pem"}},
		"a certificate that is none": {func(w *world) {
			w.Write(w.Dir+"/ca.pem", "x")
			w.change("  repo:", "  ca_file: DIR/ca.pem\n  repo:")
		}, "gitea", bot.Fail, []string{"holds no certificate in PEM"}},
		"a certificate that is a FIFO": {func(w *world) {
			fifo(w, w.Dir+"/ca.pem")
			w.change("  repo:", "  ca_file: DIR/ca.pem\n  repo:")
		}, "gitea", bot.Fail, []string{"gitea.ca_file: ", "ca.pem is not a regular file"}},
		"a template that is a FIFO": {func(w *world) {
			fifo(w, w.Dir+"/issue.tmpl")
			w.change("projects:", "escalation:\n  template: DIR/issue.tmpl\nprojects:")
		}, "template", bot.Fail, []string{"issue.tmpl is not a regular file", "issues are opened with the built-in one"}},
		"a missing template": {func(w *world) { w.change("projects:", "escalation:\n  template: DIR/issue.tmpl\nprojects:") },
			"template", bot.Fail, []string{"issue.tmpl", "issues are opened with the built-in one"}},
		"a template with a mistake": {func(w *world) {
			w.Write(w.Dir+"/issue.tmpl", "{{.Nonsense}}")
			w.change("projects:", "escalation:\n  template: DIR/issue.tmpl\nprojects:")
		}, "template", bot.Fail, []string{"Nonsense", "issues are opened with the built-in one"}},
		"a corrupt state": {func(w *world) {
			w.Remove(w.cfg.State)
			require.NoError(w, os.WriteFile(w.cfg.State, []byte(strings.Repeat("x", 5000)), 0o600))
		}, "state", bot.Fail, []string{"the file is damaged: stop every adfbot, move it away with its -wal and -shm"}},
		"a state with a damaged page": {func(w *world) {
			damage["damaged further in"](w.TB, w)
		}, "state", bot.Fail, []string{"the file is damaged"}},
		"a state with text where a number must be": {func(w *world) {
			w.fail("odilo", 1)
			damage["with text where a number must be"](w.TB, w)
		}, "state", bot.Fail, []string{"the file is damaged"}},
		"a link in the place of the state": {func(w *world) {
			require.NoError(w, os.Rename(w.cfg.State, w.cfg.State+".away"))
			require.NoError(w, os.Symlink(w.cfg.State+".away", w.cfg.State))
		}, "state", bot.Fail, []string{"adfbot.db: this is a symbolic link, which adfbot does not follow: set `state` to the path of a file"}},
		"a link in the place of the spool": {func(w *world) {
			require.NoError(w, os.Rename(w.cfg.State+".d/spool", w.cfg.State+".d/away"))
			require.NoError(w, os.Symlink("away", w.cfg.State+".d/spool"))
		}, "state", bot.Fail, []string{"adfbot.db.d/spool: this is a symbolic link, which adfbot does not follow: remove it"}},
		"a device in the place of the state": {func(w *world) { w.change("state: DIR/state/adfbot.db", "state: /dev/null") },
			"state", bot.Fail, []string{"/dev/null is a device, a pipe or a socket: set `state` to the path of a file"}},
		"a database of another program": {func(w *world) {
			w.onState(func(db *sql.DB) error { _, err := db.Exec(`PRAGMA application_id = 7`); return err })
		}, "state", bot.Fail, []string{"this is not a state of adfbot: set `state` to another path"}},
		"a wiped directory": {func(w *world) { w.fail("odilo", 2); w.wipe() },
			"pause_dir", bot.Fail, []string{"adfbot restore", "adfbot restore pauses these again: odilo"}},
		"another installation's directory": {func(w *world) {
			require.NoError(w, os.WriteFile(w.sentinel(), []byte(pause.NewRandomID()), 0o644))
		}, "pause_dir", bot.Fail, []string{"belongs to another installation", "set pause_dir to this installation's own directory"}},
		"a pause directory that is a file": {func(w *world) { w.Remove(w.cfg.PauseDir); w.Touch(w.cfg.PauseDir) },
			"pause_dir", bot.Fail, []string{"is not a directory"}},
		"a link to no pause directory": {func(w *world) {
			w.wipe()
			require.NoError(w, os.RemoveAll(w.cfg.PauseDir))
			require.NoError(w, os.Symlink("/no/where", w.cfg.PauseDir))
		}, "pause_dir", bot.Fail, []string{"/pause is a link to /no/where, which does not exist: mount the file system that it leads to"}},
		"a link to no directory for the state": {func(w *world) {
			dir := filepath.Dir(w.cfg.State)
			require.NoError(w, os.Rename(dir, dir+".away"))
			require.NoError(w, os.Symlink("/no/where", dir))
		}, "state", bot.Fail, []string{"is missing", "/state is a link to /no/where, which does not exist: mount the file system that it leads to"}},
		"a pause directory for everybody": {func(w *world) { require.NoError(w, os.Chmod(w.cfg.PauseDir, 0o777)) },
			"pause_dir", bot.Warn, []string{"every user can remove flags from", "which resumes projects", "run chmod o-w "}},
		"a state for everybody": {func(w *world) { require.NoError(w, os.Chmod(filepath.Dir(w.cfg.State), 0o707)) },
			"state", bot.Warn, []string{"every user can change and remove what is in", "run chmod -R o-w "}},
		"a pause directory for everybody, with the sticky bit": {func(w *world) {
			require.NoError(w, os.Chmod(w.cfg.PauseDir, 0o777|os.ModeSticky))
		}, "pause_dir", bot.OK, []string{"0 projects paused"}},
		"a file in the place of the known projects": {func(w *world) {
			w.change("projects:", "projects:\n  - match: '*'")
			w.Touch(w.cfg.PauseDir + "/.adfbot.known")
		}, "pause_dir", bot.Fail, []string{"pause/.adfbot.known is not a directory, so gate reports every project of a pattern as unknown: remove it and run `adfbot sweep`"}},
		"a link in the place of the known projects": {func(w *world) {
			w.change("projects:", "projects:\n  - match: '*'")
			require.NoError(w, os.Symlink("/tmp", w.cfg.PauseDir+"/.adfbot.known"))
		}, "pause_dir", bot.Fail, []string{"pause/.adfbot.known is not a directory, so gate reports"}},
		"a dangling flag": {func(w *world) { require.NoError(w, os.Symlink("/no/where", w.flag("atlas"))) },
			"pause_dir", bot.Warn, []string{"the flag of atlas is a dangling link", "replace it by a file"}},
		"a flag of nobody": {func(w *world) { w.Touch(w.flag("nobody")) },
			"pause_dir", bot.Warn, []string{"nobody has a flag but is not a configured project: add it to projects, or remove ", "/pause/nobody"}},
		"flags of many projects that are not configured": {func(w *world) {
			for n := range 100 {
				w.Touch(w.flag(fmt.Sprintf("p%03d", n)))
			}
		}, "pause_dir", bot.Warn, []string{"p000, p001, p002 and 97 more have a flag but are not configured projects: add them to projects, or remove their flags from "}},
		"a changed pause_dir": {func(w *world) { w.fail("odilo", 2); w.change("DIR/pause", "DIR/new") },
			"pause_dir", bot.Fail, []string{"pause_dir was changed", "run `adfbot restore --config "}},
		"a changed gitea.url": {func(w *world) { w.fail("odilo", 2); w.change("http://gitea.example", "http://new.example") },
			"gitea", bot.Fail, []string{"gitea.url was changed", "adfbot sweep --confirm-gitea-url --config "}},
		"a project's token that is the one for everything": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/http-token", []byte("one-token-for-everything"), 0o600))
			w.change("projects:", "http:\n  token_file: DIR/http-token\nprojects:", "  - id: odilo\n", "  - id: odilo\n    token_file: DIR/http-token\n")
		}, "http", bot.Fail, []string{"projects[odilo].token_file holds the token of http.token_file", "give the project one of its own"}},
		"a webhook's secret that is the token for everything": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/http-token", []byte("one-token-for-everything"), 0o600))
			w.change("projects:", "http:\n  listen: 127.0.0.1:0\n  token_file: DIR/http-token\n  webhook_secret_file: DIR/http-token\nprojects:")
		}, "http", bot.Warn, []string{"http.webhook_secret_file holds the token of http.token_file", "`openssl rand -hex 32`"}},
		"a token that is the one for Gitea": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/token", []byte(token), 0o600))
			w.change("projects:", "http:\n  listen: 127.0.0.1:0\n  token_file: DIR/token\nprojects:")
		}, "http", bot.Warn, []string{"http.token_file holds the bot's token for Gitea, so whoever sends it may act as the bot there", "`openssl rand -hex 32`"}},
		"a project's token that is the one for Gitea": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/token", []byte(token), 0o600))
			w.change("projects:", "http:\n  listen: 127.0.0.1:0\nprojects:", "  - id: odilo\n", "  - id: odilo\n    token_file: DIR/token\n")
		}, "http", bot.Warn, []string{"projects[odilo].token_file holds the bot's token for Gitea"}},
		"a webhook's secret that is the token for Gitea": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/token", []byte(token), 0o600))
			w.change("projects:", "http:\n  listen: 127.0.0.1:0\n  webhook_secret_file: DIR/token\nprojects:")
		}, "http", bot.Warn, []string{"http.webhook_secret_file holds the bot's token for Gitea"}},
		"a token without a listener": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/http-token", []byte("one-token-for-everything"), 0o600))
			w.change("projects:", "http:\n  token_file: DIR/http-token\nprojects:")
		}, "http", bot.Warn, []string{"http.token_file has no effect without http.listen"}},
		"a webhook without a listener": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/secret", []byte("one-secret-of-the-webhook"), 0o600))
			w.change("projects:", "http:\n  webhook_secret_file: DIR/secret\nprojects:")
		}, "http", bot.Warn, []string{"http.webhook_secret_file has no effect without http.listen"}},
		"users without a socket": {func(w *world) { w.change("  - id: odilo\n", "  - id: odilo\n    users: ['1000']\n") },
			"http", bot.Warn, []string{"projects[odilo].users has no effect without http.socket"}},
		"closings that resume, and nobody may": {func(w *world) { w.change("projects:", "on_issue_closed: resume\nprojects:") },
			"http", bot.Warn, []string{"on_issue_closed: resume has no effect without operators"}},
		"a token that can be guessed": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/http-token", []byte("short"), 0o600))
			w.change("projects:", "http:\n  listen: 127.0.0.1:0\n  token_file: DIR/http-token\nprojects:")
		}, "http", bot.Warn, []string{"http.token_file: a token of less than 16 characters can be guessed"}},
		"a socket in a directory that is not there": {func(w *world) { w.change("projects:", "http:\n  socket: DIR/run/adfbot.sock\nprojects:") },
			"http", bot.Fail, []string{"http.socket: ", "/run is missing: create it for the daemon's user"}},
		"a file in place of the socket": {func(w *world) {
			w.Write(w.Dir+"/adfbot.sock", "kept")
			w.change("projects:", "http:\n  socket: DIR/adfbot.sock\nprojects:")
		}, "http", bot.Fail, []string{"http.socket: ", "adfbot.sock exists and is no socket: move it away"}},
		"a socket of another program": {func(w *world) {
			l, err := net.Listen("unix", w.Dir+"/s")
			require.NoError(w, err)
			w.Cleanup(func() { _ = l.Close() })
			go closeAll(l)
			w.change("projects:", "http:\n  socket: DIR/s\nprojects:")
		}, "http", bot.Fail, []string{"http.socket: ", "is in use by another process, which is not adfbot"}},
		"a socket of a program that is stopped": {func(w *world) {
			l, err := net.Listen("unix", w.Dir+"/s")
			require.NoError(w, err)
			w.Cleanup(func() { _ = l.Close() })
			w.change("projects:", "http:\n  socket: DIR/s\nprojects:")
		}, "http", bot.Fail, []string{"/s is in use, and nothing answers there in 3s: if the daemon was stopped or hangs, continue or restart it; else end what listens there, or set another path"}},
		"an address of a program that is stopped": {func(w *world) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(w, err)
			w.Cleanup(func() { _ = l.Close() })
			w.change("projects:", "http:\n  listen: "+l.Addr().String()+"\nprojects:")
		}, "http", bot.Fail, []string{"address already in use, and nothing answers there in 3s: if the daemon was stopped or hangs, continue or restart it; else end what listens there " +
			"(`ss -ltnp`, run as root, shows it), or set another port"}},
		"an address of another program": {func(w *world) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(w, err)
			w.Cleanup(func() { _ = l.Close() })
			go closeAll(l)
			w.change("projects:", "http:\n  listen: "+l.Addr().String()+"\nprojects:")
		}, "http", bot.Fail, []string{"http.listen: ", "address already in use, and it is not adfbot: `ss -ltnp`, run as root, shows the process"}},
		"an address of another machine": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/http-token", []byte("one-token-for-everything"), 0o600))
			w.change("projects:", "http:\n  listen: 192.0.2.1:9753\n  token_file: DIR/http-token\nprojects:")
		}, "http", bot.Fail, []string{"http.listen: ", "192.0.2.1", "use an address of this machine"}},
		"a name that has no address": {func(w *world) {
			require.NoError(w, os.WriteFile(w.Dir+"/http-token", []byte("one-token-for-everything"), 0o600))
			w.change("projects:", "http:\n  listen: no..name:9753\n  token_file: DIR/http-token\nprojects:")
		}, "http", bot.Fail, []string{"http.listen: ", "no..name", "use an address of this machine"}},
		"a result in the spool": {func(w *world) {
			r := failure("odilo")
			r.RunID = "r"
			_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
			require.NoError(w, err)
		}, "spool", bot.Warn, []string{"1 result not recorded yet; the next sweep does it"}},
		"a damaged file in the spool": {func(w *world) {
			require.NoError(w, os.WriteFile(w.cfg.State+".d/spool/garbage.json", nil, 0o600))
		}, "spool", bot.Warn, []string{"garbage.json, it stays there: unexpected end of JSON input", "move it away"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fail("odilo", 1)
			c.do(w)
			all := bot.Check(ctx, w.cfg, false, w.env())
			text := findingOf(t, all, c.what, c.level)
			for _, want := range c.wants {
				require.Contains(t, text, want)
			}
			require.NotContains(t, fmt.Sprint(all), token)
		})
	}
}

// closeAll accepts connections and says nothing.
func closeAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

// An address or a socket that serve listens on is no finding.
func TestCheckBesideDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir, err := os.MkdirTemp("", "adfbot-") // the path of a socket has to be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var listeners [2]net.Listener
	for n, at := range []struct{ network, addr string }{{"tcp", "127.0.0.1:0"}, {"unix", dir + "/s"}} {
		listeners[n], err = net.Listen(at.network, at.addr)
		require.NoError(t, err)
		daemon := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })}
		go func() { _ = daemon.Serve(listeners[n]) }()
		t.Cleanup(func() { _ = daemon.Close() })
	}
	w.change("projects:", "http:\n  listen: "+listeners[0].Addr().String()+"\n  socket: "+dir+"/s\nprojects:")
	for _, f := range bot.Check(ctx, w.cfg, true, w.env()) {
		require.NotEqual(t, "http", f.What, f.Text)
	}
}

// The daemon may use a port below 1024 by a right of its unit, which who runs check does not have.
func TestCheckBesideDaemonOnPrivilegedPort(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to listen there, and to become another user")
	first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if n, _ := strconv.Atoi(strings.TrimSpace(string(first))); err != nil || n < 1024 {
		t.Skip("everybody may use all ports here")
	}
	w := worldIn(t, testhost.PublicDir(t))
	l, err := net.Listen("tcp", "127.11.12.13:2")
	require.NoError(t, err)
	daemon := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })}
	served := make(chan error, 1)
	go func() { served <- daemon.Serve(l) }()
	w.change("projects:", "http:\n  listen: "+l.Addr().String()+"\nprojects:")
	check := func() string {
		out, err := w.command(child{Do: "check", UID: testhost.Nobody}).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.NotContains(t, check(), "http.listen")
	require.NoError(t, daemon.Close())
	<-served
	require.Contains(t, check(), "permission denied: use a port from 1024 on, or, in a unit of the system, add AmbientCapabilities=CAP_NET_BIND_SERVICE, and the "+
		"same to CapabilityBoundingSet= if it has that")
}

// A configured login is enough where the token may not read its own.
func TestCheckWithConfiguredLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gitea.RevokeToken(token)
	w.Gitea.AddToken(testworld.Bot, token, "write:issue")
	w.change("  repo:", "  login: adf-bot\n  repo:")
	require.Empty(t, w.fails())
	require.Contains(t, w.finding("account", bot.OK), "adf-bot, from gitea.login")
	require.Contains(t, w.finding("repository", bot.OK), "terraphim/adf-fleet, 0 open issues of adf-bot")
}

// What fails does not end the check, unless all the rest would fail alike.
func TestCheckGoesOn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault giteatest.Fault
		want  []string // the findings of Gitea
	}{
		"the version is refused":     {giteatest.Fault{Match: giteatest.PathHas("/version"), Do: giteatest.Refuse(403, "no")}, []string{"warn gitea", "ok account", "ok repository"}},
		"the version fails":          {giteatest.Fault{Match: giteatest.PathHas("/version"), Do: giteatest.Status(500, `{}`)}, []string{"FAIL gitea", "ok account", "ok repository"}},
		"the account cannot be read": {giteatest.Fault{Match: giteatest.PathHas("/user"), Do: giteatest.Status(500, `{}`)}, []string{"ok gitea", "FAIL account", "ok repository"}},
		"the account's scope":        {giteatest.Fault{Match: giteatest.PathHas("/user"), Do: giteatest.Status(403, `{}`)}, []string{"ok gitea", "FAIL account", "ok repository"}},
		"the token is wrong":         {giteatest.Fault{Match: giteatest.PathHas("/user"), Do: giteatest.Status(401, `{}`)}, []string{"ok gitea", "FAIL account"}},
		"a login page":               {giteatest.Fault{Do: giteatest.HTML()}, []string{"FAIL gitea"}},
		"no Gitea":                   {giteatest.Fault{Do: giteatest.Status(404, "not here", "Content-Type", "text/plain")}, []string{"FAIL gitea"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Gitea.Inject(tt.fault)
			got := []string{}
			for _, f := range bot.Check(ctx, w.cfg, false, w.env()) {
				if f.What == "gitea" || f.What == "account" || f.What == "repository" {
					got = append(got, string(f.Level)+" "+f.What)
				}
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// Other repositories are checked even if one is missing.
func TestCheckOfTwoRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("    threshold: 2\n", "    threshold: 2\n    repo: other\n")
	w.Gitea.DeleteRepo(repo)
	require.Contains(t, w.finding("repository", bot.Fail), "terraphim/adf-fleet")
	require.Contains(t, w.finding("repository", bot.OK), "terraphim/other, 0 open issues of adf-bot")
}

// Rights to code say nothing about rights to issues.
func TestCheckOfTeamThatMayWriteIssuesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Read)
	w.Gitea.SetIssuePermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Write)
	require.Contains(t, w.finding("repository", bot.OK), "terraphim/adf-fleet, 0 open issues of adf-bot")
	require.Empty(t, w.Gitea.Issues(repo))
}

// systemd's RuntimeDirectory= makes no directory anywhere else.
func TestMakeSocketDir(t *testing.T) {
	t.Parallel()
	for dir, unit := range map[string]string{
		"/run/adfbot":           "adfbot",
		"/run/adfbot/a":         "adfbot/a",
		"/var/run/adfbot":       "adfbot",
		"/run/user/1000/adfbot": "adfbot",
		"/srv/adfbot":           "",
		"/srv/run/adfbot":       "",
		"/runs/adfbot":          "",
		"/run":                  "",
	} {
		want := "create it for the daemon's user"
		if unit != "" {
			want = "start the daemon by a unit with RuntimeDirectory=" + unit + ", or " + want
		}
		require.Equal(t, want, bot.MakeSocketDir(dir, ""), dir)
	}
	require.Equal(t, "start the daemon by a unit of the system with RuntimeDirectory=adfbot, or create it for the daemon's user; a unit of a user's own makes "+
		"/run/user/1000/adfbot: if it is started by one, set `http.socket` to a path in that",
		bot.MakeSocketDir("/run/adfbot", "/run/user/1000"))
	require.Equal(t, "start the daemon by a unit with RuntimeDirectory=adfbot, or create it for the daemon's user",
		bot.MakeSocketDir("/run/user/1000/adfbot", "/run/user/1000"))
}

// A chmod of a user's runtime directory is gone at the next boot.
func TestLetIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, "run chmod o+x '/srv/a b'", bot.LetIn("/srv/a b"))
	require.Equal(t, "run chmod o+x /run/user/1000/adfbot", bot.LetIn("/run/user/1000/adfbot"))
	require.Equal(t, "systemd makes it anew at each boot: set `http.socket` to a path elsewhere", bot.LetIn("/run/user/1000"))
}

// The findings name the missing chown and chmod.
// A directory of its own for what belongs to the host is checked like one that serve and the first result have to make.
func TestCheckLocalDirAsAnotherUser(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := testhost.PublicDir(t)
	w := worldIn(t, dir)
	require.NoError(t, os.Chmod(filepath.Dir(w.cfg.PauseDir), 0o777))
	require.NoError(t, os.Mkdir(dir+"/state", 0o777))
	require.NoError(t, os.Chmod(dir+"/state", 0o777))
	roots := dir + "/roots"
	require.NoError(t, os.Mkdir(roots, 0o755))
	run := func() string {
		out, err := w.command(child{Do: "check", UID: testhost.Nobody}).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.NotContains(t, run(), "FAIL state")
	w.change("state:", "local_dir: "+roots+"/local\nstate:")
	require.Contains(t, run(), "FAIL local_dir cannot create "+roots+"/local: ")
	w.change(roots+"/local", roots)
	require.Contains(t, run(), "FAIL local_dir "+roots+": nobody may not write it (drwxr-xr-x, owner root)")
	require.NoError(t, os.Chmod(roots, 0o777))
	require.Contains(t, run(), "ok local_dir "+roots)
}

func TestCheckAsAnotherUser(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := testhost.PublicDir(t)
	w := worldIn(t, dir)
	w.fail("odilo", 3)
	run := func() string {
		out, err := w.command(child{Do: "check", UID: testhost.Nobody}).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.NoError(t, os.Chmod(filepath.Dir(w.cfg.State), 0o755))
	require.NoError(t, os.Chmod(w.cfg.PauseDir, 0o755))
	state := filepath.Dir(w.cfg.State)
	require.Contains(t, run(), "FAIL state "+state+": nobody may not write it (drwxr-xr-x, owner root): run it as the bot's user; if that is nobody, run chown -R nobody "+state)
	require.NotContains(t, run(), "chmod", "nobody is not in its group")
	require.NoError(t, os.Chown(state, 0, testhost.Nobody))
	require.Contains(t, run(), "run chown -R nobody "+state+", or let its group write it with chmod g+rwX "+state)
	require.NotContains(t, run(), "see `adfbot check`", "this is it")
	require.NoError(t, os.Chmod(state, 0o700))
	require.Contains(t, run(), "FAIL state "+state+": nobody may not write it (drwx------, owner root): run it as the bot's user; if that is nobody, run chown -R nobody "+state)
	require.Equal(t, 1, strings.Count(run(), "FAIL state"), "what lies in it can't be seen")
	require.NoError(t, os.Chmod(state, 0o755))
	require.Contains(t, run(), "FAIL pause_dir "+w.cfg.PauseDir+": nobody may not write it (drwxr-xr-x, owner root): run it as the bot's user; if that is nobody, run chown nobody "+w.cfg.PauseDir)

	require.NoError(t, filepath.WalkDir(filepath.Dir(w.cfg.State), func(p string, e os.DirEntry, err error) error {
		if e.IsDir() {
			return os.Chmod(p, 0o777)
		}
		return os.Chmod(p, 0o666)
	}))
	require.NotContains(t, run(), "FAIL state")
	require.NoError(t, os.Chmod(state, 0o755)) // its files may be written, and SQLite makes more
	require.Contains(t, run(), "FAIL state "+state+": nobody may not write it (drwxr-xr-x, owner root): run it as the bot's user; if that is nobody, run chown -R nobody "+state)
	require.NotContains(t, run(), "attempt to write")
	require.NoError(t, os.Chmod(state, 0o777))
	locks := filepath.Join(w.cfg.State+".d", "locks")
	require.NoError(t, os.Chmod(locks, 0o644))
	require.Contains(t, run(), "FAIL state "+locks+": nobody may not write it (-rw-r--r--, owner root): run it as the bot's user; if that is nobody, run chown nobody "+locks)
	require.NoError(t, os.Chmod(locks, 0o666))
	for _, name := range []string{"runs", "spool", ""} {
		path := filepath.Join(w.cfg.State+".d", name)
		require.NoError(t, os.Chmod(path, 0o755))
		require.Contains(t, run(), "FAIL state "+path+": nobody may not write it (drwxr-xr-x, owner root): run it as the bot's user; if that is nobody, run chown -R nobody "+path)
		require.NoError(t, os.Chmod(path, 0o777))
	}
	require.NoError(t, syscall.Chmod(w.cfg.PauseDir, 0o700))
	require.Contains(t, run(), "FAIL pause_dir "+w.cfg.PauseDir+": nobody may not write it (drwx------, owner root): "+
		"run it as the bot's user; if that is nobody, run install -d -g "+hostlocal.SharedGroup(state)+" -m 2775 -o nobody "+w.cfg.PauseDir)
}

// A project that was removed from the configuration and added again goes on with the count that it had.
func TestCheckOfCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 2 {
		r := failure("odilo")
		r.Finished = w.now()
		w.record(r)
	}
	before := w.yaml
	w.change("  - id: odilo\n", "")
	w.pass(50 * day)
	require.Equal(t, 0, w.counted())
	w.configure(before)
	require.Equal(t, "odilo: 2 failures in a row, the last one on 2026-11-23 12:00 UTC; it is paused at 3", w.finding("projects", bot.OK))
	w.fail("odilo", 1)
	require.Equal(t, 0, w.counted(), "it is paused")
}

// With many of them, what is wrong must not scroll away.
func TestCheckCountsOfMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("  - id: odilo\n", "  - {id: many-4, threshold: 5}\n  - {match: many-*}\n  - id: odilo\n")
	for n := range 4 {
		w.record(failure(fmt.Sprint("many-", n)))
	}
	for range 4 {
		w.record(failure("many-4"))
	}
	require.Contains(t, bot.Check(ctx, w.cfg, true, w.env()), bot.Finding{Level: bot.OK, What: "projects",
		Text: "many-4, many-0, many-1 and 2 more count failures in a row already: `adfbot status` shows them"})
	w.change("threshold: 5", "threshold: 4")
	require.Equal(t, "many-4: 4 failures in a row, the last one on 2026-11-23 12:00 UTC; it is paused at the next failure", w.finding("projects", bot.Warn))
}

// counted is how many findings are about the counts of projects.
func (w *world) counted() (n int) {
	for _, f := range bot.Check(ctx, w.cfg, true, w.env()) {
		if f.What == "projects" {
			n++
		}
	}
	return n
}

// A threshold that is lowered below the count takes effect with the next failure.
func TestLoweredThreshold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("  - id: odilo", "  - id: odilo\n    threshold: 5")
	w.fail("odilo", 3)
	require.Empty(t, w.project("odilo").Warnings)
	w.change("threshold: 5", "threshold: 2")
	require.Equal(t, []string{"3 failures in a row, and its threshold is 2 now: it trips at the next failure"}, w.project("odilo").Warnings)
	require.Contains(t, w.finding("projects", bot.Warn), "odilo: 3 failures in a row")
	require.Contains(t, w.finding("projects", bot.Warn), "it is paused at the next failure")
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		text, err := b.Describe(ctx, "odilo")
		require.NoError(t, err)
		require.Contains(t, text, "it trips at the next failure")
	})
	w.fail("odilo", 1)
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.Empty(t, p.Warnings)
	w.change("threshold: 2", "threshold: 3")
	w.Remove(w.flag("odilo")) // which no sweep has noticed yet
	require.NotContains(t, strings.Join(w.project("odilo").Warnings, ""), "next failure")
}

// A person who is not the bot's user is told to run it as that user, and nothing that would be wrong for the bot.
// What another account may do says nothing about the bot, whether the account is of a directory service or a service's own.
func TestCheckAsAnotherAccount(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 3)
	const bot = 990
	for _, dir := range []string{filepath.Dir(w.cfg.State), w.cfg.PauseDir} {
		require.NoError(t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error { return os.Chown(p, bot, bot) }))
	}
	require.NoError(t, os.Chmod(filepath.Dir(w.cfg.State), 0o700))
	require.NoError(t, os.Mkdir(w.Dir+"/etc", 0o755))
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\n")
	for _, uid := range []int{991, 1_860_001_234} {
		out := w.checkAmong(uid)
		require.Contains(t, out, "FAIL user #"+fmt.Sprint(uid)+" may not write "+w.cfg.State+", in the directory of #990: run it as #990")
		require.NotContains(t, out, "chown")
	}
}

// checkAmong checks as one of the users of a user database in the world's directory etc.
func (w *world) checkAmong(uid int, scripts ...string) string {
	w.Helper()
	return w.among(child{Do: "check", UID: uid}, scripts...)
}

// among runs a child where /etc is that of the test, after scripts.
func (w *world) among(c child, scripts ...string) string {
	w.Helper()
	cmd := w.command(c)
	w.shell(cmd, strings.Join(append(scripts, "mount --bind "+w.Dir+"/etc /etc"), "; "))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	require.NoError(w, err, string(out))
	return string(out)
}

// A disk that comes from another machine has the ids that the bot's user and group had there. Here they may be those of somebody else.
func TestCheckOfAStateFromAnotherMachine(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 1)
	const bot, other, unknown, third, agents = 990, 991, 992, 993, 4993
	require.NoError(t, os.Mkdir(w.Dir+"/etc", 0o755))
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::/nonexistent:/bin/sh\nchrony:x:991:991::/nonexistent:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\nadfbot:x:990:\nchrony:x:991:\ntape:x:993:\nagents:x:4993:\n")
	state := filepath.Dir(w.cfg.State)
	for _, c := range []struct {
		uid, gid int
		owner    string
		state    string
		pause    string
	}{
		{other, other, "chrony", "chown -R adfbot: " + state, "chown -R adfbot: " + w.cfg.PauseDir},
		{unknown, unknown, "#992", "chown -R adfbot: " + state, "chown -R adfbot: " + w.cfg.PauseDir},
		{other, third, "chrony", "chown -R adfbot: " + state, "chown -R adfbot: " + w.cfg.PauseDir},
		{other, agents, "chrony", "chown -R adfbot " + state, "install -d -g agents -m 2775 -o adfbot " + w.cfg.PauseDir},
	} {
		for dir, mode := range map[string]os.FileMode{state: 0o770, w.cfg.PauseDir: 0o775} {
			require.NoError(t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error { return os.Chown(p, c.uid, c.gid) }))
			require.NoError(t, os.Chmod(dir, mode))
		}
		out := w.checkAmong(bot)
		require.Contains(t, out, "FAIL state "+state+": adfbot may not write it (drwxrwx---, owner "+c.owner+"): run "+c.state+"\n")
		require.Contains(t, out, "FAIL pause_dir "+w.cfg.PauseDir+": adfbot may not write it (drwxrwxr-x, owner "+c.owner+"): run "+c.pause+"\n")
		require.NotContains(t, out, "run it as")
	}
}

// A person has made one of the two directories again, and gives it to the bot: members of the group need both where they may write the other one.
func TestCheckOfADirectoryThatAPersonMade(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 1)
	const bot, admin = 990, 4993
	require.NoError(t, os.Mkdir(w.Dir+"/etc", 0o755))
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::/nonexistent:/bin/sh\nadmin:x:4993:4993::/nonexistent:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\nadfbot:x:990:\nshare:x:994:\nadmin:x:4993:\n")
	state, flags := filepath.Dir(w.cfg.State), w.cfg.PauseDir
	const shared = os.ModeSetgid | 0o770
	for _, c := range []struct {
		key, made, other string
		group            int
		mode             os.FileMode // of the other directory
		want             string
	}{
		{"pause_dir", flags, state, bot, shared, "chown -R adfbot: " + flags + " && chmod 2775 " + flags},
		{"pause_dir", flags, state, 994, shared, "chown -R adfbot:share " + flags + " && chmod 2775 " + flags},
		{"pause_dir", flags, state, bot, 0o700, "chown -R adfbot: " + flags},
		{"state", state, flags, bot, os.ModeSetgid | 0o775, "chown -R adfbot: " + state + " && chmod 2770 " + state},
		{"state", state, flags, bot, 0o755, "chown -R adfbot: " + state},
	} {
		require.NoError(t, filepath.WalkDir(c.made, func(p string, _ os.DirEntry, err error) error { return os.Chown(p, admin, admin) }))
		require.NoError(t, os.Chmod(c.made, 0o755))
		require.NoError(t, filepath.WalkDir(c.other, func(p string, _ os.DirEntry, err error) error { return os.Chown(p, bot, c.group) }))
		require.NoError(t, os.Chmod(c.other, c.mode))
		require.Contains(t, w.checkAmong(bot), "FAIL "+c.key+" "+c.made+": adfbot may not write it (drwxr-xr-x, owner admin): run "+c.want+"\n")
	}
}

// Docker makes a directory for root that is mounted into a container. The bot's user there could not restore the flags in it.
func TestCheckOfALostPauseDirInAContainer(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 3)
	const image = 65532
	require.NoError(t, os.Mkdir(w.Dir+"/etc", 0o755))
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nadfbot:x:65532:65532::/nonexistent:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\nadfbot:x:65532:\n")
	require.NoError(t, filepath.WalkDir(filepath.Dir(w.cfg.State), func(p string, _ os.DirEntry, err error) error { return os.Chown(p, image, image) }))
	require.NoError(t, os.RemoveAll(w.cfg.PauseDir))
	require.NoError(t, os.Mkdir(w.cfg.PauseDir, 0o755))
	const give = ": adfbot may not write it (drwxr-xr-x, owner root): chown -R it to uid 65532; for a container, where it is mounted from\n"
	const container = "mount -t tmpfs none /run; mkdir -p /run/bin; cp /bin/mount /run/bin; PATH=/run/bin"
	require.Contains(t, w.checkAmong(image, container), "; creating only the sentinel would resume them\n"+w.cfg.PauseDir+give)
	machine := w.checkAmong(image, "mount -t tmpfs none /run; mkdir -p /run/systemd/system")
	require.Contains(t, machine, "install -d -o adfbot -g adfbot -m 755 "+w.cfg.PauseDir+" && ", "an account of a machine may have such a number, too")
	require.NotContains(t, machine, "container")
	require.NoError(t, os.Chown(w.cfg.PauseDir, image, image))
	require.NotContains(t, w.checkAmong(image, container), "chown")

	restore := func(run string) string { return w.among(child{Do: "restore", UID: image}, run) }
	require.Contains(t, restore(container), "is restored; paused again: odilo")
	require.Contains(t, restore(container), "the container goes on with the one from before: remove .adfbot from the new one, if it is there, restart the container")
	require.NotContains(t, restore("mount -t tmpfs none /run; mkdir -p /run/systemd/system"), "container")
}

// Members of the group need both directories in the shared setup. In the separated one the directory of the state is closed to them.
func TestCheckOfADirectoryClosedToMembers(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 1)
	const bot, person, share = 990, 4993, 994
	require.NoError(t, os.Mkdir(w.Dir+"/etc", 0o755))
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::/nonexistent:/bin/sh\nalex:x:4993:4993::/nonexistent:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\nadfbot:x:990:\nshare:x:994:\nalex:x:4993:\n")
	state, flags := filepath.Dir(w.cfg.State), w.cfg.PauseDir
	noFlag := "warn pause_dir " + flags + " is closed to the group that may write the directory of the state, so its members can write no flag, pause or resume: run "
	noResult := "warn state " + state + " is closed to the group that may write the pause directory, so its members cannot record results: run "
	check := func(user, stateGroup int, stateMode os.FileMode, flagsGroup int, flagsMode os.FileMode) string {
		for dir, group := range map[string]int{state: stateGroup, flags: flagsGroup} {
			require.NoError(t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error { return os.Chown(p, user, group) }))
		}
		require.NoError(t, os.Chmod(state, stateMode))
		require.NoError(t, os.Chmod(flags, flagsMode))
		return w.checkAmong(user)
	}
	const open, openFlags, closed, closedFlags = os.ModeSetgid | 0o770, os.ModeSetgid | 0o775, 0o700, 0o755
	require.Contains(t, check(bot, bot, open, bot, closedFlags), noFlag+"chmod 2775 "+flags+"\n")
	require.Contains(t, check(bot, share, open, bot, closedFlags), noFlag+"chgrp share "+flags+" && chmod 2775 "+flags+"\n")
	require.Contains(t, check(bot, bot, closed, bot, openFlags), noResult+"chmod 2770 "+state+"; in the separated setup, run chmod 755 "+flags+" instead\n")
	// Root has put a copy there, and has then given it to the bot's user alone.
	require.Contains(t, check(bot, 0, open, bot, openFlags), "warn state "+state+" is open to the group root, not to adfbot, which may write the pause directory, "+
		"so its members cannot record results: run chgrp -R adfbot "+state+"\n")
	require.Contains(t, check(bot, bot, open, 0, openFlags), "warn pause_dir "+flags+" is open to the group root, not to adfbot, which may write the directory of the state, "+
		"so its members can write no flag, pause or resume: run chgrp -R adfbot "+flags+"\n")
	require.NotContains(t, check(bot, share, open, share, openFlags), "is open to the group")
	const none = " is closed to the group that may write the "
	require.NotContains(t, check(bot, bot, closed, share, openFlags), none, "who may remove flags need not be those who report")
	require.NotContains(t, check(bot, bot, closed, bot, closedFlags), none, "the separated setup")
	for _, user := range []int{0, person} {
		require.NotContains(t, check(user, user, open, user, closedFlags), none+"directory of the state, so its members can write no flag")
		require.NotContains(t, check(user, user, closed, user, openFlags), none)
	}
	// A person may be the bot's user for the jobs of others, who are in the person's group.
	users := func(home, members string) {
		w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nalex:x:4993:4993::"+home+":/bin/sh\n")
		w.Write(w.Dir+"/etc/group", "root:x:0:\nalex:x:4993:"+members+"\n")
	}
	const closedToGroup = " is closed to the group alex, so its members cannot "
	users("/home/alex", "agents")
	require.Contains(t, check(person, person, closed, person, closedFlags), "warn state "+state+closedToGroup+"record results: run chgrp -R alex "+state+" && chmod 2770 "+state+"\n")
	require.Contains(t, check(person, person, open, person, 0o700), "warn pause_dir "+flags+" is closed to other users, whose gate and exec cannot tell what is paused: run chmod ")
	users("/home/alex", "")
	require.NotContains(t, check(person, person, closed, person, 0o700), " is closed to ", "nobody else is in the group")
	users(w.Dir, "agents")
	require.NotContains(t, check(person, person, closed, person, 0o700), " is closed to ", "it is at home")
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::/nonexistent:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\nadfbot:x:990:\n")
	w.change("projects:", "http:\n  socket: "+w.Dir+"/s\nprojects:")
	require.Contains(t, check(bot, bot, closed, bot, openFlags), none, "nobody may report through the daemon")
	w.change("  - id: odilo\n", "  - id: odilo\n    users: [\"4712\"]\n")
	require.NotContains(t, check(bot, bot, closed, bot, openFlags), none, "agents report through the daemon")
}

// A member of the bot's group who has recorded the first result owns local_dir, which tells whose the bot is once the state has moved. Whoever
// missed what migrate says of that leaves it to them to close it.
func TestCheckOfAnOwnDirectoryOfAPerson(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 1)
	const bot, agents = 990, 4993
	require.NoError(t, os.Mkdir(w.Dir+"/etc", 0o755))
	w.Write(w.Dir+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nadfbot:x:990:990::/nonexistent:/bin/sh\nagents:x:4993:4993::/nonexistent:/bin/sh\n")
	w.Write(w.Dir+"/etc/group", "root:x:0:\nadfbot:x:990:agents\nagents:x:4993:\n")
	state := filepath.Dir(w.cfg.State)
	check := func(owner int, mode os.FileMode, uid int) string {
		require.NoError(t, filepath.WalkDir(state, func(p string, _ os.DirEntry, err error) error {
			require.NoError(t, os.Chown(p, owner, bot))
			return os.Chmod(p, mode)
		}))
		return w.checkAmong(uid)
	}
	const takeOver = "warn user "
	require.Contains(t, check(agents, 0o770, bot), takeOver+state+" belongs to agents, who is not the bot's user: run chown -R adfbot "+state+" as root\n")
	require.NotContains(t, check(bot, 0o770, bot), takeOver)
	require.NotContains(t, check(agents, 0o770, agents), takeOver, "a person's own installation")
	require.NotContains(t, check(agents, 0o700, bot), takeOver, "the state is not writable, which says the same")
}

func TestCheckAsPerson(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become other users")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 3)
	const bot, person = 4710, 4712
	for _, dir := range []string{filepath.Dir(w.cfg.State), w.cfg.PauseDir} {
		require.NoError(t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error { return os.Chown(p, bot, bot) }))
	}
	check := func(uid int) string {
		out, err := w.command(child{Do: "check", UID: uid}).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	for mode, whose := range map[os.FileMode]string{0o755: "which belongs to", 0o700: "in the directory of"} {
		require.NoError(t, os.Chmod(filepath.Dir(w.cfg.State), mode))
		out := check(person)
		require.Contains(t, out, "FAIL user #4712 may not write "+w.cfg.State+", "+whose+" #4710: run it as #4710")
		require.NotContains(t, out, "chown")
		require.Equal(t, 1, strings.Count(out, "FAIL"))
	}
	require.NotContains(t, check(bot), "FAIL state")

	// A member of the bot's group may write the state, and the token is none of its business.
	require.NoError(t, filepath.WalkDir(filepath.Dir(w.cfg.State), func(p string, _ os.DirEntry, err error) error { return os.Chmod(p, 0o777) }))
	w.Write(w.Dir+"/token", token)
	require.NoError(t, os.Chmod(w.Dir+"/token", 0o600))
	require.NoError(t, os.Chown(w.Dir+"/token", bot, bot))
	w.change("token_env: BOT_TOKEN", "token_file: DIR/token")
	require.Contains(t, check(person), "FAIL token open "+w.Dir+"/token: permission denied: the file belongs to #4710: run it as #4710\n")
	w.change("gitea:", "http: {webhook_secret_file: DIR/token}\ngitea:")
	require.Contains(t, check(person), "FAIL http open "+w.Dir+"/token: permission denied: the file belongs to #4710: run it as #4710\n")

	// Run as the owner of a file, check would say nothing about the bot, who may have an id like a person's: the image's has.
	require.NoError(t, os.Chown(w.Dir+"/token", 0, 0))
	out := check(bot)
	require.Contains(t, out, "uid 4710 cannot read it: it belongs to uid 0: run adfbot as the bot's user; if that is uid 4710, run chown 4710 "+w.Dir+"/token\n")
	require.NotContains(t, out, "run it as root")

	require.NoError(t, os.Chown(w.cfg.State, 0, 0)) // by mistake
	require.NoError(t, os.Chmod(w.cfg.State, 0o644))
	require.Contains(t, check(person), "FAIL user #4712 may not write "+w.cfg.State+", in the directory of #4710: run it as #4710")
	for _, path := range []string{filepath.Dir(w.cfg.State), w.cfg.State} {
		require.NoError(t, os.Chown(path, 0, 0))
		require.NoError(t, os.Chmod(path, 0o755))
	}
	out = check(person)
	require.Contains(t, out, "(drwxr-xr-x, owner root): run it as root, or as the bot's user; if that may not write it either, chown it to that user")
	require.NotContains(t, out, "chown #4712")
}

// Jobs of other users ask the gate: the directory and those above it must be open to them.
func TestCheckPauseDirectoryClosedToOthers(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give the state to a user of a service")
	w := newWorld(t)
	w.fail("odilo", 1)
	require.NoError(t, os.Chown(filepath.Dir(w.cfg.State), 997, 997))
	require.NoError(t, os.Chmod(filepath.Dir(w.Dir), 0o755)) // by testing it is closed
	require.NotContains(t, w.finding("pause_dir", bot.OK), "chmod")
	above := w.Dir + "/above it"
	require.NoError(t, os.Mkdir(above, 0o700))
	require.NoError(t, os.Rename(w.cfg.PauseDir, above+"/pause"))
	w.change("DIR/pause", "DIR/above it/pause")
	require.Contains(t, w.finding("pause_dir", bot.Warn), "chmod go+x '"+above+"'")
	require.NoError(t, os.Chmod(above, 0o711))
	require.NoError(t, os.Chmod(above+"/pause", 0o750))
	require.Contains(t, w.finding("pause_dir", bot.Warn), "chmod o+rx '"+above+"/pause'")
	require.NoError(t, os.Chmod(above+"/pause", 0o705)) // to members of its group, such as agents
	require.Contains(t, w.finding("pause_dir", bot.Warn), "chmod go+rx '"+above+"/pause'")
}

// No directory of the system is given to the bot: it needs one of its own.
func TestCheckOfMissingDirectories(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := testhost.PublicDir(t)
	w := worldIn(t, dir)
	run := func() string {
		out, err := w.command(child{Do: "check", UID: testhost.Nobody}).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.NoError(t, os.Chmod(dir, 0o755))
	state, flags := filepath.Join(dir, "none", "state"), filepath.Join(dir, "none", "flags")
	w.change("DIR/state", state, "DIR/pause", flags)
	require.Contains(t, run(), state+" is missing, and nobody may not make it: run it as the bot's user; if that is nobody, run as root: install -d -o nobody "+state)
	require.Contains(t, run(), flags+" is missing, and nobody may not make it: run it as the bot's user; if that is nobody, run as root: install -d -o nobody "+flags)

	person, err := w.command(child{Do: "check", UID: 4711}).CombinedOutput()
	require.NoError(t, err, string(person))
	require.Contains(t, string(person), state+" is missing, and #4711 may not make it: run it as the bot's user; if that is #4711, run as root: install -d -o 4711 "+state)

	nameless, err := w.command(child{Do: "check", UID: 471}).CombinedOutput()
	require.NoError(t, err, string(nameless))
	require.Contains(t, string(nameless), "run as root: install -d -o 471 "+state)

	// In the shared setup, members of a group write both directories.
	earlier := newWorld(t)
	earlier.fail("odilo", 1)
	require.NoError(t, os.Mkdir(filepath.Dir(state), 0o755))
	for missing, shared := range map[string]struct{ there, mode string }{state: {flags, "2770"}, flags: {state, "2775"}} {
		require.NoError(t, os.Mkdir(shared.there, 0o755))
		require.NoError(t, os.Chown(shared.there, testhost.Nobody, 4712))
		require.NoError(t, os.Chmod(shared.there, os.ModeSetgid|0o775))
		require.Contains(t, run(), "run as root: install -d -g 4712 -m "+shared.mode+" -o nobody "+missing)
		give := "run chown -R nobody:4712 " + missing + " && chmod " + shared.mode + " " + missing
		require.NoError(t, os.Mkdir(missing, 0o755)) // a disk that is just made
		require.Contains(t, run(), give)
		if missing == state {
			moved, err := os.ReadFile(earlier.cfg.State)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(state+"/adfbot.db", moved, 0o660)) // root has moved it there
			require.NoError(t, os.Chown(state+"/adfbot.db", testhost.Nobody, 4712))
			require.Contains(t, run(), give)
		}
		if missing == flags {
			require.NoError(t, os.WriteFile(flags+"/.adfbot", nil, 0o644)) // root has restored it there
			require.Contains(t, run(), give)
		}
		require.NoError(t, os.RemoveAll(missing))
		require.NoError(t, os.Remove(shared.there))
	}

	disk := filepath.Join(dir, "disk") // a file system of its own, just made
	require.NoError(t, os.MkdirAll(filepath.Join(disk, "lost+found"), 0o700))
	require.NoError(t, os.Chmod(disk, 0o755))
	w.change(state+"/", disk+"/")
	require.Contains(t, run(), "nobody may not write it (drwxr-xr-x, owner root): run it as the bot's user; if that is nobody, run chown nobody "+disk)

	w.change(disk+"/", dir+"/")
	require.Contains(t, run(), "nobody may not write "+dir+", which holds other files: set `state` to a file in a directory of its own")
	require.NotContains(t, run(), "chown nobody")
	require.NoError(t, os.WriteFile(dir+"/adfbot.db", nil, 0o666))
	w.change("projects:", "http:\n  socket: "+dir+"/adfbot.sock\nprojects:")
	require.Contains(t, run(), "http.socket: "+dir+": nobody may not write "+dir+", which holds other files: set `http.socket` to a file in a directory of its own")
	require.NotContains(t, run(), "chown nobody")

	require.NoError(t, os.Remove(dir+"/adfbot.db"))
	require.NoError(t, os.Mkdir(dir+"/adfbot.db", 0o755))
	require.Contains(t, run(), dir+"/adfbot.db is a directory: set `state` to the path of a file in it")
	require.NotContains(t, run(), "chown nobody")
}

// Where the disk of the state is not mounted, the directory below the mount point is not what somebody should give away.
func TestCheckOfStateNotMounted(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to become another user")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 1)
	require.NoError(t, os.Chmod(w.Dir, 0o755))
	state := filepath.Dir(w.cfg.State)
	w.Remove(state)
	require.NoError(t, os.Mkdir(state, 0o755))
	out, err := w.command(child{Do: "check", UID: testhost.Nobody}).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "FAIL state "+w.cfg.State+" is missing, although the pause directory belongs to an installation: "+
		"if its disk is not mounted, mount it; if it is elsewhere, correct `state`; ")
	require.Contains(t, string(out), "; if it is lost, a new one can't be made: nobody may not write it")
}

// What root can read, the daemon may not be able to read.
func TestCheckAsRootOfTheStateOfAnotherUser(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files away")
	w := newWorld(t)
	w.fail("odilo", 1)
	require.NoError(t, os.Chown(filepath.Dir(w.cfg.State), testhost.Nobody, testhost.Nobody))
	require.Contains(t, w.finding("user", bot.Warn), "root may read and write what nobody, the bot's user, may not: run it as nobody")
	state := filepath.Dir(w.cfg.State)
	require.NoError(t, os.Chown(state, 4711, 4711))
	require.Contains(t, w.finding("user", bot.Warn), "the bot's user, may not: run it as #4711")
	require.NoError(t, os.WriteFile(w.Dir+"/sudo", nil, 0o755))
	w.vars["PATH"] = w.Dir
	require.Contains(t, w.finding("user", bot.Warn), "the bot's user, may not: if this machine has no such user, run it in the container that has, "+
		"or give the state to the bot's user: chown -R USER: "+state)
	w.vars["CREDENTIALS_DIRECTORY"] = w.Dir
	for _, f := range bot.Check(ctx, w.cfg, true, w.env()) {
		require.NotEqual(t, "user", f.What)
	}
}

// Where the bot's user may not make a pause directory that was moved, restore is root's, who makes it for them.
func TestCheckMovedPauseDirThatRootMakes(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files away")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 3)
	require.NoError(t, os.Chown(filepath.Dir(w.cfg.State), testhost.Nobody, testhost.Nobody))
	require.NoError(t, os.WriteFile(w.Dir+"/sudo", nil, 0o755))
	w.vars["PATH"] = w.Dir
	w.cfg.PauseDir = testhost.PublicDir(t) + "/pause"
	require.Contains(t, w.finding("pause_dir", bot.Fail), "run `sudo adfbot restore")
	require.NoError(t, os.Mkdir(w.cfg.PauseDir, 0o755))
	require.Contains(t, w.finding("pause_dir", bot.Fail), " -m 755 "+w.cfg.PauseDir+" && sudo -u nobody adfbot restore")
	require.NoError(t, os.Chown(w.cfg.PauseDir, testhost.Nobody, testhost.Nobody))
	require.Contains(t, w.finding("pause_dir", bot.Fail), "run `sudo -u nobody adfbot restore")
}

// The bot could not remove what others put there.
// A copy of the state that was put in its place may have lost the rights of the group: a member then makes a log that nobody else may write.
func TestCheckOfStateClosedToItsGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	dir := filepath.Dir(w.cfg.State)
	local := w.cfg.LocalDir
	require.NoError(t, exec.Command("chmod", "-R", "g+rw", local+"/spool").Run())                           // the reserves
	setgid := " && chmod g+s " + strings.Join([]string{dir, local, local + "/runs", local + "/spool"}, " ") // chmod g+rwX does not set it
	closed := func(first, all string) string {
		return first + " is closed to the group that may write the directory of the state, and so is what its members make beside it: run chmod -R g+rwX " + all + setgid
	}
	for _, c := range []struct {
		dir, file, local, spool os.FileMode
		want                    string
	}{
		{0o770, 0o644, 0o770, 0o770, closed(w.cfg.State, w.cfg.State)},
		{0o770, 0o600, 0o700, 0o700, closed(w.cfg.State, w.cfg.State+" "+local)}, // of a separated setup that becomes a shared one
		{0o770, 0o660, 0o770, 0o700, closed(local+"/spool", local)},
		{0o770, 0o660, 0o770, 0o770, ""},
		{0o750, 0o644, 0o700, 0o700, ""},
	} {
		require.NoError(t, os.Chmod(dir, c.dir))
		require.NoError(t, os.Chmod(w.cfg.State, c.file))
		require.NoError(t, os.Chmod(local, c.local))
		require.NoError(t, os.Chmod(local+"/locks", c.local&0o660))
		require.NoError(t, os.Chmod(local+"/runs", c.local))
		require.NoError(t, os.Chmod(local+"/spool", c.spool))
		if c.want != "" {
			require.Equal(t, c.want, w.finding("state", bot.Warn))
			continue
		}
		for _, f := range bot.Check(ctx, w.cfg, true, w.env()) {
			require.False(t, f.What == "state" && f.Level == bot.Warn, f)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	// Root made the state before the directory was given to the bot's group.
	require.NoError(t, os.Chown(dir, -1, testhost.Nobody))
	require.NoError(t, os.Chmod(dir, 0o770))
	require.NoError(t, os.Chmod(w.cfg.State, 0o660))
	require.NoError(t, os.Chown(w.cfg.State, -1, testhost.Nobody))
	group := hostlocal.SharedGroup(dir)
	require.Contains(t, w.finding("state", bot.Warn), local+" is closed to the group that may write the directory of the state, and so is what its members "+
		"make beside it: run chgrp -R "+group+" "+local+" && chmod -R g+rwX "+local+setgid)
	// Earlier versions let a member keep its own group where the setgid bit is missing.
	for _, path := range []string{local, local + "/runs", local + "/spool"} {
		require.NoError(t, os.Chmod(path, 0o770|os.ModeSetgid))
	}
	require.NoError(t, exec.Command("chgrp", "-R", group, local).Run())
	require.NoError(t, exec.Command("chmod", "-R", "g+rwX", local).Run())
	for _, file := range []string{local + "/runs/1.lock", local + "/spool/000001-r.json"} {
		require.NoError(t, os.WriteFile(file, []byte("{}"), 0o660))
		require.NoError(t, os.Chmod(file, 0o660))
		require.NoError(t, os.Chown(file, 4711, 4711))
		require.Contains(t, w.finding("state", bot.Warn), file+" is closed to the group that may write the directory of the state, so not everybody who runs adfbot "+
			"can read it: run chgrp -R "+group+" "+local+" && chmod -R g+rwX "+local+" && chmod g+s "+dir)
		w.Remove(file)
	}
}

// The state is in PostgreSQL: what its group may not write is in local_dir.
func TestCheckOfLocalDirClosedToItsGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.LocalDir = w.Path("local")
	w.fail("odilo", 1)
	local := w.cfg.LocalDir
	require.NoError(t, os.Chmod(local, 0o770|os.ModeSetgid))
	require.Equal(t, local+"/locks is closed to the group that may write local_dir, so its members cannot record results: run chmod -R g+rwX "+
		strings.Join([]string{local + "/locks", local + "/runs", local + "/spool"}, " ")+" && chmod g+s "+local+"/runs "+local+"/spool",
		w.finding("local_dir", bot.Warn))
}

// The state, which knows whether flags were written, cannot be read. The copy of the sentinel tells that the pause directory was there once.
func TestCheckOfLostPauseDirBesideLostState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 3)
	require.NoError(t, os.Rename(w.cfg.PauseDir, w.Path("unmounted")))
	require.NoError(t, os.WriteFile(w.cfg.State, []byte(strings.Repeat("garbage ", 1000)), 0o600))
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(w.cfg.State + suffix)
	}
	require.Contains(t, w.finding("pause_dir", bot.Fail), "mount the file system it is on")
	require.Contains(t, w.finding("pause_dir", bot.Fail), "the flags of all paused projects again")
	v := bot.Gate(ctx, w.cfg, "odilo")
	w.Remove(w.cfg.State)
	const lost = "the state, which knows what was paused, is missing, too: "
	require.Contains(t, w.finding("pause_dir", bot.Fail), "mount the file system it is on")
	require.Contains(t, w.finding("pause_dir", bot.Fail), lost+w.cfg.State+"; if both are lost, stop the jobs, run adfbot restore, which "+
		"makes them again without any flag, then pause what must not run")
	require.ErrorContains(t, bot.AdviseRestore(ctx, w.cfg, w.env(), v.Err, time.Minute), lost)
	require.Contains(t, w.finding("state", bot.Warn), w.cfg.State+" is missing, although "+w.cfg.LocalDir+" belongs to an installation")
	require.NoError(t, os.Mkdir(w.cfg.PauseDir, 0o755))
	require.Contains(t, w.finding("pause_dir", bot.Fail), "may be unmounted or emptied")
	require.NoError(t, os.Remove(w.cfg.PauseDir))
	require.NoError(t, os.Rename(w.Path("unmounted"), w.cfg.PauseDir))
	require.Contains(t, w.finding("pause_dir", bot.OK), "1 project paused")
}

func TestCheckStickyPauseDirOfAnotherUser(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give files away")
	w := worldIn(t, testhost.PublicDir(t))
	w.fail("odilo", 1)
	require.NoError(t, os.Chown(filepath.Dir(w.cfg.State), testhost.Nobody, testhost.Nobody))
	require.NoError(t, os.Chmod(w.cfg.PauseDir, 0o777|os.ModeSticky))
	require.Contains(t, w.finding("pause_dir", bot.Warn), "has the sticky bit, so nobody cannot remove flags of other users: run chown nobody "+w.cfg.PauseDir)
}

func TestCheckKnownProjectsClosed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	w := newWorld(t)
	w.change("projects:", "projects:\n  - match: '*'")
	w.fail("odilo", 1)
	known := w.cfg.PauseDir + "/" + pause.KnownName
	require.NoError(t, os.MkdirAll(known, 0o755))
	require.NoError(t, os.Chmod(known, 0))
	t.Cleanup(func() { _ = os.Chmod(known, 0o755) })
	found := fmt.Sprint(bot.Check(ctx, w.cfg, true, w.env()))
	require.Contains(t, found, "permission denied")
	require.Contains(t, found, "so gate reports every project of a pattern as unknown: run chmod a+rx "+known+" as its owner, or remove it and run `adfbot sweep`")
}

// Agents are in the group that may write the state: they must not have the token, too.
func TestCheckOfSecretsOpenToAgents(t *testing.T) {
	testhost.NeedRoot(t, "to give files away")
	t.Parallel()
	w := newWorld(t)
	token, secret := w.Path("token"), w.Path("secret")
	w.cfg.Gitea.TokenFile, w.cfg.HTTP.WebhookSecretFile = token, secret
	state := filepath.Dir(w.cfg.State)
	require.NoError(t, os.MkdirAll(state, 0o755))
	require.NoError(t, os.Chown(state, testhost.Nobody, testhost.Nobody))
	for _, file := range []string{token, secret} {
		require.NoError(t, os.WriteFile(file, []byte("0123456789abcdef0123456789abcdef01234567"), 0o640))
		require.NoError(t, os.Chown(file, testhost.Nobody, testhost.Nobody))
	}
	warned := func(what string) (list []string) {
		for _, f := range bot.Check(ctx, w.cfg, true, w.env()) {
			if f.What == what && f.Level == bot.Warn && strings.Contains(f.Text, "may read") {
				list = append(list, f.Text)
			}
		}
		return list
	}
	require.Empty(t, warned("token"), "only the bot is in its group")
	require.NoError(t, os.Chmod(state, 0o770|os.ModeSetgid))
	group := hostlocal.SharedGroup(state)
	const wanted = "%s: the members of the group %s may read %s, also the agents that are in it: run %s, and replace the secret if they should not know it"
	require.Equal(t, []string{fmt.Sprintf(wanted, "gitea.token_file", group, token, "chmod 600 "+token)}, warned("token"))
	require.NoError(t, os.Chown(secret, 0, -1))
	require.Equal(t, []string{fmt.Sprintf(wanted, "http.webhook_secret_file", group, secret, "chown nobody "+secret+" && chmod 600 "+secret)}, warned("http"))
	require.NoError(t, os.Chmod(state, 0o750))
	require.NoError(t, os.MkdirAll(w.cfg.PauseDir, 0o755))
	require.NoError(t, os.Chown(w.cfg.PauseDir, testhost.Nobody, testhost.Nobody))
	require.NoError(t, os.Chmod(w.cfg.PauseDir, 0o775))
	require.Len(t, warned("token"), 1, "members may resume")
	require.NoError(t, os.Chmod(token, 0o600))
	require.Empty(t, warned("token"))
}
