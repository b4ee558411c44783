package bot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// child is what another process is to do.
type child struct {
	Config  string
	Do      string // exec, check, record, pause, resume or restore
	Project string
	Command []string
	Timeout time.Duration
	RunID   string
	KillAt  string
	TermAt  string // get SIGTERM at a step
	UID     int
	Refused syscall.Errno // the error with which the kernel refuses to start the command; 0: it does not

	Together time.Duration // how long adfbot waits for a signal of its own
}

func TestMain(m *testing.M) {
	testpg.Main(m, testhost.Funcs{"child": runChild, "drain": func(testhost.Self) int { proc.Drain(os.Stdin, os.Stdout); return 0 }})
}

func runChild(self testhost.Self) int {
	var c child
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		panic(err)
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		panic(err)
	}
	self.Ready()
	return c.run(cfg)
}

func (c child) run(cfg *config.Config) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // as the program does
	env := bot.Env{Getenv: func(k string) string { return map[string]string{"BOT_TOKEN": token}[k] }}
	ctx := fault.With(ctx, func(s string) {
		switch s {
		case c.KillAt:
			testhost.KillSelf()
		case c.TermAt:
			arrived := make(chan os.Signal, 1)
			signal.Notify(arrived, syscall.SIGTERM)
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			<-arrived
			signal.Stop(arrived) // and by now it is with everybody
		}
	})
	if c.Refused != 0 {
		refuseStarts(c.Refused)
	}
	switch c.Do {
	case "exec":
		return bot.Exec(ctx, cfg, env, bot.ExecRequest{Project: c.Project, Agent: "project-meta", RunID: c.RunID, Timeout: c.Timeout,
			Command: c.Command, Drain: []string{"drain"}, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Waits: proc.Waits{Output: 200 * time.Millisecond, Interrupted: c.Together}})
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
			var done bot.Done
			done, err = b.Restore(ctx)
			fmt.Println(done.Text)
		}
		err = errors.Join(err, b.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// refuseStarts makes the kernel refuse to start programs from this process. Threads still start.
func refuseStarts(with syscall.Errno) {
	const number, flags = 0, 16 // offsets in struct seccomp_data, of the lower half of the first argument
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_VFORK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(with)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if err != nil || errno != 0 {
		panic(fmt.Sprint(err, errno))
	}
}

func (w *world) command(c child) *testhost.Child {
	w.Helper()
	c.Config = w.cfg.Path
	spec, err := json.Marshal(c)
	require.NoError(w, err)
	cmd := testhost.Command(w, "child", string(spec))
	if c.UID != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint(testhost.UIDVar, "=", c.UID))
	}
	return cmd
}

// shell starts a child by a shell, which first runs a script.
func (w *world) shell(cmd *testhost.Child, script string) {
	w.Helper()
	link := filepath.Join(w.TempDir(), "child") // the name by which it knows what to run
	require.NoError(w, os.Symlink(cmd.Path, link))
	cmd.Args = []string{"sh", "-c", script + `; exec "$0" "$1"`, link, cmd.Args[1]}
	cmd.Path = "/bin/sh"
}

// dies runs a child that has to end by SIGKILL at its step.
func (w *world) dies(c child) {
	w.Helper()
	w.command(c).Dies()
}

// script is a command of the shell; DIR in it is the world's directory.
func (w *world) script(text string) []string {
	return []string{"sh", "-c", strings.ReplaceAll(text, "DIR", w.Dir)}
}

// watch returns a function that waits until something holds that depends on the files of a directory.
func (w *world) watch(dir string) (await func(complaint string, holds func() bool)) {
	w.Helper()
	changes := testhost.NewChanges()
	stop, err := changes.Watch(dir)
	require.NoError(w, err)
	return func(complaint string, holds func() bool) {
		w.Helper()
		defer stop()
		require.NoError(w, changes.Await(func() string {
			if holds() {
				return ""
			}
			return complaint
		}))
	}
}

// start starts a child and waits until its command has made a file.
func (w *world) start(cmd *testhost.Child) *testhost.Child {
	w.Helper()
	w.Remove(w.Dir + "/begun")
	await := w.watch(w.Dir)
	require.NoError(w, cmd.Start())
	await("the command has not begun", func() bool { _, err := os.Stat(w.Dir + "/begun"); return err == nil })
	return cmd
}

// startExec starts exec in a process, and process group, of its own.
func (w *world) startExec(c child) *testhost.Child {
	w.Helper()
	c.Do = "exec"
	cmd := w.command(c)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return w.start(cmd)
}
