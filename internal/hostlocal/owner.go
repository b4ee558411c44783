package hostlocal

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/text"
)

// Account is a user of this machine.
type Account struct {
	UID      int
	Name     string // "#4711" if the user database does not have it
	home     string // "" if it does not
	private  bool   // it is a person's, whose bot is for their own jobs alone, as far as is known
	image    bool   // it is the bot's in a container
	unmapped bool   // it stands for every user whom this user namespace does not have, such as those of the machine in a container
}

// Word returns what chown and install take for the account.
func (a Account) Word() string {
	if a.image { // the machine may not know the name
		return strconv.Itoa(a.UID)
	}
	return text.ShellQuote(strings.TrimPrefix(a.Name, "#"))
}

// TakeOver says how root gives a directory of the bot to this account.
func (a Account) TakeOver(dir string) string {
	return fmt.Sprintf("run chown -R %s %s as root", a.Word(), Tree(dir))
}

// Tree returns the name of a directory as chown -R and chgrp -R take it. These follow no link that they are given, and then change the link alone.
func Tree(dir string) string {
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
	}
	return text.ShellQuote(dir)
}

// Me returns the user who runs this process.
func Me() Account { return account(os.Geteuid()) }

func account(uid int) Account {
	a := Account{UID: uid, Name: unlisted(uid)}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		a.Name, a.home = u.Username, u.HomeDir
	}
	person := a.IsPerson()
	a.private = person && a.Name != botName
	a.image = person && a.Name == botName && inContainer(os.Getenv("PATH"))
	return a
}

// botName is the account that init and packages make for the bot. Where somebody else has made it, it may have an id like a person's.
const botName = "adfbot"

// inContainer reports whether this seems to be a container with adfbot alone: nobody logs in to it to run a command as another user, and no
// manager of services runs in it.
func inContainer(searchPath string) bool {
	_, err := os.Lstat("/run/systemd/system") // see sd_booted(3)
	return err != nil && !hasSudo(searchPath)
}

// unlisted returns the name of a user whom the user database does not have.
func unlisted(uid int) string {
	if uid == 0 { // also in an image without a user database
		return "root"
	}
	return "#" + strconv.Itoa(uid)
}

// unmapped reports whether the kernel shows this id in place of those that a user namespace does not have. uidMap is that of the namespace,
// see user_namespaces(7). The first one has all.
func unmapped(uid int, uidMap string) bool {
	const overflow = 65534 // unless somebody has set kernel.overflowuid
	return uid == overflow && !slices.Equal(strings.Fields(uidMap), []string{"0", "0", "4294967295"})
}

// IsPerson reports whether the id is in the ranges of people's accounts, not that of root, a service or nobody. Those of a directory
// service may have any number of digits.
func (a Account) IsPerson() bool { return a.UID >= 1000 && a.UID != 65534 }

// OfImage reports whether the account is that of a container's image: its number is one of people's, and it is the bot's all the same.
func (a Account) OfImage() bool { return a.image }

// ServesOthers reports whether a bot of this account serves jobs of other users: one that is made for it does. A person's may be private.
func (a Account) ServesOthers() bool { return !a.private }

// Owner returns the owner of a path, or of the nearest directory above it that exists and can be seen.
func Owner(path string) Account {
	for {
		info, err := os.Stat(path)
		if st, ok := sys(info); err == nil && ok {
			return owner(int(st.Uid))
		}
		if path == filepath.Dir(path) {
			return account(0)
		}
		path = filepath.Dir(path)
	}
}

func owner(uid int) Account {
	if uidMap, err := os.ReadFile("/proc/self/uid_map"); err == nil && uid != os.Geteuid() && unmapped(uid, string(uidMap)) {
		return Account{UID: uid, Name: "a user from outside of this container", unmapped: true}
	}
	return account(uid)
}

// BotUser returns the owner of a directory of the bot, or of the one that holds the file at path. A file there may belong to any
// member of the bot's group.
func BotUser(path string) Account {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		path = filepath.Dir(path)
	}
	return Owner(path)
}

// Credential returns what a process needs to run as the account. One that the user database does not have gets the group of its directory.
func (a Account) Credential(dir string) *syscall.Credential {
	c := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.UID)}
	u, err := user.LookupId(strconv.Itoa(a.UID))
	if err != nil {
		if info, err := os.Stat(dir); err == nil {
			if st, ok := sys(info); ok {
				c.Gid = st.Gid
			}
		}
		return c
	}
	id := func(s string) uint32 { n, _ := strconv.ParseUint(s, 10, 32); return uint32(n) }
	c.Gid = id(u.Gid)
	groups, _ := u.GroupIds()
	for _, g := range groups {
		c.Groups = append(c.Groups, id(g))
	}
	return c
}

// SharedGroup returns the group that may write a directory, as install takes it, or "" if none may.
func SharedGroup(dir string) string {
	info, err := os.Stat(dir)
	st, ok := sys(info)
	if err != nil || !ok || info.Mode()&0o020 == 0 {
		return ""
	}
	gid := strconv.Itoa(int(st.Gid))
	if g, err := user.LookupGroupId(gid); err == nil {
		return text.ShellQuote(g.Name)
	}
	return gid
}

// SameGroup reports whether two files belong to one group.
func SameGroup(a, b fs.FileInfo) bool {
	of, ok := sys(a)
	as, ok2 := sys(b)
	return ok && ok2 && of.Gid == as.Gid
}

// DaemonElsewhere reports whether the daemon that answers at a socket has its state where other processes of this machine do not see it, as
// in a container: there is none at path, and whoever would make it there is not the daemon's user.
func DaemonElsewhere(socket, path string) bool {
	if _, err := os.Lstat(path); socket == "" || !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	info, err := os.Lstat(socket)
	if st, ok := sys(info); err != nil || !ok || st.Uid == 0 || int(st.Uid) == BotUser(path).UID {
		return false
	}
	return answersAt(socket) == nil
}

func answersAt(socket string) error {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// NoDaemonHere reports whether no daemon answers at a socket, and there is no state at path: the daemon may be in a container that is
// stopped, and have its state there.
func NoDaemonHere(socket, path string) bool {
	if _, err := os.Lstat(path); socket == "" || !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	err := answersAt(socket)
	return err != nil && !errors.Is(err, fs.ErrPermission)
}

// MayHaveNoDaemon reports whether no daemon answers at a socket, and this user may not look whether there is a state at path.
func MayHaveNoDaemon(socket, path string) bool {
	if _, err := os.Lstat(path); socket == "" || !errors.Is(err, fs.ErrPermission) {
		return false
	}
	err := answersAt(socket)
	return err != nil && !errors.Is(err, fs.ErrPermission)
}

// HasAtHome reports whether a path is in a person's home and theirs: there they are the bot's user, whoever may have written it. A home may also
// be a directory above the pause directory of a service, which has an account then, but not above where programs keep a person's data, such
// as ~/.local.
func (a Account) HasAtHome(path string) bool {
	home := filepath.Clean(a.home)
	if !a.IsPerson() || a.home == "" || !strings.HasPrefix(path, home+"/") {
		return false
	}
	_, err := user.Lookup(botName)
	return strings.HasPrefix(path, home+"/.") || errors.As(err, new(user.UnknownUserError))
}

// IsBot reports whether the account was made for the bot that has its state at a path, whoever owns that: on a disk that comes from another
// machine, it may be one that has the id that the bot had there.
func (a Account) IsBot(path string) bool {
	return a.home != "" && (a.Name == botName || !a.IsPerson() && (a.home == path || a.home == filepath.Dir(path)))
}

// WhoseHome returns the account adfbot if the user database has it with a directory as its home.
func WhoseHome(dir string) (a Account, ok bool) {
	u, err := user.Lookup(botName)
	if err != nil || filepath.Clean(u.HomeDir) != dir {
		return a, false
	}
	uid, err := strconv.Atoi(u.Uid)
	return account(uid), err == nil
}

// Named returns the account that the user database has under a name, or under the number that stands for it.
func Named(name string) (a Account, ok bool) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return a, false
	}
	uid, err := strconv.Atoi(u.Uid)
	return account(uid), err == nil
}

// IsListed reports whether the user database has the account. sudo runs nothing as one that it does not have, unless sudoers has
// runas_allow_unknown_id.
func (a Account) IsListed() bool { return !strings.HasPrefix(a.Name, "#") }

// CameWithOwner reports whether the group of a directory came with its owner, so that the group of the account has to take its place when the
// account takes the owner's: it is the owner's own, as after a copy by root, or it came from another machine and is none of this one, or a
// service's that the account is no member of.
func (a Account) CameWithOwner(dir string) bool {
	info, err := os.Stat(dir)
	st, ok := sys(info)
	if err != nil || !ok || int(st.Uid) == a.UID {
		return false
	}
	if st.Uid == 0 {
		return st.Gid == 0
	}
	gid := strconv.Itoa(int(st.Gid))
	if _, err := user.LookupGroupId(gid); err != nil {
		return errors.As(err, new(user.UnknownGroupIdError))
	}
	if owner, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil && owner.Gid == gid {
		return true
	}
	me, err := user.LookupId(strconv.Itoa(a.UID))
	if err != nil || st.Gid >= 1000 {
		return false
	}
	groups, err := me.GroupIds()
	return err == nil && !slices.Contains(groups, gid)
}

// Group returns the login group of an account that the user database has, as install takes it.
func (a Account) Group() string {
	u, err := user.LookupId(strconv.Itoa(a.UID))
	if err != nil {
		return ""
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return u.Gid
	}
	return text.ShellQuote(g.Name)
}

// SharesGroup reports whether the user database of this machine names other members of the account's login group.
func (a Account) SharesGroup() bool {
	text, err := os.ReadFile("/etc/group")
	u, err2 := user.LookupId(strconv.Itoa(a.UID))
	if err != nil || err2 != nil {
		return false
	}
	for line := range strings.Lines(string(text)) { // name:password:gid:members
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) == 4 && fields[2] == u.Gid {
			return slices.ContainsFunc(strings.Split(fields[3], ","), func(member string) bool { return member != "" && member != u.Username })
		}
	}
	return false
}

func sys(info fs.FileInfo) (*syscall.Stat_t, bool) {
	if info == nil {
		return nil, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return st, ok
}

// RunAs returns what somebody who is logged in to this machine writes before a command to run it as this user, e.g.
// "sudo -u adfbot ". It is "" for a person with a private bot, and where sudo is not in searchPath, as in a container. In place of one that
// the user database does not have, root runs it.
func (a Account) RunAs(searchPath string) string {
	if a.private && a.IsListed() || a.unmapped || !hasSudo(searchPath) {
		return ""
	}
	if a.UID == 0 || !a.IsListed() {
		return "sudo "
	}
	return "sudo -u " + text.ShellQuote(a.Name) + " "
}

// Advice says how to run a command as this user.
func (a Account) Advice(searchPath, command string) string {
	if a.unmapped {
		return "run it outside of this container, or map that user into it"
	}
	prefix, as := a.RunAs(searchPath), a.Name
	if prefix != "" && !a.IsListed() {
		as = "root, as " + a.Name + " has no name here"
	}
	advice := "run it as " + as
	if prefix != "" {
		advice += ": " + prefix + command
	}
	return advice
}

func hasSudo(searchPath string) bool {
	for _, dir := range filepath.SplitList(searchPath) {
		info, err := os.Stat(filepath.Join(dir, "sudo"))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}
