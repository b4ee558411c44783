package pause_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

const (
	ours   = "0123456789abcdef0123456789abcdef" // installation ids
	theirs = "fedcba9876543210fedcba9876543210"
)

// newDir returns a prepared pause directory and its path.
func newDir(t testing.TB) (pause.Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pause")
	d := pause.New(path)
	require.NoError(t, d.Init(ours))
	return d, path
}

// put writes a file without this package.
func put(t testing.TB, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func names(t testing.TB, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	found := []string{}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

// soon fails the test if f blocks.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(testhost.Patience):
		t.Fatal("blocked")
	}
}

// failing makes a step fail for the rest of the test.
func failing(t *testing.T, step string, err error) {
	t.Helper()
	t.Cleanup(pause.SetFault(func(s string) error {
		if s == step {
			return &fs.PathError{Op: "test", Path: "x", Err: err}
		}
		return nil
	}))
}

// child is an operation in another process.
type child struct {
	Do, Dir, ID, Note string
	Perm              os.FileMode    // of "durable"
	UID               int            // the user to run as; 0: the current one
	Umask             int            // 0: unchanged
	KillAt            string         // SIGKILL before this step
	FailAt            map[string]int // errno of steps that fail
}

// answer is the result of a child.
type answer struct {
	Did      bool
	Flag     pause.Flag
	Sentinel pause.Sentinel
	IDs      []string
	Err      string
	Denied   bool // Err is fs.ErrPermission
}

func TestMain(m *testing.M) { testhost.Main(m, testhost.Funcs{"child": runChild}) }

func runChild(testhost.Self) int {
	var c child
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		panic(err)
	}
	if c.Umask != 0 {
		syscall.Umask(c.Umask)
	}
	pause.SetFault(func(step string) error {
		if step == c.KillAt {
			testhost.KillSelf()
		}
		if errno := c.FailAt[step]; errno != 0 {
			return syscall.Errno(errno)
		}
		return nil
	})
	if err := json.NewEncoder(os.Stdout).Encode(c.run()); err != nil {
		panic(err)
	}
	return 0
}

func (c child) run() (a answer) {
	d := pause.New(c.Dir)
	var err error
	switch c.Do {
	case "look":
		a.Flag, err = d.Look(c.ID)
	case "paused":
		a.Did, err = d.Paused(c.ID)
	case "list":
		a.IDs, err = d.List()
	case "sentinel":
		a.Sentinel, err = d.Sentinel()
	case "init":
		err = d.Init(c.ID)
	case "write":
		a.Did, err = d.Write(c.ID, c.Note)
	case "durable":
		var root *os.Root
		if root, err = os.OpenRoot(c.Dir); err == nil {
			err = pause.WriteFileDurable(root, c.ID, []byte(c.Note), c.Perm)
		}
	case "replace":
		var f *pause.Folder
		if f, err = d.Open(); err == nil {
			err = f.Replace(c.ID, c.Note, time.Now().Truncate(time.Second))
		}
	case "remove":
		a.Did, err = d.Remove(c.ID)
	default:
		panic("unknown: " + c.Do)
	}
	if err != nil {
		a.Err, a.Denied = err.Error(), errors.Is(err, fs.ErrPermission)
	}
	return a
}

func (c child) command(t testing.TB) *testhost.Child {
	t.Helper()
	spec, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := testhost.Command(t, "child", string(spec))
	if c.UID != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint(testhost.UIDVar, "=", c.UID))
	}
	return cmd
}

// do runs the process and returns its answer.
func (c child) do(t testing.TB) answer {
	t.Helper()
	cmd := c.command(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%+v: %s", c, stderr.String())
	var a answer
	require.NoError(t, json.Unmarshal(out, &a), "%+v: %s", c, out)
	return a
}

// die runs the process, which must be killed at its step.
func (c child) die(t testing.TB) {
	t.Helper()
	c.command(t).Dies()
}

// stranger returns the UID of a child to which permissions apply, which they do
// not to root.
func stranger() int {
	if os.Geteuid() == 0 {
		return testhost.Nobody
	}
	return 0
}

func strangerName() string {
	if uid := stranger(); uid != 0 {
		return fmt.Sprint("user ", uid)
	}
	return fmt.Sprint("user ", os.Geteuid())
}
