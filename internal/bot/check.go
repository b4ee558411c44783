package bot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// Level is the severity of a finding.
type Level string

// Levels of findings.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "FAIL"
)

// Finding is one line of `adfbot check`.
type Finding struct {
	Level Level
	What  string
	Text  string
}

type checker struct {
	cfg *config.Config
	env Env
	out []Finding
	bot *Bot // nil if the state cannot be opened

	installation hostlocal.Installation
	user         hostlocal.Account // whose the bot is

	noState bool // there is none
	dirRead bool // the pause directory answers

	stepsOK string // what is added at the end, unless Gitea speaks against it
}

func (c *checker) add(l Level, what, format string, args ...any) {
	if f := (Finding{l, what, fmt.Sprintf(format, args...)}); !slices.Contains(c.out, f) {
		c.out = append(c.out, f)
	}
}

// failed adds a finding for an error, and reports whether there is one. What is denied to another user need not be denied to the bot.
func (c *checker) failed(what string, err error) bool {
	file, ok := errors.AsType[*fs.PathError](err)
	if _, other := c.installation.IsOther(); other && ok && errors.Is(file, fs.ErrPermission) {
		if owner := hostlocal.Owner(file.Path); owner.UID != os.Geteuid() {
			if owner.UID == c.user.UID {
				owner = c.user
			}
			c.add(Fail, what, "%v: the file belongs to %s: %s", file, owner.Name, c.runAs(owner))
			return true
		}
	}
	if err != nil {
		c.add(Fail, what, "%v", err)
	}
	return err != nil
}

// Check checks everything that the bot needs, as the user who runs it: directories, state, template, secrets, HTTP and,
// unless offline, Gitea. It writes nothing and leaves no trace in Gitea.
func Check(ctx context.Context, cfg *config.Config, offline bool, env Env) []Finding {
	c := &checker{cfg: cfg, env: env.withDefaults(), installation: status.Installation(cfg)}
	c.user = c.installation.Bot()
	c.entries()
	_, err := cfg.Sweep.Cron()
	c.failed("config", err)
	if c.failed("state", status.Elsewhere(cfg)) {
		return c.out
	}
	if owner, other := c.installation.Other(cfg.OwnPath()); other && owner.UID != 0 {
		// What this user may do says nothing about the bot.
		belongs := "which belongs to"
		if _, err := os.Stat(cfg.OwnPath()); err != nil || hostlocal.Owner(cfg.OwnPath()).UID != owner.UID { // it may be root's, by mistake
			belongs = "in the directory of"
		}
		if hostlocal.BotUser(cfg.OwnPath()).UID != owner.UID { // so may that
			belongs = "and the bot's user is"
		}
		c.add(Fail, "user", "%s may not write %s, %s %s: %s", hostlocal.Me().Name, cfg.OwnPath(), belongs, owner.Name, c.runAs(owner))
		return c.out
	}
	// With LoadCredential=, only root can read the token.
	if owner := c.user; os.Geteuid() == 0 && owner.UID != 0 && c.env.Getenv("CREDENTIALS_DIRECTORY") == "" {
		how := c.runAs(owner)
		if !owner.IsListed() && owner.RunAs(c.env.Getenv("PATH")) != "" {
			how = fmt.Sprintf("if this machine has no such user, run it in the container that has, or give the state to the bot's user: chown -R USER: %s",
				hostlocal.Tree(c.cfg.OwnDir()))
		}
		c.add(Warn, "user", "root may read and write what %s, the bot's user, may not: %s", owner.Name, how)
	}
	c.ownedByPerson()
	c.dirRead = answers(ctx, cfg.PauseDir) == nil
	if cfg.Shared() {
		c.sharedState(ctx)
	} else {
		c.state(ctx)
		if cfg.LocalDir != hostlocal.Beside(cfg.State).Path() && c.localDirUsable() {
			c.add(OK, "local_dir", "%s", cfg.LocalDir)
		}
	}
	if c.bot != nil {
		defer func() { _ = c.bot.Close() }()
	}
	c.runs(ctx)
	c.sentinelCopy()
	c.pauseDir(ctx)
	c.closedToMembers()
	c.openToAll()
	c.patterns(ctx)
	c.counts(ctx)
	c.template()
	c.token()
	_, err = readRoots(cfg.Gitea.CAFile, c.env.Getenv)
	c.failed("gitea", err)
	c.steps()
	c.users()
	c.http(ctx)
	if !offline {
		c.gitea(ctx)
	}
	if c.stepsOK != "" {
		c.add(OK, "steps", "%s", c.stepsOK)
	}
	return c.out
}

// ownedByPerson warns if a member of the bot's group owns the bot's directory, who may close it, and for whom others may take the bot's user.
func (c *checker) ownedByPerson() {
	me, owner, dir := hostlocal.Me(), hostlocal.BotUser(c.cfg.OwnPath()), c.cfg.OwnDir()
	if me.IsBot(c.cfg.OwnPath()) && owner.UID != me.UID && owner.IsPerson() && c.installation.NotWritable(dir) == "" {
		c.add(Warn, "user", "%s belongs to %s, who is not the bot's user: %s", dir, owner.Name, me.TakeOver(dir))
	}
}

// runAs says how to check as another user.
func (c *checker) runAs(owner hostlocal.Account) string {
	return status.Advice(owner, c.cfg.TokenCredentials(), c.env.Getenv("PATH"), strings.Join(slices.Concat([]string{"adfbot"}, c.cfg.Flag(), []string{"check"}), " "))
}

// MissingState returns what is wrong where there is no state although there was one, or "" for a new installation.
func MissingState(ctx context.Context, cfg *config.Config) string {
	place, where := "the pause directory", whereItIs(cfg)
	if id, _ := earlierInstallation(ctx, cfg); id == "" { // the pause directory may be lost, too
		if place = cfg.LocalDir; place == "" || hostlocal.At(place).Sentinel().Installation == "" {
			return ""
		}
		where, _, _ = strings.Cut(where, "; if another installation")
	}
	return fmt.Sprintf("%s is missing, although %s belongs to an installation: if %s", cfg.State, place, where)
}

// MissingFile is [MissingState] of a state in a file, or "" if the file is or may be there. If its disk is not mounted, the rights to what is
// in its place say nothing about those to the state.
func MissingFile(ctx context.Context, cfg *config.Config) string {
	if cfg.Shared() {
		return ""
	}
	if _, err := os.Lstat(cfg.State); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return MissingState(ctx, cfg)
}

func (c *checker) state(ctx context.Context) {
	dir := filepath.Dir(c.cfg.State)
	switch info, err := os.Stat(c.cfg.State); {
	case err == nil && info.IsDir():
		c.add(Fail, "state", "%s is a directory: set `state` to the path of a file in it", c.cfg.State)
		return
	case err == nil && !info.Mode().IsRegular(): // who may write the directory that it is in does not matter
		c.add(Fail, "state", "%s is a device, a pipe or a socket: set `state` to the path of a file", c.cfg.State)
		return
	}
	c.closedToGroup()
	b, err := Open(ctx, c.cfg, ReadOnly, c.env)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.noState = true
		missing, why := MissingState(ctx, c.cfg), c.notCreatable(dir)
		if why != "" {
			why = c.ownDir(c.cfg.State, "state", why)
		}
		if missing != "" && why != "" { // perhaps the directory below a mount point, which is nobody's
			c.add(Fail, "state", "%s; if it is lost, a new one can't be made: %s", missing, why)
		} else if why != "" {
			c.add(Fail, "state", "cannot create %s: %s%s", c.cfg.State, why, status.InContainer(c.cfg))
		} else if missing != "" {
			c.add(Warn, "state", "%s; if it is lost, the first result creates a new one", missing)
		} else if !c.failed("state", hostlocal.At(c.cfg.LocalDir).Check()) {
			c.add(OK, "state", "%s is missing; the first result creates it%s", c.cfg.State, status.InContainer(c.cfg))
		}
		return
	case err == nil:
		c.bot = b
		err = b.store.Check(ctx)
	}
	writable := c.stateWritable()
	if !writable && errors.Is(err, store.ErrDenied) {
		return // SQLite's words would add nothing
	}
	if c.failed("state", err) || c.failed("state", b.local.Check()) {
		return
	}
	if problem := hostlocal.DiskProblem(dir, hostlocal.LeastRoom); problem != "" {
		c.add(Fail, "state", "%s: %s", dir, problem)
	} else if writable {
		c.add(OK, "state", "%s, installation %s", c.cfg.State, b.store.Installation())
	}
	c.spool()
}

// spool shows the results that are not recorded yet.
func (c *checker) spool() {
	spooled, err := hostlocal.At(c.cfg.LocalDir).Spool().List()
	if err != nil {
		c.add(Warn, "spool", "%v", err)
	}
	if n := hostlocal.Waiting(spooled); n > 0 {
		c.add(Warn, "spool", "%s not recorded yet; the next sweep does it", text.Plural(n, "result"))
	}
	for _, e := range spooled {
		if err := e.Unreadable(); err != nil {
			c.add(Warn, "spool", "%v", err)
		}
	}
}

// ownDir returns why this user may not write the directory of a file. One that holds files of others, such as /run, is not for the bot.
func (c *checker) ownDir(path, key, why string) string {
	dir, base := filepath.Dir(path), filepath.Base(path)
	entries, _ := os.ReadDir(dir)
	foreign := func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), base) && e.Name() != "lost+found" } // of a disk of its own
	me := hostlocal.Me()
	if me.UID != c.user.UID && me.IsPerson() || hostlocal.Owner(dir).UID == me.UID || !slices.ContainsFunc(entries, foreign) {
		return why
	}
	return fmt.Sprintf("%s may not write %s, which holds other files: set `%s` to a file in a directory of its own", me.Name, dir, key)
}

// notCreatable is [hostlocal.NotCreatable] of the bot's own directory or the pause directory.
func (c *checker) notCreatable(dir string) string {
	return c.forGroup(dir, c.installation.NotCreatable(dir))
}

// forGroup has the command that makes one of these two directories, or gives it to the bot, make it for the group as well that may write the
// other one, as in the shared setup: its members need both.
func (c *checker) forGroup(dir, why string) string {
	if !c.dirRead {
		return why
	}
	other, mode := c.cfg.PauseDir, "2770"
	if dir == other {
		other, mode = c.cfg.OwnDir(), "2775"
	}
	heir := c.installation.Heir()
	group, login := hostlocal.SharedGroup(other), heir.Group()
	_, otherErr := os.Lstat(other)
	switch {
	case group != "" && c.moved(other):
		group = login
	case errors.Is(otherErr, fs.ErrNotExist) && !c.usersReport() && heir.UID != 0 && heir.ServesOthers() && login == heir.Word():
		group = login // both are lost, and without the socket only members of the bot's own group can report
	}
	switch taken := c.takeOver(dir, why); {
	case c.moved(dir) && (group == "" || group == login && hostlocal.SharedGroup(dir) != ""):
		return taken
	case c.moved(dir):
		if group == login {
			group = ""
		}
		to := "run chown -R " + hostlocal.Me().Word() + ":"
		path := " " + hostlocal.Tree(dir)
		return strings.Replace(taken, to+path, to+group+path+" && chmod "+mode+path, 1)
	case group != "" && !strings.Contains(why, "run chown -R "): // that is a person's own, at home
		share := fmt.Sprintf("install -d -g %s -m %s ", group, mode)
		why = strings.NewReplacer("install -d ", share, "run chown ", "run "+share+"-o ").Replace(why)
	}
	return why
}

// moved reports whether a directory comes from another machine, on which the bot had the ids that its owner and its group have.
func (c *checker) moved(dir string) bool {
	return c.user.UID == os.Geteuid() && c.user.ServesOthers() && c.user.IsListed() && c.user.CameWithOwner(dir)
}

// takeOver has chown give this user all of a directory, and its login group, too, if the group that it has is none for it.
func (c *checker) takeOver(dir, why string) string {
	me := hostlocal.Me().Word()
	to := me
	if c.moved(dir) {
		to += ":"
	}
	return strings.Replace(why, "run chown "+me+" ", "run chown -R "+to+" ", 1)
}

// stateWritable reports whether this user may write all files of the state.
func (c *checker) stateWritable() bool {
	return c.writable("state", append([]string{filepath.Dir(c.cfg.State)}, c.stateFiles()...)...)
}

// stateFiles returns the files of the state, and the directories beside it.
func (c *checker) stateFiles() []string {
	paths := []string{c.cfg.State, c.cfg.State + "-wal", c.cfg.State + "-shm"}
	if local := c.cfg.LocalDir; local == hostlocal.Beside(c.cfg.State).Path() { // else it is checked by itself
		paths = append(paths, local, local+"/locks", local+"/runs", local+"/spool")
	}
	return paths
}

// closedToGroup warns if the group that may write the directory of the state, or local_dir, may not write what is in it. It is called before
// the state is opened, which may make files.
func (c *checker) closedToGroup() {
	local := c.cfg.LocalDir
	beside := !c.cfg.Shared() && local == hostlocal.Beside(c.cfg.State).Path()
	if !c.cfg.Shared() {
		c.closedTo(filepath.Dir(c.cfg.State), "state", "the directory of the state", c.stateFiles(), beside)
	}
	if beside {
		return
	}
	folders := []string{local + "/locks", local + "/runs", local + "/spool"}
	parent := filepath.Dir(local) // e.g. of the directory of a state that was moved to PostgreSQL
	if owner := hostlocal.Owner(parent); hostlocal.SharedGroup(local) == "" && owner.UID != 0 && owner.UID == hostlocal.Owner(local).UID {
		c.closedTo(parent, "local_dir", parent, append([]string{local}, folders...), true)
		return
	}
	c.closedTo(local, "local_dir", "local_dir", folders, true)
}

// closedTo is [checker.closedToGroup] for the group of one directory. If local_dir is in it, or is it, what is in runs and spool is looked at, too.
func (c *checker) closedTo(dir, key, name string, paths []string, local bool) {
	info, err := os.Stat(dir)
	group := hostlocal.SharedGroup(dir)
	if err != nil || group == "" {
		return
	}
	first, effect, regroup := "", "", false
	var fix, folders []string
	add := func(list *[]string, path string) {
		if path = hostlocal.Tree(path); !slices.Contains(*list, path) {
			*list = append(*list, path)
		}
	}
	look := func(path, in, consequence string) {
		found, err := os.Stat(path)
		if err != nil {
			return
		}
		if found.IsDir() && found.Mode()&fs.ModeSetgid == 0 {
			add(&folders, path)
		}
		others := !hostlocal.SameGroup(found, info) // e.g. root's, of which the state was before the directory was given to the bot
		if !others && found.Mode()&0o060 == 0o060 && (!found.IsDir() || found.Mode()&0o010 != 0) {
			return
		}
		if first == "" {
			first, effect = path, consequence
		}
		regroup = regroup || others
		if slices.Contains(paths, c.cfg.LocalDir) && strings.HasPrefix(path, c.cfg.LocalDir+"/") {
			in = c.cfg.LocalDir
		}
		add(&fix, in)
	}
	consequence := "and so is what its members make beside it"
	if key == "local_dir" {
		consequence = "so its members cannot record results"
	}
	look(dir, dir, consequence)
	for _, path := range paths {
		look(path, path, consequence)
	}
	for _, folder := range []string{c.cfg.LocalDir + "/runs", c.cfg.LocalDir + "/spool"} {
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			if local && e.Type().IsRegular() && slices.Contains([]string{".lock", ".json", ".ready"}, filepath.Ext(e.Name())) {
				look(filepath.Join(folder, e.Name()), folder, "so not everybody who runs adfbot can read it")
			}
		}
	}
	if first == "" {
		return
	}
	all := strings.Join(fix, " ")
	command := "chmod -R g+rwX " + all
	if regroup {
		command = "chgrp -R " + group + " " + all + " && " + command
	}
	if len(folders) > 0 {
		command += " && chmod g+s " + strings.Join(folders, " ")
	}
	c.add(Warn, key, "%s is closed to the group that may write %s, %s: run %s", first, name, effect, command)
}

// usersReport reports whether agents report through the socket, as users of their projects.
func (c *checker) usersReport() bool { return c.installation.Users }

// closedToMembers warns if a group may write only one of the directory of the state and the pause directory, or if the bot's own group has
// members and may write neither: in the shared setup, they need both. A directory of another user is reported as such.
func (c *checker) closedToMembers() {
	own, flags := c.cfg.OwnDir(), c.cfg.PauseDir
	owner := c.user
	if !c.dirRead || owner.UID == 0 || !owner.ServesOthers() {
		return
	}
	ofOwn, err := os.Stat(own)
	ofFlags, err2 := os.Stat(flags)
	if err != nil || err2 != nil || hostlocal.Owner(own).UID != owner.UID || hostlocal.Owner(flags).UID != owner.UID {
		return
	}
	share := func(dir, group, mode string) string {
		command := "run chmod " + mode + " " + text.ShellQuote(dir)
		if !hostlocal.SameGroup(ofOwn, ofFlags) {
			command = "run chgrp " + group + " " + text.ShellQuote(dir) + " && " + strings.TrimPrefix(command, "run ")
		}
		return command
	}
	key, name := c.ownKey(), "the directory of the state"
	if c.cfg.Shared() {
		name = key
	}
	switch reporting, pausing := hostlocal.SharedGroup(own), hostlocal.SharedGroup(flags); {
	case reporting != "" && pausing != "" && reporting != pausing && pausing == owner.Group(): // root has put a copy there
		c.add(Warn, key, "%s is open to the group %s, not to %s, which may write the pause directory, so its members cannot record results: run chgrp -R %s %s",
			own, reporting, pausing, pausing, hostlocal.Tree(own))
	case reporting != "" && pausing != "" && reporting != pausing && reporting == owner.Group():
		c.add(Warn, "pause_dir", "%s is open to the group %s, not to %s, which may write %s, so its members can write no flag, pause or resume: run chgrp -R %s %s",
			flags, pausing, reporting, name, reporting, hostlocal.Tree(flags))
	case reporting != "" && pausing == "":
		c.add(Warn, "pause_dir", "%s is closed to the group that may write %s, so its members can write no flag, pause or resume: %s",
			flags, name, share(flags, reporting, "2775"))
	case reporting == "" && pausing != "" && pausing == owner.Group() && !c.usersReport():
		c.add(Warn, key, "%s is closed to the group that may write the pause directory, so its members cannot record results: %s; "+
			"in the separated setup, run chmod 755 %s instead", own, share(own, pausing, "2770"), text.ShellQuote(flags))
	case reporting == pausing && reporting != owner.Group() && !c.usersReport() && owner.SharesGroup(): // else nobody could report
		for _, d := range []struct{ key, dir, mode, effect string }{
			{key, own, "2770", "record results"}, {"pause_dir", flags, "2775", "write a flag, pause or resume"},
		} {
			dir := hostlocal.Tree(d.dir)
			c.add(Warn, d.key, "%s is closed to the group %s, so its members cannot %s: run chgrp -R %[2]s %[4]s && chmod %[5]s %[4]s", d.dir, owner.Group(), d.effect, dir, d.mode)
		}
	}
}

// ownKey returns the key of the configuration that names [config.Config.OwnDir].
func (c *checker) ownKey() string {
	if c.cfg.Shared() {
		return "local_dir"
	}
	return "state"
}

// openToAll warns if every user may write the directory of the state. What is in it is most likely open, too.
func (c *checker) openToAll() {
	own := c.cfg.OwnDir()
	info, err := os.Stat(own)
	if err != nil || info.Mode().Perm()&0o002 == 0 || info.Mode()&os.ModeSticky != 0 {
		return
	}
	c.add(Warn, c.ownKey(), "every user can change and remove what is in %s: run chmod -R o-w %s", own, text.ShellQuote(own))
}

// runs warns of runs whose files this user may not open.
func (c *checker) runs(ctx context.Context) {
	if c.bot == nil || hostlocal.SharedGroup(c.cfg.LocalDir) != "" { // then closedToGroup has said it
		return
	}
	runs, err := c.bot.store.Running(ctx)
	if c.failed("state", err) {
		return
	}
	for _, run := range runs {
		if err := c.bot.local.CheckRun(run); err != nil {
			c.add(Warn, "runs", "%v", err)
		}
	}
}

// writable reports whether this user may write all of some paths. The first one is the directory that the file of a key is in.
func (c *checker) writable(key string, paths ...string) bool {
	writable := true
	for _, path := range paths {
		if _, err := os.Stat(path); !writable && errors.Is(err, fs.ErrPermission) {
			continue // for the reason that was found already
		}
		if why := c.installation.NotWritable(path); why != "" {
			writable = false
			if key == "state" && path == paths[0] {
				why = c.ownDir(c.cfg.State, key, why)
			}
			if path == c.cfg.OwnDir() && hostlocal.SharedGroup(path) == "" { // e.g. a new one, into which the state was moved
				why = c.forGroup(path, why)
			}
			if info, err := os.Stat(path); err == nil && info.IsDir() { // what lies in it most likely belongs to the same wrong user
				why = c.takeOver(path, why)
			}
			c.add(Fail, key, "%s: %s", path, why)
		}
	}
	return writable
}

// closedToOthers returns what keeps other users from the sentinel of a pause directory, the directory or one above it, and what opens it. The
// members of its group have the rights of that alone.
func closedToOthers(dir pause.Dir) (closed, command string) {
	need, add := fs.FileMode(0o005), "+rx"
	for path, below := dir.Path(), ""; path != below; path, below = filepath.Dir(path), path {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.Mode()&(need<<3) != need<<3:
			return path, "chmod go" + add + " " + text.ShellQuote(path)
		case err == nil && info.Mode()&need != need:
			return path, "chmod o" + add + " " + text.ShellQuote(path)
		}
		need, add = 0o001, "+x"
	}
	sentinel := filepath.Join(dir.Path(), pause.SentinelName)
	if info, err := os.Stat(sentinel); err == nil && info.Mode()&0o044 != 0o044 { // and flags, in a copy by root
		return sentinel, "chmod -R go+rX " + text.ShellQuote(dir.Path())
	}
	return "", ""
}

// knownDir reports what keeps gate from telling which projects of patterns are known.
func (c *checker) knownDir(dir pause.Dir) {
	if !c.cfg.HasPatterns() {
		return
	}
	const effect = "so gate reports every project of a pattern as unknown"
	path := filepath.Join(dir.Path(), pause.KnownName)
	_, err := dir.KnownProjects()
	info, statErr := os.Lstat(path)
	switch {
	case statErr == nil && !info.IsDir() && err != nil:
		c.add(Fail, "pause_dir", "%s is not a directory, %s: remove it and run `adfbot sweep`, which makes it again", path, effect)
	case errors.Is(err, fs.ErrPermission):
		c.add(Fail, "pause_dir", "%v, %s: run chmod a+rx %s as its owner, or remove it and run `adfbot sweep`", err, effect, text.ShellQuote(path))
	case err != nil:
		c.add(Fail, "pause_dir", "%v, %s", err, effect)
	case statErr == nil && info.Mode()&0o005 != 0o005 && c.user.UID != 0 && c.user.ServesOthers():
		c.add(Warn, "pause_dir", "%s is closed to other users, whose gate reports every project of a pattern as unknown: run chmod o+rx %s", path, text.ShellQuote(path))
	}
}

// sentinelCopy fails if the copy of the sentinel is that of another installation. Two that have one local_dir replace it in turn.
func (c *checker) sentinelCopy() {
	if c.bot == nil {
		return
	}
	found, err := c.bot.rec.Sentinel()
	copied := c.bot.local.Sentinel().Installation
	if err != nil || copied == "" || copied == found.Installation || found.Installation != c.bot.store.Installation() {
		return // what is wrong with the pause directory is said there
	}
	c.add(Fail, "local_dir", "%s has a copy of the sentinel of another installation, %s, so gate cannot tell what is paused: if that one has the "+
		"same local_dir, give each one of its own, because each records what waits there for the other; else run `adfbot sweep`, which replaces the copy",
		c.cfg.LocalDir, copied)
}

func (c *checker) pauseDir(ctx context.Context) {
	dir := pause.New(c.cfg.PauseDir)
	var err error
	written := false
	if c.bot != nil {
		err = c.bot.AdviseRestore(ctx, c.bot.rec.CheckPause(ctx))
		written, _ = c.bot.store.FlagsWritten(ctx)
		written = written || c.bot.isSecondState()
	} else if err = answers(ctx, dir.Path()); err == nil {
		_, err = dir.Sentinel()
		if c.noState {
			err = status.WithoutState(c.cfg, err)
		} else {
			err = status.AdviseRestore(c.cfg, err)
		}
		written = hostlocal.At(c.cfg.LocalDir).Sentinel().Installation != "" // perhaps: the state, which knows, cannot be read or is lost, too
	}
	if notReady(err) && !written {
		if why := c.notCreatable(dir.Path()); why != "" {
			c.add(Fail, "pause_dir", "cannot create %s: %s", dir.Path(), why)
		} else {
			c.add(OK, "pause_dir", "%s is not ready yet; serve or the first result prepares it. Until then the gate reports unknown", dir.Path())
		}
		return
	}
	if err == nil || errors.Is(err, fs.ErrPermission) {
		if why := c.installation.DirWritable(dir.Path()); why != nil { // which says more than that it is denied
			err = errors.New(c.forGroup(dir.Path(), why.Error()))
		}
	}
	var paused []string
	if err == nil {
		paused, err = dir.List()
	}
	if c.failed("pause_dir", err) {
		return
	}
	c.add(OK, "pause_dir", "%s, %s paused", dir.Path(), text.Plural(len(paused), "project"))
	owner := c.user
	if closed, command := closedToOthers(dir); closed != "" && owner.UID != 0 && owner.ServesOthers() {
		c.add(Warn, "pause_dir", "%s is closed to other users, whose gate and exec cannot tell what is paused: run %s", closed, command)
	}
	switch info, err := os.Stat(dir.Path()); {
	case err != nil:
	case info.Mode()&os.ModeSticky != 0 && owner.UID != 0 && hostlocal.Owner(dir.Path()).UID != owner.UID:
		c.add(Warn, "pause_dir", "%s has the sticky bit, so %s cannot remove flags of other users: run chown %[2]s %[3]s", dir.Path(), owner.Name, text.ShellQuote(dir.Path()))
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0:
		c.add(Warn, "pause_dir", "every user can remove flags from %s, which resumes projects: run chmod o-w %s", dir.Path(), text.ShellQuote(dir.Path()))
	}
	c.knownDir(dir)
	var strangers []string
	for _, id := range paused {
		if f, err := dir.Look(id); err == nil && f.Dangling {
			c.add(Warn, "pause_dir", "the flag of %s is a dangling link: it pauses here, but `test -e` in a script does not see it; replace it by a file", id)
		}
		if _, ok := c.cfg.Project(id); !ok {
			strangers = append(strangers, id)
		}
	}
	const most = 3
	if more := len(strangers) - most; more > 0 {
		c.add(Warn, "pause_dir", "%s and %d more have a flag but are not configured projects: add them to projects, or remove their flags from %s",
			strings.Join(strangers[:most], ", "), more, dir.Path())
		return
	}
	for _, id := range strangers {
		c.add(Warn, "pause_dir", "%s has a flag but is not a configured project: add it to projects, or remove %s", id, dir.FlagPath(id))
	}
}

// counts shows the failures that count already. A project that was removed from the configuration and added again keeps its own.
func (c *checker) counts(ctx context.Context) {
	if c.bot == nil {
		return
	}
	s, err := c.bot.Status(ctx, "")
	if c.failed("state", err) {
		return
	}
	count, next := map[Level][]status.Project{}, map[Level]string{OK: "", Warn: ", and are paused at the next failure"}
	for _, p := range s.Projects {
		switch {
		case !p.Configured || p.Failures == 0 || p.Incident != nil:
		case p.TripsNext():
			count[Warn] = append(count[Warn], p)
		default:
			count[OK] = append(count[OK], p)
		}
	}
	const most = 3
	for _, level := range []Level{Warn, OK} {
		list := count[level]
		if more := len(list) - most; more > 0 { // a line for each would hide what is wrong
			c.add(level, "projects", "%s, %s, %s and %d more count failures in a row already%s: `adfbot status` shows them",
				list[0].ID, list[1].ID, list[2].ID, more, next[level])
			continue
		}
		for _, p := range list {
			at := fmt.Sprintf("at %d", p.Threshold)
			if level == Warn {
				at = "at the next failure"
			}
			c.add(level, "projects", "%s: %s in a row%s; it is paused %s", p.ID, text.Plural(p.Failures, "failure"), lastFailure(p), at)
		}
	}
}

// lastFailure says when the last failure that counts was, if the history has it.
func lastFailure(p status.Project) string {
	for _, run := range p.LastRuns {
		if run.Counted && run.Outcome == store.Failure && !run.Finished.IsZero() {
			return ", the last one on " + run.Finished.UTC().Format("2006-01-02 15:04 UTC")
		}
	}
	return ""
}

func (c *checker) template() {
	file := c.cfg.Escalation.Template
	if file == "" {
		return
	}
	composer, err := newComposer(file, nil)
	if err == nil {
		err = composer.Check()
	}
	if err != nil {
		c.add(Fail, "template", "%s: %v; issues are opened with the built-in one", file, err)
		return
	}
	c.add(OK, "template", "%s", file)
}

func (c *checker) token() {
	c.openToAgents("token", "gitea.token_file", c.cfg.Gitea.TokenFile)
	if _, err := c.cfg.Gitea.TokenSource(c.env.Getenv).Token(); !c.failed("token", err) {
		c.add(OK, "token", "can be read")
	}
}

// openToAgents warns of a file with a secret of the bot's own that the group may read whose members report, pause and resume in the shared setup.
func (c *checker) openToAgents(what, key, path string) {
	bot := c.installation.Heir()
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o040 == 0 || !bot.ServesOthers() { // a person's group is most likely their own
		return
	}
	if owner := hostlocal.Owner(path).UID; info.Mode()&0o006 != 0 && owner == os.Geteuid() && owner != 0 {
		return // what is said about other users has the same fix
	}
	dirs := []string{c.cfg.OwnDir()}
	if c.dirRead {
		dirs = append(dirs, c.cfg.PauseDir)
	}
	for _, dir := range dirs {
		shared, err := os.Stat(dir)
		group := hostlocal.SharedGroup(dir)
		if err != nil || group == "" || !hostlocal.SameGroup(info, shared) {
			continue
		}
		fix := "chmod 600 " + text.ShellQuote(path)
		if hostlocal.Owner(path).UID != bot.UID {
			fix = "chown " + bot.Word() + " " + text.ShellQuote(path) + " && " + fix
		}
		c.add(Warn, what, "%s: the members of the group %s may read %s, also the agents that are in it: run %s, and replace the secret if they should not know it",
			key, group, path, fix)
		return
	}
}

func (c *checker) users() {
	for _, p := range c.cfg.Projects {
		for _, name := range p.Users {
			if _, err := strconv.Atoi(name); err == nil {
				continue // a user id
			}
			u, err := user.Lookup(name)
			if err == nil && c.cfg.HTTP.Socket != "" {
				c.reaches(u, filepath.Dir(c.cfg.HTTP.Socket))
			}
			if err != nil {
				c.add(Warn, "users", "projects[%s].users: there is no user %s on this machine; use the user id if the name comes from a directory that this program cannot ask", p.Name(), name)
			}
		}
	}
}
