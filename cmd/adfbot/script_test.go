package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/testhost"
)

// TestScripts runs the stories in testdata/script. Each has a Gitea and an installation of its own, and beside testscript's
// own commands those of scriptCommands.
func TestScripts(t *testing.T) {
	t.Parallel()
	all, err := filepath.Glob("testdata/script/*.txtar")
	require.NoError(t, err)
	// Those in which something hangs wait for up to 20 s while others work, and so begin first.
	slices.SortStableFunc(all, func(a, b string) int { return strings.Count(b, "hanging") - strings.Count(a, "hanging") })
	p := scriptParams("")
	p.Files = all
	testscript.Run(t, p)
}

func scriptParams(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			g, err := newGitea()
			if err != nil {
				return err
			}
			env.Defer(g.close)
			env.Values["gitea"] = g
			if os.Geteuid() == 0 { // whoever a command becomes must get to the files
				if err := os.Chmod(filepath.Dir(env.WorkDir), 0o711); err != nil {
					return err
				}
			}
			env.Setenv("GITEA_URL", g.url())
			env.Setenv("GITEA_REPO", theRepo)
			env.Setenv("ADFBOT_CONFIG", filepath.Join(env.WorkDir, "config.yaml"))
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("GORACE", "atexit_sleep_ms=0") // under -race every process would sleep for a second at its end
			return prepare(env.WorkDir, g)
		},
		Condition:          condition,
		Cmds:               scriptCommands,
		RequireUniqueNames: true,
	}
}

type scriptCommand = func(ts *testscript.TestScript, neg bool, args []string)

var scriptCommands = map[string]scriptCommand{
	"gitea":      giteaCommand,    // see there
	"rc":         exitCode,        // rc N CMD...: the command ends with exactly this exit code
	"here":       here,            // here ARGS...: adfbot in the process of the tests, see there
	"fail":       fail,            // fail PROJECT N: record that many failures of it, as with here
	"signal":     signalCommand,   // signal NAME WORD: send a signal to the background command that has this word among its arguments
	"stopped":    stoppedCommand,  // stopped WORD: wait until that background command is stopped
	"waitfile":   waitFile,        // [!] waitfile PATH [REGEXP]: wait until it is there (and has this in it), or is gone
	"waitout":    waitOut,         // waitout REGEXP CMD...: run the command until its output has this
	"waitgone":   waitGone,        // waitgone FILE: wait until the process whose id is in the file is gone
	"setage":     setAge,          // setage FILE DURATION: it was changed so long ago
	"mode":       setMode,         // mode OCTAL PATH...: chmod with a leading ~ for "and of everything in it"
	"asuser":     asUser,          // from here on adfbot runs as somebody whom permissions concern
	"tmpfs":      tmpfs,           // tmpfs DIR SIZE: mount a file system of that size
	"remount":    remount,         // remount ro|rw DIR
	"hang":       hang,            // hang DIR: mount a file system that does not answer
	"answer":     endHang,         // answer DIR: unmount it
	"fill":       fill,            // fill DIR: use all the room that is left
	"fillinodes": fillInodes,      // fillinodes DIR: use all its inodes, in a folder many
	"size":       sizeCommand,     // size PATH MOST: a file has at most so many bytes
	"same":       sameCommand,     // [!] same DIR DIR: both have the same files with the same contents
	"edit":       editCommand,     // edit FILE REGEXP TEXT: replace, at least once
	"hostile":    hostileCommand,  // hostile FILE: a log that tries everything
	"big":        bigCommand,      // big FILE MEGABYTES: binary rubbish with a readable last line
	"lines":      linesCommand,    // lines FILE REGEXP N: so many lines match
	"settled":    settledCommand,  // sweep, with a clock that runs ahead, until nothing is left to do
	"copytree":   copyTreeCommand, // copytree FROM TO
	"bad":        badID,           // bad ID: every command refuses this project id
	"helps":      helpsCommand,    // every command has a help text

	"broken":       broken,      // the state can't be used: what every command then does
	"takes-in":     takesIn,     // takes-in N: the next command takes N spooled results in
	"harmless":     harmless,    // the body that was printed is harmless, see hostile
	"cmp-bytes":    cmpBytes,    // cmp-bytes FILE FILE, without printing them
	"nothing-runs": nothingRuns, // no project may run, whether the pause directory knows it or not
}

func condition(cond string) (bool, error) {
	switch cond {
	case "mount":
		return mayMount(), nil
	case "fuse":
		return mayMount() && unix.Access("/dev/fuse", unix.R_OK|unix.W_OK) == nil, nil
	case "ports": // only root may use those below 1024
		first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
		return string(first) == "1024\n", err
	}
	return false, fmt.Errorf("no such condition: %s", cond)
}

var mayMount = sync.OnceValue(func() bool {
	dir, err := os.MkdirTemp("", "adfbot-mount-")
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(dir) }()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return false
	}
	return unix.Unmount(dir, unix.MNT_DETACH) == nil
})

func need(ts *testscript.TestScript, neg, negatable bool, args []string, least int, usage string) {
	if neg && !negatable || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "rc N command [arguments]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if args[1] == "here" {
		if got := runHere(ts, args[2:]); got != want {
			ts.Fatalf("exit code %d, not %d", got, want)
		}
		return
	}
	err = ts.Exec(args[1], args[2:]...)
	if got := testhost.ExitCode(err); got != want {
		ts.Fatalf("exit code %d, not %d (%v)", got, want, err)
	}
}

// here runs adfbot in the process of the tests. That spares a start, which takes longer than most commands, and tests the same code but for
// main itself. Scripts use it for commands that they run many times. It suits only those that start no program, take no path relative to
// the script's directory and need no other user. On a disk that is to be full, a file that it has removed may take room for a while: a process
// that another test starts at that moment has it open until it runs its program.
func here(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, true, args, 1, "[!] here ARGS...")
	if code := runHere(ts, args); neg == (code == exitDone) {
		ts.Fatalf("exit code %d", code)
	}
}

func runHere(ts *testscript.TestScript, args []string) int { return runTo(ts.Stdout(), ts, args) }

// runTo is runHere with its output somewhere else than in the script's.
func runTo(stdout io.Writer, ts *testscript.TestScript, args []string) int {
	p := process{stdin: strings.NewReader(""), stdout: stdout, stderr: ts.Stderr(), getenv: ts.Getenv}
	p.setClocks()
	return run(context.Background(), args, p)
}

func fail(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "fail PROJECT N")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for range n {
		here(ts, false, []string{"record", "--project", args[0], "--failure"})
	}
}

// background finds a command in the background.
func background(ts *testscript.TestScript, word string) *exec.Cmd {
	for _, c := range ts.BackgroundCmds() {
		if slices.ContainsFunc(c.Args, func(a string) bool { return strings.Contains(a, word) }) {
			return c
		}
	}
	ts.Fatalf("no command in the background has %q among its arguments", word)
	return nil
}

func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "signal NAME WORD")
	s := unix.SignalNum("SIG" + args[0])
	if s == 0 {
		ts.Fatalf("no such signal: %s", args[0])
	}
	ts.Check(background(ts, args[1]).Process.Signal(s))
}

func stoppedCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "stopped WORD")
	process := background(ts, args[0]).Process
	// When a script fails, testscript interrupts what is in the background and waits for it; what is stopped never hears.
	ts.Defer(func() { _ = process.Kill() })
	ts.Check(testhost.WaitStopped(process))
}

func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, true, args, 1, "[!] waitfile PATH [REGEXP]")
	path := ts.MkAbs(args[0])
	re := regexp.MustCompile("(?m)" + strings.Join(args[1:], ""))
	changes := testhost.NewChanges()
	stop, err := changes.Watch(filepath.Dir(path))
	ts.Check(err)
	defer stop()
	ts.Check(changes.Await(func() string {
		b, err := os.ReadFile(path)
		switch there := err == nil && re.Match(b); {
		case there == !neg:
			return ""
		case neg:
			return path + " is still there"
		case err == nil:
			return fmt.Sprintf("%s has no %s:\n%s", path, re, b)
		}
		return err.Error()
	}))
}

func waitOut(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "waitout REGEXP CMD...")
	re := regexp.MustCompile("(?m)" + args[0])
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && re.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Since(begun) > testhost.Patience {
			ts.Fatalf("the output never had %s: %v", re, err)
		}
	}
}

func waitGone(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "waitgone FILE")
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(testhost.WaitGone(pid))
}

func setAge(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "setage FILE DURATION")
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	at := time.Now().Add(-d)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), at, at))
}

func setMode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "mode OCTAL PATH...")
	mode, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, path := range args[1:] {
		ts.Check(os.Chmod(ts.MkAbs(path), fs.FileMode(mode)))
	}
}

func asUser(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 0, "asuser")
	if os.Geteuid() != 0 {
		return
	}
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, testhost.Nobody, testhost.Nobody)
	}))
	ts.Setenv(testhost.UIDVar, strconv.Itoa(testhost.Nobody))
}

func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "tmpfs DIR SIZE")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]+",mode=755"))
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func remount(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "remount ro|rw DIR")
	flags := uintptr(unix.MS_REMOUNT)
	if args[0] == "ro" {
		flags |= unix.MS_RDONLY
	}
	ts.Check(unix.Mount("tmpfs", ts.MkAbs(args[1]), "tmpfs", flags, ""))
}

// hang mounts a file system that no process serves, so that every access waits.
func hang(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "hang DIR")
	dir := ts.MkAbs(args[0])
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	ts.Check(err)
	ts.Check(unix.Mount("fuse", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)))
	ts.Defer(func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
		_ = unix.Close(fd) // ends all accesses that still wait
	})
}

func endHang(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "answer DIR")
	ts.Check(unix.Unmount(ts.MkAbs(args[0]), unix.MNT_DETACH))
}

func fillInodes(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "fillinodes DIR")
	dir := filepath.Join(ts.MkAbs(args[0]), "many")
	ts.Check(os.Mkdir(dir, 0o755))
	for n := 0; ; n++ {
		err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)), nil, 0o644)
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		ts.Check(err)
	}
}

func fill(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "fill DIR")
	f, err := os.Create(filepath.Join(ts.MkAbs(args[0]), "filler"))
	ts.Check(err)
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		ts.Fatalf("filling: %v", err)
	}
	ts.Check(f.Close())
}
