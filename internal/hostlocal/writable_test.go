package hostlocal_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// An immutable directory needs chattr: chmod does not help, and root may not write it either.
func TestImmutable(t *testing.T) {
	dir := testhost.Ext4(t)
	require.NoError(t, exec.Command("chattr", "+i", dir).Run())
	defer func() { require.NoError(t, exec.Command("chattr", "-ia", dir).Run()) }()
	require.Equal(t, "it is immutable: run chattr -i "+dir, hostlocal.NotWritable(dir))
	_, err := pause.New(dir).Write("odilo", "")
	require.ErrorContains(t, err, "operation not permitted; the file or its directory may be immutable: see lsattr")
	require.NoError(t, exec.Command("chattr", "=a", dir).Run())
	require.Equal(t, "it is append-only: run chattr -a "+dir, hostlocal.NotWritable(dir))
}
