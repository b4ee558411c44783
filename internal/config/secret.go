package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// maxSecret is the largest file that is read as a secret, in bytes.
const maxSecret = 64 << 10

// credentialsDir is what a path may begin with that systemd fills in: LoadCredential=name:/path in a unit makes a file of
// that name in a directory that only the service can read.
const credentialsDir = "$CREDENTIALS_DIRECTORY"

// credential gives the name in $CREDENTIALS_DIRECTORY/name; false: the path is another one.
func credential(path string) (string, bool) {
	name, ok := strings.CutPrefix(path, credentialsDir+"/")
	return name, ok && name != "" && name != "." && name != ".." && !strings.Contains(name, "/") &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// ExpandCredentials gives the real path of a *_file key: $CREDENTIALS_DIRECTORY/name lies where systemd put it, every other
// path stays as it is.
func ExpandCredentials(path string, getenv func(string) string) (string, error) {
	name, ok := credential(path)
	if !ok {
		return path, nil
	}
	dir := getenv(credentialsDir[1:])
	if dir == "" {
		return "", fmt.Errorf("%s: %s is not set: it is there only for a systemd service whose unit has LoadCredential=%s:/path",
			path, credentialsDir, name)
	}
	return filepath.Join(dir, name), nil
}

// ReadSecretFile gives the secret in a file: its content without one line end and one space at its end. Refused are a file
// that users other than owner and group may read or write, anything but a file, more than 64 KiB, and a content that is
// empty or has white space or control characters in it. No error shows any of the content.
func ReadSecretFile(path string) (string, error) {
	// Not blocking, or a named pipe would hang here.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", secretError(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", secretError(err)
	}
	switch mode := st.Mode(); {
	case mode.IsDir():
		return "", fmt.Errorf("%s is a directory: name the file in it that holds the secret", path)
	case !mode.IsRegular():
		return "", fmt.Errorf("%s is no regular file: put the secret in one", path)
	case mode.Perm()&0o006 != 0:
		return "", fmt.Errorf("%s may be read or written by every user (mode %04o): run chmod o-rw %s, and replace the secret if others could see it",
			path, mode.Perm(), ShellQuote(path))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", secretError(err)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("%s is larger than 64 KiB: that is no secret; is it the right file?", path)
	}
	secret := trimSecret(string(data))
	if bad := checkSecret(secret); bad != "" {
		return "", fmt.Errorf("%s %s: it must hold the secret alone, in one line", path, bad)
	}
	return secret, nil
}

// secretError adds what to do to an error of the system, which names the file.
func secretError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: write the secret into it, then chown it to the bot's user and chmod 600", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: uid %d may not read it; let its group do so (chmod 640), and be in that group", err, os.Geteuid())
	}
	return err
}

// trimSecret takes away what an editor or echo leaves at the end: one line end and one space.
func trimSecret(s string) string {
	s = strings.TrimSuffix(s, "\n")
	s = strings.TrimSuffix(s, "\r")
	return strings.TrimSuffix(s, " ")
}

// checkSecret says what is wrong with a secret, without showing it; "": nothing.
func checkSecret(s string) string {
	switch {
	case s == "":
		return "is empty"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsSpace):
		return "has white space in it"
	case strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		return "has control characters in it"
	}
	return ""
}

// ShellQuote makes a word, which is not empty, safe to be pasted into a shell.
func ShellQuote(word string) string {
	if !strings.ContainsFunc(word, func(c rune) bool { return !isLetterOrDigit(c) && !strings.ContainsRune("/._-", c) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// TokenSource is where the bot's token comes from. It may be used by several goroutines.
type TokenSource struct {
	file, env string
	getenv    func(string) string

	mu    sync.Mutex
	token string // "" until it was read
}

// TokenSource gives the source of the token of g. Nothing is read before the first call of Token or Reload.
func (g Gitea) TokenSource(getenv func(string) string) *TokenSource {
	return &TokenSource{file: g.TokenFile, env: g.TokenEnv, getenv: getenv}
}

// Token gives the token as it was last read, and reads it at the first call, and after one that failed. The error names
// file or variable and what to do, and never shows the token.
func (t *TokenSource) Token() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" {
		return t.token, nil
	}
	token, err := t.read()
	t.token = token
	return token, err
}

// Reload reads the token again, as after a 401 or at SIGHUP, and reports whether it is another one than before. If that
// fails, the old one stays.
func (t *TokenSource) Reload() (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, err := t.read()
	if err != nil {
		return false, err
	}
	changed = token != t.token
	t.token = token
	return changed, nil
}

// read gets the token from where it is. t.mu is held.
func (t *TokenSource) read() (string, error) {
	switch {
	case t.file != "":
		path, err := ExpandCredentials(t.file, t.getenv)
		if err != nil {
			return "", fmt.Errorf("gitea.token_file: %w", err)
		}
		token, err := ReadSecretFile(path)
		if err != nil {
			return "", fmt.Errorf("gitea.token_file: %w", err)
		}
		return token, nil
	case t.env != "":
		token := trimSecret(t.getenv(t.env))
		if bad := checkSecret(token); bad != "" {
			return "", fmt.Errorf("gitea.token_env: $%s %s: set it to the bot's token in the bot's environment", t.env, bad)
		}
		return token, nil
	}
	return "", errors.New("there is no token: set gitea.token_file or gitea.token_env")
}

// String says where the token comes from, not what it is.
func (t *TokenSource) String() string {
	if t.file != "" {
		return "token from " + t.file
	}
	return "token from $" + t.env
}

// GoString is String, so that %#v shows no token either.
func (t *TokenSource) GoString() string { return t.String() }
