package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/terraphim/adfbot/internal/store"
)

// migrations bring a state from one version to the next; the version is SQLite's user_version. They are never changed once
// released, only added to. Times are milliseconds since 1970, NULL where there is none.
var migrations = []string{
	`
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

-- One row for each project that a result, hold or resume was ever recorded for.
CREATE TABLE project (
	id         TEXT PRIMARY KEY,
	generation INTEGER NOT NULL DEFAULT 0, -- grows by one with each resume
	failures   INTEGER NOT NULL DEFAULT 0, -- the breaker's count
	tripped    INTEGER NOT NULL DEFAULT 0,
	half_open  INTEGER NOT NULL DEFAULT 0, -- resumed, and no success since: resume_threshold applies
	ignored    INTEGER NOT NULL DEFAULT 0, -- ignored results in a row
	resumed_at INTEGER
) WITHOUT ROWID;

CREATE TABLE result (
	id          INTEGER PRIMARY KEY,
	project     TEXT NOT NULL,
	agent       TEXT NOT NULL,
	run_id      TEXT,
	outcome     TEXT NOT NULL,
	counted     INTEGER NOT NULL, -- it moved the breaker
	exit_code   INTEGER NOT NULL,
	signal      TEXT NOT NULL,
	detail      TEXT NOT NULL,
	host        TEXT NOT NULL,
	started_at  INTEGER,
	finished_at INTEGER,
	recorded_at INTEGER NOT NULL,
	failures    INTEGER NOT NULL, -- the answer that was given: count, threshold, incident
	threshold   INTEGER NOT NULL,
	incident    TEXT,
	tripped     INTEGER NOT NULL,
	output      TEXT
);
CREATE INDEX result_project ON result (project, id);
CREATE UNIQUE INDEX result_run ON result (project, agent, run_id) WHERE run_id IS NOT NULL;

-- Runs of exec that have begun and whose result is not recorded yet.
CREATE TABLE run (
	id          TEXT PRIMARY KEY,
	project     TEXT NOT NULL,
	agent       TEXT NOT NULL,
	run_id      TEXT NOT NULL,
	generation  INTEGER NOT NULL,
	host        TEXT NOT NULL,
	started_at  INTEGER NOT NULL,
	child_pid   INTEGER NOT NULL DEFAULT 0,
	child_start TEXT NOT NULL DEFAULT '' -- tells a process apart from a later one of the same pid
) WITHOUT ROWID;

CREATE TABLE incident (
	id        TEXT PRIMARY KEY,
	project   TEXT NOT NULL,
	seq       INTEGER NOT NULL,
	opened_at INTEGER NOT NULL,
	ended_at  INTEGER,
	settled   INTEGER NOT NULL,
	doc       TEXT NOT NULL, -- the whole incident as JSON; the columns above repeat what is searched for
	UNIQUE (project, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX incident_open ON incident (project) WHERE ended_at IS NULL;
CREATE INDEX incident_unsettled ON incident (project, seq) WHERE settled = 0;

CREATE TABLE hold (
	project      TEXT PRIMARY KEY,
	note         TEXT NOT NULL,
	since        INTEGER NOT NULL,
	flag_written INTEGER
) WITHOUT ROWID;

CREATE TABLE label (
	server TEXT NOT NULL,
	owner  TEXT NOT NULL,
	repo   TEXT NOT NULL,
	name   TEXT NOT NULL,
	id     INTEGER NOT NULL,
	PRIMARY KEY (server, owner, repo, name)
) WITHOUT ROWID;

CREATE TABLE account (
	server  TEXT NOT NULL,
	user_id INTEGER NOT NULL,
	login   TEXT NOT NULL,
	seen    INTEGER NOT NULL, -- counts up; the highest is the one that wrote last
	PRIMARY KEY (server, user_id)
) WITHOUT ROWID;
`,
	`
-- Who may give orders from Gitea.
CREATE TABLE operator (
	server   TEXT NOT NULL,
	login    TEXT NOT NULL,
	user_id  INTEGER NOT NULL, -- 0: not known yet
	asked_at INTEGER,
	problem  TEXT NOT NULL,
	place    INTEGER NOT NULL, -- in the configuration
	PRIMARY KEY (server, login)
) WITHOUT ROWID;

-- Up to when the comments of a repository were read, by the server's clock.
CREATE TABLE scan (
	server TEXT NOT NULL,
	owner  TEXT NOT NULL,
	repo   TEXT NOT NULL,
	up_to  INTEGER NOT NULL,
	PRIMARY KEY (server, owner, repo)
) WITHOUT ROWID;

-- Comments with commands. One that stands here is never taken up again.
CREATE TABLE command (
	server      TEXT NOT NULL,
	comment     INTEGER NOT NULL,
	project     TEXT NOT NULL,
	accepted_at INTEGER NOT NULL,
	done        INTEGER NOT NULL,
	doc         TEXT NOT NULL, -- the whole order as JSON
	PRIMARY KEY (server, comment)
) WITHOUT ROWID;
CREATE INDEX command_open ON command (server, project) WHERE done = 0;
`,
	`
-- What was known at the trip. It is by far the largest part of an incident, written once, and read for its issue and its
-- page alone; the incident is read by each sweep, and written with each step.
CREATE TABLE evidence (
	incident TEXT PRIMARY KEY,
	doc      TEXT NOT NULL
);
INSERT INTO evidence SELECT id, json_extract(doc, '$.Evidence') FROM incident WHERE json_type(doc, '$.Evidence') = 'object';
UPDATE incident SET doc = json_remove(doc, '$.Evidence');
`,
}

func version(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (int, error) {
	var v int
	err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&v)
	return v, err
}

func checkVersion(ctx context.Context, db *sql.Conn) error {
	v, err := version(ctx, db)
	if err == nil && v > len(migrations) {
		err = fmt.Errorf("%w (its version is %d, this adfbot knows up to %d)", store.ErrNewer, v, len(migrations))
	}
	if err == nil && v == 0 {
		err = fmt.Errorf("%w: the file is empty, the first result makes a state of it", fs.ErrNotExist)
	}
	return err
}

// migrate brings the state up to this version. Several processes may do it at once: the version is read again inside the
// transaction.
func migrate(ctx context.Context, db *sql.Conn) error {
	v, err := version(ctx, db)
	if err != nil || v == len(migrations) {
		return err
	}
	if v > len(migrations) {
		return checkVersion(ctx, db)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if v, err = version(ctx, tx); err != nil {
		return err
	}
	for ; v < len(migrations); v++ {
		if _, err := tx.ExecContext(ctx, migrations[v]); err != nil {
			return fmt.Errorf("bringing the state to version %d: %w", v+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, len(migrations))); err != nil {
		return err
	}
	return tx.Commit()
}
