package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A long sweep on a terminal shows how far it is.
func TestProgressOfLongSweep(t *testing.T) {
	at := time.Unix(0, 0)
	var out bytes.Buffer
	p := &progress{of: "projects", w: &out, now: func() time.Time { return at }, begun: at}
	p.show(1, 30)
	require.Empty(t, out.String(), "it may be done at once")
	at = at.Add(time.Second)
	p.show(2, 30)
	p.show(3, 30)
	p.show(30, 30)
	p.clear()
	require.Equal(t, "\radfbot: 2 of 30 projects\radfbot: 30 of 30 projects\r\033[K", out.String())
}

// A short sweep shows nothing, and neither does one without a terminal.
func TestProgressStaysSilent(t *testing.T) {
	at := time.Unix(100, 0)
	var out bytes.Buffer
	p := &progress{w: &out, now: func() time.Time { return at }}
	p.show(20, 20)
	p.clear()
	require.Empty(t, out.String())

	p = &progress{now: func() time.Time { return at }}
	p.show(21, 30)
	p.clear()

	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	require.False(t, isTerminal(f))
}
