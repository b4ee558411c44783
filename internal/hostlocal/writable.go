package hostlocal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// DirWritable returns why this user cannot write to a directory.
func DirWritable(path string) error {
	if why := cmp.Or(NotWritable(path), DiskProblem(path, 1)); why != "" {
		return errors.New(path + ": " + why)
	}
	return nil
}

// NotCreatable returns why this user may not create a path, with the fix, or "": it must be able to write the nearest
// directory that exists.
func NotCreatable(path string) string {
	if err := pause.DeadLink(path); err != nil {
		return err.Error()
	}
	return notCreatable(path)
}

func notCreatable(path string) string {
	dir := path
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	why := NotWritable(dir)
	me, owner := Me(), Owner(dir)
	if dir == path || why == "" || owner.UID == me.UID || me.IsPerson() && owner.UID != 0 || !errors.Is(syscall.Access(dir, 7), syscall.EACCES) {
		return why
	}
	// The directories above, such as /var/lib, are not for the bot.
	fix := fmt.Sprintf("run as root: install -d -o %s %s", me.Word(), text.ShellQuote(path))
	if me.IsPerson() {
		fix = "run it as the bot's user; if that is " + me.Name + ", " + fix
	}
	return fmt.Sprintf("%s is missing, and %s may not make it: %s", path, me.Name, fix)
}

// NotWritable returns why this user may not write a file or directory, with the fix; "" if they may or it is missing.
func NotWritable(path string) string {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	const rw, rwx = 6, 7
	mode := uint32(rw)
	if info.IsDir() {
		mode = rwx
	}
	err = syscall.Access(path, mode)
	switch {
	case err == nil && appendOnly(path):
		return "it is append-only: run chattr -a " + text.ShellQuote(path)
	case err == nil:
		return ""
	case errors.Is(err, syscall.EROFS):
		return store.MountedReadOnly
	case errors.Is(err, syscall.EPERM):
		return "it is immutable: run chattr -i " + text.ShellQuote(path)
	}
	me, owner := Me(), Owner(path)
	return fmt.Sprintf("%s may not write it (%s, owner %s): %s", me.Name, info.Mode(), owner.Name, letWrite(path, me, owner, inGroup(info)))
}

// KeptFrom reports whether owner and mode of a directory keep a service's account, or a person at home, from writing it.
func (a Account) KeptFrom(dir string) bool {
	info, err := os.Stat(dir)
	st, ok := sys(info)
	if err != nil || !ok || a.UID == 0 || a.IsPerson() && !a.HasAtHome(dir) || a.unmapped || int(st.Uid) == a.UID {
		return false
	}
	write := fs.FileMode(0o003)
	if c := a.Credential(dir); c.Gid == st.Gid || slices.Contains(c.Groups, st.Gid) {
		write = 0o030
	}
	return info.Mode()&write != write && (a.UID != os.Geteuid() || NotWritable(dir) != "") // an access control list may let it
}

// letWrite says how an account that may not write a path comes to do so.
func letWrite(path string, me, owner Account, inGroup bool) string {
	quoted := text.ShellQuote(path)
	switch {
	case me.UID == owner.UID:
		return "run chmod u+rwX " + quoted
	case me.ofImage():
		return fmt.Sprintf("chown -R it to uid %d; for a container, where it is mounted from", me.UID)
	case !me.IsPerson(): // the bot's own user, which nobody has given the file
		fix := fmt.Sprintf("run chown %s %s", me.Word(), Tree(path)) // which may become chown -R
		if inGroup {
			fix += ", or let its group write it with chmod g+rwX " + quoted
		}
		return fix
	case me.HasAtHome(path):
		return me.TakeOver(path)
	case owner.UID == 0:
		return "run it as root, or as the bot's user; if that may not write it either, chown it to that user"
	}
	return "run it as " + owner.Name
}

// appendOnly reports whether a file or directory has that attribute. Files can be created in such a directory, and none removed: one that
// was made to find out would stay.
func appendOnly(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_APPEND != 0
}

// JoinedSince reports whether this user is in the group of a directory that its group may write, and this process is not, because what
// started it had begun before.
func JoinedSince(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&0o020 == 0 || inGroup(info) {
		return false
	}
	st, ok := sys(info)
	me, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if !ok || err != nil {
		return false
	}
	groups, _ := me.GroupIds()
	return slices.Contains(groups, strconv.Itoa(int(st.Gid)))
}

// inGroup reports whether this user is in the group of a file.
func inGroup(info fs.FileInfo) bool {
	st, ok := sys(info)
	if !ok {
		return false
	}
	groups, _ := os.Getgroups()
	return slices.Contains(append(groups, os.Getegid()), int(st.Gid))
}
