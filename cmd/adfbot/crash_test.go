package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
)

// flow is one command of the bot, in a situation where it has much to do.
type flow struct {
	name   string
	before func(w *world)
	act    []string
	again  bool     // somebody repeats it after the crash: it is not the sweep's business
	end    []string // what it leads to, uninterrupted or not
}

var paused = []string{
	theRepo + "#1 open, 0 comments", "file .adfbot", "file odilo",
	"odilo: paused yes, held false, 3 failures, odilo#1 flag true /" + theRepo + "/issues/1",
}

var resumed = []string{theRepo + "#1 closed, 1 comments", "file .adfbot"}

var flows = slices.Concat(stepFlows, []flow{
	{
		name:   "a trip by record",
		before: func(w *world) { w.fail(2) },
		act:    []string{"record", "--project", "odilo", "--failure"},
		end:    paused,
	}, {
		name:   "a trip by exec",
		before: func(w *world) { w.fail(2) },
		act:    []string{"exec", "--project", "odilo", "--", "false"},
		end:    paused,
	}, {
		name:   "a sweep that opens the issue",
		before: func(w *world) { w.down(); w.trip(); require.NoError(w.t, w.up()) },
		act:    []string{"sweep"},
		end:    paused,
	}, {
		name:   "a refused exec that opens the issue",
		before: func(w *world) { w.down(); w.trip(); require.NoError(w.t, w.up()); w.clock += 3600e9 },
		act:    []string{"exec", "--project", "odilo", "--", "touch", "/nonexistent/ran"},
		end:    paused,
	}, {
		name:   "a sweep after the flag was removed",
		before: func(w *world) { w.trip(); require.NoError(w.t, os.Remove(w.path("pause/odilo"))) },
		act:    []string{"sweep"},
		end:    resumed,
	}, {
		name:   "a resume",
		before: func(w *world) { w.trip() },
		act:    []string{"resume", "odilo"},
		end:    resumed,
	}, {
		name:   "a resume of a hold",
		before: func(w *world) { w.ok("pause", "odilo") },
		act:    []string{"resume", "odilo"},
		end:    []string{"file .adfbot"},
	}, {
		name:   "a result that notices a resume",
		before: func(w *world) { w.trip(); require.NoError(w.t, os.Remove(w.path("pause/odilo"))) },
		act:    []string{"record", "--project", "odilo", "--success"},
		end:    resumed,
	}, {
		name:   "a reopening",
		before: func(w *world) { w.trip(); w.As(person).Close(theRepo, 1) },
		act:    []string{"sweep"},
		end: []string{
			theRepo + "#1 open, 1 comments", paused[1], paused[2], paused[3],
		},
	}, {
		name:   "an issue that was deleted",
		before: func(w *world) { w.trip(); w.As(person).Delete(theRepo, 1) },
		act:    []string{"sweep"},
		end: []string{
			theRepo + "#2 open, 0 comments", paused[1], paused[2], strings.Replace(paused[3], "issues/1", "issues/2", 1),
		},
	}, {
		name:   "a pause",
		before: func(w *world) { w.ok("record", "--project", "odilo", "--success") },
		act:    []string{"pause", "odilo", "--reason", "holidays"},
		end:    []string{"file .adfbot", "file odilo", "odilo: paused yes, held true, 0 failures"},
	}, {
		name: "a restore",
		before: func(w *world) {
			w.trip()
			w.ok("pause", "quick")
			require.NoError(w.t, os.RemoveAll(w.path("pause")))
		},
		act:   []string{"restore"},
		again: true,
		end: []string{
			paused[0], "file .adfbot", "file odilo", "file quick", paused[3], "quick: paused yes, held true, 0 failures",
		},
	}, {
		name:   "a duplicate",
		before: func(w *world) { w.trip(); w.duplicate() },
		act:    []string{"sweep"},
		end: []string{
			paused[0], theRepo + "#2 closed, 1 comments", paused[1], paused[2], paused[3],
		},
	}, {
		name: "an issue that a person reopened after the end",
		before: func(w *world) {
			w.trip()
			w.ok("resume", "odilo")
			w.As(person).Reopen(theRepo, 1)
		},
		act: []string{"sweep"},
		end: []string{theRepo + "#1 open, 2 comments", "file .adfbot"},
	}, {
		name:   "a state that was lost, and a flag that is gone",
		before: func(w *world) { w.trip(); w.lose("state", "pause/odilo") },
		act:    []string{"sweep"},
		end:    resumed,
	}, {
		name:   "a state that was lost before the issue was opened",
		before: func(w *world) { w.down(); w.trip(); require.NoError(w.t, w.up()); w.lose("state") },
		act:    []string{"sweep"},
		end:    []string{paused[0], paused[1], paused[2], strings.Replace(paused[3], "3 failures", "0 failures", 1)},
	}, {
		name: "a flag that could not be written at first",
		before: func(w *world) {
			w.ok("record", "--project", "odilo", "--success")
			writable := testhost.ReadOnly(w.t, w.path("pause"))
			w.fail(3)
			writable()
		},
		act: []string{"sweep"},
		end: []string{
			theRepo + "#1 open, 1 comments", paused[1], paused[2], paused[3],
		},
	}, {
		name:   "an operator's closing",
		before: func(w *world) { w.operators(); w.trip(); w.As(person).Close(theRepo, 1) },
		act:    []string{"sweep"},
		end:    resumed,
	}, {
		name:   "an operator's order to resume",
		before: func(w *world) { w.operators(); w.trip(); w.As(person).Comment(theRepo, 1, "/adf resume mended") },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 closed, 2 comments", "file .adfbot"},
	}, {
		name: "an operator's order to pause",
		before: func(w *world) {
			w.operators()
			w.trip()
			w.ok("resume", "odilo")
			w.As(person).Comment(theRepo, 1, "/adf pause holidays")
		},
		act: []string{"sweep"},
		end: []string{theRepo + "#1 closed, 3 comments", "file .adfbot", "file odilo", "odilo: paused yes, held true, 0 failures"},
	}, {
		name:   "a trip that joins another one's issue, and is told of",
		before: func(w *world) { w.storms() },
		act:    []string{"record", "--project", "quick", "--exit-code", "75"},
		end: []string{theRepo + "#1 open, 1 comments", paused[1], paused[2], "file quick", paused[3],
			"quick: paused yes, held false, 1 failures, quick#1 flag true /" + theRepo + "/issues/1"},
	}, {
		name: "the resume of all whom an issue carries",
		before: func(w *world) {
			w.storms()
			w.ok("record", "--project", "quick", "--exit-code", "75")
			w.settle()
			for _, p := range []string{"odilo", "quick"} {
				require.NoError(w.t, os.Remove(w.path("pause/"+p)))
			}
		},
		act: []string{"sweep"},
		end: []string{theRepo + "#1 closed, 2 comments", "file .adfbot"},
	}, {
		name:   "a project that has not reported",
		before: func(w *world) { w.silent() },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 open, 0 comments", "file .adfbot"},
	}, {
		name: "a project that reports again",
		before: func(w *world) {
			w.silent()
			w.ok("sweep")
			w.ok("record", "--project", "odilo", "--success")
		},
		act: []string{"sweep"},
		end: resumed,
	}, {
		name: "a stop of all projects",
		before: func(w *world) {
			w.several = true
			w.ok("record", "--project", "odilo", "--success")
			w.ok("pause", "quick")
		},
		act: []string{"pause", "--all"},
		end: []string{"file .adfbot", "file digital-twins", "file odilo", "file quick", "odilo: paused yes, held true, 0 failures",
			"digital-twins: paused yes, held true, 0 failures", "quick: paused yes, held true, 0 failures"},
	}, {
		name:   "the end of a stop",
		before: func(w *world) { w.ok("pause", "quick"); w.ok("pause", "--all") },
		act:    []string{"resume", "--all"},
		end:    []string{"file .adfbot", "file quick", "quick: paused yes, held true, 0 failures"},
	}, {
		name:   "a stop whose time is over",
		before: func(w *world) { w.ok("pause", "quick"); w.ok("pause", "--all", "--for", "2h"); w.clock += 3 * 3600e9 },
		act:    []string{"sweep"},
		end:    []string{"file .adfbot", "file quick", "quick: paused yes, held true, 0 failures"},
	}, {
		name: "an operator's order to stop all",
		before: func(w *world) {
			w.several = true
			w.operators()
			w.trip()
			w.As(person).Comment(theRepo, 1, "/adf pause all")
		},
		act: []string{"sweep"},
		end: []string{theRepo + "#1 open, 2 comments", paused[1], "file digital-twins", paused[2], "file quick",
			paused[3], "digital-twins: paused yes, held true, 0 failures", "quick: paused yes, held true, 0 failures"},
	}, {
		name: "runs of a workflow that pause the project",
		before: func(w *world) {
			w.workflow()
			for range 3 {
				w.EndWorkflowRun(theRepo, w.StartWorkflowRun(theRepo, theWorkflow), "failure")
			}
		},
		act: []string{"sweep"},
		end: append(slices.Clone(paused), "odilo: its workflow is disabled"),
	}, {
		name: "a resume that enables the workflow",
		before: func(w *world) {
			w.workflow()
			w.trip()
			w.ok("sweep")
			require.NoError(w.t, os.Remove(w.path("pause/odilo")))
		},
		act: []string{"sweep"},
		end: resumed,
	}, {
		name:   "two orders at once",
		before: func(w *world) { w.operators(); w.trip(); w.As(person).Comment(theRepo, 1, "/adf ack\n/adf status") },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 open, 2 comments", paused[1], paused[2], paused[3]},
	},
})

// operators lets the person act from Gitea.
func (w *world) operators() {
	w.configure("operators: [" + person + "]\non_issue_closed: resume")
}

// storms lets trips of one class share an issue, and has one project trip.
func (w *world) storms() {
	w.configure("escalation: {storm_window: 1h}\nclasses: [{name: quota, exit_codes: [75]}]")
	for range 3 {
		w.ok("record", "--project", "odilo", "--exit-code", "75")
	}
}

const theWorkflow = "agent.yaml"

// workflow gives a project a workflow, which is to be disabled while that is paused, and reads it once.
func (w *world) workflow() {
	w.AddWorkflow(theRepo, theWorkflow, "agent")
	w.AddToken(botLogin, testworld.Token, "write:issue", "read:user", "write:repository")
	b, err := os.ReadFile(w.path("config.yaml"))
	require.NoError(w.t, err)
	with := strings.Replace(string(b), "  - id: odilo\n", "  - id: odilo\n    actions: {repo: "+theRepo+", workflow: "+theWorkflow+", disable: true}\n", 1)
	require.NotEqual(w.t, string(b), with)
	require.NoError(w.t, os.WriteFile(w.path("config.yaml"), []byte(with), 0o600))
	w.ok("record", "--project", "odilo", "--success")
	w.ok("sweep")
}

// silent has a project be silent that the next sweep finds.
func (w *world) silent() {
	b, err := os.ReadFile(w.path("config.yaml"))
	require.NoError(w.t, err)
	with := strings.Replace(string(b), "  - id: odilo\n", "  - id: odilo\n    expect: {every: 5m, grace: 1m}\n", 1)
	require.NotEqual(w.t, string(b), with)
	require.NoError(w.t, os.WriteFile(w.path("config.yaml"), []byte(with), 0o600))
	w.ok("record", "--project", "odilo", "--success")
	for range 3 { // without a gap
		w.ok("sweep")
		w.clock += 2*time.Minute + time.Second
	}
}

func (w *world) fail(times int) {
	for range times {
		w.ok("record", "--project", "odilo", "--failure")
	}
}

// duplicate has the bot's account open a second issue for its first incident, as a create whose answer was lost may do.
func (w *world) duplicate() {
	i, ok := w.Issue(theRepo, 1)
	require.True(w.t, ok)
	w.As(botLogin).Open(theRepo, i.Title, i.Body)
}

func (w *world) lose(names ...string) {
	for _, name := range names {
		require.NoError(w.t, os.RemoveAll(w.path(name)))
	}
}

// TestCrash runs each flow to learn its steps and requests, and then once for each of them with a process that is killed there.
// What the next sweeps come to must be the same, also when the first of them is killed too. Without -full it runs a sample.
//
//	go test ./cmd/adfbot -full -run 'TestCrash/(none|a_pause)'    every crash of one flow
func TestCrash(t *testing.T) {
	t.Parallel()
	crashes := make([][]crash, len(flows))
	learned := t.Run("none", func(t *testing.T) {
		for n, f := range flows {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				steps, requests := f.whole(t)
				crashes[n] = f.crashes(steps, requests)
			})
		}
	})
	if !learned {
		return
	}
	reached := map[string]bool{}
	for _, c := range slices.Concat(crashes...) {
		reached[c.step] = true
	}
	for _, name := range stepsOfTheSource(t) {
		require.True(t, reached[name], "no flow comes to the step %q: add one that does", name)
	}
	if !testhost.Exhaustive() {
		crashes = sample(crashes)
	}
	for n, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range crashes[n] {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t)
				})
			}
		})
	}
}

// crash is a flow that is killed on its way.
type crash struct {
	flow
	name string
	step string // its name, for a crash at a step
	kill func(w *world, args []string)
	also bool // the next sweep is killed, too
}

func (f flow) crashes(steps []string, requests int) (all []crash) {
	for _, s := range steps {
		c := crash{flow: f, name: "at " + s, kill: atStep(s)}
		c.step, _, _ = strings.Cut(s, ":")
		// A run that is killed between the gate and its start never was: cron comes again.
		c.again = c.again || c.step == "gated"
		also := c
		also.name, also.also = c.name+" and again", true
		all = append(all, c, also)
	}
	for n := range requests {
		all = append(all,
			crash{flow: f, name: fmt.Sprintf("by request %d", n+1), kill: atRequest(n, false)},
			crash{flow: f, name: fmt.Sprintf("by the answer to request %d", n+1), kill: atRequest(n, true)})
	}
	return all
}

// sample takes the first crash at each step, wherever that is, and one more of every fourth flow.
func sample(crashes [][]crash) [][]crash {
	seen := map[string]bool{"": true}
	taken := make([][]crash, len(crashes))
	for n, all := range crashes {
		for k, c := range all {
			if !seen[c.step] || n%4 == 0 && k == (n*7+3)%len(all) {
				seen[c.step] = true
				taken[n] = append(taken[n], c)
			}
		}
	}
	return taken
}

// whole runs the flow without a crash. It returns its steps, each with its number of times ("created:1"), and how many
// requests it makes.
func (f flow) whole(t *testing.T) (steps []string, requests int) {
	w := newWorld(t)
	f.before(w)
	w.ResetRequests()
	log := w.path("steps")
	out, err := w.child(f.act, logSteps+"="+log).CombinedOutput()
	t.Logf("%s", out)
	if err != nil && f.act[0] != "exec" {
		require.NoError(t, err)
	}
	requests = w.Operations()
	b, err := os.ReadFile(log)
	require.NoError(t, err, "the flow has no steps")
	w.settle()
	require.Equal(t, f.end, w.state())
	times := map[string]int{}
	for _, name := range strings.Fields(string(b)) {
		times[name]++
		steps = append(steps, fmt.Sprintf("%s:%d", name, times[name]))
	}
	return steps, requests
}

func atStep(step string) func(w *world, args []string) {
	return func(w *world, args []string) { w.t.Logf("%s", w.child(args, killAt+"="+step).Dies()) }
}

// atRequest kills when the given request arrives, before the server has done anything, or after it has done all.
func atRequest(n int, answered bool) func(w *world, args []string) {
	return func(w *world, args []string) {
		c := w.child(args)
		died := make(chan error, 1)
		end := func() { died <- c.Kill() }
		started, seen := make(chan struct{}), 0
		f := giteatest.Fault{Times: 1, Do: giteatest.Afterwards(end), Match: func(*http.Request) bool {
			<-started
			w.mu.Lock()
			seen++
			mine := seen == n+1
			w.mu.Unlock()
			if mine && !answered {
				end()
			}
			return mine
		}}
		if !answered {
			f.Do = giteatest.Reset()
		}
		defer w.Inject(f)()
		require.NoError(w.t, c.Start())
		close(started)
		select {
		case err := <-died:
			require.Equal(w.t, 128+int(syscall.SIGKILL), testhost.ExitCode(err), "it was to be killed")
		case <-time.After(testhost.Patience):
			require.Fail(w.t, "that request never came")
		}
	}
}

func (c crash) run(t *testing.T) {
	w := newWorld(t)
	c.before(w)
	c.kill(w, c.act)
	if c.also {
		// Whatever step it comes to. Where nothing is left to do it comes to none.
		out, err := w.child([]string{"sweep"}, killAt+"=*:1").CombinedOutput()
		t.Logf("%s", out)
		require.Contains(t, []int{0, 1, 128 + int(syscall.SIGKILL)}, testhost.ExitCode(err))
	}
	if c.again {
		out, err := w.child(c.act).CombinedOutput()
		t.Logf("%s: %v", out, err)
	}
	w.settle()
	require.Equal(t, c.end, w.state())
}

// stepsOfTheSource finds the steps by their calls. Those of a move into another kind of state are tested in store/migrate,
// and those of init in init_test.go.
func stepsOfTheSource(t *testing.T) (names []string) {
	call := regexp.MustCompile(`fault\.Point\([a-z]+, "([a-z-]+)"\)`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "internal/store/") || strings.Contains(path, "internal/setup/") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range call.FindAllSubmatch(b, -1) {
			names = append(names, string(m[1]))
		}
		return err
	}))
	require.NotEmpty(t, names)
	return names
}
