package hostlocal

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOtherPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	was := Place(dir)
	if was == "" {
		t.Skip("the file system of temporary files does not tell")
	}
	require.NoError(t, os.Symlink(dir, dir+".link"))
	require.False(t, OtherPlace(was, Place(dir+".link")))
	require.NoError(t, os.Rename(dir, dir+".old"))
	require.Empty(t, Place(dir))
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.True(t, OtherPlace(was, Place(dir)))
	require.False(t, OtherPlace(was, Place(dir+".old")))

	require.Empty(t, Place("/proc/self"), "which is another directory for each process")
	for _, said := range []string{"", "x", "another-boot 1 2"} {
		require.False(t, OtherPlace(said, was), said)
		require.False(t, OtherPlace(was, said), said)
	}
}
