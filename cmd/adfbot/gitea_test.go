package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
)

const (
	theRepo   = testworld.Repo
	otherRepo = testworld.OtherRepo
	botLogin  = testworld.Bot
	person    = testworld.Alex
	botToken  = testworld.Token
)

// gitea is the fake on a port of the loopback that can be taken off the network and put back.
type gitea struct {
	*giteatest.Server
	addr    string
	changes *testhost.Changes // tells of answered requests
	reserve int               // a socket that is bound to the port and never listens: while nobody listens, the port is refused and nobody else's

	mu       sync.Mutex
	server   *http.Server // nil while it is down
	listener syscall.RawConn
	ended    chan struct{} // closed when the server listens no more
	faults   []func()      // each ends one

	late    chan struct{} // closed when late work may be done
	release func()        // closes late
}

func newGitea() (*gitea, error) { return newGiteaAt(nil) }

// newGiteaAt is newGitea with another clock.
func newGiteaAt(now func() time.Time) (*gitea, error) {
	g := &gitea{Server: testworld.Gitea(now), changes: testhost.NewChanges(), late: make(chan struct{})}
	g.release = sync.OnceFunc(func() { close(g.late) })
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	g.reserve = fd
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	g.addr = fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
	g.SetBaseURL(g.url())
	return g, g.up()
}

func (g *gitea) url() string { return "http://" + g.addr }

func (g *gitea) up() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		return nil
	}
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if err2 := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); err2 != nil {
			return err2
		}
		return err
	}}
	l, err := share.Listen(context.Background(), "tcp", g.addr)
	if err != nil {
		return err
	}
	c, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	server, ended := &http.Server{Handler: http.HandlerFunc(g.serve)}, make(chan struct{})
	g.listener, g.server, g.ended = c, server, ended
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	return nil
}

func (g *gitea) serve(w http.ResponseWriter, r *http.Request) {
	defer g.changes.Report()
	g.ServeHTTP(w, r)
}

// down breaks all connections; new ones are refused.
func (g *gitea) down() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		// Closing alone would not end it at once: a process that is being started beside it has a copy of the socket until its exec.
		_ = g.listener.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
		<-g.ended
		_ = g.server.Close()
		g.server = nil
	}
}

func (g *gitea) close() {
	g.down()
	g.release()
	g.Close()
	_ = unix.Close(g.reserve)
}

// spoil switches a fault on until mend.
func (g *gitea) spoil(f giteatest.Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, g.Inject(f))
}

func (g *gitea) mend() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, end := range g.faults {
		end()
	}
	g.faults = nil
}

func (g *gitea) count(repo, state string) int {
	n := 0
	for _, i := range g.Issues(repo) {
		if state == "all" || i.State == state {
			n++
		}
	}
	return n
}

// settings is a configuration that the tests change by replacing lines of it.
const settings = `instance: bigbox
pause_dir: $WORK/pause
state: $WORK/state/adfbot.db
gitea:
  url: $GITEA_URL
  token_file: $WORK/token
  owner: terraphim
  repo: adf-fleet
sweep:
  schedule: "@every 1s"
projects:
  - id: odilo
  - id: digital-twins
    ignore_exit_codes: [75]
  - id: quick
    threshold: 1
`

// prepare makes what an installation has before its first command: a token and a configuration.
func prepare(work string, g *gitea) error {
	if err := os.WriteFile(filepath.Join(work, "token"), []byte(botToken+"\n"), 0o600); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(work, "*.yaml"))
	if err != nil {
		return err
	}
	if !slices.Contains(files, filepath.Join(work, "config.yaml")) {
		if err := os.WriteFile(filepath.Join(work, "config.yaml"), []byte(settings), 0o644); err != nil {
			return err
		}
		files = append(files, filepath.Join(work, "config.yaml"))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s := strings.NewReplacer("$WORK", work, "$GITEA_URL", g.url()).Replace(string(b))
		if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The fake goes off the network and comes back while processes start.
func TestGiteaGoesDownAndUp(t *testing.T) {
	t.Parallel()
	g, err := newGitea()
	require.NoError(t, err)
	defer g.close()
	ask := func() error {
		resp, err := http.Get(g.url() + "/api/v1/version")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			default:
				_ = exec.Command("true").Run()
			}
		}
	}()
	defer func() { close(over); <-done }()
	for range 100 {
		require.NoError(t, ask())
		g.down()
		require.ErrorIs(t, ask(), syscall.ECONNREFUSED)
		require.NoError(t, g.up())
	}
}
