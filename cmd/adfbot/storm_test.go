package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
)

// The storm is a randomised test of the whole bot. One seed is one installation with its own Gitea and a few rounds. In a
// round processes, people and faults are at it all at once: everything was drawn from the seed before it begins
// (storm_plan_test.go), so that a seed does the same again; only the scheduling differs. Then the faults end, what must wait
// has waited, one sweep runs, and a checker that asks neither the bot's plan nor its status (storm_check_test.go) holds
// flags, issues, requests and state against the promises and against the book of what was done and answered.
//
//	go test ./cmd/adfbot -run TestStorm -seed 17            one seed
//	go test ./cmd/adfbot -run TestStorm -seeds 100          the seeds 1 to 100
//	go test ./cmd/adfbot -run TestStorm -seed 17 -seeds 5   the seeds 17 to 21
var (
	stormSeed  = flag.Uint64("seed", 0, "TestStorm: the first seed; 0: a few, and with -full those that once found a fault")
	stormSeeds = flag.Uint64("seeds", 0, "TestStorm: how many seeds, from -seed on or from 1")
)

// stormFaults are seeds that found something when they were new, and what that was. What a seed does changes with the
// drawing of plans, so the true test of each is a directed one beside the code; these only cost little.
var stormFaults = map[uint64]string{
	5:    "two sweeps that saw the same deleted issue opened two others",
	10:   "a project that was resumed while its issue's labels were made kept an open issue",
	18:   "a state that was lost took two reopenings for one",
	23:   "a state that was lost said again what its issue said already",
	61:   "an exec that was killed left the file of its run behind for ever",
	86:   "issues that were switched off during a sweep were taken for deleted",
	88:   "a command that was killed while it kept a result in its user's home left half a file there for ever",
	1486: "a process whose clock was set a day ahead ended the wait for a lost answer, and opened a second issue",
	1959: "a lost incident whose project had tripped again was closed as resumed",
	3635: "the checker's own: a duplicate that a person reopened is the issue where the other one is gone",
	6067: "the checker's own: a pause directory that comes back brings a flag that was removed from the restored one",
	8349: "an incident that was opened in ignorance of a lost one, whose flag was there, was called resumed",
	9127: "an incident that ended while another process found its issue was settled, and the issue stayed open",
}

func seedsOfTheStorm() []uint64 {
	first, n := max(*stormSeed, 1), *stormSeeds
	var seeds []uint64
	if *stormSeed == 0 && n == 0 {
		n = 3
		if testhost.Full() {
			n = 6
		}
		if testhost.Exhaustive() {
			for seed := range stormFaults {
				if seed > n {
					seeds = append(seeds, seed)
				}
			}
		}
	}
	for k := range max(n, 1) {
		seeds = append(seeds, first+k)
	}
	return seeds
}

func TestStorm(t *testing.T) {
	t.Parallel()
	for _, seed := range seedsOfTheStorm() {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, drawPlan(seed))
			defer s.end()
			for n := range s.plan.Rounds {
				s.blow(n)
				s.calm()
				if !s.check(n) {
					return
				}
			}
			t.Log(s.book.summary())
		})
	}
}

// calmTimeout is gitea.timeout in the calm, where nothing may time out only because the machine is busy. While the storm
// blows it is a fraction of a second, because a request that hangs must cost no more.
const calmTimeout = 30 * time.Second

// storm is one seed's world.
type storm struct {
	*world
	plan  stormPlan
	book  *book
	ahead atomic.Int64 // what is added to every clock, Gitea's too
	at    int          // round

	remounted atomic.Bool // a pause directory came back over one that was made meanwhile

	pager *pager

	bot int64 // the id of its account, whose login may be another for a while

	mu   sync.Mutex
	from map[string]*deed // processes by the address of their requests

	moving sync.RWMutex // held by whoever renames a repository, shared by people
	away   int          // how many repositories have another name
}

func newStorm(t *testing.T, plan stormPlan) *storm {
	s := &storm{plan: plan, from: map[string]*deed{}}
	g, err := newGiteaAt(s.now)
	require.NoError(t, err)
	t.Cleanup(g.close)
	for _, login := range []string{operator, stranger} {
		g.AddUser(login, giteatest.UserOptions{})
	}
	s.bot = g.AddUser(botLogin, giteatest.UserOptions{})
	s.world = &world{t: t, dir: t.TempDir(), gitea: g}
	s.book = newBook(s)
	s.pager = newPager(t, s.now)
	require.NoError(t, prepare(s.dir, g))
	require.NoError(t, os.WriteFile(s.path("hook-secret"), []byte(hookSecret+"\n"), 0o600))
	require.NoError(t, os.WriteFile(s.path("pager-url"), []byte(s.pager.URL+"/"+pagerPath+"\n"), 0o600))
	for name, text := range map[string]string{"hostile": hostileText, "quota": quotaText, "revoked": revokedText} {
		require.NoError(t, os.WriteFile(s.path(name), []byte(text), 0o600))
	}
	require.NoError(t, os.Mkdir(s.path("ran"), 0o755))
	s.configure(s.plan.Timeout)
	s.own()
	s.separate()
	s.Inject(giteatest.Fault{Name: "watch", Match: s.book.watch})
	return s
}

// own gives everything to the user whose processes these are.
func (s *storm) own() {
	require.NoError(s.t, os.Mkdir(s.path("state"), 0o755))
	if s.botUser() == 0 {
		return
	}
	require.NoError(s.t, os.Chmod(filepath.Dir(s.dir), 0o711))
	require.NoError(s.t, filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, testhost.Nobody, testhost.Nobody)
	}))
}

// botUser is who runs the bot: root, or whoever runs the tests, is not refused anything where the plan has no refusals.
func (s *storm) botUser() int {
	if (s.plan.Denied || s.plan.Separated) && os.Geteuid() == 0 {
		return testhost.Nobody
	}
	return 0
}

// stormAgents is the agents' user in the separated set-up.
const stormAgents = 4711

func (s *storm) separated() bool { return s.plan.Separated && os.Geteuid() == 0 }

// separate takes from the agents' user what is the bot's, and gives it a home in which results can wait.
func (s *storm) separate() {
	if !s.separated() {
		return
	}
	for _, secret := range []string{"state", "token", "hook-secret", "pager-url"} {
		require.NoError(s.t, os.Chmod(s.path(secret), 0o700))
	}
	for name, mode := range map[string]fs.FileMode{".": 0o711, "ran": 0o777, "hostile": 0o644, "quota": 0o644, "revoked": 0o644} {
		require.NoError(s.t, os.Chmod(s.path(name), mode))
	}
	require.NoError(s.t, os.Mkdir(s.path("home"), 0o700))
	require.NoError(s.t, os.Chown(s.path("home"), stormAgents, stormAgents))
}

const keptResults = "home/.local/state/adfbot/spool-*/*"

// kept are the results that wait in the home of the agents' user.
func (s *storm) kept() []string {
	files, _ := filepath.Glob(s.path(keptResults))
	return files
}

// deliver has the results sent that agents have kept: by their user's next one, to a daemon that runs again.
func (s *storm) deliver() {
	if len(s.kept()) == 0 {
		return
	}
	systemd := newManager(s.t, "")
	s.start(move{What: "serve", Args: []string{"serve"}}, func(daemon *os.Process) {
		defer func() { _ = daemon.Signal(syscall.SIGTERM) }()
		systemd.await("READY=1")
		m := move{What: "record", Project: "odilo", Agent: "developer", Outcome: "ignored", Run: fmt.Sprint("run-in-the-calm-", s.at), Agents: true}
		m.Args = []string{"record", "--json", "--project", m.Project, "--agent", m.Agent, "--ignored", "--run-id", m.Run}
		s.process(m)
	}, systemd.env())
	for _, file := range s.kept() {
		s.book.wrong("1: %s is still kept, and the daemon could be asked", file)
	}
}

func (s *storm) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *storm) configure(timeout time.Duration) {
	text := strings.NewReplacer("$WORK", s.dir, "$URL", s.url(), "$TIMEOUT", timeout.String()).Replace(s.plan.Config)
	require.NoError(s.t, os.WriteFile(s.path("config.new"), []byte(text), 0o644))
	require.NoError(s.t, os.Rename(s.path("config.new"), s.path("config.yaml")))
}

// blow does everything of a round at once, and returns when all of it has ended.
func (s *storm) blow(n int) {
	s.at = n
	r := s.plan.Rounds[n]
	s.book.begin(n)
	s.configure(s.plan.Timeout)
	s.ahead.Add(int64(r.Later))
	if r.Later == lookAgain {
		s.book.look(n)
	}
	if r.LoseState {
		s.loseState()
	}
	begun := time.Now()
	var all sync.WaitGroup
	for _, f := range r.Faults {
		s.spoil(f.fault())
		s.book.fault(f)
	}
	if r.Serve != nil {
		all.Go(func() { s.daemon(*r.Serve) })
	}
	for _, m := range r.Moves {
		all.Go(func() {
			s.pass(time.Until(begun.Add(m.At)))
			s.move(m)
		})
	}
	all.Wait()
}

// pass lets real time go by. When something happens in the storm and how long it lasts is drawn: there is no event to wait for.
func (s *storm) pass(d time.Duration) { time.Sleep(d) }

// calm ends the faults, lets the clock run past every wait, and sweeps once.
//
// 130 minutes are more than a wait after a failure (15 min), a Retry-After (1 h), the hour in which an issue that was closed
// three times stays closed, and twice gitea.timeout. A command whose clock was wrong has left times of the future behind; one
// of its requests whose answer was lost waits again from when that is noticed, so there is a second sweep after such a round.
// The same goes for a state that was lost: an order is taken up only when the sweep before has rebuilt the incident. A step is taken by
// the sweep after the one that opened the issue, and an order to pause that is obeyed in a sweep ends a silence in the next.
func (s *storm) calm() {
	for _, repo := range []string{theRepo, otherRepo} {
		s.mendRepo(repo)
	}
	s.mend()
	s.pager.turn("")
	require.NoError(s.t, s.up())
	s.AddToken(botLogin, botToken, testworld.Scopes()...)
	s.Wait()
	s.book.endRuns()
	s.age()
	s.configure(calmTimeout)
	s.mendPause()
	s.deliver()
	answered := s.answer(s.plan.Rounds[s.at].Answer)
	sweeps := 1
	if r := s.plan.Rounds[s.at]; r.LoseState || r.Jumps || r.Cut.How != "" {
		sweeps = 2
	}
	s.sweepCut(2 * time.Second) // longer than the first step waits
	for range sweeps {
		s.sweepLater(130 * time.Minute)
	}
	answered()
	if len(s.plan.Steps) > 0 || s.plan.Expect {
		s.sweepLater(8 * time.Second) // longer than the first step waits, and than the slack of the checker of steps
	}
	if s.plan.Rounds[s.at].Look {
		s.book.look(s.at)
		s.sweepLater(lookAgain)
	}
}

// sweepCut has a sweep end before it is done, where that is drawn.
func (s *storm) sweepCut(later time.Duration) {
	if h := s.plan.Rounds[s.at].Cut; h.How != "" {
		s.ahead.Add(int64(later))
		s.process(move{What: "sweep", Args: []string{"sweep"}, Hit: h})
	}
}

func (s *storm) sweepLater(d time.Duration) {
	s.ahead.Add(int64(d))
	s.book.swept = s.now()
	out, code := s.inProcess("sweep")
	if code != 0 {
		s.book.wrong("the sweep in the calm failed: %d\n%s", code, out)
	}
}

// age lets an hour pass for the files that killed processes left behind: their age is not told by the clock of the commands.
func (s *storm) age() {
	at := time.Now().Add(-2 * time.Hour)
	for _, pattern := range []string{"state/adfbot.db.d/.tmp-*", "state/adfbot.db.d/runs/*", "state/adfbot.db.d/spool/*.tmp", "state/adfbot.db.d/spool/.tmp-*",
		"pause/.tmp-*", keptResults} {
		files, _ := filepath.Glob(s.path(pattern))
		for _, file := range files {
			require.NoError(s.t, os.Chtimes(file, at, at))
		}
	}
}

// inProcess runs a command while nothing else runs, in this process: that is cheap.
func (s *storm) inProcess(args ...string) (string, int) {
	var out bytes.Buffer
	begun := s.now()
	code := run(context.Background(), append([]string{"-v"}, args...), process{
		stdin: strings.NewReader(""), stdout: &out, stderr: &out, now: s.now, uptime: uptimeAfter(time.Duration(s.ahead.Load())),
		getenv: func(name string) string {
			switch name {
			case secretVar:
				return secretValue
			case "HOME":
				return s.dir
			}
			return s.getenv(name)
		},
	})
	s.book.note(begun, "in the calm", "adfbot "+strings.Join(args, " "), fmt.Sprintf("%d\n%s", code, out.String()))
	s.book.heard("adfbot "+args[0], out.String())
	return out.String(), code
}

// loseState deletes the database while nobody uses it. The folder beside it stays.
func (s *storm) loseState() {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.path("state/adfbot.db" + suffix)); err != nil && !os.IsNotExist(err) {
			require.NoError(s.t, err)
		}
	}
	s.book.stateLost()
}

func (s *storm) end() {
	s.down()
}

// rng gives the numbers of a seed.
func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0xadfb07)) }
