package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// Step is a part of a setup.
type Step struct {
	What  string // what there is afterwards, e.g. "directory /var/lib/adfbot"
	Shell string // commands that do the same, with a line end
	// Do does it, and reports whether it had to.
	Do func(ctx context.Context) (changed bool, err error)
}

// Files are the contents of files that are written where they are missing; "": the file is there.
type Files struct {
	Token, Config string
}

// Steps returns what makes an installation at some places, in an order in which each may be the last one. Members are users who may report
// results, pause and resume.
func Steps(p Places, f Files, members ...string) (steps []Step) {
	o := owner{p.User}
	if p.User != "" {
		steps = append(steps, addUser(p))
		for _, m := range members {
			steps = append(steps, addMember(o, m))
		}
	}
	stateMode, pauseMode := fs.FileMode(0o700), fs.FileMode(0o755)
	if p.User != "" {
		stateMode, pauseMode = 0o770|fs.ModeSetgid, 0o775|fs.ModeSetgid
	}
	steps = append(steps,
		directory(p.OwnDir(), stateMode, o),
		directory(p.PauseDir, pauseMode, o),
		directory(filepath.Dir(p.Config), 0o755, owner{}))
	if dir := filepath.Dir(p.Token); f.Token != "" && dir != filepath.Dir(p.Config) {
		steps = append(steps, directory(dir, 0o755, owner{}))
	}
	if p.Token != "" {
		steps = append(steps, file("token", p.Token, f.Token, 0o600, o))
	}
	steps = append(steps, file("configuration", p.Config, f.Config, 0o644, owner{}))
	if p.Unit != "" {
		if dir := filepath.Dir(p.Unit); p.UserUnit {
			steps = append(steps, directory(dir, 0o755, owner{}))
		}
		steps = append(steps, file("unit", p.Unit, Unit(p), 0o644, owner{}))
	}
	return steps
}

// owner is whose a file is to be; "": of whoever makes it.
type owner struct{ name string }

// ids returns the user and their group.
func (o owner) ids() (uid, gid int, err error) {
	u, err := user.Lookup(o.name)
	if err != nil {
		return 0, 0, fmt.Errorf("there is no user %s: %w", o.name, err)
	}
	uid, err = strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err, err2)
}

// UID returns the user whose service it is. It is 0 if there is none.
func (p Places) UID() int {
	uid, _, err := owner{p.User}.ids()
	if err != nil {
		return 0
	}
	return uid
}

// group returns the name of the user's group. That of a user who is still to be made has the same name.
func (o owner) group() string {
	if u, err := user.Lookup(o.name); err == nil {
		if g, err := user.LookupGroupId(u.Gid); err == nil {
			return g.Name
		}
		return u.Gid
	}
	return o.name
}

// flags are for install.
func (o owner) flags() string {
	if o.name == "" {
		return ""
	}
	return "-o " + text.ShellQuote(o.name) + " -g " + text.ShellQuote(o.group()) + " "
}

func addUser(p Places) Step {
	args := []string{"useradd", "--system", "--user-group", "--home-dir", p.OwnDir(), "--shell", "/usr/sbin/nologin", p.User}
	return Step{What: "user " + p.User, Shell: shell(args), Do: func(ctx context.Context) (bool, error) {
		if _, err := user.Lookup(p.User); err == nil {
			return false, nil
		}
		if err := command(args); err != nil {
			return false, fmt.Errorf("cannot make the user %s: %w: make it by hand, without a login, and repeat this; one of a directory service does not do", p.User, err)
		}
		return true, nil
	}}
}

func addMember(o owner, member string) Step {
	args := []string{"usermod", "-aG", o.group(), member}
	return Step{What: "member " + member + " of the group " + o.group(), Shell: shell(args), Do: func(ctx context.Context) (bool, error) {
		u, err := user.Lookup(member)
		if err != nil {
			return false, fmt.Errorf("there is no user %s: correct --agents, or make that user first", member)
		}
		if g, err := user.LookupGroup(o.group()); err == nil {
			if of, err := u.GroupIds(); err == nil && slices.Contains(of, g.Gid) {
				return false, nil
			}
		}
		if err := command(args); err != nil {
			return false, fmt.Errorf("cannot make %s a member of the group %s: %w: do it by hand, and repeat this", member, o.group(), err)
		}
		return true, nil
	}}
}

// directory makes a directory, and those above it as anybody would.
func directory(path string, mode fs.FileMode, o owner) Step {
	bits := uint32(mode.Perm())
	if mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	return Step{What: "directory " + path, Shell: fmt.Sprintf("install -d %s-m %o %s\n", o.flags(), bits, text.ShellQuote(path)), Do: func(ctx context.Context) (bool, error) {
		switch info, err := os.Stat(path); {
		case err == nil && !info.IsDir():
			return false, fmt.Errorf("%s is not a directory: name another place", path)
		case err == nil || !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
		if err := makeParents(filepath.Dir(path), o.parents()); err != nil {
			return false, err
		}
		return create(ctx, path, o, func(name string) (*os.File, error) {
			if err := os.Mkdir(name, 0o700); err != nil {
				return nil, err
			}
			return os.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		}, bits)
	}}
}

// parents is the mode of the directories above: a service's are for all, whatever the umask says, and a person's are private, as XDG wants.
func (o owner) parents() fs.FileMode {
	if o.name == "" && os.Geteuid() != 0 {
		return 0o700
	}
	return 0o755
}

func makeParents(dir string, mode fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeParents(filepath.Dir(dir), mode); err != nil {
		return err
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.Chmod(dir, mode)
	}
	return err
}

// file writes a file that is not there.
func file(what, path, content string, mode fs.FileMode, o owner) Step {
	s := Step{What: what + " " + path, Do: func(ctx context.Context) (bool, error) {
		if _, err := os.Lstat(path); content == "" || err == nil || !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		return create(ctx, path, o, func(name string) (*os.File, error) {
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return nil, err
			}
			_, err = f.WriteString(content)
			return f, err
		}, uint32(mode))
	}}
	to := text.ShellQuote(path)
	if content == "" {
		return s
	}
	if what == "token" {
		s.Shell = fmt.Sprintf("install %s-m %o /dev/stdin %s # paste the token, then press Enter and Ctrl-D\n", o.flags(), mode, to)
	} else {
		s.Shell = fmt.Sprintf("cat >%s <<'END'\n%sEND\nchmod %o %s\n", to, content, mode, to)
	}
	return s
}

// temporary is how names begin of what is not complete yet.
const temporary = ".adfbot-init-"

// create has a file or directory made under another name, gives it its owner and mode, and then its own name, unless something has that. It
// reports whether nothing had.
func create(ctx context.Context, path string, o owner, make func(name string) (*os.File, error), mode uint32) (created bool, err error) {
	dir, base := filepath.Split(path)
	left, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range left { // of a setup that was killed: it may hold a token
		if strings.HasPrefix(e.Name(), temporary+base+"-") {
			if err := os.Remove(dir + e.Name()); err != nil {
				return false, err
			}
		}
	}
	name := dir + temporary + base + "-" + pause.NewRandomID()[:8]
	f, err := make(name)
	fault.Point(ctx, "init-begun")
	if f != nil {
		defer func() {
			if e := os.Remove(name); !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}()
		if err == nil {
			err = complete(f, o, mode)
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return false, err
	}
	fault.Point(ctx, "init-complete")
	err = unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) { // a file system that cannot do that
		if _, err = os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			err = os.Rename(name, path)
		} else if err == nil {
			err = fs.ErrExist
		}
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		return false, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	fault.Point(ctx, "init-made")
	return true, nil
}

func complete(f *os.File, o owner, mode uint32) error {
	if o.name != "" {
		uid, gid, err := o.ids()
		if err != nil {
			return err
		}
		if err := f.Chown(uid, gid); err != nil {
			return err
		}
	}
	if err := unix.Fchmod(int(f.Fd()), mode); err != nil {
		return err
	}
	return f.Sync()
}

func shell(args []string) string {
	quoted := make([]string, len(args))
	for n, arg := range args {
		quoted[n] = arg
		if text.ShellQuote("x"+arg) != "x"+arg { // a flag needs no quotes
			quoted[n] = text.ShellQuote(arg)
		}
	}
	return strings.Join(quoted, " ") + "\n"
}

// command runs a program, and returns what it said as an error.
func command(args []string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err == nil {
		return nil
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		return errors.New(strings.ReplaceAll(said, "\n", "; "))
	}
	return err
}
