package web

import (
	"database/sql"
	"os"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"
)

// breakState makes the database unusable under the open bot, until the returned function is called. Root is refused
// nothing, so the file itself has to be spoilt; and another process has to have written to it, or the bot would not read
// it again.
func (s *station) breakState() (mend func()) {
	s.Helper()
	path := s.path("state/adfbot.db")
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(s, err)
	for _, do := range []string{`INSERT OR REPLACE INTO meta (key, value) VALUES ('test', 'test')`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		_, err = db.Exec(do)
		require.NoError(s, err)
	}
	require.NoError(s, db.Close())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(s, err)
	whole := make([]byte, 32)
	_, err = f.ReadAt(whole, 0)
	require.NoError(s, err)
	_, err = f.WriteAt([]byte("this is no database any more    "), 0)
	require.NoError(s, err)
	return func() {
		_, err := f.WriteAt(whole, 0)
		require.NoError(s, err)
		require.NoError(s, f.Close())
		s.replaceBot()
	}
}

// replaceBot is a reload with the same configuration.
func (s *station) replaceBot() {
	s.Helper()
	b := s.open(s.cfg)
	require.NoError(s, s.srv.Replace(s.cfg, b))
	_ = s.bot.Close()
	s.bot = b
}
