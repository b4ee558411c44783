package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
)

// The storm over a fleet: three hosts, each with a daemon, with commands and with a proxy before PostgreSQL that breaks. People
// remove and make flags on any of them, directories vanish, processes are killed and stopped, PostgreSQL is killed, and Gitea has
// its faults. Triggers in the database write down each pause, resume and confirmation, by which the checker knows what happened and
// which host did it (fleetstorm_check_test.go). It has the flags of TestStorm:
//
//	go test ./cmd/adfbot -run TestFleetStorm -seed 17            one seed
//	go test ./cmd/adfbot -run TestFleetStorm -seeds 30           the seeds 1 to 30
func TestFleetStorm(t *testing.T) {
	t.Parallel()
	for _, seed := range seedsOfTheFleetStorm() {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			s := newFleetStorm(t, drawFleetPlan(seed))
			for n := range s.plan.Rounds {
				s.blow(n)
				s.calm()
				if !s.check() {
					return
				}
			}
			t.Log(s.book.summary())
		})
	}
}

func seedsOfTheFleetStorm() (seeds []uint64) {
	if *stormSeeds == 0 && *stormSeed == 0 {
		return []uint64{3, 4} // which do not take long
	}
	for k := range max(*stormSeeds, 1) {
		seeds = append(seeds, max(*stormSeed, 1)+k)
	}
	return seeds
}

// fleetStorm is one seed's world.
type fleetStorm struct {
	t   *testing.T
	dir string
	*gitea
	pg    *testpg.Server
	plan  fleetPlan
	hosts []*fleetHost
	book  *fleetBook
	pager *pager
	at    int // round
	begun time.Time

	pgMu sync.Mutex // held by whoever has PostgreSQL killed
}

// fleetHost is one machine.
type fleetHost struct {
	*fleetStorm
	n     int
	name  string
	proxy *testpg.Proxy
	id    string // its id in the fleet

	dirMu sync.RWMutex // held by whoever replaces the pause directory, shared by whoever changes flags in it
	netMu sync.Mutex   // held by whoever breaks its connections to PostgreSQL
}

func newFleetStorm(t *testing.T, plan fleetPlan) *fleetStorm {
	s := &fleetStorm{t: t, dir: t.TempDir(), plan: plan, begun: time.Now(), pg: testpg.New(t, "max_connections=200")}
	var err error
	s.gitea, err = newGitea()
	require.NoError(t, err)
	t.Cleanup(s.close)
	for _, login := range []string{operator, stranger} {
		s.AddUser(login, giteatest.UserOptions{})
	}
	s.book = newFleetBook(s)
	s.pager = newPager(t, time.Now)
	require.NoError(t, os.Mkdir(s.path("ran"), 0o755))
	for n, name := range fleetHosts {
		h := &fleetHost{fleetStorm: s, n: n, name: name, proxy: s.pg.Proxy(t)}
		s.hosts = append(s.hosts, h)
		h.prepare()
	}
	s.installTriggers()
	if plan.Rounds[0].Later { // somebody has looked before
		out, code := s.hosts[0].inProcess("sweep")
		require.Zero(t, code, out)
	}
	return s
}

func (s *fleetStorm) path(name string) string { return filepath.Join(s.dir, name) }

func (h *fleetHost) path(name string) string { return filepath.Join(h.dir, h.name, name) }

// prepare makes what a host has before the storm: it has joined the fleet.
func (h *fleetHost) prepare() {
	t := h.t
	require.NoError(t, os.MkdirAll(h.path("home"), 0o755))
	require.NoError(t, os.WriteFile(h.path("token"), []byte(botToken+"\n"), 0o600))
	require.NoError(t, os.WriteFile(h.path("pager-url"), []byte(h.pager.URL+"/"+pagerPath+"\n"), 0o600))
	for name, text := range map[string]string{"quota": quotaText, "revoked": revokedText} {
		require.NoError(t, os.WriteFile(h.path(name), []byte(text), 0o600))
	}
	state := testpg.WithParameter(t, h.proxy.URL(), "application_name", h.name)
	text := strings.NewReplacer("$WORK", h.path(""), "$URL", h.url(), "$STATE", state, "$HOST", h.name).Replace(h.plan.Config)
	require.NoError(t, os.WriteFile(h.path("config.yaml"), []byte(text), 0o644))
	require.NoError(t, h.restoreAtLast())
	content, err := os.ReadFile(h.path("local/host"))
	require.NoError(t, err)
	h.id = strings.Fields(string(content))[0]
}

// inProcess runs a command in this process, which is cheap.
func (h *fleetHost) inProcess(args ...string) (string, int) {
	var out bytes.Buffer
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), testhost.Patience)
	defer cancel()
	code := run(ctx, append([]string{"-v"}, args...), process{
		stdin: strings.NewReader(""), stdout: &out, stderr: &out,
		getenv: func(name string) string {
			switch name {
			case "ADFBOT_CONFIG":
				return h.path("config.yaml")
			case "HOME":
				return h.path("home")
			}
			return ""
		},
	})
	h.book.note(begun, h.name+" in the calm", "adfbot "+strings.Join(args, " "), fmt.Sprintf("%d\n%s", code, out.String()))
	return out.String(), code
}

// blow does everything of a round at once, and returns when all of it has ended but the daemons.
func (s *fleetStorm) blow(n int) {
	s.at = n
	r := s.plan.Rounds[n]
	s.book.note(time.Now(), "storm", fmt.Sprint("round ", n, " begins"), "")
	if r.Later {
		s.later()
	}
	for _, f := range r.Faults {
		s.spoil(f.fault())
	}
	begun := time.Now()
	var daemons, all sync.WaitGroup
	over := make(chan struct{})
	defer daemons.Wait() // also where a failure ends the test
	defer close(over)
	for k, h := range s.hosts {
		daemons.Go(func() { h.supervise(r.Daemons[k], over) })
	}
	for _, m := range r.Moves {
		all.Go(func() {
			time.Sleep(time.Until(begun.Add(m.At))) // when something happens in the storm is drawn: there is no event to wait for
			s.hosts[m.Host].move(m.move)
		})
	}
	all.Wait()
	s.heal()
	s.agree()
}

// heal ends the faults.
func (s *fleetStorm) heal() {
	s.mend()
	s.pager.turn("")
	require.NoError(s.t, s.up())
	s.Wait()
	for _, h := range s.hosts {
		h.restore()
	}
	s.book.note(time.Now(), "storm", "all is healed", "")
}

// agree waits until the daemons have brought all directories in line with the state, and have recorded what was spooled.
func (s *fleetStorm) agree() {
	if err := s.await(s.disagreement); err != nil {
		s.book.wrong("5: the daemons do not come to an end: %v", err)
	}
}

// calm lets the time pass that leases and waits take, while no process runs. Then sweeps finish the work.
func (s *fleetStorm) calm() {
	s.book.endRuns()
	if h := s.plan.Rounds[s.at].Cut; h.How != "" {
		s.hosts[0].process(move{What: "sweep", Args: []string{"sweep"}, Hit: h}, nil)
	}
	testpg.Exec(s.t, s.pg.URL(), `UPDATE adfbot.claim SET until = clock_timestamp() - interval '1 second'`)
	if s.plan.Rounds[s.at].Look {
		s.lookTogether()
	}
	sweep := func() string {
		for _, h := range s.hosts {
			if out, code := h.inProcess("sweep"); code != 0 {
				return fmt.Sprintf("the sweep on %s ends with %d: %s", h.name, code, out)
			} else if strings.Contains(out, "\nwaiting ") {
				return fmt.Sprintf("the sweep on %s leaves something for later: %s", h.name, out)
			}
		}
		return ""
	}
	if err := s.await(func() string {
		writes, events := s.writes(), len(s.events())
		why := sweep()
		if n := s.writes() - writes; why == "" && n > 0 { // what the issues say of hosts follows later
			why = fmt.Sprintf("%d requests of the sweeps still change something", n)
		}
		if n := len(s.events()) - events; why == "" && n > 0 { // the other hosts may have to follow what the last one has found
			why = fmt.Sprintf("the sweeps still change %d facts in the state", n)
		}
		if why == "" {
			why = s.disagreement()
		}
		if why == "" {
			why = s.unfinished()
		}
		return why
	}); err != nil {
		s.book.wrong("5: sweeps do not come to an end: %v", err)
		return
	}
	// Now there is nothing left to do. A busy machine may let a request time out.
	events, requests := len(s.events()), s.writes()
	err := s.await(sweep)
	if n := s.writes(); err != nil || n != requests || len(s.events()) != events {
		s.book.wrong("5: after the calm there was something left to do: %v, %d requests more", err, n-requests)
	}
}

// await asks until complain returns "", whenever something has changed, and gives up after [testhost.Patience].
func (s *fleetStorm) await(complain func() string) error {
	changes := testhost.NewChanges()
	for _, h := range s.hosts {
		for _, dir := range []string{"pause", "local/spool"} {
			stop, err := changes.Watch(h.path(dir))
			require.NoError(s.t, err)
			defer stop()
		}
	}
	over := make(chan struct{})
	defer close(over)
	go func() { // nothing tells of a commit
		for {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
				changes.Report()
			}
		}
	}()
	return changes.Await(complain)
}
