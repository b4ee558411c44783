package yardstick

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPublish(t *testing.T) {
	once(t)
	dir := t.TempDir()
	testing.Benchmark(func(b *testing.B) {
		publish := Publish(b, dir, []byte("paused\n"))
		publish("odilo")
		publish("quiet")
	})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file is left")
	for _, name := range []string{"odilo", "quiet"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "paused\n", string(got))
	}
}
