package proc

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrResources means that the system had no process, descriptor or memory left to start the command with. It says nothing about
// the command.
var ErrResources = errors.New("the system has no resources left to start a command")

// startError adds [ErrResources] to an error where it applies.
func startError(name string, err error) error {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.ENOMEM} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrResources, err)
		}
	}
	// The name of the operation is Go's own. An error that wraps this one says more.
	switch path, ok := err.(*fs.PathError); {
	case !ok || path.Op != "fork/exec":
	case path.Path == name:
		return path.Err
	default:
		return fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	return err
}

// notStarted returns the exit of a command that could not be started, as in a shell.
func notStarted(err error) Exit {
	if errors.Is(err, unix.ENOENT) {
		return Exit{Code: 127, Detail: "command not found"}
	}
	return Exit{Code: 126, Detail: "command not executable"}
}

// start starts the command as execvp(3) does: a script without #! is run by /bin/sh. set completes the process to start.
func (c Command) start(set func(*exec.Cmd)) (*exec.Cmd, error) {
	files, err := lookup(c.Args[0], c.Env)
	if err != nil {
		return nil, err
	}
	run := func(path string, args []string) (*exec.Cmd, error) {
		cmd := &exec.Cmd{Path: path, Args: args, Env: c.Env}
		set(cmd)
		return cmd, cmd.Start()
	}
	var cmd *exec.Cmd
	for _, file := range files {
		cmd, err = run(file, c.Args)
		switch {
		case errors.Is(err, unix.ENOEXEC):
			return run("/bin/sh", slices.Concat([]string{"/bin/sh", file}, c.Args[1:]))
		case !errors.Is(err, unix.ENOENT):
			return cmd, err
		case executable(file) == nil:
			err = fmt.Errorf("%w: the file is there, but not its interpreter (see its first line) or loader", err)
		}
	}
	return cmd, err
}

// lookup returns the paths of a command, of which the first is meant that can be started. Unlike [exec.LookPath], it accepts relative
// and empty entries of PATH, has a default for PATH, and tells a command that is there but not executable from one that is not.
func lookup(name string, environ []string) (files []string, err error) {
	if strings.Contains(name, "/") {
		return []string{name}, nil
	}
	var found error = unix.ENOENT
	path := pathIn(environ)
	for dir := range strings.SplitSeq(path, ":") {
		file := cmp.Or(dir, ".") + "/" + name
		switch err := executable(file); {
		case name == "":
		case err == nil:
			files = append(files, file)
		case errors.Is(err, unix.EACCES):
			found = err
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("looked in PATH=%s: %w", path, found)
	}
	return files, nil
}

func pathIn(environ []string) string {
	for _, kv := range slices.Backward(environ) { // the last one wins, as in os/exec
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			return path
		}
	}
	return "/bin:/usr/bin"
}

func executable(file string) error {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return syscall.EACCES
	}
	return unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
}
