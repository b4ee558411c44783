package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
)

// flow is one command of the bot, in a situation where it has much to do.
type flow struct {
	name   string
	before func(w *world)
	act    []string
	again  bool     // somebody repeats it after the crash: it is not the sweep's business
	end    []string // what it leads to, uninterrupted or not
	mount  bool     // needs the right to mount
}

var paused = []string{
	theRepo + "#1 open, 0 comments", "file .adfbot", "file odilo",
	"odilo: paused yes, held false, 3 failures, odilo#1 flag true /" + theRepo + "/issues/1",
}

var resumed = []string{theRepo + "#1 closed, 1 comments", "file .adfbot"}

var flows = []flow{
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
			w.mount("pause")
			w.ok("record", "--project", "odilo", "--success")
			w.remount("pause", unix.MS_RDONLY)
			w.fail(3)
			w.remount("pause", 0)
		},
		act: []string{"sweep"},
		end: []string{
			theRepo + "#1 open, 1 comments", paused[1], paused[2], paused[3],
		},
		mount: true,
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
		name:   "two orders at once",
		before: func(w *world) { w.operators(); w.trip(); w.As(person).Comment(theRepo, 1, "/adf ack\n/adf status") },
		act:    []string{"sweep"},
		end:    []string{theRepo + "#1 open, 2 comments", paused[1], paused[2], paused[3]},
	},
}

// operators lets the person act from Gitea.
func (w *world) operators() {
	f, err := os.OpenFile(w.path("config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(w.t, err)
	_, err = f.WriteString("\noperators: [" + person + "]\non_issue_closed: resume\n")
	require.NoError(w.t, errors.Join(err, f.Close()))
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

func (w *world) mount(name string) { w.mountSized(name, "64k") }

func (w *world) mountSized(name, size string) {
	require.NoError(w.t, os.Mkdir(w.path(name), 0o755))
	require.NoError(w.t, unix.Mount("tmpfs", w.path(name), "tmpfs", 0, "size="+size+",mode=755"))
	w.t.Cleanup(func() { _ = unix.Unmount(w.path(name), unix.MNT_DETACH) })
}

func (w *world) remount(name string, flags uintptr) {
	require.NoError(w.t, unix.Mount("tmpfs", w.path(name), "tmpfs", unix.MS_REMOUNT|flags, ""))
}

// TestACrashAtAnyStepChangesNothingInTheEnd runs each flow once to learn its steps, and then once for each step, where the
// process is killed. What the next sweeps come to has to be the same, also when the first of them is killed too.
func TestACrashAtAnyStepChangesNothingInTheEnd(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	reached := map[string]bool{}
	t.Run("flows", func(t *testing.T) {
		for _, f := range flows {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				if f.mount && !mayMount() {
					t.Skip("this user may not mount a file system")
				}
				steps, requests := f.whole(t)
				for _, s := range steps {
					mu.Lock()
					name, _, _ := strings.Cut(s, ":")
					reached[name] = true
					mu.Unlock()
					f := f
					// Killed between the gate and the start, a run has never been: it is for cron to come again.
					f.again = f.again || name == "gated"
					t.Run("killed at "+s, func(t *testing.T) {
						t.Parallel()
						f.crash(t, atStep(s), false)
					})
					t.Run("killed at "+s+" and again", func(t *testing.T) {
						t.Parallel()
						f.crash(t, atStep(s), true)
					})
				}
				for n := range requests {
					t.Run(fmt.Sprintf("killed by request %d", n+1), func(t *testing.T) {
						t.Parallel()
						f.crash(t, atRequest(n, false), false)
					})
					t.Run(fmt.Sprintf("killed by the answer to request %d", n+1), func(t *testing.T) {
						t.Parallel()
						f.crash(t, atRequest(n, true), false)
					})
				}
			})
		}
	})
	for _, name := range stepsOfTheSource(t) {
		require.True(t, reached[name], "no flow comes to the step %q: add one that does", name)
	}
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

// killing runs a command that is killed on its way.
type killing func(w *world, args []string) error

func atStep(step string) killing {
	return func(w *world, args []string) error {
		out, err := w.child(args, killAt+"="+step).CombinedOutput()
		w.t.Logf("%s", out)
		return err
	}
}

// atRequest kills when the given request arrives, before the server has done anything, or after it has done all.
func atRequest(n int, answered bool) killing {
	return func(w *world, args []string) error {
		cmd := w.child(args)
		died := make(chan error, 1)
		end := func() {
			_ = cmd.Process.Kill()
			died <- cmd.Wait()
		}
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
		if err := cmd.Start(); err != nil {
			return err
		}
		close(started)
		select {
		case err := <-died:
			return err
		case <-time.After(testhost.Patience):
			_ = cmd.Process.Kill()
			return errors.New("that request never came")
		}
	}
}

func (f flow) crash(t *testing.T, kill killing, again bool) {
	w := newWorld(t)
	f.before(w)
	require.Equal(t, 128+int(syscall.SIGKILL), testhost.ExitCode(kill(w, f.act)), "it was to be killed")
	if again {
		// Whatever step it comes to; where nothing is left to do it comes to none.
		if code := testhost.ExitCode(atStep("*:1")(w, []string{"sweep"})); code != 0 && code != 1 {
			require.Equal(t, 128+int(syscall.SIGKILL), code)
		}
	}
	if f.again {
		out, err := w.child(f.act).CombinedOutput()
		w.t.Logf("%s: %v", out, err)
	}
	w.settle()
	require.Equal(t, f.end, w.state())
}

// stepsOfTheSource finds the steps by their calls.
func stepsOfTheSource(t *testing.T) []string {
	call := regexp.MustCompile(`\.step\("([a-z-]+)"\)`)
	var names []string
	for _, dir := range []string{"../../escalate", "../../internal/bot"} {
		files, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range call.FindAllSubmatch(b, -1) {
				names = append(names, string(m[1]))
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}
