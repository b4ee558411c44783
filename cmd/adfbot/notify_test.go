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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// manager listens as systemd does.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	require.NoError(t, err)
	return string(b[:n])
}

func environ(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTheManagerIsTold(t *testing.T) {
	for name, socket := range map[string]string{
		"at a path":                  filepath.Join(t.TempDir(), "notify"),
		"in the abstract name space": "@adfbot-test-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			c := manager(t, socket)
			n := newNotifier(environ(map[string]string{"NOTIFY_SOCKET": socket}), quietLog())
			n.Ready()
			require.Equal(t, "READY=1\nSTATUS=Serving", heard(t, c))
			n.Reloading()
			require.Regexp(t, regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+\n`), heard(t, c))
			n.Stopping()
			require.Contains(t, heard(t, c), "STOPPING=1\n")
		})
	}
}

func TestTheWatchdogIsToldOnlyWhileTheSweepsGoOn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	c := manager(t, socket)
	n := newNotifier(environ(map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}), quietLog())
	require.Equal(t, 10*time.Millisecond, n.every)
	ctx, cancel := context.WithCancel(t.Context())
	var alive atomic.Bool
	var asked atomic.Int64
	alive.Store(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Watchdog(ctx, func() bool { asked.Add(1); return alive.Load() })
	}()
	require.Equal(t, "WATCHDOG=1", heard(t, c))
	require.Equal(t, "WATCHDOG=1", heard(t, c))

	alive.Store(false)
	seen := asked.Load()
	require.Eventually(t, func() bool { return asked.Load() > seen+3 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	b := make([]byte, 100)
	told := 0
	for { // what was sent before it fell silent
		if _, err := c.Read(b); err != nil {
			break
		}
		told++
	}
	seen = asked.Load()
	require.Eventually(t, func() bool { return asked.Load() > seen+3 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err := c.Read(b)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "silent after %d", told)

	alive.Store(true)
	require.Equal(t, "WATCHDOG=1", heard(t, c))
	cancel()
	<-ended
}

func TestWithoutAManagerNothingIsSaid(t *testing.T) {
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

func TestServeTellsTheManagerHowItIs(t *testing.T) {
	w := newWorld(t)
	c := manager(t, w.path("notify"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve"}, process{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(name string) string {
			switch name {
			case "NOTIFY_SOCKET":
				return w.path("notify")
			case "WATCHDOG_USEC":
				return "20000000"
			}
			return w.getenv(name)
		}})
	}()
	await := func(what string) {
		t.Helper()
		for !strings.HasPrefix(heard(t, c), what) {
		}
	}
	var first []string
	for range 2 {
		said, _, _ := strings.Cut(heard(t, c), "\n")
		first = append(first, said)
	}
	require.ElementsMatch(t, []string{"READY=1", "WATCHDOG=1"}, first)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	await("RELOADING=1\nMONOTONIC_USEC=")
	await("READY=1")
	cancel()
	await("STOPPING=1")
	require.Zero(t, <-ended)
}
