-- When a hold ends by itself, and the stop that it is a part of.
ALTER TABLE hold ADD COLUMN until INTEGER;
ALTER TABLE hold ADD COLUMN stop TEXT NOT NULL DEFAULT '';
CREATE INDEX hold_stop ON hold (stop) WHERE stop <> '';

-- Pauses of many projects at once.
CREATE TABLE stop (
	id       TEXT PRIMARY KEY,
	since    INTEGER NOT NULL,
	ended_at INTEGER,
	doc      TEXT NOT NULL -- the whole stop as JSON; the columns above repeat what is searched for
) WITHOUT ROWID;

-- The projects that a stop has covered: it pauses none of them again.
CREATE TABLE stop_project (
	stop    TEXT NOT NULL,
	project TEXT NOT NULL,
	resumed INTEGER NOT NULL DEFAULT 0, -- by somebody, since then
	PRIMARY KEY (project, stop)
) WITHOUT ROWID;
CREATE INDEX stop_covers ON stop_project (stop);
