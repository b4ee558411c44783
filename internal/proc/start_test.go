package proc_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
)

// program writes an executable file into a directory.
func program(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// A command is found and started as execvp(3) does, and with it timeout(1), nice(1) and env(1).
func TestStartsAsExecvp(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	const noInterpreter = "echo \"sh $1\"\nexit 4\n"
	program(t, dir, "bin/script", noInterpreter)
	program(t, dir, "here", noInterpreter)
	program(t, dir, "empty", "")
	program(t, dir, "first/both", "#!/bin/sh\n")
	require.NoError(t, os.Chmod(dir+"/first/both", 0o644))
	program(t, dir, "second/both", "#!/bin/sh\necho second\n")
	require.NoError(t, os.MkdirAll(dir+"/third/both", 0o755))
	program(t, dir, "removed/both", "#!/opt/venv-removed/bin/python3\n")
	for what, c := range map[string]struct {
		path string // "-": no PATH at all
		name string
		code int
		out  string
	}{
		"a script without #!":                       {"/usr/bin:/bin", dir + "/bin/script", 4, "sh x\n"},
		"a script without #! in PATH":               {dir + "/bin", "script", 4, "sh x\n"},
		"an empty file":                             {"/usr/bin:/bin", dir + "/empty", 0, ""},
		"a relative entry of PATH":                  {"nowhere:bin", "script", 4, "sh x\n"},
		"an empty entry of PATH":                    {"/nowhere:", "here", 4, "sh x\n"},
		"an entry that may not be executed":         {"first:third:second", "both", 0, "second\n"},
		"an entry whose interpreter is missing":     {"removed:second", "both", 0, "second\n"},
		"nothing but that: 127":                     {"removed:first", "both", 127, ""},
		"no PATH: that of the system":               {"-", "echo", 0, "x\n"},
		"PATH is empty: the working directory":      {"", "here", 4, "sh x\n"},
		"nothing but what may not be executed: 126": {"first:third", "both", 126, ""},
		"not there: 127":                            {"first:third", "neither", 127, ""},
		"no name: 127":                              {"/usr/bin:/bin", "", 127, ""},
	} {
		t.Run(what, func(t *testing.T) {
			cmd, _, out := shell(t, "")
			cmd.Args, cmd.Env = []string{c.name, "x"}, nil
			if c.path != "-" {
				cmd.Env = []string{"PATH=" + c.path}
			}
			exit, output, _ := cmd.Run()
			require.NoError(t, output.Wait(cmd.Signals))
			require.Equal(t, c.code, exit.Code)
			require.Equal(t, c.out, out.String())
		})
	}
}

// The error names the cause.
func TestWhyNotStarted(t *testing.T) {
	c, dir, _ := shell(t, "")
	for name, want := range map[string]string{
		filepath.Join(dir, "missing"): "start " + dir + "/missing: no such file or directory",
		"no-such-command":             "start no-such-command: looked in PATH=" + dir + ": no such file or directory",
		program(t, dir, "bad-interpreter", "#!/no/such/interpreter\n"): "the file is there, but not its interpreter (see its first line) or loader",
	} {
		c.Args, c.Env = []string{name}, []string{"PATH=" + dir}
		exit, _, err := c.Run()
		require.ErrorContains(t, err, want)
		require.Equal(t, 127, exit.Code)
	}
}

// Without descriptors nothing can be started, which says nothing about the command.
func TestNoResources(t *testing.T) {
	cmd := testhost.Command(t, "limited", "nofile")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// limited is a process that has no descriptor left at one of the steps of a start.
func limited(testhost.Self) int {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		panic(err)
	}
	_, _ = os.ReadFile("/proc/self/stat") // Go's own descriptors are there
	fd, err := unix.Dup(0)
	if err != nil {
		panic(err)
	}
	_ = unix.Close(fd)
	for free := range 12 {
		if err := syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(fd + free), Max: now.Max}); err != nil {
			panic(err)
		}
		c := proc.Command{
			Args: []string{"true"}, Env: []string{"PATH=/usr/bin:/bin"}, Signals: proc.NewSignals(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Capture: devNull{},
		}
		exit, output, err := c.Run()
		_ = output.Wait(c.Signals)
		if err == nil && exit.Code == 0 && free > 0 {
			return 0 // this many are enough
		}
		if !errors.Is(err, proc.ErrResources) {
			println(free, exit.Code, err.Error())
			return 1
		}
	}
	return 2
}

type devNull struct{}

func (devNull) Write(p []byte) (int, error) { return len(p), nil }
