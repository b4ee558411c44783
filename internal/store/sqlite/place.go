package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
)

// checkLog returns an error if the file is gone or empty and its log is still there. SQLite would delete the log, and with it
// the latest results.
func checkLog(path string) error {
	if !hasLog(path) {
		return nil
	}
	return store.Unusable(path, "its log "+path+"-wal, with the latest results, is there: put the file back beside it, or move both "+
		"(see `adfbot help files`); to begin anew, move the log away", errors.New("the file is missing or empty"))
}

// hasLog reports whether there is a log without its file, or beside an empty one, as a copy that failed leaves it.
func hasLog(path string) bool {
	log, logErr := os.Lstat(path + "-wal")
	file, err := os.Lstat(path) // after the log: a process that creates a state writes the file first
	gone := errors.Is(err, fs.ErrNotExist) || err == nil && file.Mode().IsRegular() && file.Size() == 0
	return gone && logErr == nil && log.Mode().IsRegular() && log.Size() > 0
}

// pathKey is the key of the state's meta table for the path at which it was last opened.
const pathKey = "path"

// checkPlace returns an error if the state was moved here without its log or its spool.
func (s *Store) checkPlace(ctx context.Context, readOnly bool) error {
	was, err := s.Meta(ctx, pathKey)
	if err != nil || was == s.path {
		return err
	}
	if hasLog(was) {
		return store.Unusable(s.path, fmt.Sprintf("it was moved here from %s without its log, which holds the latest results: stop every "+
			"adfbot and move %s-wal to %s-wal, or remove it (see `adfbot help files`)", was, was, s.path), errors.New("it is incomplete"))
	}
	if _, err := os.Lstat(was); errors.Is(err, fs.ErrNotExist) {
		if spooled, _ := hostlocal.Beside(was).Spool().List(); len(spooled) > 0 {
			return store.Unusable(s.path, fmt.Sprintf("it was moved here from %s without its spool, which holds results that were never "+
				"recorded: %s, or remove them (see `adfbot help files`)", was, hostlocal.Beside(s.path).MoveSpool(hostlocal.Beside(was))),
				fmt.Errorf("results left behind: %d", len(spooled)))
		}
	}
	if !readOnly {
		_ = s.SetMeta(ctx, pathKey, s.path) // a user who may not write the state leaves it to the others
	}
	return nil
}
