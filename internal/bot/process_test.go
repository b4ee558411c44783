package bot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
)

// child is what another process is to do: this test binary, started again.
type child struct {
	Config  string
	Do      string // exec, sweep, or record; die at a step
	Project string
	Command []string
	Timeout time.Duration
	RunID   string
	KillAt  string
	TermAt  string // get SIGTERM at a step
	UID     int

	Together time.Duration // how long adfbot waits for a signal of its own
}

const childEnv = "ADFBOT_BOT_TEST_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		var c child
		if err := json.Unmarshal([]byte(spec), &c); err != nil {
			panic(err)
		}
		os.Exit(c.run())
	}
	os.Exit(m.Run())
}

func (c child) run() int {
	_ = os.Unsetenv(childEnv)
	if c.UID != 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(c.UID), syscall.Setuid(c.UID)); err != nil {
			panic(err)
		}
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		panic(err)
	}
	env := bot.Env{Getenv: func(k string) string { return map[string]string{"BOT_TOKEN": token}[k] }}
	ctx := fault.With(ctx, func(s string) {
		switch s {
		case c.KillAt:
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case c.TermAt:
			arrived := make(chan os.Signal, 1)
			signal.Notify(arrived, syscall.SIGTERM)
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			<-arrived
			signal.Stop(arrived) // and by now it is with everybody
		}
	})
	switch c.Do {
	case "exec":
		return bot.Exec(ctx, cfg, env, bot.ExecRequest{Project: c.Project, Agent: "project-meta", RunID: c.RunID, Timeout: c.Timeout,
			Command: c.Command, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Waits: proc.Waits{Output: 200 * time.Millisecond, Kill: 200 * time.Millisecond, Interrupted: c.Together}})
	case "check":
		for _, f := range bot.Check(ctx, cfg, true, env) {
			fmt.Printf("%s %s %s\n", f.Level, f.What, f.Text)
		}
		return 0
	case "record", "pause", "resume", "restore":
	default:
		panic("unknown: " + c.Do)
	}
	mode := bot.Results
	if c.Do == "restore" {
		mode = bot.Restore
	}
	b, err := bot.Open(ctx, cfg, mode, env)
	if err == nil {
		switch c.Do {
		case "record":
			var out bot.Recorded
			if out, err = b.Record(ctx, failure(c.Project)); out.Tripped {
				fmt.Println("tripped")
			}
		case "pause":
			_, err = b.Pause(ctx, c.Project, "for the test")
		case "resume":
			_, err = b.Resume(ctx, c.Project)
		case "restore":
			_, err = b.Restore(ctx)
		}
		err = errors.Join(err, b.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (w *world) command(c child) *exec.Cmd {
	w.t.Helper()
	c.Config = w.cfg.Path
	spec, err := json.Marshal(c)
	require.NoError(w.t, err)
	self, err := os.Executable()
	require.NoError(w.t, err)
	if c.UID != 0 {
		self = testhost.PublicCopy(w.t, self)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// dies runs a child that has to end by SIGKILL at its step.
func (w *world) dies(c child) {
	w.t.Helper()
	out, err := w.command(c).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(w.t, err, &exit, "%+v went past its step: %s", c, out)
	require.Equal(w.t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%+v: %s", c, out)
}
