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
func (i Installation) DirWritable(path string) error {
	if why := cmp.Or(i.NotWritable(path), DiskProblem(path, 1)); why != "" {
		return errors.New(path + ": " + why)
	}
	return nil
}

// NotCreatable returns why this user may not create a path, with the fix, or "": it must be able to write the nearest
// directory that exists.
func (i Installation) NotCreatable(path string) string {
	if err := pause.DeadLink(path); err != nil {
		return err.Error()
	}
	dir := existing(path)
	why := i.NotWritable(dir)
	if dir == path || why == "" {
		return why
	}
	me, bot, owner := Me(), i.Bot(), Owner(dir)
	isBot := bot.UID == me.UID
	if owner.UID == me.UID || me.IsPerson() && !isBot && owner.UID != 0 || !errors.Is(syscall.Access(dir, 7), syscall.EACCES) {
		return why
	}
	// The directories above, such as /var/lib, are not for the bot.
	heir, prefix := bot.heir(me), ""
	if !isBot && heir.UID == me.UID {
		prefix = "run it as the bot's user; if that is " + me.Name + ", "
	}
	return fmt.Sprintf("%s is missing, and %s may not make it: %srun as root: install -d -o %s %s", path, me.Name, prefix, heir.Word(), text.ShellQuote(path))
}

// existing returns a path, or the nearest directory above it that exists.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// NotWritable returns why this user may not write a file or directory, with the fix; "" if they may or it is missing.
func (i Installation) NotWritable(path string) string {
	why, denied := notWritable(path)
	info, err := os.Stat(path)
	if !denied || err != nil {
		return why
	}
	me, owner := Me(), Owner(path)
	return fmt.Sprintf("%s may not write it (%s, owner %s): %s", me.Name, info.Mode(), owner.Name, letWrite(path, me, owner, i.Bot(), inGroup(info)))
}

// notWritable is [Installation.NotWritable] without a fix for what the rights to a path deny.
func notWritable(path string) (why string, denied bool) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if err != nil {
		return err.Error(), false
	}
	const rw, rwx = 6, 7
	mode := uint32(rw)
	if info.IsDir() {
		mode = rwx
	}
	err = syscall.Access(path, mode)
	switch {
	case err == nil && appendOnly(path):
		return "it is append-only: run chattr -a " + text.ShellQuote(path), false
	case err == nil:
		return "", false
	case errors.Is(err, syscall.EROFS):
		return store.MountedReadOnly, false
	case errors.Is(err, syscall.EPERM):
		return "it is immutable: run chattr -i " + text.ShellQuote(path), false
	}
	return err.Error(), true
}

// KeptFrom reports whether owner and mode of a directory keep the bot's account from writing it. That of a private bot is a person's at home.
func (a Account) KeptFrom(dir string) bool {
	info, err := os.Stat(dir)
	st, ok := sys(info)
	if err != nil || !ok || a.UID == 0 || a.private && !a.HasAtHome(dir) || a.image || a.unmapped || int(st.Uid) == a.UID {
		return false
	}
	write := fs.FileMode(0o003)
	if c := a.Credential(dir); c.Gid == st.Gid || slices.Contains(c.Groups, st.Gid) {
		write = 0o030
	}
	why, _ := notWritable(dir)
	return info.Mode()&write != write && (a.UID != os.Geteuid() || why != "") // an access control list may let it
}

// letWrite says how an account that may not write a path comes to do so.
func letWrite(path string, me, owner, bot Account, inGroup bool) string {
	quoted := text.ShellQuote(path)
	give := fmt.Sprintf("run chown %s %s", me.Word(), Tree(path)) // which may become chown -R
	if inGroup {
		give += ", or let its group write it with chmod g+rwX " + quoted
	}
	switch {
	case me.UID == owner.UID:
		return "run chmod u+rwX " + quoted
	case me.image:
		return fmt.Sprintf("chown -R it to uid %d; for a container, where it is mounted from", me.UID)
	case bot.UID == me.UID && bot.private:
		return me.TakeOver(path)
	case bot.UID == me.UID: // nobody has given the path to it
		return give
	case bot.UID != 0 && bot.UID == owner.UID && bot.isOther(me):
		return "run it as " + bot.Name
	case bot.UID != 0 && bot.isOther(me):
		return fmt.Sprintf("run it as the bot's user, %s; if that may not write it either, chown it to that user", bot.Name)
	case me.IsPerson():
		return "run it as root, or as the bot's user; if that may not write it either, chown it to that user"
	}
	return fmt.Sprintf("run it as the bot's user; if that is %s, %s", me.Name, give)
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
