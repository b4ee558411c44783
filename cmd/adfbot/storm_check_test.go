package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The checker holds what is there against the promises of the design, and against the book. It reads flags, issues and the
// database itself; it asks the bot for nothing.

// checker looks at one world in the calm after a round.
type checker struct {
	*storm
	installation string
	incidents    []storedIncident
	silent       []storedIncident
	projects     map[string]storedProject
	holds        map[string]bool
	held         map[string]storedHold
	inForce      []stopInForce
	results      []storedResult
	runs         int
	flags        map[string]string // notes by project
	issues       []target          // all of both repositories
}

type storedIncident struct {
	id, project   string
	opened, ended time.Time // ended: zero while it is open
	rebuilt       bool
	how           string
}

type storedHold struct {
	stop  string
	until time.Time // zero: it does not end by itself
}

type storedProject struct {
	generation, failures int
	tripped, halfOpen    bool
}

type storedResult struct {
	project, agent, run, outcome, class, detail, incident string
	counted, tripped                                      bool
	failures, threshold                                   int
	recorded                                              time.Time
}

// check tells whether all promises hold after a round; where not it says which, and tells the whole story.
func (s *storm) check(round int) bool {
	c := &checker{storm: s, projects: map[string]storedProject{}, holds: map[string]bool{}, held: map[string]storedHold{}, flags: map[string]string{}}
	c.look()
	c.leftovers()
	c.incidentsAndFlags()
	c.stops()
	c.silences()
	c.issuesAndIncidents()
	c.steps()
	c.strangers()
	c.trips()
	c.history()
	c.gates()
	c.secrets()
	if len(s.book.faults) > 0 {
		s.t.Errorf("seed %d, round %d:\n%s\n\nthe plan:\n%s\nthe story:\n%s\nthe issues:\n%s\nthe state:\n%s", s.plan.Seed, round,
			strings.Join(s.book.faults, "\n"), s.plan, s.book, s.book.issues(), c)
		return false
	}
	c.remember()
	return s.again()
}

// again sweeps once more: after the calm there is nothing left to do.
func (s *storm) again() bool {
	s.book.writes = nil
	out, code := s.inProcess("sweep")
	if code == 0 && len(s.book.writes) == 0 {
		return true
	}
	s.t.Errorf("seed %d: one sweep was not enough: the next ended with %d and did %q\n%s\nthe plan:\n%s\nthe story:\n%s\nthe issues:\n%s",
		s.plan.Seed, code, s.book.writes, out, s.plan, s.book, s.book.issues())
	return false
}

// look reads everything.
func (c *checker) look() {
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range c.Issues(repo) {
			c.issues = append(c.issues, target{repo, i, markerOf(i.Body)})
		}
	}
	entries, err := os.ReadDir(c.path("pause"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.book.wrong("the pause directory: %v", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			b, err := os.ReadFile(c.path("pause/" + e.Name()))
			require.NoError(c.t, err)
			c.flags[e.Name()] = string(b)
		}
	}
	if info, err := os.Stat(c.path("state/adfbot.db-wal")); err == nil && info.Size() > 0 {
		c.book.wrong("7: the write-ahead log was not folded in, it has %d bytes", info.Size())
	}
	db, err := sql.Open("sqlite", "file:"+c.path("state/adfbot.db")+"?immutable=1")
	require.NoError(c.t, err)
	defer func() { _ = db.Close() }()
	c.query(db, `SELECT value FROM meta WHERE key = 'installation'`, func(r *sql.Rows) error { return r.Scan(&c.installation) })
	c.query(db, `SELECT count(*) FROM run`, func(r *sql.Rows) error { return r.Scan(&c.runs) })
	for table, to := range map[string]*[]storedIncident{"incident": &c.incidents, "silence": &c.silent} {
		c.query(db, `SELECT id, project, opened_at, ended_at, coalesce(json_extract(doc, '$.Rebuilt'), 0), coalesce(json_extract(doc, '$.EndedHow'), '')
		FROM `+table+` ORDER BY project, seq`, func(r *sql.Rows) error {
			var i storedIncident
			var opened int64
			var ended sql.NullInt64
			if err := r.Scan(&i.id, &i.project, &opened, &ended, &i.rebuilt, &i.how); err != nil {
				return err
			}
			i.opened = time.UnixMilli(opened)
			if ended.Valid {
				i.ended = time.UnixMilli(ended.Int64)
			}
			*to = append(*to, i)
			return nil
		})
	}
	c.query(db, `SELECT project, stop, until FROM hold`, func(r *sql.Rows) error {
		var id string
		var h storedHold
		var until sql.NullInt64
		if err := r.Scan(&id, &h.stop, &until); err != nil {
			return err
		}
		if until.Valid {
			h.until = time.UnixMilli(until.Int64)
		}
		c.holds[id], c.held[id] = true, h
		return nil
	})
	c.query(db, `SELECT id, doc, coalesce((SELECT group_concat(project, ' ') FROM stop_project WHERE stop = stop.id), '') FROM stop WHERE ended_at IS NULL`,
		func(r *sql.Rows) error {
			var id, doc, covered string
			if err := r.Scan(&id, &doc, &covered); err != nil {
				return err
			}
			s, err := newStopInForce(id, doc, covered)
			c.inForce = append(c.inForce, s)
			return err
		})
	c.query(db, `SELECT id, generation, failures, tripped, half_open FROM project`, func(r *sql.Rows) error {
		var id string
		var p storedProject
		if err := r.Scan(&id, &p.generation, &p.failures, &p.tripped, &p.halfOpen); err != nil {
			return err
		}
		c.projects[id] = p
		return nil
	})
	c.query(db, `SELECT project, agent, run_id, outcome, class, detail, counted, failures, threshold, incident, tripped, recorded_at FROM result ORDER BY id`,
		func(r *sql.Rows) error {
			var x storedResult
			var run, incident sql.NullString
			var recorded int64
			err := r.Scan(&x.project, &x.agent, &run, &x.outcome, &x.class, &x.detail, &x.counted, &x.failures, &x.threshold, &incident, &x.tripped, &recorded)
			if err != nil {
				return err
			}
			x.run, x.incident, x.recorded = run.String, incident.String, time.UnixMilli(recorded)
			c.results = append(c.results, x)
			return nil
		})
}

func (c *checker) query(db *sql.DB, text string, row func(*sql.Rows) error) {
	rows, err := db.Query(text)
	if err != nil {
		c.book.wrong("the state can't be read: %v", err)
		return
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		require.NoError(c.t, row(rows))
	}
	require.NoError(c.t, rows.Err())
}

func moment(t time.Time) string { return t.UTC().Format("02T15:04:05.000") }

func (c *checker) String() string {
	var b strings.Builder
	for _, i := range slices.Concat(c.incidents, c.silent) {
		fmt.Fprintf(&b, "%s %s opened %s ended %s, rebuilt %t, %s\n", i.project, i.id, moment(i.opened), moment(i.ended), i.rebuilt, i.how)
	}
	for id, p := range c.projects {
		fmt.Fprintf(&b, "%s %+v, held %t %+v\n", id, p, c.holds[id], c.held[id])
	}
	for _, r := range c.results {
		fmt.Fprintf(&b, "%s %s %s %q %s counted %t failures %d of %d tripped %t incident %s\n",
			moment(r.recorded), r.project, r.agent, r.run, r.outcome, r.counted, r.failures, r.threshold, r.tripped, r.incident)
	}
	for project, note := range c.flags {
		fmt.Fprintf(&b, "flag %s: %s\n", project, strings.ReplaceAll(strings.TrimSpace(note), "\n", " / "))
	}
	return b.String()
}

// leftovers: nothing is left behind by anybody (7).
func (c *checker) leftovers() {
	if c.runs > 0 {
		c.book.wrong("7: %d runs are noted, and no process runs", c.runs)
	}
	_ = filepath.WalkDir(c.path("state"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(c.path("state"), path)
		switch dir, name := filepath.Split(rel); {
		case dir == "" && slices.Contains([]string{"adfbot.db", "adfbot.db-wal", "adfbot.db-shm"}, name):
		case dir == "adfbot.db.d/spool/" && strings.HasSuffix(name, ".ready"):
		case rel == "adfbot.db.d/.adfbot":
		case rel == "adfbot.db.d/locks":
			if err := lockWhole(path); err != nil {
				c.book.wrong("7: a lock in %s is held by nobody who runs: %v", rel, err)
			}
		default:
			c.book.wrong("7: %s was left behind", rel)
		}
		return nil
	})
	entries, _ := os.ReadDir(c.path("pause"))
	for _, e := range entries {
		// A killed writer's file goes after an hour, when the next flag is written; so does that of one whose rights went.
		if strings.HasPrefix(e.Name(), ".tmp") && !c.book.deadly() && !c.plan.Denied {
			c.book.wrong("7: %s was left in the pause directory, and nobody was killed", e.Name())
		}
	}
}

// lockWhole takes and releases all locks of a file at once.
func lockWhole(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	return errors.Join(err, f.Close())
}

func (b *book) deadly() bool {
	return slices.ContainsFunc(b.deeds, func(d *deed) bool { return d.signaled })
}

// incidentsAndFlags: what is open has its flag, and what has ended was ended by somebody (4, 5).
// resumed tells whether somebody can have ended the incident while it was open.
// released tells whether somebody resumed the project in this round.
// held tells whether somebody paused the project since it was last seen running in a calm.
// issuesAndIncidents: one issue for each incident, open as long as it is (2, 5), and nothing is said twice.
// reopened tells whether a person has opened the issue last.
// strangers: what is not the bot's is as people left it (3).
// trips: what was acknowledged is there (1).
// answerOf is what record --json said.
// history: each result that was acknowledged stands there once, and the counts follow from the results (1).
// outcomes: what exec recorded is how its command ended.
// replay counts a project's results anew. A resume is seen by a count that begins again; there are at most as many as the
// project has generations.
// gates: a project that was paused before the round, and that nobody resumed, was not let run (4).
// secrets stand nowhere (6).
func (c *checker) secrets() {
	for _, i := range c.issues {
		at := fmt.Sprintf("issue %s#%d", i.repo, i.Number)
		c.book.heard(at, i.Title+"\n"+i.Body)
		for _, m := range i.Comments {
			c.book.heard("a comment of "+at, m.Body)
		}
	}
	for _, dir := range []string{"state", "pause", "home"} {
		_ = filepath.WalkDir(c.path(dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil
			}
			b, err := os.ReadFile(path)
			for _, secret := range secrets {
				if err == nil && bytes.Contains(b, []byte(secret)) {
					c.book.wrong("6: %s holds a secret: %s", path, secret)
				}
			}
			return nil
		})
	}
}

// remember keeps what the next round begins with.
func (c *checker) remember() {
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	for project := range stormProjects {
		now := projectCalm{at: c.now()}
		_, now.flagged = c.flags[project]
		for _, i := range c.incidents {
			if i.project == project && i.ended.IsZero() {
				now.open = i.id
			}
		}
		for _, i := range c.silent {
			if i.project == project && i.ended.IsZero() {
				now.silent = i.id
			}
		}
		if now.open == "" {
			now.stop, now.until = c.held[project].stop, c.held[project].until
		}
		c.book.calm[project] = now
	}
}
