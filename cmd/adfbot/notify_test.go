package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// manager listens as systemd does.
type manager struct {
	t testing.TB
	*net.UnixConn
}

// newManager listens at a path, or at a name that the kernel chooses.
func newManager(t testing.TB, path string) manager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return manager{t, c}
}

func (m manager) env() string { return "NOTIFY_SOCKET=" + m.LocalAddr().String() }

// heard is the next message.
func (m manager) heard() string {
	m.t.Helper()
	require.NoError(m.t, m.SetReadDeadline(time.Now().Add(testhost.Patience)))
	b := make([]byte, 4096)
	n, err := m.Read(b)
	require.NoError(m.t, err)
	return string(b[:n])
}

// await waits for a message that begins so.
func (m manager) await(what string) {
	m.t.Helper()
	for !strings.HasPrefix(m.heard(), what) {
	}
}

// startDaemon starts `adfbot serve` and returns when it serves.
func startDaemon(t testing.TB, daemon *testhost.Child) {
	t.Helper()
	m := newManager(t, "")
	daemon.Env = append(daemon.Env, m.env())
	require.NoError(t, daemon.Start())
	m.await("READY=1")
}

func environ(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestNotifier(t *testing.T) {
	for name, socket := range map[string]string{
		"at a path":                  filepath.Join(t.TempDir(), "notify"),
		"in the abstract name space": "@adfbot-test-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, socket)
			n := newNotifier(environ(map[string]string{"NOTIFY_SOCKET": socket}), quietLog())
			n.Ready()
			require.Equal(t, "READY=1\nSTATUS=Serving", m.heard())
			n.Reloading()
			require.Regexp(t, regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+\n`), m.heard())
			n.Stopping()
			require.Contains(t, m.heard(), "STOPPING=1\n")
		})
	}
}

// The watchdog is told only while the sweeps go on.
func TestWatchdogFollowsSweeps(t *testing.T) {
	m := newManager(t, "")
	n := newNotifier(environ(map[string]string{"NOTIFY_SOCKET": m.LocalAddr().String(), "WATCHDOG_USEC": "2000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}),
		quietLog())
	require.Equal(t, time.Millisecond, n.every)
	ctx, cancel := context.WithCancel(t.Context())
	alive, ended := make(chan bool), make(chan struct{})
	go func() {
		defer close(ended)
		n.Watchdog(ctx, func() bool {
			select {
			case a := <-alive:
				return a
			case <-ctx.Done():
				return false
			}
		})
	}()
	for _, a := range []bool{true, true, false, false, false, true, false} {
		alive <- a
	}
	cancel()
	<-ended
	n.Stopping()
	for range 3 {
		require.Equal(t, "WATCHDOG=1", m.heard())
	}
	require.Contains(t, m.heard(), "STOPPING=1\n", "it is told nothing else")
}

func TestNotifierWithoutManager(t *testing.T) {
	n := newNotifier(environ(nil), quietLog())
	n.Ready()
	n.Reloading()
	n.Stopping()
	n.Watchdog(t.Context(), func() bool { t.Error("asked"); return true }) // returns at once

	for name, vars := range map[string]map[string]string{
		"the watchdog of another process": {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"},
		"no number":                       {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"},
		"no watchdog":                     {"NOTIFY_SOCKET": "/x"},
	} {
		require.Zero(t, newNotifier(environ(vars), quietLog()).every, name)
	}
	// A socket that is gone is logged and does no harm.
	newNotifier(environ(map[string]string{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "gone")}), quietLog()).Ready()
}

func TestServeNotifiesManager(t *testing.T) {
	w := newWorld(t)
	m := newManager(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve"}, process{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(name string) string {
			switch name {
			case "NOTIFY_SOCKET":
				return m.LocalAddr().String()
			case "WATCHDOG_USEC":
				return "20000000"
			}
			return w.getenv(name)
		}})
	}()
	var first []string
	for range 2 {
		said, _, _ := strings.Cut(m.heard(), "\n")
		first = append(first, said)
	}
	require.ElementsMatch(t, []string{"READY=1", "WATCHDOG=1"}, first)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	m.await("RELOADING=1\nMONOTONIC_USEC=")
	m.await("READY=1")
	cancel()
	m.await("STOPPING=1")
	require.Zero(t, <-ended)
}
