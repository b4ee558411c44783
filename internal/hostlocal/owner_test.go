package hostlocal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

func TestRunAs(t *testing.T) {
	bin, empty := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "sudo"), nil, 0o755))
	path := "/no/such/dir:" + empty + ":" + bin
	for _, c := range []struct {
		account Account
		want    string
	}{
		{Account{UID: 999, Name: "adfbot"}, "sudo -u adfbot "},
		{Account{UID: 4711, Name: "#4711"}, "sudo "}, // sudo refuses to become a user whom it does not know
		{Account{UID: 0, Name: "root"}, "sudo "},
		{Account{UID: 1000, Name: "kim", private: true}, ""},
	} {
		require.Equal(t, c.want, c.account.RunAs(path), c.account.Name)
		require.Empty(t, c.account.RunAs(empty), "there is no sudo")
	}
}

// In a container that has users of its own, nobody may stand for any user of the machine.
func TestUserFromOutsideOfTheContainer(t *testing.T) {
	const first, rootless, own = "         0          0 4294967295\n", "0 1000 1\n1 100000 65536\n", "0 0 1\n"
	require.False(t, unmapped(testhost.Nobody, first))
	for _, uidMap := range []string{rootless, own} {
		require.True(t, unmapped(testhost.Nobody, uidMap))
		require.False(t, unmapped(0, uidMap))
	}

	testhost.NeedRoot(t, "to make a user namespace")
	dir := testhost.PublicDir(t)
	require.NoError(t, os.Chown(dir, 4711, 4711))
	child := testhost.Command(t, "owner", dir, "")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: []syscall.SysProcIDMap{{Size: 1}}}
	out, err := child.Output()
	require.NoError(t, err)
	require.Equal(t, "a user from outside of this container: run it outside of this container, or map that user into it\n", string(out))
}

func TestIsBot(t *testing.T) {
	for account, want := range map[Account]bool{
		{UID: 999, Name: "adfbot", home: "/nonexistent"}:    true,
		{UID: 999, Name: "breaker", home: "/var/lib/state"}: true,
		{UID: 998, Name: "runner", home: "/var/lib/runner"}: false,
		{UID: 4711, Name: "kim", home: "/var/lib/state"}:    false,
		{UID: 999, Name: "#999"}:                            false,
	} {
		require.Equal(t, want, account.IsBot("/var/lib/state/adfbot.db"), account.Name)
		require.Equal(t, want, account.IsBot("/var/lib/state"), account.Name)
	}
}

// What a service's account is told that is not the bot's, such as that of the jobs, never gives it the bot's files.
func TestLetWriteOfAnotherService(t *testing.T) {
	agents, bot, root := Account{UID: 812, Name: "agents", home: "/home/agents"}, Account{UID: 990, Name: botName, home: "/var/lib/adfbot"}, Account{Name: "root"}
	const dir = "/var/lib/adfbot"
	require.Equal(t, "run it as the bot's user, adfbot; if that may not write it either, chown it to that user", letWrite(dir, agents, root, bot, true))
	require.Equal(t, "run it as adfbot", letWrite(dir, agents, bot, bot, true))
	require.Equal(t, "run it as the bot's user; if that is agents, run chown agents "+dir, letWrite(dir, agents, root, root, false))
	require.Equal(t, "run chown adfbot "+dir, letWrite(dir, bot, root, bot, false))
	bot.UID = 1500 // where somebody has made it as a person's
	require.Equal(t, "run it as the bot's user, adfbot; if that may not write it either, chown it to that user", letWrite(dir, agents, root, bot, true))
	require.Equal(t, "run chown adfbot "+dir, letWrite(dir, bot, root, bot, false))
	kim := Account{UID: 1000, Name: "kim", private: true}
	require.Equal(t, "run it as the bot's user; if that is agents, run chown agents "+dir, letWrite(dir, agents, kim, kim, false), "a person's by mistake")
	require.Equal(t, "run chown -R kim "+dir+" as root", letWrite(dir, kim, root, kim, false))
}

func TestOwner(t *testing.T) {
	testhost.NeedRoot(t, "to give files away")
	dir := t.TempDir()
	require.Equal(t, "root", Owner(dir).Name)
	require.Equal(t, "root", unlisted(0), "also in an image without /etc/passwd")
	require.NoError(t, os.Chown(dir, 4711, 4711))
	for _, path := range []string{dir, dir + "/adfbot.db", dir + "/state/adfbot.db"} {
		require.Equal(t, Account{UID: 4711, Name: "#4711", private: true}, Owner(path), path)
	}
	require.NoError(t, os.WriteFile(dir+"/adfbot.db", nil, 0o600)) // by root; the directory says whose state it is
	require.Equal(t, 4711, BotUser(dir+"/adfbot.db").UID)
	require.Equal(t, 4711, BotUser(dir).UID)
	require.Equal(t, 4711, BotUser(dir+"/state/adfbot.db").UID)
	require.True(t, Owner(dir).IsPerson())
	require.False(t, Account{UID: testhost.Nobody}.IsPerson())
	require.False(t, Account{UID: 999}.IsPerson())
	require.True(t, Account{UID: 1_860_001_234}.IsPerson(), "of a directory service")
}

// In a container, the image's user is the bot's, whatever its number: what was restored for another user is to be given to it, from outside.
func TestStateOfAnotherThanTheImage(t *testing.T) {
	image, person := Account{UID: 65532, Name: "adfbot", home: "/var/lib/adfbot", image: true}, Account{UID: 1000, Name: "#1000"}
	for _, owner := range []Account{person, {Name: "root"}} {
		require.Equal(t, "chown -R it to uid 65532; for a container, where it is mounted from", letWrite("/var/lib/adfbot", image, owner, image, true))
	}
	require.True(t, image.IsBot("/var/lib/adfbot/adfbot.db"), "else commands are told to run as the owner")
	require.Equal(t, "run chown -R 65532 /var/lib/adfbot as root", image.TakeOver("/var/lib/adfbot"))
	require.Equal(t, "run it as #1000", letWrite("/var/lib/adfbot", Account{UID: 1001, Name: "alex"}, person, person, true))
}
