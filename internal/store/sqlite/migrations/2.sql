-- Who may give commands from Gitea.
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

-- Comments with commands. One that is here is never accepted again.
CREATE TABLE command (
	server      TEXT NOT NULL,
	comment     INTEGER NOT NULL,
	project     TEXT NOT NULL,
	accepted_at INTEGER NOT NULL,
	done        INTEGER NOT NULL,
	doc         TEXT NOT NULL, -- the whole command as JSON
	PRIMARY KEY (server, comment)
) WITHOUT ROWID;
CREATE INDEX command_open ON command (server, project) WHERE done = 0;
