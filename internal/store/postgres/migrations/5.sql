-- When a hold ends by itself, and the stop that it is a part of.
ALTER TABLE adfbot.project ADD COLUMN hold_until TIMESTAMPTZ, ADD COLUMN hold_stop TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX project_until ON adfbot.project (hold_until) WHERE hold_until IS NOT NULL;
CREATE INDEX project_stop ON adfbot.project (hold_stop) WHERE hold_stop <> '';
CREATE OR REPLACE VIEW adfbot.hold AS SELECT hold AS id, id AS project, note, paused_at AS since, hold_until AS until, hold_stop AS stop
	FROM adfbot.project WHERE hold IS NOT NULL;

-- Pauses of many projects at once.
CREATE TABLE adfbot.stop (
	id       TEXT COLLATE "C" PRIMARY KEY,
	since    TIMESTAMPTZ NOT NULL,
	ended_at TIMESTAMPTZ,
	doc      TEXT NOT NULL -- the whole stop as JSON; the columns above repeat what is searched for
);

-- The projects that a stop has covered: it pauses none of them again.
CREATE TABLE adfbot.stop_project (
	stop    TEXT COLLATE "C" NOT NULL,
	project TEXT COLLATE "C" NOT NULL,
	resumed BOOLEAN NOT NULL DEFAULT FALSE, -- by somebody, since then
	PRIMARY KEY (project, stop)
);
CREATE INDEX stop_covers ON adfbot.stop_project (stop);
