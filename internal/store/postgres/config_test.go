package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestURL(t *testing.T) {
	t.Parallel()
	c, err := parseURL("postgres://bot@db1.example.org,db2.example.org:5433/adfbot?sslmode=disable")
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, c.ConnectTimeout)
	require.NotNil(t, c.ValidateConnect, "a server that takes no changes is left out")
	require.Equal(t, "adfbot", c.RuntimeParams["application_name"])
	require.Len(t, c.Fallbacks, 1)
	require.Equal(t, "db2.example.org", c.Fallbacks[0].Host)
	require.EqualValues(t, 5433, c.Fallbacks[0].Port)

	c, err = parseURL("postgres://bot@h/d?sslmode=disable&connect_timeout=7&target_session_attrs=any&keepalives_idle=30&keepalives=1")
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, c.ConnectTimeout)
	require.Nil(t, c.ValidateConnect)
	require.NotContains(t, c.RuntimeParams, "keepalives_idle", "the server does not know it")
}

func TestURLRefused(t *testing.T) {
	t.Parallel()
	for url, why := range map[string]string{
		"postgres://bot:hunter2@h/d":               "`state_password_file`",
		"postgres://bot@h/d?password=hunter2":      "`state_password_file`",
		"mysql://bot@h/d":                          `begins with "mysql://"`,
		"postgres://bot:hunter2@h:port/d":          "the URL of the state: invalid port",
		"postgres://h/d?keepalives_idle=often":     "keepalives_idle",
		"postgres://h/d?keepalives_count=often":    "keepalives_count",
		"postgres://h/d?connect_timeout=often":     "the URL of the state",
		"postgres://h/d?target_session_attrs=most": "the URL of the state",
	} {
		_, err := parseURL(url)
		require.ErrorContains(t, err, why, url)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// What a job has in its environment, for a database of its own, does not lead its result elsewhere.
func TestURLWithoutEnvironment(t *testing.T) {
	for name, value := range map[string]string{"PGHOST": "/elsewhere", "PGPORT": "1", "PGPASSWORD": "hunter2", "PGPASSFILE": "/p", "PGSSLMODE": "disable",
		"PGSSLCERT": "/c", "PGSSLKEY": "/k", "PGSSLROOTCERT": "/r", "PGOPTIONS": "-c x=y", "PGTZ": "Mars", "PGUSER": "u", "PGDATABASE": "d",
		"PGAPPNAME": "psql", "PGCONNECT_TIMEOUT": "99", "PGTARGETSESSIONATTRS": "any"} {
		t.Setenv(name, value)
	}
	c, err := parseURL("postgres://bot@db/adfbot")
	require.NoError(t, err)
	require.Equal(t, []any{"db", uint16(5432), "bot", "adfbot", "", 2 * time.Second}, []any{c.Host, c.Port, c.User, c.Database, c.Password, c.ConnectTimeout})
	require.Equal(t, map[string]string{"application_name": "adfbot"}, c.RuntimeParams)
	require.NotNil(t, c.TLSConfig)
	require.NotNil(t, c.ValidateConnect)
}

// Whoever can redirect the connection to a server that nobody verifies gets the state.
func TestUnverified(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644))
	for url, want := range map[string]bool{
		"postgres://a@db/a":                                     true,
		"postgres://a@db/a?sslmode=disable":                     true,
		"postgres://a@db/a?sslmode=require":                     true,
		"postgres://a@db/a?sslmode=verify-full":                 false,
		"postgres://a@db/a?sslmode=verify-ca&sslrootcert=" + ca: false,
		"postgres://a@db/a?sslmode=require&sslrootcert=" + ca:   false,
		"postgres://a@127.0.0.1,db/a":                           true,
		"postgres://a@127.0.0.1/a":                              false,
		"postgres://a@localhost/a":                              false,
		"postgres://a@[::1]/a":                                  false,
		"postgres:///a?host=/run/postgresql&user=a":             false,
	} {
		config, err := parseURL(url)
		require.NoError(t, err, url)
		require.Equal(t, want, unverified(config), url)
	}
}

func TestAdviceOnLogin(t *testing.T) {
	t.Parallel()
	config, err := parseURL("postgres://bot@db/adfbot")
	require.NoError(t, err)
	s := &Store{pool: newPool(config, nil)}
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28P01"}), "name that in `state_password_file`")
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28000"}), "does not let bot in from this host: see pg_hba.conf")
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28000", Message: `no pg_hba.conf entry for host "192.0.2.1", user "bot", database "adfbot", no encryption`}),
		"set sslmode=verify-full in the URL")
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28000", Message: `Peer authentication failed for user "bot"`}),
		"lets bot in over its socket only from the Unix user bot")
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "08P01", Message: "no such database: adfbot"}),
		"the pooler in front of the server does not pass bot on to the database adfbot")
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "08P01", Message: "server login has been failing, try again later (server_login_retry)"}),
		"see the pooler's log", "the server may run, with another password than that of the pooler")
	s.pool.password = func() (string, error) { return "", nil }
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28P01"}),
		"correct the file that `state_password_file` names, or the role's VALID UNTIL if that is over; restart a daemon that has it from LoadCredential=")
	s.passwordKey = "--password-file" // of adfbot migrate, whose configuration names no database yet
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28P01"}), "correct the file that --password-file names")
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "08P01", Message: "SASL authentication failed"}), "with the password that --password-file holds")
	s.pool.password = nil
	require.Contains(t, s.adviceOn(&pgconn.PgError{Code: "28P01"}), "write it to a file and name that in --password-file")
}

// A firewall or a name server drops what is sent, a hung server takes the connection, and a pooler that cannot log in to its server lets the client wait.
func TestAdviceOnTimeout(t *testing.T) {
	t.Parallel()
	s := &Store{}
	advice := func(dial pgconn.DialFunc) string {
		config, err := parseURL("postgres://bot@192.0.2.1/adfbot?sslmode=disable")
		require.NoError(t, err)
		config.DialFunc = dial
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err = pgconn.ConnectConfig(short, config)
		require.Error(t, err)
		return s.advice(err)
	}
	require.Contains(t, advice(func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }), "whether a firewall drops")
	require.Contains(t, advice(func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	}), "whether a firewall drops", "the dialer was first to notice")
	silent := advice(func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		t.Cleanup(func() { _ = there.Close() })
		return here, nil
	})
	require.Contains(t, silent, "a pooler in front of it waits like that while it cannot log in")
	require.NotContains(t, silent, "firewall")
	for _, lookup := range []*net.DNSError{{Err: "i/o timeout", IsTimeout: true}, {Err: "no such host", IsNotFound: true}} {
		config, err := parseURL("postgres://bot@db.example/adfbot?sslmode=disable")
		require.NoError(t, err)
		config.LookupFunc = func(context.Context, string) ([]string, error) { return nil, lookup }
		_, err = pgconn.ConnectConfig(t.Context(), config)
		require.Contains(t, s.advice(err), "this host cannot look up the name of the server: correct it, or this host's DNS")
	}
	require.Contains(t, s.advice(context.DeadlineExceeded), "whether another program holds a lock in it")
}

// The server may run: nobody knows its address, because its name is misspelt or no name server answers.
func TestAdviceOnUnknownName(t *testing.T) {
	t.Parallel()
	s := &Store{path: "postgres://bot@db.example.org/adfbot"}
	for name, lookup := range map[string]pgconn.LookupFunc{
		"misspelt": func(_ context.Context, host string) ([]string, error) {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		"silent": func(ctx context.Context, host string) ([]string, error) {
			<-ctx.Done()
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := parseURL(s.path)
			require.NoError(t, err)
			config.LookupFunc = lookup
			short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err = newPool(config, nil).dial(short, config)
			require.ErrorContains(t, s.Wrap(err), "this host cannot look up the name of the server: correct it, or this host's DNS: ")
			require.ErrorContains(t, s.Wrap(err), "lookup db.example.org: ")
		})
	}
}

// What an outage puts into the mails of cron says each thing once.
func TestOutageIsBrief(t *testing.T) {
	t.Parallel()
	for _, tls := range []string{"?sslmode=disable", ""} { // by default, each address is tried with TLS and without
		_, err := Open(t.Context(), "postgres://bot@127.0.0.1:1,127.0.0.1:2/adfbot"+tls, Options{Host: strings.Repeat("a", 32)})
		require.ErrorIs(t, err, store.ErrUnusable)
		require.Regexp(t, `^state not usable: postgres://bot@127.0.0.1:1,127.0.0.1:2/adfbot: no server that can be written to is reached: .*: `+
			`127.0.0.1:1 \(127.0.0.1\): tcp 127.0.0.1:1: connect: connection refused; 127.0.0.1:2 .*: connection refused$`, err.Error())
		require.Less(t, len(err.Error()), 350)
	}
}

// A certificate that is over may be that of the authority: another one of the server's would be refused as well.
func TestAdviceNamesTheCertificate(t *testing.T) {
	t.Parallel()
	over := x509.CertificateInvalidError{Cert: &x509.Certificate{Subject: pkix.Name{CommonName: "Our Root"}}, Reason: x509.Expired}
	require.Contains(t, adviceOnTLS(over), "the certificate of CN=Our Root is not valid: renew it, at the server or, if it is the authority's, where sslrootcert=/path has it, too")
}
