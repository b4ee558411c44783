package escalate_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
)

// What things cost, what writes nothing, and several processes at once.

func TestRequestsOfTrip(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		rs := w.asked()
		require.Len(w, rs, 1)
		require.Equal(w, "POST", rs[0].Method)
	})
}

func TestRequestsOfFailureWhilePaused(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.asked()
		_, err := w.rec.Escalate(w.Context(), project)
		require.NoError(w, err)
		require.Empty(w, w.asked())
	})
}

// A sweep that finds no change makes one request for each repository.
func TestRequestsOfSweep(t *testing.T) {
	play(t, func(w *world) {
		target := w.rec.Options().Target
		w.rec.Options().Target = func(p string) escalate.Target {
			t := target(p)
			if p == "digital-twins" {
				t.Repo = repoOf(other)
			}
			return t
		}
		w.rec.Options().Projects = []string{project, "digital-twins", "third", "fourth"}
		for _, p := range w.rec.Options().Projects {
			w.trip(p)
		}
		w.touch("fifth")
		w.sweep()
		w.asked()
		w.sweep()
		require.Len(w, w.asked(), 2)
	})
}

func TestRequestsOfThousandIssues(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		for n := range 999 {
			w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint("other work ", n), "")
		}
		w.asked()
		require.Empty(w, w.sweep().Actions)
		require.Len(w, w.asked(), 20)
	})
}

func TestRequestsOfClosing(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.asked()
		_, err := w.rec.Escalate(w.Context(), project)
		require.NoError(w, err)
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, w.asked(), 3)
	})
}

// A deleted issue makes three requests, however many issues are open.
// An issue that answers 404 is asked for twice, and in between whether the repository shows its issues at all: not by a list of
// them all, which would be twenty requests here for each issue that is missing.
func TestRequestsOfDeletedIssue(t *testing.T) {
	play(t, func(w *world) {
		w.rec.Options().Projects = []string{project, "digital-twins"}
		w.trip(project)
		w.trip("digital-twins")
		for n := range 998 {
			w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint("other work ", n), "")
		}
		w.Gitea.As("alex").Delete(fleet, 1)
		w.Gitea.As("alex").Delete(fleet, 2)
		w.asked()
		require.Len(w, w.sweep().Actions, 4, "replace and create, twice")
		require.Len(w, w.asked(), 20+20+2*(3+1), "lists of the open and of all issues, once; and each issue looked for and opened anew")
	})
}

func TestEveryWriteFollowsARead(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.Gitea.As("adf-bot").Open(fleet, "twin", w.issue().Body)
		w.Gitea.As("alex").Close(fleet, 1)
		w.asked()
		w.sweep()
		w.sweep()
		w.rm(project)
		w.sweep()
		w.Gitea.As("alex").Reopen(fleet, 1)
		w.sweep()
		read := map[string]bool{}
		wrote := 0
		for _, r := range w.asked() {
			for _, issue := range []string{"/api/v1/repos/" + fleet + "/issues/1", "/api/v1/repos/" + fleet + "/issues/2"} {
				switch {
				case r.Path == issue && r.Method == "GET":
					read[issue] = true
				case r.Method != "GET" && (r.Path == issue || r.Path == issue+"/comments"):
					wrote++
					require.True(w, read[issue], "%s %s", r.Method, r.Path)
					if r.Method == "PATCH" {
						read[issue] = false // the next write belongs to another step
					}
				}
			}
		}
		require.Equal(w, 7, wrote)
	})
}

// A dry run reports the plan and writes nothing.
func TestDryRun(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world)
		want []plan.Kind
	}{
		{"a trip that died", func(w *world) { w.fail(project) }, []plan.Kind{plan.WriteFlag, plan.Create}},
		{"a flag that is gone", func(w *world) { w.trip(project); w.rm(project) }, []plan.Kind{plan.Resume, plan.Close}},
		{"an issue that was closed", func(w *world) { w.trip(project); w.Gitea.As("alex").Close(fleet, 1) }, []plan.Kind{plan.Reopen}},
		{"an issue that was deleted", func(w *world) { w.trip(project); w.Gitea.As("alex").Delete(fleet, 1) }, []plan.Kind{plan.Replace}},
		{"a flag of a person", func(w *world) { w.touch(project) }, []plan.Kind{plan.RecordHold}},
		{"a state that was lost", func(w *world) { w.trip(project); w.machine = w.withoutState() }, []plan.Kind{plan.Rebuild}},
		{"a state that was lost, its flag gone", func(w *world) {
			w.trip(project)
			w.rm(project)
			w.machine = w.withoutState()
			w.rec.Options().Login = "adf-bot"
		}, []plan.Kind{plan.RebuildDone, plan.Close}},
		{"a repository that was renamed", func(w *world) {
			w.trip(project)
			w.Gitea.Rename(fleet, "fleet-2")
			w.moveTo("terraphim/fleet-2")
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				c.do(w)
				w.machine = w.restarted() // what was written lies in the file now, not beside it
				before := everything(w)
				w.asked()
				rep, _ := w.sweepAnd(escalate.SweepOptions{DryRun: true, Force: true})
				var kinds []plan.Kind
				for _, a := range rep.Actions {
					kinds = append(kinds, a.Kind)
				}
				require.Equal(w, c.want, kinds)
				require.Empty(w, writes(w.asked()))
				require.Equal(w, before, everything(w))
			})
		})
	}
}

// restarted is reopened with the same configuration.
func (m *machine) restarted() *machine {
	was := *m.rec.Options()
	n := m.reopened()
	now := n.rec.Options()
	now.Projects, now.Target, now.Commands.Operators, now.Commands.CloseResumes = was.Projects, was.Target, was.Commands.Operators, was.Commands.CloseResumes
	return n
}

// everything is what stands on the machine's disk: state and flags.
func everything(w *world) map[string]string {
	out := map[string]string{}
	entries, err := os.ReadDir(w.dir.Path())
	require.NoError(w, err)
	files := []string{w.path, w.path + "-wal"}
	for _, e := range entries {
		files = append(files, w.dir.Path()+"/"+e.Name())
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if !os.IsNotExist(err) {
			require.NoError(w, err)
		}
		out[f] = string(b)
	}
	return out
}

// Two processes that sweep at once do nothing twice.
func TestTwoSweepsAtOnce(t *testing.T) {
	projects := []string{"a", "b", "c", "d", "e", "f"}
	play(t, func(w *world) {
		// Every request takes a while, so that the two meet in the middle of everything.
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Latency(300 * time.Millisecond)})
		both := []*machine{w.machine, w.another()}
		for _, m := range both {
			m.rec.Options().Projects = projects
		}
		sweeps := func() {
			var wg sync.WaitGroup
			for n, m := range both {
				wg.Go(func() {
					time.Sleep(time.Duration(n) * 100 * time.Millisecond)
					for range 4 {
						// That the other holds a lock is an error of this sweep, and no more.
						_, _ = m.rec.Sweep(context.Background(), escalate.SweepOptions{Force: true})
					}
				})
			}
			wg.Wait()
		}
		for _, p := range projects {
			w.fail(p)
		}
		sweeps()
		require.Len(w, w.issues(fleet), len(projects))
		for _, i := range w.issues(fleet) {
			require.Equal(w, "open", i.State)
			w.Gitea.As("alex").Close(fleet, i.Number)
		}
		sweeps()
		for _, i := range w.issues(fleet) {
			require.Equal(w, "open", i.State)
			require.Len(w, comments(i), 1)
		}
		for _, p := range projects {
			w.rm(p)
		}
		sweeps()
		for _, i := range w.issues(fleet) {
			require.Equal(w, "closed", i.State)
			require.Len(w, comments(i), 2)
		}
		require.Len(w, w.issues(fleet), len(projects))
	})
}

// A process that is stopped in the middle of a creation keeps others out.
func TestStoppedDuringCreation(t *testing.T) {
	play(t, func(w *world) {
		tripped := w.failed(project)
		goOn := make(chan struct{})
		stopped := fault.With(context.Background(), func(name string) {
			if name == "create-begun" {
				<-goOn
			}
		})
		done := make(chan error)
		go func() {
			_, err := w.rec.Trip(stopped, tripped)
			done <- err
		}()
		m := w.another()
		for range 10 {
			time.Sleep(time.Minute)
			began := time.Now()
			err := m.force()
			require.Less(w, time.Since(began), w.rec.Options().Timeout+time.Second, "nobody waits for it longer than for a request")
			require.ErrorContains(w, err, "lock issue/odilo: still held")
		}
		close(goOn)
		require.NoError(w, <-done)
		m.sweep()
		require.Len(w, w.issues(fleet), 1)
	})
}

// A sweep sees what changes between its list of issues and its write.
func TestChangesAfterTheList(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world)
		want string
	}{
		{"a person takes the issue over", func(w *world) { w.Gitea.As("alex").EditBody(fleet, 1, "mine") }, "open"},
		{"a person closes it", func(w *world) { w.Gitea.As("alex").Close(fleet, 1) }, "closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				w.rm(project)
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Times: 1, Do: giteatest.Afterwards(func() { c.do(w) })})
				w.asked()
				w.sweep()
				require.Empty(w, writes(w.asked()))
				require.Equal(w, c.want, w.issue().State)
				require.True(w, w.incident(id).Settled)
			})
		})
	}
	t.Run("the flag goes before a reopening", func(t *testing.T) {
		play(t, func(w *world) {
			w.trip(project)
			w.Gitea.As("alex").Close(fleet, 1)
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), After: 1, Times: 1, Do: giteatest.Afterwards(func() { w.rm(project) })})
			w.asked()
			w.sweep()
			require.Empty(w, writes(w.asked()))
			w.sweep()
			require.Equal(w, "closed", w.issue().State)
			require.Empty(w, comments(w.issue()))
		})
	})
	t.Run("the flag goes before a creation", func(t *testing.T) {
		play(t, func(w *world) {
			id := w.fail(project)
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), After: 1, Times: 1, Do: giteatest.Afterwards(func() { w.rm(project) })})
			w.sweep()
			require.Empty(w, w.issues(fleet))
			w.sweep()
			require.Empty(w, w.issues(fleet))
			require.True(w, w.incident(id).Settled)
		})
	})
	t.Run("a resume while the issue is made", func(t *testing.T) {
		play(t, func(w *world) {
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Afterwards(func() { w.rm(project) })})
			id := w.trip(project)
			w.sweep()
			require.Equal(w, "closed", w.issue().State)
			require.True(w, w.incident(id).Settled)
		})
	})
}

// A duplicate is not closed until the other issue is seen open.
func TestDuplicateOfUnseenIssue(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.Gitea.As("adf-bot").Open(fleet, "twin", w.issue().Body)
		// The one that the state knows is closed just before the duplicate would be.
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Afterwards(func() { w.Gitea.As("alex").Close(fleet, 1) })})
		w.sweep()
		open := 0
		for _, i := range w.issues(fleet) {
			if i.State == "open" {
				open++
			}
		}
		require.Equal(w, 2, open, "the first is open again, the other has waited")
		w.sweep()
		require.Equal(w, "open", w.issues(fleet)[0].State)
		require.Equal(w, "closed", w.issues(fleet)[1].State)
	})
}
