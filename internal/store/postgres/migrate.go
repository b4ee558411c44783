package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// migrations/N.sql brings a state from version N-1 to N. A file is never changed once it is released.
//
//go:embed migrations
var migrations embed.FS

// schemaVersion is the last of the migrations. The version of a state is in its table meta.
const schemaVersion = 5

// migrationLock is the number of the lock that one who migrates holds. PostgreSQL releases it with the transaction.
const migrationLock = 0x61646662 // "adfb"

const versionOf = `SELECT value FROM adfbot.meta WHERE key = 'schema_version'`

// version returns the version of the schema, "" if there is no schema or nothing in it.
func (s *Store) version(ctx context.Context) (version string, err error) {
	err = s.retryStale(ctx, func(c *connection) (bool, error) {
		version, err = s.readVersion(ctx, c)
		return false, err
	})
	return version, err
}

func (s *Store) readVersion(ctx context.Context, c *connection) (string, error) {
	there, err := c.run(ctx, statement{`SELECT to_regclass($1) IS NOT NULL`, [][]byte{[]byte(s.schema + ".meta")}})
	if err != nil || there[0].Rows[0][0][0] == 0 {
		return "", err
	}
	results, err := c.run(ctx, s.statement(versionOf))
	if err != nil {
		return "", err
	}
	if len(results[0].Rows) == 0 {
		return "", &databaseError{adviceError{"the schema has a table meta that is not adfbot's: use another database", errors.New("it has no version")}}
	}
	return string(results[0].Rows[0][0]), nil
}

// isOlder reports whether a state has to be migrated.
func isOlder(version string) bool {
	n, err := strconv.Atoi(version)
	return version == "" || err == nil && n < schemaVersion
}

// checkVersion returns why this program must not use a state of a version.
func (s *Store) checkVersion(version string) error {
	n, err := strconv.Atoi(version)
	switch {
	case err != nil:
		return store.Unusable(s.path, "it is damaged: restore a backup", fmt.Errorf("its version is %.60q", version))
	case n > schemaVersion:
		return fmt.Errorf("%w: %s: %w (its version is %d, this adfbot knows up to %d)", store.ErrUnusable, s.path, store.ErrNewer, n, schemaVersion)
	case n < schemaVersion:
		return store.Unusable(s.path, "an earlier version of adfbot made it: `adfbot sweep`, the daemon or the next result upgrades it",
			fmt.Errorf("its version is %d, this adfbot needs %d", n, schemaVersion))
	}
	return nil
}

// migrate brings the state up to this version. Several processes may do it at once: the version is read again under the lock.
func (s *Store) migrate(ctx context.Context) error {
	return s.retryStale(ctx, func(c *connection) (bool, error) {
		ctx := context.WithoutCancel(ctx)
		// The others wait for the lock; then they need a snapshot that is newer than it, so it is taken by a statement of its own.
		_, err := c.run(ctx, statement{text: `BEGIN`}, statement{text: fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock)})
		if err != nil {
			return false, err
		}
		if err := s.migrateLocked(ctx, c); err != nil {
			if !c.bad {
				_, _ = c.run(ctx, statement{text: `ROLLBACK`})
			}
			return false, err
		}
		_, err = c.run(ctx, statement{text: `COMMIT`})
		return true, err
	})
}

func (s *Store) migrateLocked(ctx context.Context, c *connection) error {
	version, err := s.readVersion(ctx, c)
	if err != nil {
		return err
	}
	if !isOlder(version) {
		return s.checkVersion(version)
	}
	from := 0
	if version != "" {
		from, _ = strconv.Atoi(version)
	} else if err := s.makeSchema(ctx, c); err != nil {
		return err
	}
	for v := from + 1; v <= schemaVersion; v++ {
		text, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v))
		if err != nil {
			return err
		}
		if err := c.script(ctx, s.inSchema(string(text))); err != nil {
			return fmt.Errorf("bringing the state to version %d: %w", v, err)
		}
	}
	_, err = c.run(ctx, s.statement(`INSERT INTO adfbot.meta (key, value) VALUES ('schema_version', ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, strconv.Itoa(schemaVersion)))
	return err
}

// makeSchema makes the schema, unless somebody with more rights has made it.
func (s *Store) makeSchema(ctx context.Context, c *connection) error {
	there, err := c.run(ctx, statement{`SELECT to_regnamespace($1) IS NOT NULL`, [][]byte{[]byte(s.schema)}})
	if err != nil || there[0].Rows[0][0][0] != 0 {
		return err
	}
	_, err = c.run(ctx, statement{text: `CREATE SCHEMA ` + s.schema})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		user := s.pool.config.User
		return &databaseError{adviceError{fmt.Sprintf("%s may not make the schema: have it made in this database, `CREATE SCHEMA %s AUTHORIZATION %s`",
			user, s.schema, Quote(user)), err}}
	}
	return err
}

// script executes statements that return nothing.
func (c *connection) script(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, readAllWithin)
	defer cancel()
	if _, err := c.pg.Exec(ctx, text).ReadAll(); err != nil {
		c.bad = true
		return &databaseError{err}
	}
	return nil
}

var _ sqlstore.DB = database{}
