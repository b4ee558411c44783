package testpg

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/testhost"
)

// process is a server that ends with this process.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   logBuffer
}

// start starts a program and returns when it logs that it is ready.
func (p *process) start(ready string, as *syscall.Credential, dir, program string, args ...string) error {
	isReady, failed := make(chan struct{}), make(chan error, 1)
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		// The signal comes when the thread that has started it ends, so it must not end before the process.
		runtime.LockOSThread()
		p.cmd = exec.Command(program, args...)
		p.cmd.Dir = dir
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT}
		err := p.run(ready, isReady)
		failed <- fmt.Errorf("%s has ended: %w: %s", program, err, p.log.String())
	}()
	select {
	case <-isReady:
		return nil
	case err := <-failed:
		return err
	case <-time.After(testhost.Patience):
		return fmt.Errorf("%s does not get ready: %s", program, p.log.String())
	}
}

// run keeps what the program logs, until it ends.
func (p *process) run(ready string, isReady chan struct{}) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	p.cmd.Stderr = w
	err = p.cmd.Start()
	_ = w.Close()
	if err != nil {
		return err
	}
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		_, _ = io.WriteString(&p.log, line)
		if isReady != nil && strings.Contains(line, ready) {
			close(isReady)
			isReady = nil
		}
		if err != nil {
			return p.cmd.Wait()
		}
	}
}

// signal sends a signal and waits for the end.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	<-p.ended
}

// logBuffer is a buffer for several goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
