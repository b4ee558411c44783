package status

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

func TestFlagReasonMasks(t *testing.T) {
	require.Equal(t, "login failed: password=[masked]\n", FlagReason("/pause/odilo", "login failed: pass\x1b[0mword=hunter2\n", false))
}

func TestNoteForPeople(t *testing.T) {
	opened := time.Date(2026, 11, 23, 3, 48, 0, 0, time.UTC)
	i := incident.Incident{ID: strings.Repeat("ab", 16), Project: "odilo", Seq: 3, Agent: "project-meta", Failures: 3, Opened: opened}
	note := issuetext.FlagNote(i, issuetext.Resume{Command: "sudo -u adfbot adfbot resume odilo", Flag: "/pause/odilo", InGitea: true}, issuetext.Mark{})
	info, ok := issuetext.ParseFlagNote(note)
	require.True(t, ok)
	require.Equal(t, "odilo is paused: project-meta failed 3 times in a row (2026-11-23 03:48 UTC).\n", readableNote(incident.FlagView{Note: note, Info: info}))
	require.Equal(t, "moving the database\n\nback on Monday\n", readableNote(incident.FlagView{Note: "moving the database\n\nback on Monday\n"}), "a person's note stays whole")
	held := issuetext.HoldNote("odilo", issuetext.Held{Why: "disk", Who: "alice", Instance: "bigbox", At: opened}, issuetext.Resume{Command: "adfbot resume odilo", Flag: "/pause/odilo"})
	require.Equal(t, "odilo is paused by alice (bigbox, 2026-11-23 03:48 UTC).\nReason: disk\n", readableNote(incident.FlagView{Note: held}))
	flag := issuetext.HoldFlag(incident.Hold{ID: i.ID, Project: "odilo", Note: held}, issuetext.Resume{}, issuetext.Mark{Written: opened})
	info, ok = issuetext.ParseFlagNote(flag)
	require.True(t, ok)
	require.Equal(t, "odilo is paused by alice (bigbox, 2026-11-23 03:48 UTC).\nReason: disk\n", readableNote(incident.FlagView{Note: flag, Info: info}))
	require.Equal(t, "odilo is paused by alice (bigbox, now).\nReason: disk\n",
		readableNote(incident.FlagView{Note: "odilo is paused by alice (bigbox, now).\nReason: disk\nTo resume, remove this file or run: adfbot resume odilo\n"}), "of an earlier version")
}

// A flag that was copied from another project does not say how to resume that one.
func TestReasonOfCopiedFlag(t *testing.T) {
	i := incident.Incident{ID: strings.Repeat("ab", 16), Project: "odilo", Seq: 3, Agent: "project-meta", Failures: 3}
	resume := issuetext.Resume{Command: "sudo -u adfbot adfbot resume odilo", Flag: "/pause/odilo", InGitea: true}
	for _, note := range []string{
		issuetext.FlagNote(i, resume, issuetext.Mark{}),
		issuetext.HoldFlag(incident.Hold{ID: i.ID, Project: "odilo"}, resume, issuetext.Mark{}),
	} {
		require.Contains(t, FlagReason("/srv/odilo", note, false), "To resume, run: sudo -u adfbot adfbot resume odilo\nor remove the file /srv/odilo\n")
		reason := FlagReason("/pause/zeta", note, false)
		require.Contains(t, reason, "This is a copy of the flag of odilo.\nTo resume, remove the file /pause/zeta\n")
		require.NotContains(t, reason, "adfbot resume")
		require.NotContains(t, reason, "/adf resume")
	}
}

// The flag of a pause that ends by itself says so, unless somebody has touched, edited or copied it: then it is a pause of its own.
func TestStandingNote(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 48, 0, 0, time.UTC)
	held := issuetext.HoldNote("odilo", issuetext.Held{Why: "disk", Who: "alice", Instance: "bigbox", At: at, Until: at.Add(time.Hour)}, issuetext.Resume{})
	note := issuetext.HoldFlag(incident.Hold{ID: strings.Repeat("ab", 16), Project: "odilo", Note: held, Until: at.Add(time.Hour)},
		issuetext.Resume{}, issuetext.Mark{Written: at})
	edited, _, _ := strings.Cut(note, "\n\n")
	require.Equal(t, note, StandingNote("odilo", note, at))
	for name, touched := range map[string]string{
		"touched": StandingNote("odilo", note, at.Add(time.Second)),
		"copied":  StandingNote("zeta", note, at),
		"edited":  StandingNote("odilo", edited, at),
	} {
		require.NotContains(t, touched, "resumes by itself", name)
		require.Contains(t, touched, "odilo is paused by alice (bigbox, 2026-11-23 03:48 UTC).\nReason: disk\n", name)
	}
	require.Equal(t, "back at noon\n", StandingNote("odilo", "back at noon\n", at))
}

// The bot's user may not make the pause directory of an installation, in a directory of root's. Where it is only empty, they write to it.
func TestAdviseRestoreNamesWhoMayMakeTheDirectory(t *testing.T) {
	testhost.NeedRoot(t, "to give files to another user")
	dir, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(bin+"/sudo", nil, 0o755))
	t.Setenv("PATH", bin)
	require.NoError(t, os.Mkdir(dir+"/lib", 0o755))
	require.NoError(t, os.Chown(dir+"/lib", 471, 471))
	cfg := &config.Config{Path: config.DefaultPath, State: dir + "/lib/adfbot.db"}
	for _, c := range []struct {
		pauseDir string
		err      error
		want     string
	}{
		{dir + "/opt/pause", pause.ErrNoDir, "\nrun: sudo adfbot restore"},
		{dir + "/opt/pause", pause.ErrNoSentinel, "\nrun: sudo adfbot restore"},
		{dir + "/lib/pause", pause.ErrNoDir, "\nrun: sudo adfbot restore"},
	} {
		cfg.PauseDir = c.pauseDir
		said := AdviseRestore(cfg, c.err)
		require.ErrorIs(t, said, c.err)
		require.True(t, strings.HasSuffix(said.Error(), c.want), said)
	}
	require.NoError(t, os.Chown(dir+"/lib", 65534, 65534)) // nobody has a name
	for pauseDir, want := range map[string]string{"/opt/pause": "sudo ", "/lib/pause": RunAs(cfg, bin)} {
		cfg.PauseDir = dir + pauseDir
		require.Equal(t, want, RunRestoreAs(cfg, bin, pause.ErrNoDir), pauseDir)
		require.Equal(t, RunAs(cfg, bin), RunRestoreAs(cfg, bin, pause.ErrNoSentinel), pauseDir)
	}
}

// A pause directory that root or a person has made again is the bot's only once it was given to it.
func TestAdviseRestoreGivesTheDirectory(t *testing.T) {
	testhost.NeedRoot(t, "to give directories away")
	dir, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(bin+"/sudo", nil, 0o755))
	own, flags := dir+"/lib", dir+"/the flags"
	for _, path := range []string{own, flags} {
		require.NoError(t, os.Mkdir(path, 0o755))
	}
	cfg := &config.Config{Path: config.DefaultPath, State: own + "/adfbot.db", PauseDir: flags}
	const bot, group, root, person, image = 471, 472, 0, 4711, 65532
	for _, c := range []struct {
		bot, owner, group int
		ownMode, mode     os.FileMode
		path, want        string
	}{
		{bot, root, root, 0o700, 0o755, bin, "run: sudo install -d -o 471 -m 755 '" + flags + "' && sudo adfbot restore"},
		{bot, person, person, 0o770, 0o755, bin, "run: sudo install -d -o 471 -g 472 -m 2775 '" + flags + "' && sudo adfbot restore"},
		{bot, root, root, 0o770, 0o755, "", "run as root: install -d -o 471 -g 472 -m 2775 '" + flags + "' && adfbot restore"},
		{bot, bot, group, 0o770, 0o755, bin, "run: sudo adfbot restore"},
		{bot, root, group, 0o770, 0o775, bin, "run: sudo adfbot restore"},
		{bot, root, root, 0o770, 0o777, bin, "run: sudo adfbot restore"},
		{root, person, person, 0o700, 0o755, bin, "run: sudo adfbot restore"},
		{image, root, root, 0o700, 0o755, bin, "run: sudo adfbot restore"},
	} {
		t.Setenv("PATH", c.path)
		require.NoError(t, os.Chown(own, c.bot, group))
		require.NoError(t, os.Chmod(own, c.ownMode))
		require.NoError(t, os.Chown(flags, c.owner, c.group))
		require.NoError(t, os.Chmod(flags, c.mode))
		said := AdviseRestore(cfg, pause.ErrNoSentinel)
		require.True(t, strings.HasSuffix(said.Error(), "\n"+c.want), "%v of %v", said, c)
	}
	require.NoError(t, os.Chown(own, bot, group))
	cfg.PauseDir = dir
	require.NotContains(t, AdviseRestore(cfg, pause.ErrNoSentinel).Error(), "install", "it holds other directories")
}

// Where systemd hands the password of the state to the daemon, the bot's user can't read it: root runs commands that need it.
func TestRunAs(t *testing.T) {
	t.Parallel()
	testhost.NeedRoot(t, "to give directories away")
	dir, bin := testhost.PublicDir(t), t.TempDir()
	require.NoError(t, os.WriteFile(bin+"/sudo", nil, 0o755))
	require.NoError(t, os.Chown(dir, 471, 471))
	cfg := &config.Config{Path: "/etc/adfbot/config.yaml", State: "postgres://adfbot@/adfbot", LocalDir: dir, StatePasswordFile: "/etc/adfbot/state-password"}
	require.Equal(t, "sudo ", RunAs(cfg, bin))
	cfg.StatePasswordFile = "$CREDENTIALS_DIRECTORY/state-password"
	require.Equal(t, "sudo CREDENTIALS_DIRECTORY=/etc/adfbot ", RunAs(cfg, bin))
	require.Equal(t, "CREDENTIALS_DIRECTORY=/etc/adfbot ", RunAs(cfg, ""), "there is no sudo")
	owner := hostlocal.Owner(dir)
	require.Equal(t, "run it as root: sudo CREDENTIALS_DIRECTORY=/etc/adfbot adfbot check", Advice(owner, cfg.Credentials(), bin, "adfbot check"))

	cfg.State = dir + "/adfbot.db"
	cfg.Gitea.TokenFile = "$CREDENTIALS_DIRECTORY/gitea-token"
	require.Equal(t, "sudo ", RunAs(cfg, bin))
	require.Equal(t, "sudo CREDENTIALS_DIRECTORY=/etc/adfbot ", RunWithTokenAs(cfg, bin))
	require.Equal(t, "run it as root, as #471 has no name here: sudo adfbot status", Advice(owner, cfg.Credentials(), bin, "adfbot status"))
}
