package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// watch runs status --watch for some pages. between is called after each.
func (w *world) watch(stdout io.Writer, pages int, between func(page int), env ...string) int {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	shown := 0
	return run(ctx, []string{"status", "--watch=5s"}, process{
		stdin: strings.NewReader(""), stdout: stdout, stderr: io.Discard,
		getenv: func(name string) string {
			for _, e := range env {
				if value, ok := strings.CutPrefix(e, name+"="); ok {
					return value
				}
			}
			return w.getenv(name)
		},
		sleep: func(d time.Duration) {
			require.Equal(w.t, 5*time.Second, d)
			shown++
			between(shown)
			if shown == pages {
				cancel()
			}
		},
	})
}

// Each page is read anew. An error in between does not end it.
func TestWatchStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trip()
	var out bytes.Buffer
	flag := w.path("config.yaml")
	require.Zero(t, w.watch(&out, 3, func(page int) {
		switch page {
		case 1:
			require.NoError(t, os.Rename(flag, flag+".away"))
		case 2:
			require.NoError(t, os.Rename(flag+".away", flag))
			w.ok("resume", "odilo")
		}
	}))
	pages := strings.Split(out.String(), "\n\n")
	require.Len(t, pages, 3)
	for _, p := range pages {
		require.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, every 5s\n`, p)
	}
	require.Contains(t, pages[0], "1 paused")
	require.Contains(t, pages[1], "adfbot: ")
	require.Contains(t, pages[1], "config.yaml")
	require.NotContains(t, pages[2], "paused")
	require.NotContains(t, out.String(), "\x1b")

	out.Reset()
	require.NoError(t, os.Rename(flag, flag+".away"))
	require.Equal(t, exitUsage, w.watch(&out, 1, func(int) { t.Error("it goes on") }), "a mistake from the start ends it")
	_, code := w.run("status", "--watch=10ms")
	require.Equal(t, exitUsage, code)
}

// terminal returns both ends of a terminal.
func terminal(t *testing.T, columns, lines int) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here: ", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = theirs.Close() })
	require.NoError(t, unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(lines)}))
	return ours, theirs
}

// On a terminal, pages replace each other, fit on the screen, and have colours.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trip()
	show := func(lines int, env ...string) (pages []string) {
		ours, theirs := terminal(t, 60, lines)
		require.Zero(t, w.watch(theirs, 2, func(int) {}, env...))
		_, err := theirs.WriteString("\x00")
		require.NoError(t, err)
		var all []byte
		for b := make([]byte, 4096); !bytes.HasSuffix(all, []byte{0}); {
			n, err := ours.Read(b)
			require.NoError(t, err)
			all = append(all, b[:n]...)
		}
		pages = strings.Split(strings.ReplaceAll(strings.TrimSuffix(string(all), "\x00"), "\r\n", "\n"), "\x1b[H\x1b[J")
		require.Len(t, pages, 3)
		require.Empty(t, pages[0])
		return pages[1:]
	}
	for _, page := range show(50) {
		require.Contains(t, page, "\x1b[31mPAUSED ")
		require.Regexp(t, `(?m)^  odilo#1 http://\S+/issues/1$`, page)
		for line := range strings.Lines(page) {
			if strings.Contains(line, "failures") && !strings.Contains(line, "in a row") {
				require.LessOrEqual(t, displaywidth.Options{ControlSequences: true}.String(strings.TrimRight(line, "\n")), 60)
			}
		}
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		for _, page := range show(50, env) {
			require.NotContains(t, page, "\x1b", env)
		}
	}
	for _, page := range show(4) {
		require.Equal(t, 3, strings.Count(page, "\n")+1, "the last line stays free")
		require.Regexp(t, `… and \d+ more lines$`, page)
	}
}
