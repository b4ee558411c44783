-- Incidents that pause nothing: a project from which results are expected has not reported. What looks for a pause, in a process of an
-- earlier version too, finds none of them.
CREATE TABLE silence (
	id        TEXT PRIMARY KEY,
	project   TEXT NOT NULL,
	seq       INTEGER NOT NULL,
	opened_at INTEGER NOT NULL,
	ended_at  INTEGER,
	settled   INTEGER NOT NULL,
	doc       TEXT NOT NULL, -- as in incident
	UNIQUE (project, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX silence_open ON silence (project) WHERE ended_at IS NULL;
CREATE INDEX silence_unsettled ON silence (project, seq) WHERE settled = 0;
