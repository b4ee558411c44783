// Package testworld is what the tests of several packages run adfbot in: a Gitea with accounts and repositories, a directory
// for the installation, and a log.
package testworld

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

const (
	URL       = "http://gitea.example" // of the Gitea, unless a test serves it somewhere else
	Repo      = "terraphim/adf-fleet"
	OtherRepo = "terraphim/other"

	Bot   = "adf-bot" // the bot's account, which may write to both repositories
	Token = "0123456789abcdef0123456789abcdef01234567"
	Alex  = "alex" // may write to both too
	Kim   = "kim"  // may read
)

// Scopes are what the bot's token needs.
func Scopes() []string { return []string{"write:issue", "read:user", "read:repository"} }

// Gitea returns a server with the accounts and repositories above. The caller closes it.
func Gitea(now func() time.Time) *giteatest.Server {
	s := giteatest.New(now)
	for _, login := range []string{Bot, Alex, Kim} {
		s.AddUser(login, giteatest.UserOptions{})
	}
	s.AddToken(Bot, Token, Scopes()...)
	for _, repo := range []string{Repo, OtherRepo} {
		owner, name, _ := strings.Cut(repo, "/")
		s.AddRepo(owner, name)
		s.SetPermission(owner, name, Bot, giteatest.Write)
		s.SetPermission(owner, name, Alex, giteatest.Write)
	}
	return s
}

// World is a machine's directory, and a Gitea that it can reach.
type World struct {
	testing.TB
	Dir    string
	Gitea  *giteatest.Server
	Logged *Log
}

// New returns a world with a [Gitea] whose clock is now. It ends with the test.
func New(t testing.TB, dir string, now func() time.Time) *World {
	w := &World{TB: t, Dir: dir, Gitea: Gitea(now), Logged: &Log{}}
	t.Cleanup(w.Gitea.Close)
	return w
}

// Path is that of a file in the world's directory.
func (w *World) Path(name string) string { return filepath.Join(w.Dir, name) }

// Read returns the content of a file.
func (w *World) Read(path string) string {
	w.Helper()
	b, err := os.ReadFile(path)
	require.NoError(w, err)
	return string(b)
}

// Write writes a file, readable for everyone if it is new.
func (w *World) Write(path, content string) {
	w.Helper()
	require.NoError(w, os.WriteFile(path, []byte(content), 0o644))
}

// Touch makes a file, and the directories above it.
func (w *World) Touch(path string) {
	w.Helper()
	require.NoError(w, os.MkdirAll(filepath.Dir(path), 0o755))
	w.Write(path, "")
}

// Remove removes a file or a directory, which may be absent.
func (w *World) Remove(path string) {
	w.Helper()
	require.NoError(w, os.RemoveAll(path))
}

// Issues returns the issues of the bot in a repository that are in a state, or all of them for "".
func (w *World) Issues(repo, state string) (out []giteatest.Issue) {
	for _, i := range w.Gitea.Issues(repo) {
		if i.Author == Bot && (state == "" || i.State == state) {
			out = append(out, i)
		}
	}
	return out
}

// Log is what was logged.
type Log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
