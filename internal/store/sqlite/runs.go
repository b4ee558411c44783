package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// BeginRun stores the start of a run, with the project's generation, before its command is started. It fails with
// [store.ErrPaused] where the project has an open incident: then it must not start.
func (s *Store) BeginRun(ctx context.Context, r store.Run) (store.Run, error) {
	r.ID = pause.NewRandomID()
	unlock, err := lockRun(s.runPath(r.ID))
	if err != nil {
		return r, s.wrap(err)
	}
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		p, err := standing(ctx, tx, r.Project)
		if err != nil {
			return err
		}
		r.Generation = p.Generation
		if p.open != "" {
			return store.ErrPaused
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO run (id, project, agent, run_id, generation, host, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.Project, r.Agent, r.RunID, r.Generation, r.Host, r.Started.UnixMilli())
		return err
	})
	if err != nil {
		_ = os.Remove(s.runPath(r.ID))
		unlock()
		return r, err
	}
	r.Unlock = unlock
	return r, nil
}

// NoteChild stores which process the run's command is.
func (s *Store) NoteChild(ctx context.Context, r store.Run, pid int) error {
	start, err := processStart(pid)
	if err != nil {
		return nil // it has ended already
	}
	return s.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.ExecContext(ctx, `UPDATE run SET child_pid = ?, child_start = ? WHERE id = ?`, pid, start, r.ID)
		return err
	})
}

// EndRun forgets a run whose result is not to be recorded.
func (s *Store) EndRun(ctx context.Context, r store.Run) error {
	return s.tx(ctx, func(ctx context.Context, tx *txn) error { return endRun(ctx, tx, r.ID) })
}

// Release lets go of the run's file. It is called once its result was recorded or spooled; [Record] deletes the row.
func (s *Store) Release(r store.Run) {
	_ = os.Remove(s.runPath(r.ID))
	if r.Unlock != nil {
		r.Unlock()
	}
}

func (s *Store) runPath(id string) string { return filepath.Join(s.dir("runs"), id+runSuffix) }

const runSuffix = ".lock"

// lockRun locks the file of a run, without waiting. It creates the file if it is missing.
func lockRun(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|noLink, 0o600)
	if err != nil {
		return nil, err
	}
	inherit(path)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { _ = f.Close() }, nil
}

// Running returns the runs that have begun and have no result.
func (s *Store) Running(ctx context.Context) ([]store.Run, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, project, agent, run_id, generation, host, started_at, child_pid, child_start FROM run ORDER BY started_at`)
	list, err := collect(rows, err, func(rows *sql.Rows) (r store.Run, err error) {
		var started sql.NullInt64
		err = rows.Scan(&r.ID, &r.Project, &r.Agent, &r.RunID, &r.Generation, &r.Host, &started, &r.ChildPID, &r.ChildStart)
		r.Started = unstamp(started)
		return r, err
	})
	return list, s.wrap(err)
}

// Gone tells whether a run can bring no result any more: the process that would record it is gone, and so is its command.
func (s *Store) Gone(ctx context.Context, r store.Run) bool {
	unlock, err := lockRun(s.runPath(r.ID))
	if err != nil {
		return false
	}
	defer unlock()
	if start, err := processStart(r.ChildPID); err == nil && start == r.ChildStart {
		return false
	}
	return true
}

// Lost records the result of a run that is gone, unless a result of it was recorded meanwhile, in whatever way.
func (s *Store) Lost(ctx context.Context, r store.Run, res store.Result, l store.Limits) (a store.Answer, recorded bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM run WHERE id = ?)`, r.ID).Scan(&recorded); err != nil || !recorded {
			return err
		}
		p, err := standing(ctx, tx, res.Project)
		if err != nil {
			return err
		}
		a, err = s.record(ctx, tx, p, res, l)
		if errors.Is(err, store.ErrConflict) {
			err = endRun(ctx, tx, r.ID)
		}
		recorded = !a.Known
		return err
	})
	if err == nil {
		_ = os.Remove(s.runPath(r.ID))
	}
	return a, recorded, err
}

func endRun(ctx context.Context, tx *txn, id string) error {
	if id == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM run WHERE id = ?`, id)
	return err
}

// processStart is what tells a process apart from a later one with the same id: the machine's boot and the time of its
// start, field 22 of /proc/<pid>/stat in proc(5).
func processStart(pid int) (string, error) {
	if pid <= 0 {
		return "", os.ErrNotExist
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return "", os.ErrNotExist
	}
	boot, _ := BootID()
	return boot + "/" + fields[19], nil
}

// BootID is what Linux calls this start of the machine.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}
