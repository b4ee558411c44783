package bot_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

// shop is a server with a role and a database of a fleet.
type shop struct {
	*testpg.Server
	url string // of the role, in the database
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{Server: testpg.New(t)}
	testpg.Exec(t, s.URL(), `CREATE ROLE bot LOGIN PASSWORD 'right'`)
	testpg.Exec(t, s.URL(), `CREATE DATABASE fleet OWNER bot`)
	s.url = testpg.AsRole(t, testpg.InDatabase(t, s.URL(), "fleet"), "bot")
	return s
}

// loadAnyway loads a configuration whose state may be wrong, as exec does.
func (w *world) loadAnyway(replace ...string) {
	w.Helper()
	yaml := strings.NewReplacer(replace...).Replace(w.yaml)
	w.Write(w.Path("config.yaml"), strings.ReplaceAll(yaml, "DIR", w.Dir))
	var err error
	w.cfg, _, err = config.LoadFor(w.Path("config.yaml"), config.ExecKeys("odilo")...)
	require.NoError(w, err)
}

// whatIsWrong is what check says.
func (w *world) whatIsWrong() string {
	w.Helper()
	if _, err := config.Load(w.Path("config.yaml")); err != nil {
		return err.Error()
	}
	return strings.Join(w.fails(), "\n")
}

// Whatever keeps a host from its state is told with its cure, by check and at the start. Until it is cured, gate answers, jobs run, and
// their results wait.
func TestBrokenSharedState(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	at := func(query string) string { return strings.Replace(s.url, "?", "?"+query+"&", 1) }
	for name, tt := range map[string]struct {
		breaks func(w *world) (repair func())
		want   string
		check  string // what check says, if that is something else
	}{
		"a password in the URL": {
			func(w *world) func() {
				w.loadAnyway(s.url, strings.Replace(s.url, "bot@", "bot:right@", 1))
				return nil
			}, "config.yaml:4: state: contains a password, which every user may read here: write the password to a file of its own", "",
		},
		"an unknown parameter": {
			func(w *world) func() { w.loadAnyway(s.url, at("sslmod=require")); return nil },
			"config.yaml:4: state: has the unknown parameter sslmod: did you mean sslmode?", "",
		},
		"a wrong password": {
			func(w *world) func() {
				s.SetAccess(t, "local all bot scram-sha-256", "local all all trust")
				require.NoError(t, os.WriteFile(w.Path("password"), []byte("wrong\n"), 0o600))
				w.loadAnyway(s.url, s.url+"\nstate_password_file: DIR/password")
				return func() { s.SetAccess(t, "local all all trust") }
			}, "the server refuses the password of bot: correct the file that `state_password_file` names", "",
		},
		"a password that others may read": {
			func(w *world) func() {
				require.NoError(t, os.WriteFile(w.Path("password"), []byte("right\n"), 0o604))
				require.NoError(t, os.Chmod(w.Path("password"), 0o604))
				w.loadAnyway(s.url, s.url+"\nstate_password_file: DIR/password")
				return nil
			}, "is open to every user (mode 0604): run chmod o-rw", "",
		},
		"no password": {
			func(w *world) func() { w.loadAnyway(s.url, s.url+"\nstate_password_file: DIR/password"); return nil },
			"password: no such file or directory: write the secret to it", "",
		},
		"no database": {
			func(w *world) func() { w.loadAnyway(s.url, testpg.InDatabase(t, s.url, "none")); return nil },
			`have it made on the server, ` + "`" + `CREATE DATABASE "none" OWNER "bot"` + "`", "",
		},
		"no schema": {
			func(w *world) func() {
				testpg.Exec(t, s.URL(), `CREATE DATABASE empty`)
				w.Remove(filepath.Join(w.cfg.PauseDir, pause.MarkName)) // of a host that was in no fleet
				w.loadAnyway(s.url, testpg.InDatabase(t, s.url, "empty"))
				return nil
			}, "`CREATE SCHEMA adfbot AUTHORIZATION \"bot\"`", "have an administrator run what `adfbot init-state` prints",
		},
		"no rights": {
			func(w *world) func() {
				testpg.Exec(t, s.URL(), `CREATE ROLE stranger LOGIN`)
				w.loadAnyway(s.url, testpg.AsRole(t, s.url, "stranger"))
				return nil
			}, "stranger lacks rights on the schema adfbot", "the role stranger lacks",
		},
		"an old server": {
			func(w *world) func() {
				proxy := s.Proxy(t)
				proxy.SetFilters(nil, func(data []byte) ([]byte, bool) {
					return []byte(strings.Replace(string(data), "server_version\x001", "server_version\x000", 1)), false
				})
				w.loadAnyway(s.url, testpg.AsRole(t, testpg.InDatabase(t, proxy.URL(), "fleet"), "bot"))
				return nil
			}, "its PostgreSQL is too old: upgrade it to 14 or later", "",
		},
		"no TLS": {
			func(w *world) func() {
				w.loadAnyway(s.url, "postgres://bot@"+s.front(t, nil)+"/fleet?sslmode=require")
				return nil
			}, "the server does not encrypt connections: set ssl = on", "",
		},
		"a certificate of an unknown authority": {
			func(w *world) func() {
				cert, _ := certificate(t, "127.0.0.1")
				w.loadAnyway(s.url, "postgres://bot@"+s.front(t, cert)+"/fleet?sslmode=verify-full")
				return nil
			}, "the server's certificate comes from an authority that this host does not know: name the authority's certificate with sslrootcert=", "",
		},
		"a certificate that was made anew": {
			func(w *world) func() {
				cert, _ := certificate(t, "127.0.0.1")
				_, before := certificate(t, "127.0.0.1")
				w.loadAnyway(s.url, "postgres://bot@"+s.front(t, cert)+"/fleet?sslmode=verify-full&sslrootcert="+before)
				return nil
			}, "sslrootcert=/path in the URL, or replace the file that is named there by it", "",
		},
		"a certificate for another name": {
			func(w *world) func() {
				cert, file := certificate(t, "127.0.0.2")
				w.loadAnyway(s.url, "postgres://bot@"+s.front(t, cert)+"/fleet?sslmode=verify-full&sslrootcert="+file)
				return nil
			}, "the server's certificate is for another name", "",
		},
		"no certificate of the authority": {
			func(w *world) func() {
				w.loadAnyway(s.url, "postgres://bot@127.0.0.1:1/fleet?sslmode=verify-full&sslrootcert=/nonexistent/ca")
				return nil
			}, "correct `state`, or the file that it names", "",
		},
		"no server": {
			func(w *world) func() { w.loadAnyway(s.url, "postgres://bot@127.0.0.1:1/fleet"); return nil },
			"see whether PostgreSQL runs there and takes connections from this host", "",
		},
		"local_dir not writable": {
			func(w *world) func() { return testhost.ReadOnly(t, w.cfg.LocalDir) }, "read-only", "",
		},
		"local_dir in a file": {
			func(w *world) func() {
				w.Touch(w.Path("file"))
				w.loadAnyway("local_dir: DIR/local", "local_dir: DIR/file/local")
				return nil
			}, "not a directory", "",
		},
		"the pause directory of another installation": {
			func(w *world) func() {
				was := w.Read(w.sentinel())
				w.Write(w.sentinel(), strings.Repeat("d", 32)+" "+strings.Repeat("e", 32)+"\n")
				return func() { w.Write(w.sentinel(), was) }
			}, "first resume, with the configuration that it had, what is paused here, and let its issues be closed; then give it an empty pause_dir: " +
				"see `adfbot help fleet`", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHost(t, s.url)
			w.own = hostlocal.OwnSpools{w.Path("own")}
			w.must(0, "odilo", "true")
			w.with(bot.Operate, func(b *bot.Bot) {
				_, err := b.Pause(ctx, "atlas", "")
				require.NoError(t, err)
			})
			good, before := w.cfg, s.recorded(t)
			repair := tt.breaks(w)

			_, err := bot.Open(ctx, w.cfg, bot.Daemon, w.env())
			require.ErrorIs(t, err, store.ErrUnusable)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "right@")
			if tt.check == "" {
				tt.check = tt.want
			}
			require.Contains(t, w.whatIsWrong(), tt.check)

			cfg, _, err := bot.LoadForGate(ctx, w.Path("config.yaml"))
			require.NoError(t, err)
			require.True(t, bot.Gate(ctx, cfg, "atlas").Paused)
			if name == "the pause directory of another installation" {
				require.ErrorContains(t, bot.Gate(ctx, cfg, "odilo").Err, "installation")
			} else {
				require.Equal(t, bot.Verdict{}, bot.Gate(ctx, cfg, "odilo"))
				ran := w.must(0, "odilo", "sh", "-c", "echo ran")
				require.Equal(t, "ran\n", ran.stdout)
				require.Contains(t, ran.stderr, "the result is kept in")
				require.Equal(t, before, s.recorded(t))
			}

			if repair != nil {
				repair()
			}
			w.cfg = good
			_, err = w.sweep()
			require.NoError(t, err)
			if name != "the pause directory of another installation" {
				require.NotEqual(t, before, s.recorded(t), "the result was not lost")
			}
			w.with(bot.Operate, func(b *bot.Bot) {
				_, err := b.Resume(ctx, "atlas")
				require.NoError(t, err)
			})
		})
	}
}

// recorded is how many results the state has.
func (s *shop) recorded(t *testing.T) string {
	t.Helper()
	return testpg.Text(t, testpg.InDatabase(t, s.URL(), "fleet"), `SELECT count(*) FROM adfbot.result`)
}

// front takes connections on a port, with TLS if there is a certificate, and passes them on to the server's socket, where there is none.
func (s *shop) front(t *testing.T, cert *tls.Certificate) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.pass(client, cert)
		}
	}()
	return l.Addr().String()
}

func (s *shop) pass(client net.Conn, cert *tls.Certificate) {
	defer client.Close()
	if cert != nil {
		request := make([]byte, 8)
		if _, err := io.ReadFull(client, request); err != nil {
			return
		}
		_, _ = client.Write([]byte("S"))
		client = tls.Server(client, &tls.Config{Certificates: []tls.Certificate{*cert}})
	}
	server, err := net.Dial("unix", s.Socket())
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
}

// certificate returns one for an address that vouches for itself, and the file with it.
func certificate(t *testing.T, address string) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// A new installation has no sentinel because its state cannot be made. What is said is why, too: to make the sentinel would not help.
func TestNewStateThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(w.cfg.State, 0o700))
	r := w.must(bot.ExitNotStarted, "odilo", "touch", w.Dir+"/ran")
	require.Contains(t, r.stderr, "it is not known whether odilo is paused, so nothing is run: ")
	require.Contains(t, r.stderr, "state not usable: "+w.cfg.State+": this is not a regular file: set `state` to the path of a file")
	require.NoFileExists(t, w.Dir+"/ran")
}
