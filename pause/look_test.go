package pause_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestPaths(t *testing.T) {
	require.Equal(t, "/opt/ai-dark-factory/data/pause", pause.New("").Path())
	require.Equal(t, pause.New(""), pause.Dir{})
	require.Equal(t, "/opt/ai-dark-factory/data/pause/odilo", pause.Dir{}.FlagPath("odilo"))
	require.Equal(t, "/x/pause/odilo", pause.New("/x/pause/").FlagPath("odilo"))
}

func TestAbsentFlag(t *testing.T) {
	d, _ := newDir(t)
	paused, err := d.Paused("odilo")
	require.NoError(t, err)
	require.False(t, paused)
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.Equal(t, pause.Flag{}, flag)
}

func TestOtherProjects(t *testing.T) {
	d, _ := newDir(t)
	_, err := d.Write("odilo", "")
	require.NoError(t, err)
	for id, want := range map[string]bool{"odilo": true, "digital-twins": false, "odil": false, "odilo2": false, "Odilo": false} {
		paused, err := d.Paused(id)
		require.NoError(t, err)
		require.Equal(t, want, paused, id)
	}
}

func TestEmptyID(t *testing.T) {
	d, _ := newDir(t)
	_, err := d.Write("__global__", "")
	require.NoError(t, err)
	for _, d := range []pause.Dir{d, pause.New("/nonexistent/pause")} {
		paused, err := d.Paused("")
		require.NoError(t, err)
		require.False(t, paused)
		flag, err := d.Look("")
		require.NoError(t, err)
		require.Equal(t, pause.Flag{}, flag)
		for _, look := range []func(string) (pause.Flag, pause.Sentinel, error){d.LookChecked, d.Check} {
			flag, sentinel, err := look("")
			require.NoError(t, err)
			require.Zero(t, flag)
			require.Zero(t, sentinel)
		}
	}
}

func TestLook(t *testing.T) {
	d, path := newDir(t)
	put(t, filepath.Join(path, "odilo"), "database is moving\n")
	since := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	require.NoError(t, os.Chtimes(filepath.Join(path, "odilo"), since, since))
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.True(t, flag.Since.Equal(since))
	require.WithinDuration(t, time.Now(), flag.Changed, time.Minute)
	flag.Since, flag.Changed = time.Time{}, time.Time{}
	require.Equal(t, pause.Flag{Present: true, Note: "database is moving\n", Size: 19}, flag)
}

func TestLongNote(t *testing.T) {
	d, path := newDir(t)
	file := filepath.Join(path, "odilo")
	for _, pad := range []int{0, 1, 2, 3} {
		put(t, file, strings.Repeat("x", pad)+strings.Repeat("🚧", 2000))
		flag, err := d.Look("odilo")
		require.NoError(t, err)
		require.True(t, utf8.ValidString(flag.Note))
		require.LessOrEqual(t, len(flag.Note), 4096)
		require.Greater(t, len(flag.Note), 4096-utf8.UTFMax)
	}
	for _, n := range []int{4095, 4096, 4097, 1 << 20} {
		put(t, file, strings.Repeat("x", n))
		flag, err := d.Look("odilo")
		require.NoError(t, err)
		require.Len(t, flag.Note, min(n, 4096))
	}
	put(t, file, strings.Repeat("\xff", 5000))
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.Len(t, flag.Note, 4096, "bytes that are not text are kept")
}

func TestFlagTypes(t *testing.T) {
	for kind, make := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"FIFO":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"socket":    func(p string) error { return syscall.Mknod(p, syscall.S_IFSOCK|0o644, 0) },
		"link to a directory": func(p string) error {
			return os.Symlink(".", p)
		},
		"link to a FIFO": func(p string) error {
			if err := syscall.Mkfifo(p+".fifo", 0o644); err != nil {
				return err
			}
			return os.Symlink("odilo.fifo", p)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			d, path := newDir(t)
			require.NoError(t, make(filepath.Join(path, "odilo")))
			soon(t, func() {
				flag, err := d.Look("odilo")
				require.NoError(t, err)
				require.True(t, flag.Present)
				require.False(t, flag.Dangling)
				require.Empty(t, flag.Note)
				paused, err := d.Paused("odilo")
				require.NoError(t, err)
				require.True(t, paused)
				created, err := d.Write("odilo", "note")
				require.NoError(t, err)
				require.False(t, created)
			})
		})
	}
}

// TestFlagBecomesFIFO has a FIFO in the place of the regular file that Look saw
// before it opens it. The FIFO has a writer that writes nothing.
func TestFlagBecomesFIFO(t *testing.T) {
	path := t.TempDir()
	fifo := filepath.Join(path, "odilo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o644))
	writer, err := os.OpenFile(fifo, os.O_RDWR, 0)
	require.NoError(t, err)
	defer writer.Close()
	root := openRoot(t, path)
	soon(t, func() {
		text, err := pause.ReadStart(root, "odilo", make([]byte, 10))
		require.ErrorIs(t, err, syscall.EAGAIN)
		require.Empty(t, text)
	})
}

func TestFlagThatLeadsOut(t *testing.T) {
	dangling := []string{"nowhere", "odilo", "plain/x"} // the second is a loop
	for _, target := range append(dangling, "../secret", "/etc/passwd", "..", "../pause/plain") {
		kind := strings.ReplaceAll(target, "/", "-")
		t.Run(kind, func(t *testing.T) {
			d, path := newDir(t)
			put(t, filepath.Join(path, "..", "secret"), "SECRET")
			put(t, filepath.Join(path, "plain"), "")
			require.NoError(t, os.Symlink(target, filepath.Join(path, "odilo")))

			flag, err := d.Look("odilo")
			require.NoError(t, err)
			require.True(t, flag.Present)
			require.Equal(t, slices.Contains(dangling, target), flag.Dangling, "test -e sees none")
			require.Empty(t, flag.Note, "nothing outside the directory is read")
			paused, err := d.Paused("odilo")
			require.NoError(t, err)
			require.True(t, paused)

			created, err := d.Write("odilo", "note")
			require.NoError(t, err)
			require.False(t, created)
			left, err := os.Readlink(filepath.Join(path, "odilo"))
			require.NoError(t, err)
			require.Equal(t, target, left, "the link is unchanged")

			removed, err := d.Remove("odilo")
			require.NoError(t, err)
			require.True(t, removed)
			content, err := os.ReadFile(filepath.Join(path, "..", "secret"))
			require.NoError(t, err)
			require.Equal(t, "SECRET", string(content))
		})
	}
}

func TestLinkedFlag(t *testing.T) {
	d, path := newDir(t)
	put(t, filepath.Join(path, "maintenance"), "all day")
	require.NoError(t, os.Symlink("maintenance", filepath.Join(path, "odilo")))
	flag, err := d.Look("odilo")
	require.NoError(t, err)
	require.True(t, flag.Present)
	require.False(t, flag.Dangling)
	require.Equal(t, "all day", flag.Note)
}

func TestList(t *testing.T) {
	d, path := newDir(t)
	ids, err := d.List()
	require.NoError(t, err)
	require.Empty(t, ids)

	for _, name := range []string{"odilo", "digital-twins", "Zeta", ".tmp-0123", "two words", ".hidden", "-x", "prüfung"} {
		put(t, filepath.Join(path, name), "")
	}
	require.NoError(t, os.Symlink("nowhere", filepath.Join(path, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(path, "folder"), 0o755))
	ids, err = d.List()
	require.NoError(t, err)
	require.Equal(t, []string{"Zeta", "digital-twins", "folder", "link", "odilo"}, ids)
}

// FuzzLook checks that no id reaches a file outside the directory, the sentinel
// or a temporary file.
func FuzzLook(f *testing.F) {
	f.Add("odilo")
	f.Add("../secret")
	for _, id := range badIDs {
		f.Add(id)
	}
	d, path := newDir(f)
	secret := filepath.Join(path, "..", "secret")
	put(f, secret, "SECRET")
	put(f, filepath.Join(path, ".tmp-0123456789abcdef"), "SECRET")
	before, around := names(f, path), names(f, filepath.Dir(path))
	f.Fuzz(func(t *testing.T, id string) {
		flag, err := d.Look(id)
		require.Equal(t, pause.Flag{}, flag)
		if pause.CheckID(id) != nil {
			if id != "" {
				require.ErrorIs(t, err, pause.ErrID)
			}
			_, err = d.Write(id, "x")
			require.ErrorIs(t, err, pause.ErrID)
			return
		}
		require.NoError(t, err)
		created, err := d.Write(id, id)
		require.NoError(t, err)
		require.True(t, created)
		flag, err = d.Look(id)
		require.NoError(t, err)
		require.Equal(t, id, flag.Note)
		require.Equal(t, around, names(t, filepath.Dir(path)))
		removed, err := d.Remove(id)
		require.NoError(t, err)
		require.True(t, removed)
		require.Equal(t, before, names(t, path))
	})
}
