package postgres

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/store"
)

// Report is what [Inspect] has found out about a server, and about what the role of the URL may do there.
type Report struct {
	Version  string // of the server
	Database string
	Role     string
	Schema   string

	HasSchema bool
	MayMake   bool     // the role may make the schema
	Lacking   []string // rights that the role lacks on the schema and its tables, e.g. INSERT ON adfbot.result
	Strange   []string // tables that do not belong to the role, so that it cannot upgrade them

	Offset     time.Duration // of this machine's clock from the server's
	Pooler     bool          // there is one before the server
	Async      []string      // standbys, if none is synchronous
	Hidden     int           // standbys of which the role may not know whether they are synchronous
	Waits      bool          // transactions of the role wait for a synchronous standby
	Unverified bool          // the server may be another one: it is not on this machine, and its certificate is not verified
	NotDurable []string      // settings with which a power failure loses what was answered
}

// Inspect looks at the server of a state, whether the state is there yet or not. It changes nothing.
func Inspect(ctx context.Context, url string, o Options) (r Report, err error) {
	config, err := parseURL(url)
	if err != nil {
		return r, store.Unusable("the database", "correct `state`, or the file that it names", err)
	}
	s := &Store{path: url, schema: cmp.Or(o.Schema, "adfbot"), pool: newPool(config, o.Password), passwordKey: o.PasswordKey}
	defer s.pool.close()
	err = s.retryStale(ctx, func(c *connection) (bool, error) {
		r, err = s.inspect(ctx, c)
		return false, err
	})
	r.Unverified = unverified(config)
	return r, s.Wrap(err)
}

func (s *Store) inspect(ctx context.Context, c *connection) (Report, error) {
	r := Report{Schema: s.schema, Pooler: c.prepared == nil}
	sent := time.Now()
	list, err := c.texts(ctx, `SELECT current_database()::text, current_user::text, (to_regnamespace($1) IS NOT NULL)::text,
		has_database_privilege(current_database(), 'CREATE')::text, (extract(epoch FROM clock_timestamp()) * 1000)::bigint::text,
		current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')`, s.schema)
	if err != nil {
		return r, err
	}
	row, arrived := list[0], time.Now()
	r.Database, r.Role, r.HasSchema, r.MayMake = row[0], row[1], row[2] == "true", row[3] == "true"
	if ms, err := strconv.ParseInt(row[4], 10, 64); err == nil {
		r.Offset = sent.Add(arrived.Sub(sent) / 2).Sub(time.UnixMilli(ms))
	}
	r.Version, _, _ = strings.Cut(row[5], " ") // without the name of a distribution
	for n, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if row[6+n] == "off" {
			r.NotDurable = append(r.NotDurable, name)
		}
	}
	if err := s.inspectRights(ctx, c, &r); err != nil {
		return r, err
	}
	return r, s.inspectStandbys(ctx, c, &r)
}

// inspectRights looks at what the role may do in the schema.
func (s *Store) inspectRights(ctx context.Context, c *connection, r *Report) error {
	list, err := c.texts(ctx, `SELECT kind, name FROM (
			SELECT 'right' AS kind, 'USAGE ON SCHEMA ' || nspname AS name FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')
			UNION ALL SELECT 'right', 'CREATE ON SCHEMA ' || nspname FROM pg_namespace
				WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'CREATE') AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid)
			UNION ALL SELECT 'right', word || ' ON ' || nspname || '.' || relname
				FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS word
				WHERE nspname = $1 AND relkind = 'r' AND NOT has_table_privilege(pg_class.oid, word)
			UNION ALL SELECT 'owner', nspname || '.' || relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
				WHERE nspname = $1 AND relkind = 'r' AND NOT pg_has_role(relowner, 'USAGE')) AS found ORDER BY kind, name`, s.schema)
	for _, row := range list {
		if row[0] == "right" {
			r.Lacking = append(r.Lacking, row[1])
		} else {
			r.Strange = append(r.Strange, row[1])
		}
	}
	return err
}

// inspectStandbys looks for standbys that may lack the last transactions. Who may not know the state of one sees a row without it.
func (s *Store) inspectStandbys(ctx context.Context, c *connection, r *Report) error {
	list, err := c.texts(ctx, `SELECT pid::text FROM pg_stat_activity
		WHERE usename = current_user AND wait_event = 'SyncRep' AND state_change < clock_timestamp() - interval '2 s'`)
	if err != nil {
		return err
	}
	r.Waits = len(list) > 0
	list, err = c.texts(ctx, `SELECT coalesce(application_name, ''), coalesce(sync_state, 'hidden') FROM pg_stat_replication
		WHERE state IS NULL OR state IN ('streaming', 'catchup') ORDER BY 1`)
	for _, row := range list {
		switch row[1] {
		case "sync", "quorum":
			r.Async, r.Hidden = nil, 0
			return err
		case "hidden":
			r.Hidden++
		default:
			r.Async = append(r.Async, cmp.Or(row[0], "without a name"))
		}
	}
	return err
}

// texts returns the rows of a query whose columns are texts.
func (c *connection) texts(ctx context.Context, query string, args ...string) (list [][]string, err error) {
	st := statement{text: query}
	for _, a := range args {
		st.args = append(st.args, []byte(a))
	}
	results, err := c.run(ctx, st)
	if err != nil {
		return nil, fmt.Errorf("look at the server: %w", err)
	}
	for _, values := range results[0].Rows {
		row := make([]string, len(values))
		for n, v := range values {
			row[n] = string(v)
		}
		list = append(list, row)
	}
	return list, nil
}

// Grants returns what an administrator runs with psql, once or again, before the first host uses a state: the statements that make the
// role, the database, the schema, and what the role may do.
func Grants(role, database string) string {
	unless := func(statement, there string) string {
		return "SELECT " + literal(statement) + " WHERE NOT EXISTS (" + there + ") \\gexec\n"
	}
	r, d := Quote(role), Quote(database)
	return unless("CREATE ROLE "+r+" LOGIN", "SELECT FROM pg_roles WHERE rolname = "+literal(role)) +
		unless("CREATE DATABASE "+d+" OWNER "+r+" ENCODING 'UTF8' TEMPLATE template0", "SELECT FROM pg_database WHERE datname = "+literal(database)) +
		"GRANT CONNECT ON DATABASE " + d + " TO " + r + ";\n" +
		"GRANT pg_read_all_stats TO " + r + "; -- for adfbot check: are the standbys synchronous?\n" +
		"\\connect " + d + "\n" +
		"CREATE SCHEMA IF NOT EXISTS adfbot AUTHORIZATION " + r + ";\n"
}

// literal quotes a text.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
