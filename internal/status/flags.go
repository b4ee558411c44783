package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/setup"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// FlagReason returns why a flag pauses its project: its text, or its path if it has none. Where the text names the flag's path, it is
// the current one: the directory may have moved since the flag was written. A copy of another project's flag does not say how to resume
// that. FlagReason masks secrets by their patterns, because others may write flags, too.
func FlagReason(path, note string, dangling bool) string {
	var patterns *redact.Redactor
	note = patterns.Redact(redact.Clean(note))
	switch {
	case dangling:
		return "its pause flag " + path + " is a dangling link"
	case strings.TrimSpace(note) == "":
		return "its pause flag " + path + " exists"
	}
	info, known := issuetext.ParseFlagNote(note)
	copied := known && info.Project != filepath.Base(path)
	lines := strings.Split(note, "\n")
	for n := 1; n < len(lines); n++ {
		if strings.HasPrefix(lines[n-1], issuetext.ResumeLine) && strings.HasPrefix(lines[n], issuetext.OrRemoveLine) {
			lines[n] = issuetext.OrRemoveLine + redact.Line(path, 1000)
			if copied {
				lines[n-1], lines[n] = "This is a copy of the flag of "+info.Project+".", "To resume, remove the file "+redact.Line(path, 1000)
			}
		}
	}
	if copied {
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, issuetext.OrCommentLine) })
	}
	return strings.Join(lines, "\n")
}

// NoteOf returns the text of a project's flag, or that of the incident which the flag belongs to if it has none: on a full disk, there was no
// room for it.
func NoteOf(flag incident.FlagView, open *incident.Incident, resume issuetext.Resume) string {
	if open == nil || flag.Dangling || strings.TrimSpace(flag.Note) != "" {
		return flag.Note
	}
	return issuetext.FlagNote(*open, resume, issuetext.Mark{})
}

// StandingNote returns a flag's text without the line that says when the pause ends, if somebody has made or changed the flag: it is a pause
// of its own then, which nothing ends by itself. since is the flag's modification time.
func StandingNote(project, note string, since time.Time) string {
	info, known := issuetext.ParseFlagNote(note)
	if known && info.Project == project && (info.Written.IsZero() || info.Written.Equal(since)) {
		return note
	}
	return issuetext.WithoutEnd(note)
}

// PausedBecause returns the first paragraph of a reason, as a sentence that says that the project is paused.
func PausedBecause(project, why string) string {
	head, _, _ := strings.Cut(strings.TrimSpace(why), "\n\n")
	if strings.HasPrefix(head, project+" is paused") {
		return head
	}
	return project + " is paused: " + head
}

var adviceLines = []string{issuetext.ResumeLine, issuetext.OrRemoveLine, issuetext.OrCommentLine, issuetext.OldResumeLine}

// readableNote returns a flag's text without the lines that only the bot reads and the advice how to resume.
func readableNote(flag incident.FlagView) string {
	note := flag.Note
	if flag.Identity.Kind == incident.PersonFlag {
		note = issuetext.WithoutEnd(note)
	}
	if flag.Info.Pause.ID != "" {
		note, _, _ = strings.Cut(note, "\n\n")
	}
	var out strings.Builder
	for line := range strings.Lines(note) {
		if !slices.ContainsFunc(adviceLines, func(begin string) bool { return strings.HasPrefix(line, begin) }) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// HoldReason returns the note of a hold without the advice how to resume, which names a flag: the hold's may not be written. It masks secrets as
// [FlagReason] does.
func HoldReason(h incident.Hold) string {
	var patterns *redact.Redactor
	return strings.TrimSpace(patterns.Redact(redact.Clean(readableNote(incident.FlagView{Note: h.Note}))))
}

// FlagsLost reports whether err means that the flags in the pause directory may be lost, which `adfbot restore`
// repairs.
func FlagsLost(err error) bool {
	return errors.Is(err, pause.ErrNoDir) || errors.Is(err, pause.ErrNoSentinel) || errors.Is(err, pause.ErrBadSentinel) ||
		errors.Is(err, pause.ErrOtherDirectory)
}

// TitleOtherPauseDir is the title of the daemon's answer to a question at its gate if [OtherPauseDir] holds.
const TitleOtherPauseDir = "Another pause directory"

// ErrOtherPauseDir means that the daemon has answered so.
var ErrOtherPauseDir = errors.New("the pause directory is not the one that was used last")

// MovedDirError says that pause_dir was changed while projects are paused, and that nobody has run restore since.
type MovedDirError struct{ Err error }

func (e MovedDirError) Error() string { return e.Err.Error() }
func (e MovedDirError) Unwrap() error { return e.Err }

// PlaceHeader names the header of a request to the daemon with the [hostlocal.Place] of the client's pause directory. It is missing or empty
// where that is not known.
const PlaceHeader = "Adfbot-Pause-Dir"

// ErrOtherPlace means that the client's pause directory is not the daemon's.
var ErrOtherPlace = errors.New("the daemon goes on with another pause directory than the one that is seen here, as a container does if something " +
	"takes its place: if the new one is to be used from now on, remove .adfbot from it, restart the daemon, or its container, and run `adfbot restore`; " +
	"else bring back the one from before")

// OtherPauseDir reports whether err means that the pause directory is not the one that was used last. What is seen there says nothing, and
// whoever may read neither the state nor the id of the right one cannot know.
func OtherPauseDir(err error) bool {
	_, moved := errors.AsType[MovedDirError](err)
	return moved || errors.Is(err, ErrOtherPlace) || errors.Is(err, pause.ErrOtherInstallation) || errors.Is(err, pause.ErrOtherDirectory)
}

// AdviseRestore adds the fix to an error about lost flags, for callers that cannot read the state.
func AdviseRestore(cfg *config.Config, err error) error {
	switch {
	case !FlagsLost(err), errors.Is(err, pause.ErrDeadLink): // restore makes nothing that a link leads to
		return err
	case errors.Is(err, pause.ErrOtherDirectory):
		return fmt.Errorf("%w\nif this is to be the pause directory from now on: adfbot restore writes the flags of all paused projects to it; "+
			"if that was done, restart the daemon: in a container it goes on with the directory that it started with%s", err, runRestore(cfg, err))
	}
	if lost := BothLost(cfg); lost != "" {
		return fmt.Errorf("%w\n%s", err, lost)
	}
	return fmt.Errorf("%w\n%s creates the sentinel and the flags of all paused projects again%s", err, restore(err), runRestore(cfg, err))
}

// BothLost says what to do about lost flags where the directory of the state, or local_dir, is missing, too, or returns "". With http.socket
// the daemon makes what is in it, see [DirFirst].
func BothLost(cfg *config.Config) string {
	dir := cfg.OwnDir()
	if _, err := os.Lstat(dir); cfg.HTTP.Socket != "" || !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	lost := "%s, the directory of the state, is missing, too: if a disk is not mounted, mount it; if both are lost, stop the jobs, run adfbot init, which makes them again " +
		"without any flag, then pause what must not run\nrun: %sadfbot init%s"
	if cfg.Shared() { // which knows what is paused
		lost = "%s, which is local_dir, is missing, too: if a disk is not mounted, mount it; if both are lost, run adfbot init, which makes them again, and then adfbot restore" +
			"\nrun: %sadfbot init%s"
	}
	return fmt.Sprintf(lost, dir, hostlocal.Owner(dir).RunAs(os.Getenv("PATH")), cfg.ShellFlag())
}

// initFirst returns an error if root's restore would make the directories of a lost installation for root.
func initFirst(cfg *config.Config) error {
	if _, err := user.Lookup("adfbot"); err != nil || os.Geteuid() != 0 || BothLost(cfg) == "" {
		return nil
	}
	return store.Unusable(cfg.State, "run `adfbot init`, which makes it, and the pause directory, for the user adfbot", fmt.Errorf("%s is missing", cfg.OwnDir()))
}

// WithoutState adds what to do to an error about lost flags if there is no state, either, which would know them.
func WithoutState(cfg *config.Config, err error) error {
	if !FlagsLost(err) || errors.Is(err, pause.ErrDeadLink) || errors.Is(err, pause.ErrOtherDirectory) {
		return AdviseRestore(cfg, err)
	}
	return fmt.Errorf("%w\nthe state, which knows what was paused, is missing, too: %s; if both are lost, stop the jobs, run adfbot restore, which makes them again "+
		"without any flag, then pause what must not run%s", err, cfg.State, runRestore(cfg, err))
}

// IsSecondState reports whether a state was made in the place of one that is lost, with its pause directory: the copy of the sentinel beside it
// is of another installation.
func IsSecondState(cfg *config.Config, installation string) bool {
	beside := hostlocal.Beside(cfg.State)
	id := beside.Sentinel().Installation
	return !cfg.Shared() && cfg.LocalDir == beside.Path() && id != "" && id != installation
}

// byRoot reports whether the pause directory is missing where its bot's user may not make it. Root makes it for them.
func byRoot(cfg *config.Config, err error) bool {
	return errors.Is(err, pause.ErrNoDir) && hostlocal.Owner(cfg.PauseDir).UID != hostlocal.BotUser(cfg.OwnPath()).UID
}

// runRestore returns a line with the command as people on this machine run it, or "" if it needs nothing more than its name.
func runRestore(cfg *config.Config, err error) string {
	const name = "adfbot restore"
	if Elsewhere(cfg) != nil {
		return "\nif the daemon runs in a container, restart that, which goes on with the directory that it started with, and run it there: `docker exec`"
	}
	if hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.OwnPath()) {
		return fmt.Sprintf("\nno daemon answers, and there is no %s: %sstart it here first", cfg.OwnPath(), DirFirst(cfg)+IfInContainer("that"))
	}
	how, command := "run: ", RunRestoreAs(cfg, os.Getenv("PATH"), err)+name+cfg.ShellFlag()
	if strings.HasPrefix(command, "install ") {
		how = "run as root: "
	}
	switch {
	case command == name:
		return notOfImage(cfg)
	case hostlocal.MayHaveNoDaemon(cfg.HTTP.Socket, cfg.OwnPath()): // without a state, restore refuses: the daemon makes the first one
		return "\nno daemon answers: " + DirFirst(cfg) + "start it; if that does not mend it, " + how + command
	}
	return notOfImage(cfg) + "\n" + how + command
}

// giveDir returns the command with which root gives the pause directory to the bot's user, or "" if there is none, or they may write it. One
// that holds others, such as /srv, is not for the bot.
func giveDir(cfg *config.Config) string {
	bot := botUser(cfg)
	entries, _ := os.ReadDir(cfg.PauseDir)
	foreign := func(e os.DirEntry) bool { return e.IsDir() && e.Name() != pause.KnownName && e.Name() != "lost+found" }
	if !bot.KeptFrom(cfg.PauseDir) || slices.ContainsFunc(entries, foreign) {
		return ""
	}
	group, mode := hostlocal.SharedGroup(cfg.OwnDir()), "2775"
	if group == "" {
		mode = "755"
	}
	if group == "" || bot.CameWithOwner(cfg.OwnDir()) {
		group = bot.Group()
	}
	if group != "" {
		group = "-g " + group + " "
	}
	return fmt.Sprintf("install -d -o %s %s-m %s %s", bot.Word(), group, mode, text.ShellQuote(cfg.PauseDir))
}

// notOfImage returns a line that says why the user of a container's image may not write the pause directory, or "". That belongs to the machine,
// where it may have been made again for root.
func notOfImage(cfg *config.Config) string {
	me := hostlocal.Me()
	if why := Installation(cfg).NotWritable(cfg.PauseDir); why != "" && me.OfImage() {
		return fmt.Sprintf("\n%s: %s", cfg.PauseDir, why)
	}
	return ""
}

// GiveAndRestore says how to restore where the pause directory is one that the bot's user may not write, or returns "".
func GiveAndRestore(cfg *config.Config) string {
	if giveDir(cfg) == "" {
		return strings.TrimPrefix(notOfImage(cfg), "\n")
	}
	return strings.TrimPrefix(runRestore(cfg, pause.ErrNoSentinel), "\n")
}

// Elsewhere returns an error if the daemon has its state where this process does not see it. Whatever is stored or written here then is not
// the daemon's: a second state would count for itself, and its sentinel would say that nothing is paused. Only the daemon can record.
func Elsewhere(cfg *config.Config) error {
	if !hostlocal.DaemonElsewhere(cfg.HTTP.Socket, cfg.OwnPath()) {
		return nil
	}
	key := "state"
	if cfg.Shared() {
		key = "local_dir"
	}
	return &store.UnusableError{
		Path: cfg.OwnPath(), Denied: true, Err: fmt.Errorf("the daemon at %s has its state elsewhere", cfg.HTTP.Socket),
		Advice: fmt.Sprintf("if the daemon runs in a container, run this there (`docker exec`); else mount the disk of the state, or correct `%s`; "+
			"if the state is lost, stop the daemon and run `adfbot check`", key),
	}
}

// InContainer returns a clause for what says that there is no state, with the semicolon before it, or "": the daemon may be in a container that
// is stopped.
func InContainer(cfg *config.Config) string {
	if !hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.OwnPath()) {
		return ""
	}
	return "; if the daemon runs in a container, its state is there: start it, and use `docker exec`"
}

// NothingToRestore returns an error if neither the daemon nor its state is here. What restore made then would be a second state, which knows of
// no pause, if the daemon is in a container that is stopped; else the daemon makes the first one.
func NothingToRestore(cfg *config.Config) error {
	if err := initFirst(cfg); err != nil {
		return err
	}
	if !hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.OwnPath()) {
		return nil
	}
	return store.Unusable(cfg.OwnPath(), DirFirst(cfg)+IfInContainer("this")+"start it here, which makes it",
		fmt.Errorf("it does not exist, and no daemon answers at %s", cfg.HTTP.Socket))
}

// IfInContainer says what to do where neither the daemon nor its state is here, and it may be in a container that is stopped. What has to be
// done else comes after it.
func IfInContainer(what string) string {
	return "if the daemon runs in a container, start it, and run " + what + " there (`docker exec`); else "
}

// DirFirst says what to do before anybody starts a daemon whose pause directory is missing, or "" if it is there or the daemon may run. A unit
// with ReadWritePaths= does not start without it, and Docker makes it for root.
func DirFirst(cfg *config.Config) string {
	socket, path := cfg.HTTP.Socket, cfg.OwnPath()
	if _, err := os.Lstat(cfg.PauseDir); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if !hostlocal.NoDaemonHere(socket, path) && !hostlocal.MayHaveNoDaemon(socket, path) {
		return ""
	}
	share := ""
	if group := hostlocal.SharedGroup(cfg.OwnDir()); group != "" {
		share = "-g " + group + " -m 2775 "
	}
	owner, dirs := daemonUser(cfg), text.ShellQuote(cfg.PauseDir)
	if _, err := os.Lstat(cfg.OwnDir()); errors.Is(err, fs.ErrNotExist) {
		if _, err := user.Lookup(owner); err == nil { // else it may be in the container of a user whom the machine does not know
			dirs = text.ShellQuote(cfg.OwnDir()) + " " + dirs
		}
	}
	return fmt.Sprintf("mount %s, or if it is lost make it as root: install -d %s-o %s %s; after that, ", cfg.PauseDir, share, owner, dirs)
}

// daemonUser returns the daemon's user as install takes it. The directory of the state tells, and that of the socket where the first is lost.
func daemonUser(cfg *config.Config) string {
	for _, owner := range []hostlocal.Account{hostlocal.BotUser(cfg.OwnPath()), hostlocal.Owner(filepath.Dir(cfg.HTTP.Socket))} {
		if owner.UID != 0 {
			return owner.Word()
		}
	}
	if _, err := user.Lookup("adfbot"); err == nil {
		return "adfbot"
	}
	return "USER"
}

// RunAs returns what somebody who is logged in to this machine writes before a command of adfbot that needs the state, e.g. "sudo -u adfbot ".
// A password that systemd hands to the daemon can be read by root alone.
func RunAs(cfg *config.Config, searchPath string) string {
	return runAs(botUser(cfg), cfg.Credentials(), searchPath)
}

// RemoveAs is [RunAs] for rm, which needs nothing that systemd hands to the daemon.
func RemoveAs(cfg *config.Config, searchPath string) string { return botUser(cfg).RunAs(searchPath) }

// Installation returns what shows whose the bot of a configuration is.
func Installation(cfg *config.Config) hostlocal.Installation {
	i := hostlocal.Installation{
		Dir: cfg.OwnDir(), PauseDir: cfg.PauseDir, Socket: cfg.HTTP.Socket, Token: cfg.Gitea.TokenFile,
		Users: cfg.HTTP.Socket != "" && slices.ContainsFunc(cfg.Projects, func(p config.Project) bool { return len(p.Users) > 0 }),
	}
	path, err := filepath.Abs(cfg.Path)
	if cfg.Path == "" || err != nil {
		return i
	}
	i.Config, i.Default, i.UnitUser = path, path == config.DefaultPath, func() string { return setup.UnitUser(path) }
	return i
}

func botUser(cfg *config.Config) hostlocal.Account { return Installation(cfg).Bot() }

// RunRestoreAs is [RunAs] for restore after an error, or into another directory. Root makes a directory that is missing and that the bot's user
// may not make, and gives them one that they may not write.
func RunRestoreAs(cfg *config.Config, searchPath string, err error) string {
	root, as := hostlocal.Account{}.RunAs(searchPath), RunAs(cfg, searchPath)
	if byRoot(cfg, err) && cfg.Credentials() == "" {
		as = root
	}
	if err == nil || FlagsLost(err) { // else it may hang
		if give := giveDir(cfg); give != "" {
			as = root + give + " && " + as
		}
	}
	return as
}

// RunWithTokenAs is [RunAs] for a command that asks Gitea, too.
func RunWithTokenAs(cfg *config.Config, searchPath string) string {
	return runAs(botUser(cfg), cfg.TokenCredentials(), searchPath)
}

func runAs(owner hostlocal.Account, credentials, searchPath string) string {
	as := owner.RunAs(searchPath)
	if credentials == "" {
		return as
	}
	if as != "" {
		as = hostlocal.Account{}.RunAs(searchPath)
	}
	return as + "CREDENTIALS_DIRECTORY=" + text.ShellQuote(credentials) + " "
}

// Advice says how to run a command as the owner, or as root with what systemd hands to the daemon from a directory.
func Advice(owner hostlocal.Account, credentials, searchPath, command string) string {
	if credentials == "" {
		return owner.Advice(searchPath, command)
	}
	return "run it as root: " + runAs(hostlocal.Account{}, credentials, searchPath) + command
}

// restore names the command that repairs a pause directory, which changes no damaged sentinel.
func restore(err error) string {
	if errors.Is(err, pause.ErrBadSentinel) {
		return "once the sentinel is removed, adfbot restore"
	}
	return "adfbot restore"
}

// AdviseRestore adds the fix to an error about lost flags, and the projects that this pauses again.
func (r *Reader) AdviseRestore(ctx context.Context, err error) error {
	if !FlagsLost(err) || errors.Is(err, pause.ErrOtherDirectory) {
		return AdviseRestore(r.from.Config, err)
	}
	if lost := BothLost(r.from.Config); lost != "" && !errors.Is(err, pause.ErrDeadLink) {
		return fmt.Errorf("%w\n%s", err, lost)
	}
	paused, readErr := r.PausedInState(ctx)
	var projects, unwritten []string // the next sweep would write the flags of the latter
	for _, id := range slices.Sorted(maps.Keys(paused)) {
		if paused[id] {
			projects = append(projects, id)
		} else {
			unwritten = append(unwritten, id)
		}
	}
	everPaused, readErr2 := r.from.State.FlagsWritten(ctx)
	switch readErr = errors.Join(readErr, readErr2); {
	case readErr != nil:
		return errors.Join(AdviseRestore(r.from.Config, err), readErr)
	case IsSecondState(r.from.Config, r.from.State.Installation()) && !errors.Is(err, pause.ErrDeadLink):
		return fmt.Errorf("%w\nthe state is new, and nobody knows what was paused before: stop the jobs, run adfbot restore, which makes the directory again, "+
			"then pause what must not run%s", err, runRestore(r.from.Config, err))
	case errors.Is(err, pause.ErrDeadLink) && len(projects) == 0:
		return err
	case errors.Is(err, pause.ErrDeadLink):
		return fmt.Errorf("%w\npaused: %s", err, strings.Join(projects, ", "))
	case len(projects) == 0 && !everPaused && !errors.Is(err, pause.ErrBadSentinel):
		makes := "adfbot serve creates the directory when it starts, and so does adfbot restore"
		if byRoot(r.from.Config, err) {
			makes = "adfbot serve creates the directory when it starts, if its user may make it, and so does adfbot restore"
		}
		return fmt.Errorf("%w\nno pause flag was ever written here: %s%s", err, makes, runRestore(r.from.Config, err))
	case len(projects) == 0 && len(unwritten) > 0:
		return fmt.Errorf("%w\n%s creates the directory again, and writes the flags of paused projects that have none here: %s%s",
			err, restore(err), strings.Join(unwritten, ", "), runRestore(r.from.Config, err))
	case len(projects) == 0:
		return fmt.Errorf("%w\nno project was paused; %s creates the directory again%s", err, restore(err), runRestore(r.from.Config, err))
	}
	alone := "; creating only the sentinel would resume them"
	if r.from.Fleet != nil { // which writes flags again that are missing in a directory without a mark
		alone = ""
	}
	more := ""
	if len(unwritten) > 0 {
		more = "; it also pauses those that have no flag here yet: " + strings.Join(unwritten, ", ")
	}
	return fmt.Errorf("%w\n%s pauses these again: %s%s%s%s", err, restore(err), strings.Join(projects, ", "), alone, more, runRestore(r.from.Config, err))
}

// PausedInState returns the projects with an open incident or a hold, and whether their flag was ever written on this host.
func (r *Reader) PausedInState(ctx context.Context) (map[string]bool, error) {
	states, err := r.from.State.ProjectStates(ctx)
	paused := map[string]bool{}
	for id, s := range states {
		if pause := s.Pause().ID; pause != "" {
			paused[id] = s.Confirmed.Stands() && s.Confirmed.Pause == pause
		}
	}
	return paused, err
}
