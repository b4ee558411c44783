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
