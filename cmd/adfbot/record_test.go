package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/testhost"
)

// A log that was truncated while its writer kept its place in it begins with a hole as large as the log was.
func TestOutputWithAHole(t *testing.T) {
	name := t.TempDir() + "/log"
	for _, text := range []string{"", "the end\n"} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
		require.NoError(t, os.Truncate(name, 1<<40))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		got, err := (&app{}).readOutput(name, 1000, &redact.Redactor{}, time.Second)
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
}

// The clock of the machine where the run began may be a little ahead. One that is far ahead is wrong, and not the end, of which nothing is said.
func TestRecordBegunByAClockThatIsAhead(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for started, want := range map[string]string{"2026-11-23T12:00:01Z": "", "2026-11-23T13:00:00Z": "started 2026-11-23T13:00:00Z is in the future"} {
		r, err := recordFlags{project: "odilo", agent: "project-meta", failure: true, started: started}.result(&config.Config{}, false, now)
		require.NoError(t, err)
		if err := bot.CheckResult(r, now); want != "" {
			require.ErrorContains(t, err, want)
		} else {
			require.NoError(t, err)
		}
	}
}

// A device and the pipe of tail -f have no end.
func TestOutputWithoutEnd(t *testing.T) {
	_, err := (&app{}).readOutput("/dev/zero", 1000, &redact.Redactor{}, time.Millisecond)
	require.EqualError(t, err, "--output: read /dev/zero: no end of data after 3ms")

	got, err := (&app{}).readOutput("/dev/null", 1000, &redact.Redactor{}, testhost.Patience)
	require.NoError(t, err)
	require.Empty(t, got)
}

// The output may be a pipe, e.g. <(journalctl -u odilo). If it has no writer, or its writer hangs, the result is recorded all the same.
func TestOutputFromPipe(t *testing.T) {
	name := t.TempDir() + "/pipe"
	require.NoError(t, unix.Mkfifo(name, 0o600))
	read := func(wait time.Duration) (string, error) {
		return (&app{}).readOutput(name, 1000, &redact.Redactor{}, wait)
	}

	got, err := read(time.Millisecond)
	require.EqualError(t, err, "--output: read "+name+": no data for 1ms")
	require.Empty(t, got)

	go func() { _ = os.WriteFile(name, []byte("late\n"), 0) }() // waits for the reader
	got, err = read(testhost.Patience)
	require.NoError(t, err)
	require.Equal(t, "late\n", got)

	hangs, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { _ = hangs.Close() }()
	_, err = hangs.WriteString("first\n")
	require.NoError(t, err)
	got, err = read(100 * time.Millisecond)
	require.ErrorContains(t, err, "no data")
	require.Equal(t, "first\n", got, "what has come is kept")
}

// So may standard input, which a process in the background may keep open.
func TestOutputFromStandardInput(t *testing.T) {
	in, out, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _, _ = in.Close(), out.Close() }()
	_, err = out.WriteString("first\n")
	require.NoError(t, err)
	read := make(chan error, 1)
	go func() {
		_, err := (&app{process: process{stdin: in}}).readOutput("-", 1000, &redact.Redactor{}, 100*time.Millisecond)
		read <- err
	}()
	select {
	case err := <-read:
		require.ErrorContains(t, err, "no data")
	case <-time.After(testhost.Patience):
		require.Fail(t, "record waits for ever")
	}
}
