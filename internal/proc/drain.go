package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// startDrain starts this program once more, to run [Drain] from one file to another. It has nothing else of this process: no other
// file, no terminal, no working directory, no environment.
func startDrain(args []string, from, to *os.File) error {
	cmd := &exec.Cmd{
		Path: program(), Args: args, Env: []string{}, Dir: "/", Stdin: from, Stdout: to,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	keepFiles()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a process that passes on the output: %w", err)
	}
	return cmd.Process.Release()
}

// program returns the path of this program, or, if another one is there by now, the link that leads to it all the same. By the path,
// process lists show its name.
func program() string {
	const link = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return link
	}
	there, errThere := os.Stat(path)
	this, errThis := os.Stat(link)
	if errThere != nil || errThis != nil || !os.SameFile(there, this) {
		return link
	}
	return path
}

// keepFiles keeps the files that this process has inherited from its parent, among them perhaps locks, from those that it starts.
func keepFiles() {
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// Drain copies what the processes that a command has left behind write to where the output of the command went. It returns when the
// last of them has ended, or when the reader has gone; then they get a SIGPIPE. Other errors, such as a full disk, do not disturb
// them. Only SIGKILL ends Drain earlier: the processes may still have to write when they are told to end.
func Drain(from io.Reader, to io.Writer) {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	to = shared(to)
	buf := make([]byte, readSize)
	for {
		n, err := from.Read(buf)
		_, errTo := to.Write(buf[:n])
		if err != nil || errors.Is(errTo, syscall.EPIPE) {
			return
		}
	}
}
