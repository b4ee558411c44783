package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// How much a command prints does not show in the memory of exec.
func TestExecMemoryIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resident := func(megabytes int) int {
		script := fmt.Sprintf("head -c %d000000 /dev/urandom; exit 1", megabytes)
		cmd := w.child([]string{"exec", "--project", "odilo", "--", "sh", "-c", script}, logMemory+"="+w.path("memory"))
		require.Equal(t, 1, testhost.ExitCode(cmd.Run()))
		b, err := os.ReadFile(w.path("memory"))
		require.NoError(t, err)
		kB, err := strconv.Atoi(string(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)[1]))
		require.NoError(t, err)
		return kB
	}
	little, much := resident(1), resident(20)
	t.Logf("%d kB resident after 1 MB, %d kB after 20 MB", little, much)
	require.Less(t, much, little+12_000)
}
