-- Incidents that pause nothing: a project from which results are expected has not reported. What looks for a pause, in a process of an
-- earlier version too, finds none of them.
CREATE TABLE adfbot.silence (
	id        TEXT COLLATE "C" PRIMARY KEY,
	project   TEXT COLLATE "C" NOT NULL,
	seq       INTEGER NOT NULL,
	opened_at TIMESTAMPTZ NOT NULL,
	ended_at  TIMESTAMPTZ,
	settled   BOOLEAN NOT NULL,
	doc       TEXT NOT NULL, -- as in incident
	UNIQUE (project, seq)
);
CREATE UNIQUE INDEX silence_open ON adfbot.silence (project) WHERE ended_at IS NULL;
CREATE INDEX silence_unsettled ON adfbot.silence (project, seq) WHERE NOT settled;
