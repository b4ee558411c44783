package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// The test binary is also the command under test: started under the name adfbot it is one, with hooks that no production
// build has. Each is switched on by an environment variable, as is testhost.UIDVar.
const (
	killAt    = "ADFBOT_TEST_KILL_AT" // step[:n]: SIGKILL itself when that step is reached for the nth time; *[:n] for the nth of all
	stopAt    = "ADFBOT_TEST_STOP_AT" // step[:n]: SIGSTOP itself there
	logSteps  = "ADFBOT_TEST_STEPS"   // file to which the names of all steps are appended
	ahead     = "ADFBOT_TEST_AHEAD"   // duration by which its clock is fast, so that no test waits for a wait
	passed    = "ADFBOT_TEST_PASSED"  // how much of that has passed, as the machine itself sees it; the rest was set
	logMemory = "ADFBOT_TEST_MEMORY"  // file to which /proc/self/status is copied at the end
	fromHost  = "ADFBOT_TEST_FROM"    // loopback address that its requests come from, so that a server can tell processes apart
)

func TestMain(m *testing.M) {
	testhost.RunChild(testhost.Funcs{
		"adfbot": func(testhost.Self) int { return command() },
		"hangs": func(self testhost.Self) int {
			_, stop := interruptible(context.Background())
			defer stop()
			self.Ready()
			time.Sleep(time.Hour)
			return 0
		},
	})
	testhost.UseMemory()
	testhost.Overlap()
	testscript.Main(withServer{m}, map[string]func(){"adfbot": nil}) // for the scripts' $PATH: the function was run above
}

// withServer are tests that may have started a server.
type withServer struct{ *testing.M }

func (w withServer) Run() int {
	defer testpg.Stop()
	return w.M.Run()
}

// uptimeAfter is the machine's own clock when that time has passed.
func uptimeAfter(d time.Duration) func() incident.Uptime {
	machine := hostlocal.MachineUptime()
	return func() incident.Uptime {
		up := machine()
		up.For += d
		return up
	}
}

// setClocks sets the clocks of a process as its environment has it.
func (p *process) setClocks() {
	if s := p.getenv(ahead); s != "" {
		d, err := time.ParseDuration(s)
		must(err)
		p.now = func() time.Time { return time.Now().Add(d) }
	}
	if s := p.getenv(passed); s != "" {
		d, err := time.ParseDuration(s)
		must(err)
		p.uptime = uptimeAfter(d)
	}
}

// command is main, with the hooks.
func command() int {
	p := process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	p.setClocks()
	if s := os.Getenv(fromHost); s != "" {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(s)}}
		http.DefaultTransport.(*http.Transport).DialContext = from.DialContext
	}
	ctx := context.Background()
	if hook := stepHook(os.Getenv); hook != nil {
		ctx = fault.With(ctx, hook)
	}
	code := run(ctx, os.Args[1:], p)
	if file := os.Getenv(logMemory); file != "" {
		// Not from the process's resource usage: that begins with what its parent had.
		b, err := os.ReadFile("/proc/self/status")
		must(err)
		must(os.WriteFile(file, b, 0o600))
	}
	return code
}

// expression compiles at its first use. Most processes of this binary are an adfbot, which uses none.
func expression(s string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(s) })
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func stepHook(getenv func(string) string) func(string) {
	killName, killTime := hookPoint(getenv(killAt))
	stopName, stopTime := hookPoint(getenv(stopAt))
	log := getenv(logSteps)
	if killName == "" && stopName == "" && log == "" {
		return nil
	}
	var mu sync.Mutex
	seen, all := map[string]int{}, 0
	return func(name string) {
		mu.Lock()
		defer mu.Unlock()
		seen[name]++
		if log != "" {
			f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			must(err)
			_, err = fmt.Fprintln(f, name)
			must(err)
			must(f.Close())
		}
		all++
		reached := func(at string, n int) bool { return name == at && seen[name] == n || at == "*" && all == n }
		if reached(killName, killTime) {
			testhost.KillSelf()
		}
		if reached(stopName, stopTime) {
			testhost.StopSelf()
		}
	}
}

func hookPoint(s string) (name string, n int) {
	name, times, ok := strings.Cut(s, ":")
	if !ok {
		return name, 1
	}
	n, err := strconv.Atoi(times)
	must(err)
	return name, n
}

// The tests start this binary some thousand times as adfbot. These packages work for 10 ms and more whenever a program that links them
// starts, so no test here may import them.
func TestStartIsCheap(t *testing.T) {
	t.Parallel()
	c := testhost.Command(t, "adfbot", "version")
	c.Env = append(c.Env, "GODEBUG=inittrace=1")
	out, err := c.CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "init net/http @")
	require.NotRegexp(t, `init \S*(jsonschema/v6|go-runewidth) @`, string(out))
}

// A dead mount keeps a read for ever, and no context ends that.
func TestSecondSignalEndsAProcessThatHangs(t *testing.T) {
	c := testhost.Command(t, "hangs")
	c.StartReady()
	c.Release()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for give := time.After(testhost.Patience); ; {
		_ = c.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case err := <-ended:
			require.Equal(t, 128+int(syscall.SIGTERM), testhost.ExitCode(err))
			return
		case <-give:
			require.Fail(t, "it goes on")
		case <-time.After(time.Millisecond):
		}
	}
}
