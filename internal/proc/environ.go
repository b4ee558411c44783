package proc

import (
	"bytes"
	"fmt"
	"os"
)

// HideVar overwrites the value of a variable in the memory in which this process got its environment, and which other processes of the
// same user read as /proc/<pid>/environ. [os.Getenv] has a copy.
func HideVar(name string) error {
	environ, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return fmt.Errorf("hide $%s: %w", name, err)
	}
	begin := self().environ
	for at, kv := 0, []byte(nil); at < len(environ); at += len(kv) + 1 {
		kv, _, _ = bytes.Cut(environ[at:], []byte{0})
		if !bytes.HasPrefix(kv, []byte(name+"=")) {
			continue
		}
		if err := overwrite(begin+int64(at), len(kv)); err != nil {
			return fmt.Errorf("hide $%s: %w", name, err)
		}
	}
	return nil
}

// overwrite writes zeros into this process's own memory.
func overwrite(address int64, n int) error {
	memory, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	_, err = memory.WriteAt(make([]byte, n), address)
	return err
}
