package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
)

// In the shared set-up whoever is in the group may replace any file in the state's folders, and must not get at a file that
// is only the bot's or root's that way.

// precious makes a file that is not to be touched, as large as a room that is kept for a result, and returns what looks whether it was.
func precious(t *testing.T) (path string, untouched func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "token")
	content := strings.Repeat("0123456789abcdef", 256)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	old := noon.Add(-24 * time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	return path, func() {
		t.Helper()
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o640), info.Mode())
		require.Equal(t, old, info.ModTime().UTC())
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(b))
	}
}

func TestALinkInThePlaceOfARoomForAResultIsReplaced(t *testing.T) {
	s, _ := newStore(t)
	token, untouched := precious(t)
	room := filepath.Join(s.Path()+".d", "spool", "reserve-0.ready")
	require.NoError(t, os.Symlink(token, room))
	require.NoError(t, s.KeepReady())
	info, err := os.Lstat(room)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	untouched()
}

func TestOnAFullDiskNoResultIsWrittenThroughALink(t *testing.T) {
	dir := testhost.NewDisk(t, "size=2m")
	path := filepath.Join(dir, "adfbot.db")
	s := open(t, path, sqlite.Options{})
	require.NoError(t, s.KeepReady())
	token, untouched := precious(t)
	require.NoError(t, os.Symlink(token, filepath.Join(path+".d", "spool", "a.ready")))
	empty := testhost.Fill(t, dir)
	spool(t, path, spooledResult("r", noon))
	untouched()
	require.Len(t, spooled(t, s), 1)
	empty()
}

func TestNothingIsTidiedAwayInAFolderToWhichALinkLeads(t *testing.T) {
	s, _ := newStore(t)
	elsewhere := t.TempDir()
	for folder, name := range map[string]string{"runs": "index.lock", "spool": "draft.tmp"} {
		path := filepath.Join(elsewhere, name)
		require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
		old := time.Now().Add(-2 * time.Hour)
		require.NoError(t, os.Chtimes(path, old, old))
		ours := filepath.Join(s.Path()+".d", folder)
		require.NoError(t, os.Rename(ours, ours+".away"))
		require.NoError(t, os.Symlink(elsewhere, ours))
		require.ErrorContains(t, s.Tidy(ctx), folder)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "mine", string(b))
		require.NoError(t, os.Remove(ours))
		require.NoError(t, os.Rename(ours+".away", ours))
	}
	require.NoError(t, s.Tidy(ctx))
}
