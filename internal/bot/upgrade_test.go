package bot_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
)

// A program that was started before an upgrade keeps its results in the spool, says so, and the new one records them.
func TestUpgradeDuringARun(t *testing.T) {
	w := newWorld(t)
	w.with(bot.Results, func(*bot.Bot) {}) // makes the state
	current := w.stateVersion()
	atPoint = func(name string) {
		if name == "noted" { // the command is about to start
			w.setStateVersion(999)
		}
	}
	r := w.sh("odilo", "exit 7")
	atPoint = nil
	require.Equal(t, 7, r.code)
	require.Contains(t, r.stderr, "a newer version of adfbot has upgraded the state")
	require.Contains(t, r.stderr, "adfbot help upgrade")
	require.Contains(t, r.stderr, "the result is kept in "+w.cfg.State+".d/spool/")

	r = w.sh("odilo", "exit 7") // one that is started later
	require.Equal(t, 7, r.code)
	require.Contains(t, r.stderr, "the result is kept in ")
	w.setStateVersion(current)
	w.with(bot.Results, func(b *bot.Bot) {
		n, err := b.RecordSpooled(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		w.setStateVersion(999)
		_, err = b.Record(ctx, failure("odilo"))
		require.ErrorIs(t, err, store.ErrNewer)
	})
}

func (w *world) onState(do func(*sql.DB) error) {
	w.Helper()
	db, err := sql.Open("sqlite", w.cfg.State)
	require.NoError(w, err)
	defer func() { require.NoError(w, db.Close()) }()
	require.NoError(w, do(db))
}

func (w *world) stateVersion() (v int) {
	w.Helper()
	w.onState(func(db *sql.DB) error { return db.QueryRow(`PRAGMA user_version`).Scan(&v) })
	return v
}

func (w *world) setStateVersion(v int) {
	w.Helper()
	w.onState(func(db *sql.DB) error { _, err := db.Exec(fmt.Sprint(`PRAGMA user_version = `, v)); return err })
}
