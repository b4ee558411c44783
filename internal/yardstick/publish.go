package yardstick

import (
	"os"
	"path/filepath"
	"testing"
)

// Publish returns what a pause flag is compared with. The function makes a file with the given content under dir, complete
// or not at all, and returns when the file and its directory entry are on disk (two syncs). It is safe for concurrent use.
func Publish(b *testing.B, dir string, content []byte) func(name string) {
	b.Helper()
	OnDisk(b, dir)
	entries, err := os.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = entries.Close() })
	return func(name string) {
		temp := filepath.Join(dir, ".tmp-"+name)
		for _, err := range []error{
			writeSynced(temp, content),
			os.Link(temp, filepath.Join(dir, name)),
			os.Remove(temp),
			entries.Sync(),
		} {
			if err != nil {
				b.Error(err)
			}
		}
	}
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
