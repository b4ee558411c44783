package hostlocal

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Installation is what shows whose a bot is.
type Installation struct {
	Dir      string        // its own directory: that of the state, or local_dir
	PauseDir string        // where its flags are
	Socket   string        // of its daemon; "": none
	Config   string        // its configuration; "": not known
	Default  bool          // this is where a machine has the configuration of its only bot
	Token    string        // the file with its token
	UnitUser func() string // as whom a unit of the machine starts it; "": there is no unit
	Users    bool          // its daemon takes results from other users
}

// Bot returns the account whose the bot is:
//   - the one that was made for it, whatever its number; in a container that of the image,
//   - another one of a service,
//   - that of a person who has it for their own jobs alone, or
//   - that of a person who runs it for others.
//
// By mistake, as after a copy by root, or on a disk from another machine, the directories may belong to somebody else. So what else shows it
// comes first. The account is root's if nothing does.
func (i Installation) Bot() Account {
	me, owner := Me(), Owner(i.Dir)
	for _, a := range []Account{me, owner} { // a person's login may be the bot's name
		if a.IsPerson() && (a.HasAtHome(i.Dir) || a.home != "" && !i.Default && strings.HasPrefix(i.Config, filepath.Clean(a.home)+"/")) {
			a.private = true
			return a
		}
	}
	if me.IsBot(filepath.Join(i.Dir, "state")) {
		return me
	}
	if _, err := os.Lstat(i.Socket); err == nil {
		if a := Owner(i.Socket); a.isService() && a.IsListed() {
			return a
		}
	}
	if i.UnitUser != nil {
		if a, ok := Named(i.UnitUser()); ok && (a.UID != 0 || owner.UID == 0) { // root may start a container with it
			a.private = false
			return a
		}
	}
	if a, ok := WhoseHome(i.Dir); ok {
		return a
	}
	if (owner.UID == 0 || owner.UID == me.UID) && i.configures(me) {
		return me
	}
	if i.configures(owner) {
		return owner
	}
	if owner.isService() && owner.IsListed() {
		return owner
	}
	pausing, group := i.ofFlags()
	if pausing.isService() && pausing.IsListed() {
		return pausing
	}
	if a, ok := i.byName(group); ok {
		return a
	}
	if owner.UID == 0 && pausing.isService() {
		return pausing
	}
	for _, path := range []string{i.Token, filepath.Dir(i.Socket)} {
		if a := Owner(path); owner.UID == 0 && filepath.IsAbs(path) && a.IsListed() { // else the container's, whom the machine does not have
			owner = a
		}
	}
	if i.Users || owner.SharesGroup() {
		owner.private = false
	}
	return owner
}

// isService reports whether the account is one of a service, or of the bot by its name.
func (a Account) isService() bool { return a.UID != 0 && (!a.IsPerson() || a.Name == botName) }

// configures reports whether the configuration is a person's. That of the machine is not, even if a person edits it.
func (i Installation) configures(a Account) bool {
	if i.Config == "" || i.Default || !a.private {
		return false
	}
	home := filepath.Clean(a.home)
	return Owner(i.Config).UID == a.UID || a.home != "" && strings.HasPrefix(i.Config, home+"/")
}

// ofFlags returns the owner of the pause directory and the group that it belongs to. It may be on a disk that does not answer.
func (i Installation) ofFlags() (owner Account, group int) {
	type ids struct {
		owner Account
		group int
	}
	found, _ := inTime(i.PauseDir, func(dir string) (ids, error) { return ids{Owner(dir), groupOf(dir)}, nil })
	return found.owner, found.group
}

// groupOf returns the group of a file, 0 if it is not known.
func groupOf(path string) int {
	info, err := os.Stat(path)
	if st, ok := sys(info); err == nil && ok {
		return int(st.Gid)
	}
	return 0
}

// byName returns the account adfbot if it is the bot's by the place of the configuration, or by the group of a directory.
func (i Installation) byName(groupOfFlags int) (a Account, ok bool) {
	u, err := user.Lookup(botName)
	if err != nil {
		return a, false
	}
	if i.Default {
		return Named(botName)
	}
	for _, gid := range []int{groupOf(i.Dir), groupOfFlags} {
		if gid != 0 && strconv.Itoa(gid) == u.Gid {
			return Named(botName)
		}
	}
	return a, false
}

// isOther reports whether the bot, whose account this is, is not that of the user me. A service's account may be the bot's where nothing but a
// person's directory speaks for another one.
func (a Account) isOther(me Account) bool {
	return a.UID != me.UID && (me.IsPerson() || a.UID != 0 && !a.private)
}

// heir returns to whom what belongs to the bot is to be given: the account of the bot, or that of the user me if nothing shows another one.
func (a Account) heir(me Account) Account {
	if a.UID == me.UID || a.UID != 0 && a.isOther(me) {
		return a
	}
	return me
}

// Heir returns to whom what belongs to the bot is to be given: its account, or that of this user if nothing shows another one.
func (i Installation) Heir() Account { return i.Bot().heir(Me()) }

// IsOther reports whether this process is another user's than the bot's, as far as is known.
func (i Installation) IsOther() (bot Account, other bool) {
	bot = i.Bot()
	return bot, os.Geteuid() != 0 && bot.isOther(Me())
}

// Other returns the bot's user if this process is another user's, who may neither write nor create the path.
func (i Installation) Other(path string) (bot Account, other bool) {
	bot = i.Bot()
	why, _ := notWritable(existing(path))
	return bot, bot.isOther(Me()) && why != ""
}
