package hostlocal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// Any member of the group may plant a link in the place of the directory or of one in it. Whoever follows it as root would
// fill and empty a directory that is not adfbot's.
func TestNoLinkIsFollowed(t *testing.T) {
	for _, link := range []string{"", "runs", "spool"} {
		for where, target := range map[string]func(t *testing.T, beside string) string{
			"elsewhere":        func(t *testing.T, _ string) string { return t.TempDir() },
			"beside the state": func(t *testing.T, beside string) string { return filepath.Join(beside, "backups") },
			"nowhere":          func(t *testing.T, beside string) string { return filepath.Join(beside, "gone") },
		} {
			t.Run(link+" "+where, func(t *testing.T) {
				beside := t.TempDir()
				require.NoError(t, os.Mkdir(filepath.Join(beside, "backups"), 0o700))
				state := filepath.Join(beside, "adfbot.db")
				d, to := hostlocal.Beside(state), target(t, beside)
				if link != "" {
					require.NoError(t, os.Mkdir(state+".d", 0o700))
				}
				require.NoError(t, os.Symlink(to, filepath.Join(state+".d", link)))
				inside := func(names ...string) { // what adfbot would look for there
					for _, name := range names {
						require.NoError(t, os.WriteFile(filepath.Join(to, name), []byte("{}"), 0o600))
					}
				}
				if where != "nowhere" {
					inside("reserve-0.ready", "1.json", "1.lock")
				}
				for what, err := range useAll(d) {
					switch {
					case link != "" && what == "keep sentinel", link == "runs" && (what == "add" || what == "list" || what == "lock"), link == "spool" && (what == "run" || what == "lock"):
						require.NoError(t, err, what)
					default:
						require.ErrorIs(t, err, store.ErrUnusable, what)
						require.ErrorContains(t, err, "symbolic link", what)
						require.ErrorContains(t, err, filepath.Join(state+".d", link), what)
						require.ErrorContains(t, err, "remove it", what)
					}
				}
				d.RemoveRun("1")
				if where == "nowhere" {
					require.NoDirExists(t, to)
					return
				}
				entries, err := os.ReadDir(to)
				require.NoError(t, err)
				require.Len(t, entries, 3, "nothing was created or removed there")
			})
		}
	}
}

// useAll does everything that a directory can do.
func useAll(d *hostlocal.Dir) map[string]error {
	done := map[string]error{"create": d.Create(ctx), "keep ready": d.KeepReady(ctx)}
	_, done["add"] = d.Spool().Add(spooledResult("r", noon))
	_, done["list"] = d.Spool().List()
	unlock, err := d.LockHere(ctx, "flag/odilo", 0)
	if done["lock"] = err; err == nil {
		unlock()
	}
	release, err := d.LockRun("2", store.Settings{})
	if done["run"] = err; err == nil {
		release()
	}
	done["keep sentinel"] = d.KeepSentinel(pause.Sentinel{Installation: pause.NewRandomID()})
	_ = d.Sentinel()
	done["tidy"] = d.Tidy(ctx, func(context.Context) ([]store.Run, error) { return nil, errors.New("not asked") })
	return done
}

// A state may lie behind a link, whose disk may not be mounted.
func TestLinkAboveToNothing(t *testing.T) {
	link := filepath.Join(t.TempDir(), "adfbot")
	require.NoError(t, os.Symlink("/no/where", link))
	const says = " is a link to /no/where, which does not exist: mount the file system that it leads to, or correct the link"
	for _, dir := range []string{link, filepath.Join(link, "below")} {
		require.Equal(t, link+says, hostlocal.Installation{Dir: dir}.NotCreatable(dir))
		err := hostlocal.Beside(filepath.Join(dir, "adfbot.db")).Create(t.Context())
		require.ErrorIs(t, err, store.ErrUnusable)
		require.ErrorContains(t, err, link+says)
	}
}
