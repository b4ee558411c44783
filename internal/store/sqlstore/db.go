// Package sqlstore implements the methods of a state on SQL tables, for any database that implements [DB].
//
// # Text of statements
//
// Statements are written for both SQLite and PostgreSQL; [DB] translates them when it sees one for the first time. Parameters are
// question marks, tables are in the schema adfbot, rows that are read to be written again are read FOR UPDATE, and flags are boolean.
// Values are always parameters, so there are only as many statements as this package spells out.
//
// # Values
//
// Incidents, evidence and commands are JSON documents; beside them are the columns that are searched for. Times are kept in
// milliseconds. A parameter is nil, a string, a bool, an int, an int64, or a [time.Time].
//
// # Order of locks
//
// A method that changes a project, its incident, its hold or its results locks the project first, see [DB.Lock], and then the
// incident. One that locks several projects does so in the order of their ids. The counting rule is that of [store.Project.Count] and,
// where several hosts share the state, [store.Project.CountLate], applied while the project is locked.
package sqlstore

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

// DB is a database with the tables of a state.
type DB interface {
	Querier // outside of a transaction

	// Tx makes a change in a transaction and returns once that is durable. It may call do more than once; what the last call did is
	// stored. The context counts until the transaction begins; do gets one that is not cancelled.
	Tx(ctx context.Context, do func(context.Context, Tx) error) error

	// Project reads a project. Lock also locks it until the end of the transaction, and sets Now.
	Project(ctx context.Context, id string) (Project, error)
	Lock(ctx context.Context, tx Tx, id string) (Project, error)

	// LockAndQuery is Lock and then a query, sent together.
	LockAndQuery(ctx context.Context, tx Tx, id, query string, args ...any) (Project, Rows, error)

	// Save stores what has changed of a locked project since it was read.
	Save(ctx context.Context, tx Tx, was, p Project) error

	// Now returns the time by the state's clock.
	Now(ctx context.Context, tx Tx) (time.Time, error)

	// Wrap returns an error that means that the state is unusable as [store.ErrUnusable], with advice.
	Wrap(error) error
}

// Tx is a transaction that is under way.
type Tx interface {
	Querier
	// Exec executes a statement. It may leave that, and its error, to the next query or to the end of the transaction.
	Exec(ctx context.Context, query string, args ...any) error
}

// Querier reads.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Rows must be closed.
type Rows interface {
	Row
	Next() bool
	Err() error
	Close() error
}

// Row is a row of a result.
type Row interface{ Scan(to ...any) error }

// Project is a project, the zero state if nothing is stored of it, with what pauses it now.
type Project struct {
	store.Project
	Stored   bool
	Open     string         // id of its open incident, or ""
	Hold     *incident.Hold // or nil
	PausedAt time.Time      // since when the hold is there or, without one, the incident; not every database keeps it
	Now      time.Time      // by the state's clock, after the project was locked
}

// Pause returns the id of what pauses the project, see [incident.ProjectState].
func (p Project) Pause() string {
	if p.Open == "" && p.Hold != nil {
		return p.Hold.ID
	}
	return p.Open
}

func (p Project) isPaused() bool { return p.Open != "" || p.Hold != nil }

// State implements all methods of [store.State] that only read and write rows.
type State struct {
	db   DB
	host string
}

// New returns the state in a database, as the host with the given id uses it. Where a state belongs to one host, that is "".
func New(db DB, host string) State { return State{db: db, host: host} }

// shared reports whether several hosts share the state.
func (s *State) shared() bool { return s.host != "" }

// changeProject calls f for a project that is locked, and stores what it changes. If f returns false, it stores nothing.
func (s *State) changeProject(ctx context.Context, id string, f func(context.Context, Tx, *Project) (bool, error)) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := s.db.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		was := p
		if changed, err := f(ctx, tx, &p); err != nil || !changed {
			return err
		}
		return s.db.Save(ctx, tx, was, p)
	})
}

// pauseByHand adds a hold. If the project has one, see [incident.Hold.PausedAgain].
func (p *Project) pauseByHand(ctx context.Context, tx Tx, h incident.Hold) error {
	if p.Hold != nil {
		stop, err := List(ctx, tx, scanText, `SELECT id FROM adfbot.stop WHERE id = ?`, p.Hold.Stop)
		if err != nil {
			return err
		}
		if h = p.Hold.PausedAgain(h, len(stop) == 0); h == *p.Hold {
			return nil
		}
	}
	p.setHold(h)
	return nil
}

// setHold replaces the hold.
func (p *Project) setHold(h incident.Hold) { p.Hold, p.PausedAt = &h, h.Since }

// open notes an incident that was opened.
func (p *Project) open(i *incident.Incident) {
	p.Open = i.ID
	if p.Hold == nil {
		p.PausedAt = i.Opened
	}
}

// end notes the end of the open incident.
func (p *Project) end() {
	p.Open = ""
	if p.Hold == nil {
		p.PausedAt = time.Time{}
	}
}

// dropHold removes the hold.
func (p *Project) dropHold() {
	p.Hold = nil
	if p.Open == "" {
		p.PausedAt = time.Time{}
	}
}

// raiseGeneration follows a pause that an earlier state has known.
func (p *Project) raiseGeneration(generation int64) { p.Generation = max(p.Generation, generation) }
