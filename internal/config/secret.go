package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// maxSecret is the largest file that is read as a secret, in bytes.
const maxSecret = 64 << 10

// credentialsDir begins the path of a systemd credential: LoadCredential=name:/path in a unit puts a file of that name
// in a directory that only the service can read.
const credentialsDir = "$CREDENTIALS_DIRECTORY"

// ErrNoCredentials: systemd has not passed any credentials to this process.
var ErrNoCredentials = errors.New(credentialsDir + " is not set")

// credential returns the name in $CREDENTIALS_DIRECTORY/name, and whether path has that form.
func credential(path string) (string, bool) {
	name, ok := strings.CutPrefix(path, credentialsDir+"/")
	return name, ok && name != "" && name != "." && name != ".." && !strings.Contains(name, "/") &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// ExpandCredentials returns the real path of a *_file key. It replaces $CREDENTIALS_DIRECTORY in the path of a systemd
// credential and leaves every other path as it is.
func ExpandCredentials(path string, getenv func(string) string) (string, error) {
	name, ok := credential(path)
	if !ok {
		return path, nil
	}
	dir := getenv(credentialsDir[1:])
	if dir == "" {
		return "", fmt.Errorf("%s: %w: systemd sets it only for a unit with LoadCredential=%[3]s:/path; to run a command by hand, set it to the directory of the file %[3]s, as a user who may read it", path, ErrNoCredentials, name)
	}
	return filepath.Join(dir, name), nil
}

// ReadSecret is [ReadSecretFile] for a *_file key, which may name a systemd credential.
func ReadSecret(path string, getenv func(string) string) (string, error) {
	file, err := ExpandCredentials(path, getenv)
	if err != nil {
		return "", err
	}
	secret, err := ReadSecretFile(file)
	name, ok := credential(path)
	why, known := errors.AsType[*fs.PathError](err)
	switch {
	case !ok || !known:
	case errors.Is(err, fs.ErrPermission): // by hand: the unit's user may read what systemd hands to the unit
		return "", fmt.Errorf("%w: systemd hands it to the daemon: run this as root", why)
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, pause.ErrDeadLink):
		// systemd makes that directory, and nobody can write to it.
		return "", fmt.Errorf("%w: a unit needs LoadCredential=%s:/path with the file that holds the secret: add the line, run systemctl daemon-reload, "+
			"and restart the unit; for a command by hand, the file %[2]s has to be in %[3]s", why, name, text.ShellQuote(filepath.Dir(file)))
	}
	return secret, err
}

// ReadBotSecret is [ReadSecret] for a secret that is nobody's but the bot's. Agents may be in the group of its file.
func ReadBotSecret(path string, getenv func(string) string) (string, error) {
	secret, err := ReadSecret(path, getenv)
	if e, ok := errors.AsType[*exposedError](err); ok {
		if info, statErr := os.Stat(e.path); statErr == nil {
			e.closeToGroup(info, os.Geteuid())
		}
	}
	return secret, err
}

// exposedError reports a secret that every user may read or write.
type exposedError struct {
	path   string
	mode   fs.FileMode
	change string // of the mode
}

// closeToGroup has the fix take the file from its group, too, if it belongs to the bot's user, who is this one. Root may not be that, and then the
// bot may read a file of root's as a member of its group.
func (e *exposedError) closeToGroup(file fs.FileInfo, me int) {
	if st, ok := file.Sys().(*syscall.Stat_t); ok && int(st.Uid) == me && me != 0 {
		e.change = "600"
	}
}

func (e *exposedError) Error() string {
	return fmt.Sprintf("%s is open to every user (mode %04o): run chmod %s %s, and replace the secret if others could read it",
		e.path, e.mode, e.change, text.ShellQuote(e.path))
}

// ReadSecretFile returns the content of a file without the line end and the space at its end. It refuses anything but a
// regular file of at most 64 KiB that only its owner and group may read and write, and content that is empty or
// contains white space or control characters. Errors name the file and the fix and never show the content.
func ReadSecretFile(path string) (string, error) {
	f, err := openFile(path)
	if err != nil {
		return "", secretError(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", secretError(err)
	}
	switch mode := st.Mode(); {
	case !mode.IsRegular():
		return "", fmt.Errorf("%s is not a regular file: name one that holds the secret", path)
	case mode.Perm()&0o006 != 0 && mountedReadOnly(path):
		return "", fmt.Errorf("%s is open to every user (mode %04o) on a read-only mount: %s", path, mode.Perm(), mountFix())
	case mode.Perm()&0o006 != 0:
		return "", &exposedError{path, mode.Perm(), "o-rw"}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", secretError(err)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("%s is larger than 64 KiB: check the path, this is not a secret", path)
	}
	secret, err := parseSecret(string(data))
	if err != nil {
		return "", fmt.Errorf("%s %w: it must hold the secret alone, on one line", path, err)
	}
	return secret, nil
}

// mountFix is for a container, where no chmod is possible.
func mountFix() string {
	return fmt.Sprintf("give it the right mode where it is mounted: `defaultMode: 0440` with the pod's `fsGroup` for a Kubernetes secret, "+
		"`mode: 0400` with `uid` for a Docker secret; for a bind mount, chown the file that is mounted to uid %d and chmod it to 600", os.Geteuid())
}

// mountedReadOnly reports whether a path is on a file system that this process cannot write, as what is mounted into a container. To a unit of
// systemd with ProtectSystem=, every file of the machine is on one, and root can change its owner and mode all the same.
func mountedReadOnly(path string) bool {
	var fs unix.Statfs_t
	return os.Getenv("INVOCATION_ID") == "" && unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

// pathOf returns the path of an error of the operating system.
func pathOf(err error) string {
	var e *fs.PathError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Path
}

// secretError adds a fix to an error of the operating system, which names the file.
func secretError(err error) error {
	switch {
	case errors.Is(err, pause.ErrClosed):
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, pause.ErrDeadLink):
		return fmt.Errorf("%w: write the secret to it, then chown it to the bot's user and chmod it to 600", err)
	case errors.Is(err, fs.ErrPermission) && mountedReadOnly(pathOf(err)):
		return fmt.Errorf("%w: uid %d cannot read it: %s", err, os.Geteuid(), mountFix())
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: uid %d cannot read it: %s", err, os.Geteuid(), ownerFix(pathOf(err)))
	}
	return err
}

// ownerFix returns what makes a file readable that this user may not read.
func ownerFix(path string) string {
	uid := os.Geteuid()
	if info, err := os.Stat(path); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid {
			return "run chmod u+r " + text.ShellQuote(path)
		} else if ok {
			return fmt.Sprintf("it belongs to uid %d: run adfbot as the bot's user; if that is uid %d, run chown %[2]d %[3]s", st.Uid, uid, text.ShellQuote(path))
		}
	}
	return "run adfbot as the bot's user, to whom the file has to belong, and who has to be able to enter the directories above it"
}

// parseSecret removes one line end and one space from the end, which editors and echo leave there, and checks the rest.
func parseSecret(s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	s = strings.TrimSuffix(s, " ")
	switch {
	case s == "":
		return "", errors.New("is empty")
	case !utf8.ValidString(s):
		return "", errors.New("is not UTF-8")
	case strings.ContainsFunc(s, unicode.IsSpace):
		return "", errors.New("contains white space")
	case strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		return "", errors.New("contains unprintable characters")
	}
	return s, nil
}
