package postgres

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

// Wrap adds the place of the state and what to do to an error that means that the state is unusable.
func (s *Store) Wrap(err error) error {
	var db *databaseError
	switch {
	case err == nil || errors.Is(err, store.ErrUnusable):
		return err
	case errors.Is(err, errClosed):
		return store.Unusable(s.path, "it was closed", err)
	case errors.Is(err, sqlstore.ErrContent):
		return store.Unusable(s.path, "it is damaged: restore a backup", err)
	case errors.As(err, &db):
		place, _, _ := strings.Cut(s.path, "?")
		return store.Unusable(place, s.advice(err), briefly(err))
	}
	return err
}

// briefly returns an error without what its message has in common with the URL, on one line.
func briefly(err error) error {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return err
	}
	said := strings.ReplaceAll(connect.Unwrap().Error(), "dial error: dial ", "")
	said = strings.Join(slices.Compact(strings.Split(said, "\n")), "; ") // each address is tried with TLS and without
	return &briefError{strings.Replace(err.Error(), connect.Error(), said, 1), err}
}

type briefError struct {
	text string
	err  error
}

func (e *briefError) Error() string { return e.text }
func (e *briefError) Unwrap() error { return e.err }

const adviceStopped = "the server is being stopped or started: it takes results again when it runs"

const adviceReadOnly = "the server takes no changes: it is a standby, or was made read-only; the address must lead to the primary"

// advice returns what to do about an error of the connection or the server.
func (s *Store) advice(err error) string {
	var own adviceError
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var dns *net.DNSError
	switch {
	case errors.As(err, &own):
		return own.advice
	case errors.As(err, &pg):
		return s.adviceOn(pg)
	case errors.As(err, &connect) && errors.As(err, &dns):
		return "this host cannot look up the name of the server: correct it, or this host's DNS"
	case errors.As(err, &connect) && isTimeout(err) && strings.Contains(err.Error(), "dial error"): // pgconn has no value for it
		return "nothing answers at that address: see whether it is right, whether that machine is up, and whether a firewall drops what this host sends"
	case errors.As(err, &connect) && isTimeout(err):
		return "the server does not answer: see whether it hangs; a pooler in front of it waits like that while it cannot log in to the server, and its log says why"
	case errors.Is(err, context.DeadlineExceeded):
		return "the server does not answer: see whether it hangs, whether another program holds a lock in it or a synchronous standby is missing, and the network"
	case errors.As(err, &connect) && strings.Contains(err.Error(), "read only connection"): // pgconn has no value for it
		return adviceReadOnly
	case errors.As(err, &connect) && adviceOnTLS(err) != "":
		return adviceOnTLS(err)
	case errors.As(err, &connect):
		return "no server that can be written to is reached: see whether PostgreSQL runs there and takes connections from this host"
	}
	return "the connection to the server broke: see whether PostgreSQL was stopped, and the network"
}

// isTimeout reports whether something took too long; a dialer may notice before the context does.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// adviceOnTLS returns what to do if the server is reached and TLS fails, else "".
func adviceOnTLS(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case strings.Contains(err.Error(), "server refused TLS"): // pgconn has no value for it
		return "the server does not encrypt connections: set ssl = on in its postgresql.conf, or a lower sslmode in the URL"
	case errors.As(err, &authority):
		return "the server's certificate comes from an authority that this host does not know: name the authority's certificate with sslrootcert=/path in the URL, or replace the file that is named there by it"
	case errors.As(err, &host):
		return "the server's certificate is for another name: write that name in the URL, or give the server a certificate for this one"
	case errors.As(err, &invalid):
		return fmt.Sprintf("the certificate of %s is not valid: renew it, at the server or, if it is the authority's, where sslrootcert=/path has it, too; or set the clock of this host", invalid.Cert.Subject)
	}
	return ""
}

// adviceOn returns what to do about an error that the server reported.
func (s *Store) adviceOn(pg *pgconn.PgError) string {
	user, database, key := s.pool.config.User, s.pool.config.Database, cmp.Or(s.passwordKey, "`state_password_file`")
	switch pg.Code {
	case "28P01":
		if s.pool.password == nil {
			return fmt.Sprintf("the server wants a password of %s: write it to a file and name that in %s", user, key)
		}
		advice := fmt.Sprintf("the server refuses the password of %s: correct the file that %s names, or the role's VALID UNTIL if that is over", user, key)
		if s.passwordKey == "" { // a daemon may run
			advice += "; restart a daemon that has it from LoadCredential="
		}
		return advice
	case "28000":
		if strings.Contains(pg.Message, "no encryption") {
			return fmt.Sprintf("the server does not let %s in without encryption: set sslmode=verify-full in the URL", user)
		}
		if strings.HasPrefix(pg.Message, "Peer authentication") {
			return fmt.Sprintf("the server lets %s in over its socket only from the Unix user %[1]s, or one that its pg_ident.conf names: run it as that user", user)
		}
		return fmt.Sprintf("the server does not let %s in from this host: see pg_hba.conf on the server, and whether the role exists and may log in", user)
	case "3D000":
		return fmt.Sprintf("the database does not exist: have it made on the server, `CREATE DATABASE %s OWNER %s`", Quote(database), Quote(user))
	case "42501":
		if pg.SeverityUnlocalized == "FATAL" { // at the beginning of a connection
			return fmt.Sprintf("the role may not connect to the database: have an administrator run GRANT CONNECT ON DATABASE %s TO %s", Quote(database), Quote(user))
		}
		return fmt.Sprintf("%s lacks rights on the schema %s: let its owner grant them, or make %s the owner of the schema and all in it",
			user, s.schema, user)
	case "3F000", "42P01", "42703":
		if s.isEmpty() {
			return store.LostShared
		}
		return fmt.Sprintf("the schema %s is not as adfbot made it: restore a backup; to begin anew, drop what is left in it, and run `adfbot restore` on one host", s.schema)
	case codeReadOnly:
		return adviceReadOnly
	case "53100", "53200":
		return "the server's disk or memory is full: make room there"
	case "53300":
		// A daemon has one to listen, too.
		takes := fmt.Sprintf("each host's daemon takes up to %d, and each command that does not go through it up to %d", maxConnections+1, maxConnections)
		if strings.Contains(pg.Message, "connections for ") { // a role or a database
			return fmt.Sprintf("raise CONNECTION LIMIT of the role %s or of the database %s; %s", Quote(user), Quote(database), takes)
		}
		return "the server has no connection left: raise max_connections, or use a pooler; " + takes
	case "08P01":
		return s.adviceOnPooler(pg.Message, key)
	case "57P01", "57P02", "57P03", "08006":
		return adviceStopped
	case "57014", "25P03", "55P03":
		return "the server was too slow: see its load, its disk, which program holds locks there, and whether a synchronous standby is missing"
	case codeUniqueViolation, codeSerialization, codeDeadlock:
		return "others changed the same rows at the same time, again and again: it works once they are done"
	}
	return "the server reports an error that adfbot does not expect: see its log"
}

// isEmpty reports whether the schema has no table, or is missing: somebody has made the database anew while this process had it open.
func (s *Store) isEmpty() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	empty := false
	err := s.retryStale(ctx, func(c *connection) (bool, error) {
		tables, err := c.texts(ctx, `SELECT tablename::text FROM pg_tables WHERE schemaname = $1 LIMIT 1`, s.schema)
		empty = len(tables) == 0
		return false, err
	})
	return err == nil && empty
}

// adviceOnPooler returns what to do about an error that pgbouncer reports itself, which has one code for almost all of them. key is where
// people name the file with the password.
func (s *Store) adviceOnPooler(message, key string) string {
	switch {
	case strings.Contains(message, "statement pooling"):
		return "the pooler gives each statement another session: set pool_mode = transaction there for this database"
	case strings.Contains(message, "no such"), strings.Contains(message, "does not exist"), strings.Contains(message, "authentication failed"),
		strings.Contains(message, "login rejected"):
		return fmt.Sprintf("the pooler in front of the server does not pass %s on to the database %s: see its log, and whether its configuration has both, "+
			"with the password that %s holds", s.pool.config.User, s.pool.config.Database, key)
	case strings.Contains(message, "no more connections allowed"):
		return "the pooler takes no more connections: raise max_client_conn there"
	case strings.Contains(message, "query_wait_timeout"):
		return "no connection of the pooler to the server became free in time: raise default_pool_size there, or see which program holds them"
	case strings.Contains(message, "unsupported startup parameter"):
		return "the pooler takes no such parameter: take it out of the URL, or add it to ignore_startup_parameters there"
	case strings.Contains(message, "server"):
		return "the pooler gets no connection to the server: it does again when the server runs; if it does run, see the pooler's log"
	}
	return "the server, or a pooler in front of it, refuses the connection: see its log"
}
