-- Which pause had its flag on this host's disk. From then on a missing flag means that somebody removed it.
CREATE TABLE host_flag (
	host    TEXT NOT NULL, -- '': the host of this file
	project TEXT NOT NULL,
	pause   TEXT NOT NULL, -- the id of an incident or a hold
	kind    TEXT NOT NULL, -- bot, person, removed, or '' if nobody has looked at the flag
	mtime   INTEGER NOT NULL DEFAULT 0, -- nanoseconds since 1970
	size    INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (host, project)
) WITHOUT ROWID;

ALTER TABLE hold ADD COLUMN id TEXT NOT NULL DEFAULT '';
UPDATE hold SET id = lower(hex(randomblob(16)));

INSERT INTO host_flag (host, project, pause, kind) SELECT '', project, id, '' FROM hold WHERE flag_written IS NOT NULL;
INSERT OR REPLACE INTO host_flag (host, project, pause, kind)
	SELECT '', project, id, '' FROM incident WHERE ended_at IS NULL AND json_extract(doc, '$.FlagWritten') <> '0001-01-01T00:00:00Z';

-- hold.flag_written is not used any more. A process of an earlier version that still runs reads it.

ALTER TABLE run ADD COLUMN host_id TEXT NOT NULL DEFAULT ''; -- as in host_flag
