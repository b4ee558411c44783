package migrate_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/migrate"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

func TestMain(m *testing.M) {
	testpg.Main(m, testhost.Funcs{"holder": holder, "mover": mover})
}

const host = "a0000000000000000000000000000000"

var limits = store.Limits{Threshold: 3, Resume: 3, Instance: "bigbox", Host: "host-a"}

// place is a file, and where it is to be moved.
type place struct {
	file, url, schema string
	local             *hostlocal.Dir // nil: beside the file
	now               time.Time
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{file: filepath.Join(t.TempDir(), "adfbot.db"), now: time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)}
	p.url, p.schema = testpg.Schema(t)
	require.NoError(t, os.Mkdir(p.file+".d", 0o700))
	require.NoError(t, os.WriteFile(p.file+".d/host", []byte(host+"\n"), 0o600))
	return p
}

func (p place) clock() time.Time { return p.now }

func (p place) openFile(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), p.file, sqlite.Options{Now: p.clock})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (p place) openDatabase(t *testing.T) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), p.url, postgres.Options{Schema: p.schema, Host: host, Now: p.clock})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (p place) move(ctx context.Context) (migrate.Done, error) {
	return migrate.Move(ctx, p.request())
}

func (p place) request() migrate.Request {
	return migrate.Request{
		File: p.file, Local: cmp.Or(p.local, hostlocal.Beside(p.file)), URL: p.url, Database: postgres.Options{Schema: p.schema}, Now: p.clock,
	}
}

func (p place) mustMove(t *testing.T) migrate.Done {
	t.Helper()
	done, err := p.move(t.Context())
	require.NoError(t, err)
	return done
}

// refused requires that nothing is moved, and returns why.
func (p place) refused(t *testing.T) error {
	t.Helper()
	_, err := p.move(t.Context())
	require.Error(t, err)
	return err
}

func (p place) text(t *testing.T, query string) string {
	t.Helper()
	return testpg.Text(t, p.url, strings.ReplaceAll(query, "adfbot.", p.schema+"."))
}

func (p place) exec(t *testing.T, statements string) {
	t.Helper()
	testpg.Exec(t, p.url, strings.ReplaceAll(statements, "adfbot.", p.schema+"."))
}

func record(t *testing.T, s store.State, project, outcome string) store.Answer {
	t.Helper()
	r := store.Result{Project: project, Agent: "project-meta", Outcome: outcome, Output: "a\\b\tc\r\n\\.\nd"}
	if outcome == store.Failure {
		r.Class = "quota"
	}
	a, err := s.Record(t.Context(), r, limits)
	require.NoError(t, err)
	return a
}

// fill stores a few things of each kind in the file.
func (p place) fill(t *testing.T) {
	t.Helper()
	s := p.openFile(t)
	record(t, s, "quiet", store.Success)
	for range 3 {
		record(t, s, "odilo", store.Failure)
	}
	added, err := s.AddHold(t.Context(), incident.Hold{ID: "beef0000000000000000000000000000", Project: "held", Note: "it's\nmine", Since: p.now},
		incident.FlagIdentity{Kind: incident.PersonFlag, Mtime: 17, Size: 4}, 0)
	require.NoError(t, err)
	require.True(t, added)
	p.stop(t, s, "held", "stopped")
	_, err = s.BeginRun(t.Context(), store.Run{ID: "feed0000000000000000000000000000", Project: "quiet", Agent: "project-meta", Started: p.now})
	require.NoError(t, err)
	err = s.BeginReported(t.Context(), store.Run{ID: store.ReportedRunID("loud", "project-meta", "1"), Project: "loud", Agent: "project-meta", RunID: "1", Started: p.now})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// stop stores a stop that covers projects.
func (p place) stop(t *testing.T, s *sqlite.Store, projects ...string) {
	t.Helper()
	st := incident.Stop{ID: "5709000000000000000000000000000f", Patterns: []string{"st*"}, By: "kim", Since: p.now, Until: p.now.Add(time.Hour)}
	require.NoError(t, s.AddStop(t.Context(), st))
	_, err := s.Cover(t.Context(), st.ID, projects, func(project string) incident.Hold {
		return incident.Hold{ID: "beef000000000000000000000000000f", Project: project, Since: p.now, Until: st.Until, Stop: st.ID}
	})
	require.NoError(t, err)
}

func TestMoveOfAnOldState(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	doc, err := os.ReadFile("../testdata/old/adfbot.db")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.file, doc, 0o600))
	upgraded := p.openFile(t)
	_, opened, err := upgraded.OpenSilent(t.Context(), incident.Incident{ID: "511e0000000000000000000000000000", Kind: incident.Silent, Project: "alder", Opened: p.now, Rebuilt: true})
	require.NoError(t, err)
	require.True(t, opened, "earlier versions knew no such incident")
	p.stop(t, upgraded, "alder")
	require.NoError(t, upgraded.Close())
	before := p
	before.file += ".copy"
	doc, err = os.ReadFile(p.file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(before.file, doc, 0o600))

	file := before.openFile(t)
	projects := strings.Fields("alder birch cedar dogwood elm fir hazel ivy juniper larch maple oak quince rowan nobody")
	repos := []tracker.Repo{
		{Server: "http://git.example.org", Owner: "acme", Name: "fleet"},
		{Server: "http://git.example.org", Owner: "acme", Name: "twins"},
	}
	want := ask(t, file, "", projects, repos)

	done := p.mustMove(t)
	require.Equal(t, migrate.Done{Imported: postgres.Imported{Projects: 14, Results: 41, Incidents: 12}}, done)
	p.sameCounts(t, before.file)
	database := p.openDatabase(t)
	same(t, want, ask(t, database, host, projects, repos))

	// What happens next happens the same way.
	same(t, goOn(t, file, projects, p.now), goOn(t, database, projects, p.now))
	want, got := ask(t, file, "", projects, repos), ask(t, database, host, projects, repos)
	for _, a := range []answers{want, got} {
		for call := range a {
			if strings.Contains(call, "ncident") || strings.Contains(call, "Evidence") || strings.Contains(call, "State") || call == "Unsettled" {
				delete(a, call) // new incidents have random ids
			}
		}
	}
	same(t, want, got)
}

// sameCounts requires that each table of a file has as many rows in the database, where a project with a hold has a row, too.
func (p place) sameCounts(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var names string
	require.NoError(t, db.QueryRow(`SELECT group_concat(name, ' ') FROM sqlite_schema WHERE type = 'table'`).Scan(&names))
	for _, name := range strings.Fields(names) {
		var n string
		require.NoError(t, db.QueryRow(`SELECT count(*) FROM `+name).Scan(&n))
		require.NotEqual(t, "0", n, name)
		if name != "meta" && name != "project" {
			require.Equal(t, n, p.text(t, `SELECT count(*) FROM adfbot.`+name), name)
		}
	}
}

func TestMoveKeepsEveryValue(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t)
	p.mustMove(t)
	require.Equal(t, "a\\b\tc\r\n\\.\nd", p.text(t, `SELECT output FROM adfbot.result WHERE id = 4`))
	require.Equal(t, "it's\nmine", p.text(t, `SELECT note FROM adfbot.project WHERE pause = 'beef0000000000000000000000000000'`))
	require.Equal(t, host+" held 17", p.text(t, `SELECT concat_ws(' ', host, project, mtime) FROM adfbot.host_flag`))
	require.Equal(t, host+" quiet, reported loud", p.text(t, `SELECT string_agg(concat_ws(' ', host_id, project), ', ' ORDER BY project DESC) FROM adfbot.run`))
	require.Equal(t, "0", p.text(t, `SELECT count(*) FROM adfbot.meta WHERE key = 'path'`))
	record(t, p.openDatabase(t), "quiet", store.Success)
	require.Equal(t, "5", p.text(t, `SELECT max(id) FROM adfbot.result`), "the next one")
}

func TestMoveShowsProgress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t)
	var seen [][2]int
	r := p.request()
	r.Progress = func(done, total int) { seen = append(seen, [2]int{done, total}) }
	_, err := migrate.Move(t.Context(), r)
	require.NoError(t, err)
	total := seen[0][1]
	require.Greater(t, total, 10)
	require.Len(t, seen, 2*total, "each row is copied and compared")
	for n, s := range seen {
		require.Equal(t, [2]int{(n + 1) / 2, total}, s)
	}
}

func TestMoveAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t)
	p.mustMove(t)
	require.Equal(t, migrate.Done{Earlier: true, At: p.now}, p.mustMove(t))
	other := p
	other.url = testpg.WithParameter(t, p.url, "application_name", "other")
	require.ErrorContains(t, other.refused(t), "was moved to "+p.url)
	require.ErrorContains(t, other.refused(t), "if both lead to one database, set `state` to either")

	// Whoever still has the old configuration is told, and spools.
	_, err := sqlite.Open(t.Context(), p.file, sqlite.Options{})
	require.ErrorIs(t, err, store.ErrUnusable)
	require.ErrorContains(t, err, p.url)
}

// mover moves a state and kills itself at a step.
func mover(testhost.Self) int {
	args := os.Args[1:]
	ctx := fault.With(context.Background(), func(name string) {
		if name == args[3] {
			testhost.KillSelf()
		}
	})
	p := place{file: args[0], url: args[1], schema: args[2]}
	_, err := p.move(ctx)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// A process that dies at any step can be started again, and nothing is lost or doubled.
func TestMoveAfterACrash(t *testing.T) {
	t.Parallel()
	const copied, committed, marked = "state-copied", "state-copy-committed", "state-marked"
	inFile := func(t *testing.T, p place) {
		s := p.openFile(t)
		record(t, s, "quiet", store.Failure)
		require.NoError(t, s.Close())
	}
	inDatabase := func(t *testing.T, p place) {
		s := p.openDatabase(t)
		record(t, s, "quiet", store.Failure)
		require.NoError(t, s.Close())
	}
	for _, c := range []struct {
		name, at string
		between  []func(*testing.T, place)
		results  string // afterwards
		again    migrate.Done
		refused  string
	}{
		{name: "before the commit", at: copied, results: "4"},
		{name: "before the commit, and something is stored in the file", at: copied, between: []func(*testing.T, place){inFile}, results: "5"},
		{name: "after the commit", at: committed, results: "4", again: migrate.Done{Imported: postgres.Imported{Already: true}}},
		{name: "after the commit, and something is stored in the file", at: committed, between: []func(*testing.T, place){inFile}, results: "5"},
		{
			name: "after the commit, and something is stored in the database", at: committed, between: []func(*testing.T, place){inDatabase}, results: "5",
			again: migrate.Done{Imported: postgres.Imported{Already: true}},
		},
		{
			name: "after the commit, and something is stored in both", at: committed, between: []func(*testing.T, place){inFile, inDatabase}, results: "5",
			refused: "results were stored in both",
		},
		{name: "after the mark", at: marked, results: "4", again: migrate.Done{Earlier: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.fill(t)
			testhost.Command(t, "mover", p.file, p.url, p.schema, c.at).Dies()
			for _, f := range c.between {
				f(t, p)
			}
			if c.refused != "" {
				require.ErrorContains(t, p.refused(t), c.refused)
				require.ErrorContains(t, p.refused(t), "DROP SCHEMA "+p.schema)
				require.Equal(t, c.results, p.text(t, `SELECT count(*) FROM adfbot.result`))
				p.exec(t, `DROP SCHEMA `+p.schema+` CASCADE`) // to keep the file
			}
			done := p.mustMove(t)
			require.Equal(t, c.again.Earlier, done.Earlier)
			require.Equal(t, c.again.Already, done.Already)
			require.Equal(t, c.results, p.text(t, `SELECT count(*) FROM adfbot.result`))
			require.True(t, p.mustMove(t).Earlier)
			s := p.openDatabase(t)
			record(t, s, "quiet", store.Success)
			held, err := s.Hold(t.Context(), "held")
			require.NoError(t, err)
			require.NotNil(t, held)
		})
	}
}

// The connection breaks after ever more bytes. Each time nothing has changed, or the next call finds what is there.
func TestMoveWhenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	server := testpg.New(t)
	proxy := server.Proxy(t)
	p := newPlace(t)
	p.url, p.schema = proxy.URL(), "adfbot"
	p.fill(t)
	moved := false
	for upTo := 100; !moved; upTo += 1500 {
		left := upTo
		proxy.SetFilters(func(data []byte) ([]byte, bool) {
			left -= len(data)
			return data, left < 0
		}, nil)
		_, err := p.move(t.Context())
		if moved = err == nil; !moved {
			require.ErrorIs(t, err, store.ErrUnusable)
			require.NotContains(t, err.Error(), "damaged")
		}
	}
	proxy.SetFilters(nil, nil)
	require.True(t, p.mustMove(t).Earlier)
	require.Equal(t, "4", p.text(t, `SELECT count(*) FROM adfbot.result`))
}

func TestMoveRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(t *testing.T, p *place)
		want   string
	}{
		{"without a file", func(t *testing.T, p *place) { require.NoError(t, os.Remove(p.file)) }, "there is no state at .*adfbot.db, so nothing has to be moved"},
		{"a log without its file", func(t *testing.T, p *place) {
			require.NoError(t, os.Remove(p.file))
			require.NoError(t, os.WriteFile(p.file+"-wal", []byte("x"), 0o600))
		}, "the file is missing or empty"},
		{"an empty file", func(t *testing.T, p *place) { require.NoError(t, os.Truncate(p.file, 0)) }, "nothing is in"},
		{"another file", func(t *testing.T, p *place) {
			require.NoError(t, os.WriteFile(p.file, []byte("hello, this is text"), 0o600))
		}, "the file is damaged"},
		{"a damaged file", func(t *testing.T, p *place) { damage(t, p.file) }, "the file is damaged"},
		{"a value that adfbot never writes", func(t *testing.T, p *place) {
			inFile(t, p.file, `UPDATE result SET recorded_at = 'yesterday' WHERE id = 2`)
		}, "the file is damaged.*copying the table result.*a string in the column recorded_at"},
		{"a spool that is not empty", func(t *testing.T, p *place) {
			_, err := hostlocal.Beside(p.file).Spool().Add(store.Result{Project: "odilo", RunID: "1"})
			require.NoError(t, err)
		}, "spool holds 1 result: run `adfbot sweep` first"},
		{"a spool beside the file, and local_dir is another", func(t *testing.T, p *place) {
			_, err := hostlocal.Beside(p.file).Spool().Add(store.Result{Project: "odilo", RunID: "1"})
			require.NoError(t, err)
			p.local = hostlocal.At(t.TempDir())
		}, "spool .*adfbot.db.d/spool holds 1 result"},
		{"a run that goes on", func(t *testing.T, p *place) {
			local := hostlocal.Beside(p.file)
			require.NoError(t, local.Create(t.Context()))
			release, err := local.LockRun("feed0000000000000000000000000000", store.Settings{})
			require.NoError(t, err)
			t.Cleanup(release)
		}, "a run of quiet goes on"},
		{"a password in the URL", func(t *testing.T, p *place) { p.url = "postgres://adfbot:secret@localhost/adfbot" }, "holds a password"},
		{"another kind of place", func(t *testing.T, p *place) { p.url = "/var/lib/adfbot.db" }, "not with postgres://"},
		{"no server", func(t *testing.T, p *place) {
			p.url = "postgres://adfbot@/adfbot?host=" + filepath.Dir(p.file) + "&connect_timeout=1"
		}, "no server that can be written to is reached"},
		{"a newer schema", func(t *testing.T, p *place) {
			p.openDatabase(t).Close()
			p.exec(t, `UPDATE adfbot.meta SET value = '999' WHERE key = 'schema_version'`)
		}, "a newer version of adfbot has upgraded the state"},
		{"the database of another installation", func(t *testing.T, p *place) { p.openDatabase(t).Close() }, "holds the state of another installation. To join that, this host leaves its own state behind: see `adfbot help fleet`"},
		{"a database with results", func(t *testing.T, p *place) {
			id := p.openFile(t).Installation()
			s, err := postgres.Open(t.Context(), p.url, postgres.Options{Schema: p.schema, Host: host, Sentinel: func() (string, error) { return id, nil }})
			require.NoError(t, err)
			record(t, s, "odilo", store.Success)
			require.NoError(t, s.Close())
		}, "something was stored there before the file was moved.*DROP SCHEMA .* CASCADE`, run this again, and `adfbot restore` with the new configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.fill(t)
			c.before(t, &p)
			require.Regexp(t, c.want, strings.ReplaceAll(p.refused(t).Error(), "\n", " "))
		})
	}
}

func damage(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, 4096), info.Size()/2/4096*4096)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func inFile(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
	require.NoError(t, db.Close())
}

func TestMoveWaitsForNobody(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t)
	c := testhost.Command(t, "holder", p.file)
	c.StartReady()
	defer c.Release()
	err := p.refused(t)
	require.ErrorContains(t, err, fmt.Sprintf("process %d has the state", c.Process.Pid))
	require.ErrorContains(t, err, "stop the daemon and wait until no `adfbot exec` runs, see `adfbot help migrate`")
}

// holder has a state open, as a daemon has.
func holder(self testhost.Self) int {
	s, err := sqlite.Open(context.Background(), os.Args[1], sqlite.Options{})
	if err != nil {
		panic(err)
	}
	self.Ready()
	_ = s.Close()
	return 0
}

func TestMoveTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t)
	var wg sync.WaitGroup
	var done [2]migrate.Done
	var errs [2]error
	for n := range done {
		wg.Go(func() { done[n], errs[n] = p.move(t.Context()) })
	}
	wg.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	require.NotEqual(t, done[0].Earlier, done[1].Earlier)
	require.Equal(t, "4", p.text(t, `SELECT count(*) FROM adfbot.result`))
}
