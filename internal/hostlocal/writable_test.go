package hostlocal_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// An immutable directory needs chattr: chmod does not help, and root may not write it either.
func TestImmutable(t *testing.T) {
	dir := testhost.Ext4(t) + "/a place"
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, exec.Command("chattr", "+i", dir).Run())
	defer func() { require.NoError(t, exec.Command("chattr", "-ia", dir).Run()) }()
	require.Equal(t, "it is immutable: run chattr -i '"+dir+"'", hostlocal.Installation{Dir: dir}.NotWritable(dir))
	_, err := pause.New(dir).Write("odilo", "")
	require.ErrorContains(t, err, "operation not permitted; the file or its directory may be immutable: see lsattr")
	require.NoError(t, exec.Command("chattr", "=a", dir).Run())
	require.Equal(t, "it is append-only: run chattr -a '"+dir+"'", hostlocal.Installation{Dir: dir}.NotWritable(dir))
}

// A session has the groups that its user had when it began.
func TestJoinedSince(t *testing.T) {
	testhost.NeedRoot(t, "to become another user")
	dir := testhost.PublicDir(t)
	for _, c := range []struct {
		groups string
		gid    int
		mode   os.FileMode
		want   string
	}{
		{"none", testhost.Nobody, 0o770, "true"},
		{"all", testhost.Nobody, 0o770, "false"},
		{"none", testhost.Nobody, 0o750, "false"}, // its group may not write it either
		{"none", 1, 0o770, "false"},               // which is not the user's
	} {
		require.NoError(t, os.Chown(dir, 0, c.gid))
		require.NoError(t, os.Chmod(dir, c.mode))
		out, err := testhost.Command(t, "joined since", dir, c.groups).Output()
		require.NoError(t, err, string(out))
		require.Equal(t, c.want+"\n", string(out), c)
	}
}
