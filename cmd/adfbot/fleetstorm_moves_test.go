package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
)

// What processes, people and broken connections do in the fleet's storm.

// fleetDeed is a command that was run as a process of its own, and what became of it.
type fleetDeed struct {
	move
	N              int
	Round          int
	host           *fleetHost
	Begun, Ended   time.Time
	Code           int
	Stdout, Stderr string
	cmd            *testhost.Child
	killed         bool
}

func (h *fleetHost) move(m move) {
	switch m.What {
	case "record", "exec", "sweep", "resume", "pause", "gate", "status":
		h.process(m, nil)
	case "cut", "hole", "slow", "answers lost":
		mend := h.breakConnections(m)
		time.Sleep(m.For)
		mend()
	case "removed while cut off":
		h.removedWhileCutOff(m)
	case "paused before a stop":
		m.pausedBeforeStop(func(n int, m move) { h.hosts[(h.n+n*m.Pick)%len(h.hosts)].process(m, nil) })
	case "pager down", "pager lost":
		begun := time.Now()
		h.pager.change(m)
		h.book.note(begun, "the pager", m.String(), "over")
	case "postgres killed":
		h.killPostgres(m)
	case "gitea down":
		begun := time.Now()
		h.down()
		time.Sleep(m.For)
		h.book.note(begun, "gitea", "down", fmt.Sprint(h.up()))
	case "gitea away":
		begun := time.Now()
		end := h.Inject(giteatest.Fault{Name: "away from " + h.name, Match: func(r *http.Request) bool {
			return strings.HasPrefix(r.RemoteAddr, h.network())
		}, Do: giteatest.Reset()})
		time.Sleep(m.For)
		end()
		h.book.note(begun, "gitea", "away from "+h.name, "")
	default:
		h.person(m)
	}
}

// network is the beginning of the addresses that requests of this host come from.
func (h *fleetHost) network() string { return fmt.Sprintf("127.%d.", 100+h.n) }

// address is where the requests of a command come from.
func (d *fleetDeed) address() string {
	return fmt.Sprintf("%s%d.%d", d.host.network(), d.N/250, d.N%250+1)
}

// process runs a command, lets happen to it what was drawn, and waits for its end. started may signal it.
func (h *fleetHost) process(m move, started func(*os.Process)) *fleetDeed {
	d := &fleetDeed{move: m, host: h, Round: h.at, Begun: time.Now()}
	h.book.attempt(d)
	ran := h.fleetStorm.path(fmt.Sprint("ran/", d.N))
	args := make([]string, len(m.Args))
	for n, a := range m.Args {
		args[n] = strings.NewReplacer("$RAN", ran, "$WORK", h.path("")).Replace(a)
	}
	from := d.address()
	d.cmd = testhost.Command(h.t, "adfbot", args...)
	d.cmd.Env = append(d.cmd.Env, "ADFBOT_CONFIG="+h.path("config.yaml"), "HOME="+h.path("home"), fromHost+"="+from)
	if m.Hit.When == "step" {
		name := stopAt
		if m.Hit.How == "kill" {
			name = killAt
		}
		d.cmd.Env = append(d.cmd.Env, name+"="+m.Hit.step())
	}
	// What a killed exec leaves running would hold pipes open.
	var files []*os.File
	for _, name := range []string{".out", ".err"} {
		f, err := os.Create(ran + name)
		require.NoError(h.t, err)
		files = append(files, f)
	}
	d.cmd.Stdout, d.cmd.Stderr = files[0], files[1]
	if err := d.cmd.Start(); err != nil {
		h.book.wrong("%s: %v", m, err)
		return d
	}
	done := strike(h.gitea, d.cmd.Process, m.Hit, from)
	hung := time.AfterFunc(2*testhost.Patience, func() {
		if m.What != "serve" {
			h.book.wrong("7: p%d does not end: %s", d.N, m)
			_ = d.cmd.Process.Signal(syscall.SIGQUIT)
		}
	})
	if started != nil {
		started(d.cmd.Process)
	}
	err := d.cmd.Wait()
	hung.Stop()
	done()
	d.Ended, d.Code = time.Now(), testhost.ExitCode(err)
	d.killed = d.cmd.ProcessState.ExitCode() == -1
	_ = errors.Join(files[0].Close(), files[1].Close())
	out, _ := os.ReadFile(ran + ".out")
	errs, _ := os.ReadFile(ran + ".err")
	d.Stdout, d.Stderr = string(out), string(errs)
	h.book.answered(d)
	return d
}

// strike lets happen to a process what was drawn. done is called when it has ended.
func strike(g *gitea, p *os.Process, h hit, from string) (done func()) {
	if h.How == "" {
		return func() {}
	}
	var over atomic.Bool
	ended, struck := make(chan struct{}), make(chan struct{})
	remove := func() {}
	signals := map[string]syscall.Signal{"kill": syscall.SIGKILL, "term": syscall.SIGTERM, "stop": syscall.SIGSTOP, "stop-kill": syscall.SIGSTOP}
	hit := func() {
		if !over.Load() {
			_ = p.Signal(signals[h.How])
		}
	}
	switch h.When {
	case "request":
		do := giteatest.Meanwhile(hit)
		if h.N%2 == 0 {
			do = giteatest.Afterwards(hit)
		}
		remove = g.Inject(giteatest.Fault{Name: h.How + " " + from, Match: giteatest.All(isFrom(from), troubled[cmp.Or(h.Step, "any")]), After: (h.N - 1) / 2, Times: 1, Do: do})
	case "time":
		time.AfterFunc(h.For, hit)
	}
	go func() {
		defer close(struck)
		if h.How == "kill" || h.How == "term" || testhost.WaitStopped(p) != nil {
			return
		}
		select { // whoever is stopped goes on, or is killed then
		case <-ended:
			return
		case <-time.After(h.For):
		}
		if h.How == "stop-kill" {
			_ = p.Kill()
		} else {
			_ = p.Signal(syscall.SIGCONT)
		}
	}()
	return func() {
		over.Store(true)
		close(ended)
		<-struck
		remove()
	}
}

// supervise keeps the daemon running as systemd does, until over.
func (h *fleetHost) supervise(hits []hit, over <-chan struct{}) {
	for n := 0; ; n++ {
		m := move{What: "serve", Args: []string{"serve"}}
		if n < len(hits) {
			m.Hit = hits[n]
		}
		ended := make(chan struct{})
		h.process(m, func(p *os.Process) {
			go func() {
				select {
				case <-ended:
					return
				case <-over:
					_ = p.Signal(syscall.SIGTERM)
				}
				select {
				case <-ended:
				case <-time.After(testhost.Patience):
					h.book.wrong("7: the daemon on %s does not end", h.name)
					_ = p.Signal(syscall.SIGQUIT)
				}
			}()
		})
		close(ended)
		select {
		case <-over:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// breakConnections breaks those of this host to PostgreSQL, until mend is called.
func (h *fleetHost) breakConnections(m move) (mend func()) {
	h.netMu.Lock()
	begun, over := time.Now(), make(chan struct{})
	switch m.What {
	case "cut": // refused
		h.proxy.SetFilters(func([]byte) ([]byte, bool) { return nil, true }, nil)
		h.proxy.Cut()
	case "hole": // nothing comes through, and nobody is told
		wait := func(data []byte) ([]byte, bool) { <-over; return data, false }
		h.proxy.SetFilters(wait, wait)
	case "slow":
		wait := func(data []byte) ([]byte, bool) { time.Sleep(30 * time.Millisecond); return data, false }
		h.proxy.SetFilters(wait, wait)
	case "answers lost": // each connection breaks at some answer, the one to COMMIT too
		var n atomic.Int64
		h.proxy.SetFilters(nil, func(data []byte) ([]byte, bool) {
			if n.Add(1)%int64(5+m.Pick%11) == 0 {
				return nil, true
			}
			return data, false
		})
	}
	return func() {
		defer h.netMu.Unlock()
		h.proxy.SetFilters(nil, nil)
		close(over)
		h.book.note(begun, "storm", "connections of "+h.name+": "+m.What, "over")
	}
}

// removedWhileCutOff has a person remove a flag on this host while it is cut off. Meanwhile another one resumes the project, and it fails
// again there.
func (h *fleetHost) removedWhileCutOff(m move) {
	other := h.hosts[(h.n+m.Pick)%len(h.hosts)]
	other.fail(m.Project, m.Args[0])
	h.awaitFlag(m.Project, 2*time.Second)
	time.Sleep(m.For) // until the flag is confirmed, or not
	mend := h.breakConnections(move{What: m.Who})
	h.person(move{What: "rm flag", Project: m.Project})
	other.process(move{What: "resume", Project: m.Project, Args: []string{"resume", m.Project}}, nil)
	other.fail(m.Project, m.Args[1])
	mend()
}

// fail reports a failure.
func (h *fleetHost) fail(project, run string) {
	h.process(move{What: "record", Project: project, Agent: "project-meta", Outcome: "failure", Run: run,
		Args: []string{"record", "--json", "--project", project, "--agent", "project-meta", "--failure", "--run-id", run}}, nil)
}

// awaitFlag waits for a flag, and gives up after a while.
func (h *fleetHost) awaitFlag(project string, wait time.Duration) {
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Lstat(h.path("pause/" + project)); err == nil {
			return
		}
	}
}

// killPostgres kills the server, which is started again after a while.
func (h *fleetHost) killPostgres(m move) {
	h.pgMu.Lock()
	defer h.pgMu.Unlock()
	begun := time.Now()
	h.pg.Kill()
	time.Sleep(m.For)
	h.pg.Start(h.t)
	h.book.note(begun, "storm", "PostgreSQL is killed, and started again", "")
}

// person does what people do in a pause directory or in Gitea.
func (h *fleetHost) person(m move) {
	begun := time.Now()
	var answer string
	switch m.What {
	case "comment", "close":
		answer = h.inGitea(m)
	case "wipe", "snapshot":
		answer = h.replaceDir(m)
	default:
		h.dirMu.RLock()
		defer h.dirMu.RUnlock()
		answer = h.changeFlag(m)
	}
	h.book.note(begun, "a person on "+h.name, m.String(), answer)
}

// fleetPersonWaits is how long a person waits for a flag that is to be removed, or an issue that is to be answered.
const fleetPersonWaits = 700 * time.Millisecond

func (h *fleetHost) changeFlag(m move) string {
	flag := h.path("pause/" + m.Project)
	// Somebody who wants a flag to go waits a little for it.
	if m.What != "touch flag" {
		h.awaitFlag(m.Project, fleetPersonWaits)
	}
	switch m.What {
	case "rm flag":
		_, answer := h.removeFlag(m.Project)
		return answer
	case "touch flag":
		return h.touchFlag(m.Project)
	case "rm and touch flag":
		_, answer := h.removeFlag(m.Project)
		return answer + ", " + h.touchFlag(m.Project)
	case "edit flag":
		done := h.book.touching(h, m.Project)
		defer done()
		f, err := os.OpenFile(flag, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err.Error()
		}
		_, err = f.WriteString("looked at\n")
		return fmt.Sprint("edited ", errors.Join(err, f.Close()))
	case "mv flag":
		aside, answer := h.removeFlag(m.Project)
		if aside == "" {
			return answer
		}
		time.Sleep(m.For)
		done := h.book.touching(h, m.Project)
		defer done()
		return answer + fmt.Sprint(", put back ", os.Link(aside, flag))
	}
	panic(m.What)
}

// removeFlag removes a flag, so that it is known which one it was. It returns where that is now.
func (h *fleetHost) removeFlag(project string) (aside, answer string) {
	aside = filepath.Join(h.path(""), fmt.Sprintf("removed-%s-%d", project, time.Now().UnixNano()))
	done := h.book.removing(h, project)
	err := os.Rename(h.path("pause/"+project), aside)
	if err != nil {
		done(nil, time.Time{})
		return "", err.Error()
	}
	content, _ := os.ReadFile(aside)
	info, _ := os.Lstat(aside)
	done(content, info.ModTime())
	first, _, _ := strings.Cut(string(content), "\n")
	return aside, "removed: " + first
}

func (h *fleetHost) touchFlag(project string) string {
	done := h.book.touching(h, project)
	defer done()
	f, err := os.OpenFile(h.path("pause/"+project), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err.Error()
	}
	now := time.Now()
	return fmt.Sprint("touched ", errors.Join(f.Close(), os.Chtimes(h.path("pause/"+project), now, now)))
}

// replaceDir wipes the pause directory, or replaces it by a copy from a while ago.
func (h *fleetHost) replaceDir(m move) string {
	aside := h.path(fmt.Sprint("pause-", time.Now().UnixNano()))
	if m.What == "snapshot" {
		h.dirMu.RLock()
		out, err := exec.Command("cp", "-a", h.path("pause"), aside+"-copy").CombinedOutput()
		h.dirMu.RUnlock()
		if err != nil {
			return fmt.Sprint(err, " ", string(out)) // something was removed while it was copied
		}
		if len(m.Args) > 0 {
			h.fail(m.Project, m.Args[0])
			h.awaitFlag(m.Project, 2*time.Second)
		}
		time.Sleep(m.For)
	}
	h.dirMu.Lock()
	defer h.dirMu.Unlock()
	done := h.book.begin(&h.book.dirs, h, "", m.What)
	defer done()
	err := os.Rename(h.path("pause"), aside)
	if m.What == "snapshot" {
		return fmt.Sprint("replaced ", errors.Join(err, os.Rename(aside+"-copy", h.path("pause"))))
	}
	answer := fmt.Sprint("wiped ", errors.Join(err, os.Mkdir(h.path("pause"), 0o755)))
	time.Sleep(m.For)
	if m.Pick%2 == 0 {
		return answer
	}
	_, code := h.inProcess("restore")
	return answer + fmt.Sprint(", restore ends with ", code)
}

// restore is what an operator does about a pause directory that was wiped, or replaced by one from before it was wiped.
func (h *fleetHost) restore() {
	_, err := os.Lstat(h.path("pause/.adfbot"))
	wiped := slices.ContainsFunc(h.book.dirs, func(e *episode) bool { return e.host == h && e.round == h.at && e.what == "wipe" })
	old := wiped && slices.ContainsFunc(h.book.dirs, func(e *episode) bool { return e.host == h && e.round == h.at && e.what == "snapshot" })
	if errors.Is(err, fs.ErrNotExist) || old {
		if err := h.restoreAtLast(); err != nil {
			h.book.wrong("5: restore on %s: %v", h.name, err)
		}
	}
}

// restoreAtLast runs adfbot restore again if it fails: on a busy machine, the daemon may hold a lock for longer than a command waits, or
// PostgreSQL takes too long to answer.
func (h *fleetHost) restoreAtLast() error {
	for end := time.Now().Add(testhost.Patience); ; {
		out, code := h.inProcess("restore")
		switch {
		case code == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("it ends with %d: %s", code, out)
		}
	}
}

// inGitea comments on or closes the latest issue of a project.
func (h *fleetHost) inGitea(m move) string {
	repo := fleetRepo(m.Project)
	var latest giteatest.Issue
	for end := time.Now().Add(fleetPersonWaits); latest.Number == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, i := range h.Issues(repo) {
			if slices.ContainsFunc(carried(i.Body), func(of hidden) bool { return of.project == m.Project }) {
				latest = i
			}
		}
	}
	if latest.Number == 0 {
		return "there is no issue"
	}
	if m.What == "close" {
		h.As(m.Who).Close(repo, latest.Number)
	} else {
		h.book.comment(m, latest.Body)
		h.book.tell(m, latest, h.As(m.Who).Comment(repo, latest.Number, strings.ReplaceAll(m.Args[0], "$PROJECT", m.Project)))
	}
	return fmt.Sprintf("%s#%d", repo, latest.Number)
}

func fleetRepo(project string) string {
	if project == "quick" {
		return otherRepo
	}
	return theRepo
}
