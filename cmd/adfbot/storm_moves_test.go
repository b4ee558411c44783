package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
)

// What the storm does with processes.

// deed is a command that was run as a process of its own, and what became of it.
type deed struct {
	move
	N              int
	Begun, Ended   time.Time // by the clock that all share, not by the command's own
	Code           int
	Stdout, Stderr string
	Round          int

	cmd      *testhost.Child
	signaled bool
	host     string      // that its requests come from
	over     func(*deed) // ends its chances
}

// killed tells whether the command itself was killed. An exec whose command was has the same exit code.
func (d *deed) killed() bool { return d.signaled }

func (s *storm) move(m move) {
	switch m.What {
	case "record", "exec", "sweep", "resume", "pause", "gate", "status", "restore":
		s.process(m)
	case "post":
		s.post(m)
	case "paused before a stop":
		m.pausedBeforeStop(func(_ int, m move) { s.process(m) })
	case "pager down", "pager lost":
		s.pager.change(m)
		s.book.note(s.now(), "the pager", m.String(), "over")
	default:
		s.act(m)
	}
}

// process runs a command, lets happen to it what was drawn, and waits for its end.
func (s *storm) process(m move) { s.start(m, func(*os.Process) {}) }

// start runs a command, does something meanwhile, and waits for the command's end.
func (s *storm) start(m move, meanwhile func(*os.Process), env ...string) {
	d := s.prepareDeed(m)
	d.cmd.Env = append(d.cmd.Env, env...)
	read := s.redirect(d)
	s.book.attempt(d)
	err := d.cmd.Start()
	if err != nil {
		s.book.wrong("%s: %v", d.move, err)
		return
	}
	done := s.strike(d)
	meanwhile(d.cmd.Process)
	err = d.cmd.Wait()
	done()
	d.Ended = s.now()
	d.Code = testhost.ExitCode(err)
	d.Stdout, d.Stderr = read()
	d.signaled = d.cmd.ProcessState.ExitCode() == -1
	s.book.answered(d)
}

// redirect lets a command write to files: what a killed exec leaves running would hold pipes open.
func (s *storm) redirect(d *deed) (read func() (stdout, stderr string)) {
	name := s.path(fmt.Sprint("ran/p", d.N))
	out, err := os.Create(name + ".out")
	require.NoError(s.t, err)
	errs, err := os.Create(name + ".err")
	require.NoError(s.t, err)
	d.cmd.Stdout, d.cmd.Stderr = out, errs
	return func() (string, string) {
		_ = out.Close()
		_ = errs.Close()
		a, _ := os.ReadFile(name + ".out")
		b, _ := os.ReadFile(name + ".err")
		return string(a), string(b)
	}
}

func (s *storm) prepareDeed(m move) *deed {
	d := &deed{move: m, Begun: s.now(), Round: s.at}
	s.mu.Lock()
	d.N = len(s.from) + 1
	d.host = fmt.Sprintf("127.77.%d.%d", d.N/250, d.N%250+1)
	s.from[d.host] = d
	s.mu.Unlock()
	ran := s.path(fmt.Sprint("ran/", d.N))
	started := d.Begun.Add(m.Jump - 200*time.Millisecond).UTC().Format(time.RFC3339Nano)
	args := make([]string, len(m.Args))
	for n, a := range m.Args {
		args[n] = strings.NewReplacer("$RAN", ran, "$WORK", s.dir, "$STARTED", started).Replace(a)
	}
	home, user := s.dir, s.botUser()
	if m.Agents && s.separated() {
		home, user = s.path("home"), stormAgents
	}
	env := []string{fromHost + "=" + d.host, secretVar + "=" + secretValue, "HOME=" + home}
	if h := m.Hit; h.When == "step" {
		at := h.step()
		if h.How == "kill" {
			env = append(env, killAt+"="+at)
		} else if h.How != "" {
			env = append(env, stopAt+"="+at)
		}
	}
	d.cmd = s.child(args, env...)
	if user != 0 {
		d.cmd.Env = append(d.cmd.Env, testhost.UIDVar+"="+strconv.Itoa(user))
	}
	after := time.Duration(s.ahead.Load())
	d.cmd.Env = append(d.cmd.Env, ahead+"="+(after+m.Jump).String(), passed+"="+after.String())
	return d
}

// strike lets happen to a process what was drawn. The returned function is called when it has ended.
func (s *storm) strike(d *deed) (done func()) {
	h, p := d.Hit, d.cmd.Process
	if h.How == "" {
		return func() {}
	}
	var over atomic.Bool
	ended := make(chan struct{})
	struck := make(chan struct{})
	remove := func() {}
	hit := func() {
		switch h.How {
		case "kill":
			_ = p.Kill()
		case "term":
			_ = p.Signal(syscall.SIGTERM)
		default:
			_ = p.Signal(syscall.SIGSTOP)
		}
	}
	switch h.When {
	case "request":
		do := giteatest.Meanwhile(hit)
		if h.N%2 == 0 {
			do = giteatest.Afterwards(hit)
		}
		remove = s.Inject(giteatest.Fault{Name: fmt.Sprintf("%s p%d", h.How, d.N), Match: giteatest.All(isFrom(d.host), troubled[cmp.Or(h.Step, "any")]), After: (h.N - 1) / 2, Times: 1, Do: do})
	case "time":
		time.AfterFunc(h.For, func() {
			if !over.Load() {
				hit()
			}
		})
	}
	go func() {
		defer close(struck)
		if h.How == "kill" || h.How == "term" {
			return
		}
		// Whoever is stopped goes on, or is killed then.
		if testhost.WaitStopped(p) != nil {
			return // it ended
		}
		select {
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

func isFrom(host string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.HasPrefix(r.RemoteAddr, host+":") }
}

// daemon runs serve beside the round, until somebody tells it to end or something happens to it.
func (s *storm) daemon(h hit) {
	var end *time.Timer
	s.start(move{What: "serve", Args: []string{"serve"}, Hit: h}, func(p *os.Process) {
		end = time.AfterFunc(s.plan.Rounds[s.at].Length+450*time.Millisecond, func() { _ = p.Signal(syscall.SIGTERM) })
	})
	if end != nil {
		end.Stop()
	}
}

// hint tells the daemon of an issue, as Gitea does. That nobody listens is no fault.
func (s *storm) hint(repo string, number int64) {
	if s.plan.Rounds[s.at].Serve == nil {
		return
	}
	i, ok := s.Issue(repo, number)
	if !ok {
		return
	}
	owner, name, _ := strings.Cut(repo, "/")
	body, err := json.Marshal(map[string]any{
		"sender":     map[string]any{"id": 1, "login": stranger},
		"repository": map[string]any{"name": name, "owner": map[string]any{"login": owner}},
		"issue":      map[string]any{"number": number, "body": i.Body, "user": map[string]any{"id": i.AuthorID}},
	})
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	r, err := http.NewRequest(http.MethodPost, "http://adfbot/webhooks/gitea", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Gitea-Event", "issues")
	r.Header.Set("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))
	answer := "nobody listens"
	if resp, err := s.client().Do(r); err == nil {
		answer = resp.Status
		_ = resp.Body.Close()
	}
	s.book.note(s.now(), "gitea", fmt.Sprintf("webhook about %s#%d", repo, number), answer)
}

func (s *storm) client() *http.Client {
	return &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.path("s"))
		}}}
}

// post reports a result to the daemon. Its code is that of HTTP; 0 where there was no answer.
func (s *storm) post(m move) {
	d := &deed{move: m, Begun: s.now(), Round: s.at}
	s.mu.Lock()
	d.N = len(s.from) + 1
	s.from[fmt.Sprint("post ", d.N)] = d
	s.mu.Unlock()
	s.book.attempt(d)
	output := hostileText
	if s.plan.Shared && m.Outcome == "failure" {
		output = quotaText
	}
	body := map[string]any{"project": m.Project, "agent": m.Agent, "outcome": m.Outcome, "output": output}
	if m.Run != "" {
		body["run_id"] = m.Run
	}
	text, err := json.Marshal(body)
	require.NoError(s.t, err)
	resp, err := s.client().Post("http://adfbot/api/v1/results", "application/json", bytes.NewReader(text))
	if err == nil {
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		d.Code, d.Stdout = resp.StatusCode, string(answer)
	} else {
		d.Stderr = err.Error()
	}
	d.Ended = s.now()
	s.book.answered(d)
}
