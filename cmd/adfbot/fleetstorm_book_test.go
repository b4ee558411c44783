package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// The fleet's storm's own book: what was done on which host and when, and what the triggers in the database wrote down. All clocks are
// this machine's.

type fleetBook struct {
	s *fleetStorm

	mu      sync.Mutex
	entries []entry
	deeds   []*fleetDeed
	faults  []string // that were broken promises
	removed []*removal
	touched []*episode
	dirs    []*episode  // pause directories that were replaced or wiped
	orders  []*episode  // comments of operators
	told    []told      // the same, about steps
	shifted []time.Time // when all was made a while older
}

// episode is something that somebody did.
type episode struct {
	host          *fleetHost
	project, what string
	stop          bool // of an order: it is about all projects
	begun, ended  time.Time
	round         int
}

// removal is the removal of a flag by a person.
type removal struct {
	episode
	pause string // its id, from the note of a flag that nobody had touched; "": whichever
	local bool   // it was written because of failures that could not be stored
	empty bool   // the directory had no sentinel
	used  bool   // it explains the end of a pause
}

func newFleetBook(s *fleetStorm) *fleetBook { return &fleetBook{s: s} }

func (b *fleetBook) wrong(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

func (b *fleetBook) note(begun time.Time, who, what, answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entry{begun, time.Now(), who, what, answer})
}

func (b *fleetBook) attempt(d *fleetDeed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deeds = append(b.deeds, d)
	d.N = len(b.deeds)
}

func (b *fleetBook) answered(d *fleetDeed) {
	answer := fmt.Sprint(d.Code)
	if d.killed {
		answer = "killed"
	}
	b.note(d.Begun, fmt.Sprintf("p%d on %s", d.N, d.host.name), d.move.String(), answer+"\n"+d.Stdout+d.Stderr)
}

func (b *fleetBook) episode(h *fleetHost, project, what string) episode {
	return episode{host: h, project: project, what: what, begun: time.Now(), ended: time.Now().Add(time.Hour), round: b.s.at}
}

// begin notes something that somebody does until done is called.
func (b *fleetBook) begin(to *[]*episode, h *fleetHost, project, what string) (done func()) {
	e := b.episode(h, project, what)
	b.mu.Lock()
	defer b.mu.Unlock()
	*to = append(*to, &e)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		e.ended = time.Now()
	}
}

func (b *fleetBook) touching(h *fleetHost, project string) (done func()) {
	return b.begin(&b.touched, h, project, "")
}

// comment notes a command by comment in an issue, which is carried out at any time after it, on any host.
func (b *fleetBook) comment(m move, body string) {
	if m.Who == stranger {
		return
	}
	words := strings.Fields(m.Args[0])
	if len(words) > 2 && words[2] == "all" {
		for project := range stormProjects {
			_ = b.begin(&b.orders, nil, project, words[1])
			b.mu.Lock()
			b.orders[len(b.orders)-1].stop = true
			b.mu.Unlock()
		}
		return
	}
	for _, of := range carried(body) {
		_ = b.begin(&b.orders, nil, of.project, words[1])
	}
}

var noteID = expression(`(?m)^(?:incident: \S+|hold: \S+) ([0-9a-f]{32})$`)

// removing notes the removal of a flag. done is called with what was removed, or with nil if there was no flag.
func (b *fleetBook) removing(h *fleetHost, project string) (done func(content []byte, changed time.Time)) {
	_, err := os.Lstat(h.path("pause/.adfbot"))
	r := &removal{episode: b.episode(h, project, ""), empty: err != nil}
	return func(content []byte, changed time.Time) {
		if content == nil {
			return
		}
		id := noteID().FindSubmatch(content)
		if id != nil && changed.Nanosecond() == 0 && strings.Contains(string(content), "\nwritten: "+changed.UTC().Format(time.RFC3339)+"\n") {
			r.pause = string(id[1])
		}
		r.local = strings.Contains(string(content), "could not be stored")
		b.mu.Lock()
		defer b.mu.Unlock()
		r.ended = time.Now()
		b.removed = append(b.removed, r)
	}
}

// endRuns waits for the commands that killed execs have left behind.
func (b *fleetBook) endRuns() {
	for _, d := range b.deeds {
		for _, pid := range b.ran(d) {
			env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // ids are used again
			if !strings.Contains(string(env), "ADFBOT_CONFIG="+b.s.dir) {
				continue
			}
			if err := testhost.WaitGone(pid); err != nil {
				b.wrong("7: the command of p%d: %v", d.N, err)
			}
		}
	}
}

// ran are the process ids under which the command of an exec was started.
func (b *fleetBook) ran(d *fleetDeed) []int {
	if d.What != "exec" {
		return nil
	}
	return pids(b.s.path(fmt.Sprint("ran/", d.N)))
}

// fleetEvent is what a trigger wrote down.
type fleetEvent struct {
	N                              int64
	At                             time.Time
	App, What, Project, Host, Kind string
	Was, Pause                     string // of "pause" and "hold", before and after it; Pause of "flag" and "unflag"
	Generation                     int64
}

func (e fleetEvent) String() string {
	return fmt.Sprintf("%s %s by %s: %s %s%s -> %s %s, generation %d", moment(e.At), e.What, e.App, e.Project, e.Host, e.Was, e.Pause, e.Kind, e.Generation)
}

func (s *fleetStorm) installTriggers() {
	testpg.Exec(s.t, s.pg.URL(), `
CREATE SCHEMA storm;
CREATE TABLE storm.event (
	n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	app text NOT NULL DEFAULT current_setting('application_name'),
	what text NOT NULL, project text NOT NULL, host text NOT NULL DEFAULT '', kind text NOT NULL DEFAULT '',
	was text NOT NULL DEFAULT '', pause text NOT NULL DEFAULT '', generation bigint NOT NULL DEFAULT 0
);
CREATE FUNCTION storm.project() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE was_pause text := ''; was_hold text := ''; was_generation bigint := 0;
BEGIN
	IF TG_OP = 'UPDATE' THEN
		was_pause := coalesce(OLD.pause, ''); was_hold := coalesce(OLD.hold, ''); was_generation := OLD.generation;
	END IF;
	IF was_pause <> coalesce(NEW.pause, '') OR was_generation <> NEW.generation THEN
		INSERT INTO storm.event (what, project, was, pause, generation) VALUES ('pause', NEW.id, was_pause, coalesce(NEW.pause, ''), NEW.generation);
	END IF;
	IF was_hold <> coalesce(NEW.hold, '') THEN
		INSERT INTO storm.event (what, project, was, pause, generation, kind) VALUES ('hold', NEW.id, was_hold, coalesce(NEW.hold, ''), NEW.generation, NEW.hold_stop);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER storm AFTER INSERT OR UPDATE ON adfbot.project FOR EACH ROW EXECUTE FUNCTION storm.project();
CREATE FUNCTION storm.flag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO storm.event (what, project, host, pause) VALUES ('unflag', OLD.project, OLD.host, OLD.pause);
	ELSE
		INSERT INTO storm.event (what, project, host, pause, kind) VALUES ('flag', NEW.project, NEW.host, NEW.pause, NEW.kind);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER storm AFTER INSERT OR UPDATE OR DELETE ON adfbot.host_flag FOR EACH ROW EXECUTE FUNCTION storm.flag();`)
}

// queryFleet reads rows of the state.
func queryFleet[T any](s *fleetStorm, query string) []T {
	ctx, cancel := context.WithTimeout(context.Background(), testhost.Patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.pg.URL())
	require.NoError(s.t, err)
	defer func() { _ = c.Close(ctx) }()
	rows, err := c.Query(ctx, query)
	require.NoError(s.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	require.NoError(s.t, err)
	return all
}

func (s *fleetStorm) events() []fleetEvent {
	return queryFleet[fleetEvent](s, `SELECT n, at, app, what, project, host, kind, was, pause, generation FROM storm.event ORDER BY n`)
}

// writes counts the requests that changed something in Gitea.
func (s *fleetStorm) writes() (n int) {
	for _, r := range s.Requests() {
		if r.Method != "GET" {
			n++
		}
	}
	return n
}

// story is all of it, in the order in which things began.
func (b *fleetBook) story(events []fleetEvent) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries := slices.Clone(b.entries)
	for _, e := range events {
		host := e.Host
		for _, h := range b.s.hosts {
			host = strings.ReplaceAll(host, h.id, h.name+" ")
		}
		e.Host = host
		entries = append(entries, entry{e.At, e.At, "state", e.String(), ""})
	}
	by := map[string]string{}
	for _, d := range b.deeds {
		by[d.address()] = "p" + strconv.Itoa(d.N)
	}
	for _, r := range b.s.Requests() {
		from, _, _ := strings.Cut(r.From, ":")
		answer := fmt.Sprint(r.Status)
		if r.Fault != "" {
			answer += " by fault: " + r.Fault
		}
		entries = append(entries, entry{r.At, r.At, by[from], "  " + r.Method + " " + r.Path, answer})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.begun.Compare(b.begun) })
	var out strings.Builder
	for _, e := range entries {
		took := ""
		if d := e.ended.Sub(e.begun).Milliseconds(); d > 0 {
			took = fmt.Sprintf(" (%d ms)", d)
		}
		answer := strings.ReplaceAll(strings.TrimSpace(e.answer), "\n", "\n              | ")
		fmt.Fprintf(&out, "%s %s: %s%s -> %s\n", moment(e.begun), e.who, e.what, took, answer)
	}
	return out.String()
}

// summary counts what has happened: a storm in which nothing happens proves nothing.
func (b *fleetBook) summary() string {
	n := map[string]int{"removals": len(b.removed), "touches": len(b.touched), "directories": len(b.dirs), "orders": len(b.orders)}
	for _, d := range b.deeds {
		n[fmt.Sprintf("%s=%d", d.What, d.Code)]++
		if strings.Contains(d.Stderr, "is kept in") {
			n["spooled"]++
		}
	}
	for _, e := range b.s.events() {
		switch {
		case e.What == "pause" && e.Was != "" && e.Pause == "":
			n["resumes by state"]++
		case e.What == "pause" && e.Was == "":
			n["pauses by state"]++
		}
	}
	for _, repo := range []string{theRepo, otherRepo} {
		n["issues"] += len(b.s.Issues(repo))
	}
	n["requests"], n["pages"], n["told"] = b.s.Operations(), len(b.s.pager.pages()), len(b.told)
	n["silences"] = len(b.s.silences())
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range b.s.Issues(repo) {
			n["steps"] += len(saidIn(i))
		}
	}
	return fmt.Sprint("did ", n)
}
