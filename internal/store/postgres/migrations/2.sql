-- The machines of the fleet: what each of them reported last, and the mark of its pause directory. A row is made by the first report or mark.
CREATE TABLE adfbot.host (
	id         TEXT COLLATE "C" PRIMARY KEY,
	name       TEXT NOT NULL DEFAULT '',
	boot       TEXT NOT NULL DEFAULT '',
	version    TEXT NOT NULL DEFAULT '',    -- of adfbot
	config     TEXT NOT NULL DEFAULT '',    -- a hash
	epoch      TEXT COLLATE "C" NOT NULL DEFAULT '', -- of its pause directory; '': never marked
	seq        BIGINT NOT NULL DEFAULT 0,
	seen_at    TIMESTAMPTZ,                 -- NULL: it has never reported
	offset_ms  BIGINT NOT NULL DEFAULT 0,   -- of its clock from the server's
	spooled    INTEGER NOT NULL DEFAULT 0,
	dir_error  TEXT NOT NULL DEFAULT '',
	can_issue  BOOLEAN NOT NULL DEFAULT FALSE,
	retired_at TIMESTAMPTZ                  -- NULL: it is not
) WITH (fillfactor = 50);

-- Of the kind failed: why the host could not write the flag.
ALTER TABLE adfbot.host_flag ADD COLUMN error TEXT NOT NULL DEFAULT '';

-- The flags that are on a host's disk. Rows of flags that were removed stay, and become many.
CREATE INDEX host_flag_there ON adfbot.host_flag (host, project) WHERE kind NOT IN ('removed', 'failed');

-- The project's generation when the result was recorded, and how many milliseconds before that the run had ended. Of results that an
-- earlier version recorded, the generation is not known.
ALTER TABLE adfbot.result ADD COLUMN generation BIGINT, ADD COLUMN age BIGINT NOT NULL DEFAULT 0;
