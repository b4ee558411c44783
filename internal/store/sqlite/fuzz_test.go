package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store/sqlite"
)

// Whatever is in the files of a state, opening and using it returns.
func FuzzMutilatedFiles(f *testing.F) {
	clean := filepath.Join(f.TempDir(), "adfbot.db")
	s, err := sqlite.Open(ctx, clean, sqlite.Options{})
	require.NoError(f, err)
	trip(f, s, "odilo")
	var files [3][]byte
	for n, suffix := range suffixes {
		files[n], err = os.ReadFile(clean + suffix)
		require.NoError(f, err)
	}
	require.NoError(f, s.Close())
	whole, err := os.ReadFile(clean)
	require.NoError(f, err)

	f.Add(uint8(0), uint32(60), []byte{0xff, 0xff, 0xff, 0xfb}, uint32(0), true)   // the version
	f.Add(uint8(0), uint32(16), []byte{0, 1}, uint32(0), true)                     // the size of a page: 65536
	f.Add(uint8(0), uint32(18), []byte{9, 9}, uint32(0), true)                     // the version of the format
	f.Add(uint8(0), uint32(56), []byte{0, 0, 0, 2}, uint32(0), true)               // UTF-16
	f.Add(uint8(0), uint32(100), []byte{0x02, 0xff, 0xff}, uint32(0), true)        // the page of the schema
	f.Add(uint8(0), uint32(0), []byte{}, uint32(4096), true)                       // cut off
	f.Add(uint8(1), uint32(0), []byte{0xff, 0xff, 0xff, 0xff}, uint32(0), false)   // the log's magic number
	f.Add(uint8(1), uint32(0), []byte{}, uint32(1000), false)                      // the log cut off
	f.Add(uint8(2), uint32(0), []byte{0xff, 0xff, 0xff, 0xff}, uint32(0), false)   // its index
	f.Add(uint8(2), uint32(136), []byte{0xff, 0xff, 0xff, 0xff}, uint32(7), false) // its index, cut off
	f.Fuzz(func(t *testing.T, which uint8, at uint32, bytes []byte, cut uint32, closed bool) {
		path := filepath.Join(t.TempDir(), "adfbot.db")
		for n, suffix := range suffixes {
			content := files[n]
			if closed {
				content = [3][]byte{whole}[n]
			}
			if n == int(which)%3 {
				content = mutilate(content, int(at), bytes, int(cut))
			}
			if !closed || n == 0 {
				require.NoError(t, os.WriteFile(path+suffix, content, 0o600))
			}
		}
		_ = use(path, true)
		_ = use(path, false)
		_ = use(path, false)
	})
}

var suffixes = []string{"", "-wal", "-shm"}

// mutilate overwrites some bytes and cuts the rest off.
func mutilate(b []byte, at int, with []byte, cut int) []byte {
	b = append([]byte{}, b...)
	if len(b) > 0 {
		copy(b[at%len(b):], with)
	}
	if cut > 0 && cut < len(b) {
		b = b[:cut]
	}
	return b
}
