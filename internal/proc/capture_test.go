package proc_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// writer keeps what several goroutines write to it, and calls then at each write.
type writer struct {
	mu   sync.Mutex
	got  bytes.Buffer
	then func()
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.then()
	return w.got.Write(p)
}

// Programs write blocks to a pipe, not lines. What they write to the other output in between must not split a line: half a secret
// would not be recognized.
func TestCaptureKeepsLinesTogether(t *testing.T) {
	c, dir, _ := shell(t, `until_there() { until [ -e DIR/$1 ]; do sleep 0.01; done; }
		printf 'TOKEN=abcd'; until_there out; echo warning >&2; until_there err; echo efgh; printf 'last line'`)
	touch := func(name string) func() { return func() { _ = os.WriteFile(filepath.Join(dir, name), nil, 0o600) } }
	captured := &writer{then: func() {}}
	c.Capture, c.Stdout, c.Stderr = captured, &writer{then: touch("out")}, &writer{then: touch("err")}
	run(t, c)
	require.Equal(t, "warning\nTOKEN=abcdefgh\nlast line", captured.got.String())
}

func TestCaptureOfLineWithoutEnd(t *testing.T) {
	c, _, _ := shell(t, `head -c 200000 /dev/zero | tr '\0' x`)
	captured := &writer{then: func() {}}
	c.Capture = captured
	run(t, c)
	require.Equal(t, strings.Repeat("x", 200_000), captured.got.String())
}
