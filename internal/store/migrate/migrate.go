// Package migrate moves a state from an SQLite file into PostgreSQL, for `adfbot migrate`.
//
// # In which order
//
//	write lock on the file ─► copy and compare, one transaction in PostgreSQL ─► commit ─► mark the file as moved ─► unlock
//
// While the file is locked, nobody can store anything in it: who tries waits, and then spools. Once it is marked, nobody ever can, see
// [sqlite.Store.Move].
//
// # After a crash
//
// Before the commit nothing has happened. After the commit and before the mark, both hold everything. The next call finds its own copy by
// the installation's id, and that the file is still as it was copied, by a checksum, and marks the file. If something was stored in the
// file meanwhile, the copy is made again, unless something was stored in the database, too: then somebody has to choose.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
	"github.com/terraphim/adfbot/internal/text"
)

// Request says what is moved where to.
type Request struct {
	File     string                // the state
	Missing  string                // what is wrong if the file is missing; "": there was no state yet
	Local    *hostlocal.Dir        // of this host
	URL      string                // of the database
	Database postgres.Options      // without Host
	Progress func(done, total int) // of rows; nil: nobody is told
	Now      func() time.Time      // nil: time.Now
}

// Done is what [Move] did.
type Done struct {
	Earlier bool      // an earlier call had moved it
	At      time.Time // when
	postgres.Imported
}

// Move moves a state. No other process may have the file open, no run may go on, and no result may wait in the spool.
func Move(ctx context.Context, r Request) (done Done, err error) {
	if err := postgres.CheckURL(r.URL, r.Database); err != nil {
		return done, err
	}
	if err := checkFile(ctx, r.File, r.Missing); err != nil {
		return done, err
	}
	if err := waitUnused(ctx, r.File); err != nil {
		return done, err
	}
	if err := r.Local.Create(ctx); err != nil {
		return done, err
	}
	if r.Database.Host, err = r.Local.HostID(ctx); err != nil {
		return done, err
	}
	s, err := sqlite.Open(ctx, r.File, sqlite.Options{Now: r.Now})
	var moved *sqlite.MovedError
	if errors.As(err, &moved) {
		return alreadyMoved(r, *moved)
	}
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, local := range []*hostlocal.Dir{r.Local, hostlocal.Beside(r.File)} { // local_dir may have been changed
		if err := checkSpool(local.Spool()); err != nil {
			return done, err
		}
	}
	if err := s.Check(ctx); err != nil {
		return done, err
	}
	err = s.Move(ctx, r.URL, func(ctx context.Context, rows sqlstore.Querier) error {
		if err := checkRuns(ctx, s, r.Local); err != nil {
			return err
		}
		done.Imported, err = postgres.Import(ctx, r.URL, r.Database, postgres.Origin{
			Place: r.File, Installation: s.Installation(), Rows: rows, Progress: r.Progress,
		})
		return err
	})
	if errors.As(err, &moved) { // while this one waited
		return alreadyMoved(r, *moved)
	}
	if err == nil {
		fault.Point(ctx, "state-marked")
	}
	return done, err
}

// checkFile returns why there is nothing to move at a path.
func checkFile(ctx context.Context, path, missing string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
			return err // its log is there
		}
		if missing != "" {
			return fmt.Errorf("%s; if the daemon runs in a container, see `adfbot help migrate`; if it is lost, set `state` to the database, and "+
				"start the daemon, which makes a new one: nothing was moved", missing)
		}
		return fmt.Errorf("there is no state at %s, so nothing has to be moved: set `state` to the database, and start the daemon", path)
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return fmt.Errorf("nothing is in %s, so nothing has to be moved: remove it, set `state` to the database, and start the daemon", path)
	case err != nil:
		return store.Unusable(path, "", err)
	}
	return nil
}

// unusedWait is how long a command may take that has the file open for a moment.
const unusedWait = time.Second

// waitUnused waits until no other process has the file open.
func waitUnused(ctx context.Context, path string) error {
	for begin := time.Now(); ; {
		who := sqlite.UsedBy(path)
		switch {
		case who == "":
			return nil
		case time.Since(begin) > unusedWait:
			return fmt.Errorf("%s has the state %s open: stop the daemon and wait until no `adfbot exec` runs, see `adfbot help migrate`; "+
				"nothing was moved", who, path)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// checkSpool returns an error if results wait to be recorded: they belong before all that the new state records.
func checkSpool(spool hostlocal.Spool) error {
	waiting, err := spool.List()
	if err == nil && len(waiting) > 0 {
		err = fmt.Errorf("the spool %s holds %s: run `adfbot sweep` first, which records what can be recorded, and move away what is left; "+
			"nothing was moved", spool, text.Plural(len(waiting), "result"))
	}
	return err
}

// checkRuns returns an error if a run goes on whose result would still have to be recorded in the file.
func checkRuns(ctx context.Context, s *sqlite.Store, local *hostlocal.Dir) error {
	runs, err := s.Running(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := local.CheckRun(run); err != nil {
			return fmt.Errorf("%w; nothing was moved", err)
		}
		if !local.Gone(run) {
			return fmt.Errorf("a run of %s goes on (agent %s, process %d): wait for its end; nothing was moved", run.Project, run.Agent, run.ChildPID)
		}
	}
	return nil
}

// alreadyMoved answers for a file that was moved before.
func alreadyMoved(r Request, moved sqlite.MovedError) (Done, error) {
	if moved.To != r.URL {
		return Done{}, fmt.Errorf("%s is not used any more, %w, and not to %s: if both lead to one database, set `state` to either; "+
			"to move a database, see \"Backup\" in `adfbot help fleet`", r.File, &moved, r.URL)
	}
	return Done{Earlier: true, At: moved.At}, nil
}
