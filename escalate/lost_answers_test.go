package escalate_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
)

// What a request meets whose answer does not come back, or says nothing. done: the server did the work.
var lostAnswers = []struct {
	name string
	do   giteatest.Effect
	done bool
}{
	{"the server does it after the client gave up", giteatest.LateWork(time.Second), true},
	{"the server does it just before the bot looks", giteatest.LateWork(9 * time.Second), true},
	{"it takes longer than the client waits", giteatest.Latency(12 * time.Second), true},
	{"the server hangs", giteatest.Hang(), false},
	{"the answer is lost", giteatest.LostAnswer(), true},
	{"the connection is reset before anything is done", giteatest.Reset(), false},
	{"500", giteatest.Status(500, `{"message":"internal"}`), false},
	{"502 of a proxy", giteatest.Status(502, "<h1>Bad Gateway</h1>", "Content-Type", "text/html"), false},
	{"the JSON is truncated", giteatest.Truncated(), true},
	{"a web page of a proxy's login", giteatest.HTML(), false},
	{"a web page after the work", giteatest.HTMLAfterWork(), true},
	{"the answer is null", giteatest.NullBody(), true},
	{"the answer is empty", giteatest.EmptyBody(), true},
}

// A creation without an answer makes exactly one issue.
// A Gitea that was restored from a backup gives the number of the lost issue to the next one.
func TestNumberOfIssueIsGivenAgain(t *testing.T) {
	for name, lost := range map[string]bool{"answered": false, "a web page comes instead": true} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				restore := w.Gitea.BackUp()
				id := w.trip(project)
				was := w.incident(id).Issue
				restore()
				if lost {
					w.Gitea.Inject(giteatest.Fault{Match: giteatest.Method(http.MethodPost), Times: 1, Do: giteatest.HTMLAfterWork()})
				}
				for range 5 {
					_, _ = w.sweepAnd(escalate.SweepOptions{})
					time.Sleep(time.Minute)
				}
				require.Len(t, w.issues(fleet), 1)
				require.Equal(t, was, w.incident(id).Issue)
				require.Empty(t, w.incident(id).Lost)
				require.True(t, w.paused(project))
				w.rm(project)
				w.sweep()
				require.Equal(t, "closed", w.issue().State)
			})
		})
	}
}

func TestCreationWithoutAnswer(t *testing.T) {
	for _, f := range lostAnswers {
		t.Run(f.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: f.do})
				id, err := w.tripAnd(project)
				require.Error(w, err)
				require.False(w, w.incident(id).Create.At.IsZero(), "the attempt is outstanding")
				w.sweepFor(5 * time.Minute)
				i := w.issue()
				require.Equal(w, "open", i.State)
				require.Equal(w, i.Number, w.incident(id).Issue.Number)
				created := 0
				for _, r := range w.asked() {
					if r.Method == "POST" {
						created++
					}
				}
				require.Equal(w, map[bool]int{true: 1, false: 2}[f.done], created)
				w.rm(project)
				w.sweep()
				require.Equal(w, "closed", w.issue().State)
			})
		})
	}
}

// The project has left the configuration, which named a repository for it alone: its issue is opened where that was tried.
func TestCreationForProjectWithoutRepository(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Reset()})
		id, err := w.tripAnd(project)
		require.Error(t, err)
		w.rec.Options().Target = func(string) escalate.Target { return escalate.Target{} }
		w.sweepFor(5 * time.Minute)
		require.Equal(t, "open", w.issue().State)
		require.Equal(t, w.issue().Number, w.incident(id).Issue.Number)
	})
}

// Another creation waits for twice the timeout, also in a forced sweep.
func TestSecondCreationWaits(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Reset()})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		began := w.incident(id).Create.At
		w.asked()
		for time.Since(began) < 2*timeout {
			require.NoError(w, w.force(), "it is too early, and nothing is wrong")
			require.Empty(w, writes(w.asked()))
			require.Empty(w, w.issues(fleet))
			time.Sleep(time.Second)
		}
		require.NoError(w, w.force())
		require.Len(w, w.issues(fleet), 1)
	})
}

// A look-up finds what the server did up to twice the timeout later.
func TestLateCreationIsFound(t *testing.T) {
	play(t, func(w *world) {
		// The client gives up after 10 s, the server makes the issue 9.5 s after that.
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LateWork(9500 * time.Millisecond)})
		_, err := w.tripAnd(project)
		require.Error(w, err)
		for range 40 {
			_ = w.force()
			time.Sleep(250 * time.Millisecond)
		}
		w.Gitea.Wait()
		require.Len(w, w.issues(fleet), 1)
	})
}

// An attempt that a wrong clock dated into the future does not wait for years.
func TestAttemptOfWrongClock(t *testing.T) {
	play(t, func(w *world) {
		id := w.fail(project)
		future := time.Now().Add(1000 * time.Hour)
		w.change(id, func(i *incident.Incident) { i.Create.At, i.NextTry = future, future })
		w.sweep()
		require.Empty(w, w.issues(fleet), "it may be a second old, whatever its clock said")
		w.sweepFor(2 * time.Minute)
		require.Len(w, w.issues(fleet), 1)
	})
}

// The wait for a lost answer goes on.
func TestClockSetDuringWait(t *testing.T) {
	for name, by := range map[string]time.Duration{"a day ahead": 24 * time.Hour, "a day back": -24 * time.Hour} {
		// The answer is lost, then somebody sets the clock, and the server does the work at the last moment.
		lost := func(w *world, match func(*http.Request) bool, ask func()) {
			start, set := time.Now(), time.Duration(0)
			w.rec.Options().Uptime = func() incident.Uptime { return incident.Uptime{Boot: "this", For: time.Since(start)} }
			w.rec.Options().Now = func() time.Time { return time.Now().Add(set) }
			w.Gitea.Inject(giteatest.Fault{Match: match, Times: 1, Do: giteatest.LateWork(9500 * time.Millisecond)})
			ask()
			set = by
			for range 60 {
				_ = w.force()
				time.Sleep(500 * time.Millisecond)
			}
			w.Gitea.Wait()
		}
		t.Run(name+", new issue", func(t *testing.T) {
			play(t, func(w *world) {
				var id string
				lost(w, giteatest.CreateIssue(), func() {
					var err error
					id, err = w.tripAnd(project)
					require.Error(w, err)
				})
				require.Len(w, w.issues(fleet), 1)
				require.EqualValues(w, 1, w.incident(id).Issue.Number, "and the wait ends when it should")
			})
		})
		t.Run(name+", comment", func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				w.rm(project)
				lost(w, giteatest.CommentIssue(), func() { require.Error(w, w.force()) })
				require.Equal(w, "closed", w.issue().State)
				require.Len(w, comments(w.issue()), 1)
				require.True(w, w.incident(id).Settled)
			})
		})
	}
}

// After a reboot the wait is measured by the wall clock.
func TestWaitAfterReboot(t *testing.T) {
	play(t, func(w *world) {
		w.rec.Options().Uptime = func() incident.Uptime { return incident.Uptime{Boot: "first", For: time.Hour} }
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Reset()})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.rec.Options().Uptime = func() incident.Uptime { return incident.Uptime{Boot: "second", For: time.Minute} }
		time.Sleep(2*timeout - time.Second)
		require.NoError(w, w.force())
		require.Empty(w, w.issues(fleet))
		time.Sleep(time.Second)
		require.NoError(w, w.force())
		require.EqualValues(w, 1, w.incident(id).Issue.Number)
	})
}

// The bot takes the oldest one that is open.
func TestSeveralIssuesFound(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		body := w.issue().Body
		for range 2 {
			w.Gitea.As("adf-bot").Open(fleet, "twin", body)
		}
		w.Gitea.As("alex").Close(fleet, 1)
		time.Sleep(time.Minute)
		_, err = w.rec.Escalate(w.Context(), project)
		require.NoError(w, err)
		require.EqualValues(w, 2, w.incident(id).Issue.Number)
	})
}

// An issue that another process has begun to create is looked for first.
func TestTripOfAnotherProcess(t *testing.T) {
	play(t, func(w *world) {
		tripped := w.failed(project)
		id := tripped.ID
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
		_, err := w.another().sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		time.Sleep(time.Minute)
		// The process that recorded the trip was stopped meanwhile, and still takes the incident for new.
		_, err = w.rec.Trip(w.Context(), tripped)
		require.NoError(w, err)
		require.Equal(w, w.issue().Number, w.incident(id).Issue.Number)
	})
}

// The issue is found, and closed.
func TestLostCreationOfResumedProject(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LateWork(time.Second)})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.rm(project)
		w.sweepFor(5 * time.Minute)
		i := w.issue()
		require.Equal(w, "closed", i.State)
		require.Len(w, comments(i), 1)
		require.True(w, w.incident(id).Settled)
	})
}

func TestLostCreationClosedByPerson(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(2 * time.Minute)
		i := w.issue()
		require.Equal(w, "open", i.State, "it is found among the closed ones, and the project is still paused")
		require.EqualValues(w, 1, w.incident(id).Issue.Number)
	})
}

// The comment is made once, and keeps no issue open.
func TestCommentWithoutAnswer(t *testing.T) {
	for _, f := range lostAnswers {
		t.Run(f.name, func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				w.rm(project)
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Times: 1, Do: f.do})
				_, err := w.sweepAnd(escalate.SweepOptions{})
				require.Error(w, err)
				require.Equal(w, "closed", w.issue().State, "it is closed all the same")
				w.sweepFor(5 * time.Minute)
				require.Len(w, comments(w.issue()), 1)
				require.True(w, w.incident(id).Settled)
				require.Empty(w, w.incident(id).LastErr)
			})
		})
	}
}

// A comment in doubt waits for twice the timeout, also in a forced sweep.
func TestSecondCommentWaits(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Times: 1, Do: giteatest.LateWork(9500 * time.Millisecond)})
		for range 60 {
			_ = w.force()
			time.Sleep(500 * time.Millisecond)
		}
		w.Gitea.Wait()
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
		require.True(w, w.incident(id).Settled)
	})
}

// The issue is closed in the end, with one comment.
func TestClosingWithoutAnswer(t *testing.T) {
	for _, f := range lostAnswers {
		t.Run(f.name, func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				w.rm(project)
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.CloseIssue(), Times: 1, Do: f.do})
				_, err := w.sweepAnd(escalate.SweepOptions{})
				require.Error(w, err)
				require.False(w, w.incident(id).Settled)
				w.sweepFor(5 * time.Minute)
				i := w.issue()
				require.Equal(w, "closed", i.State)
				require.Len(w, comments(i), 1)
				require.True(w, w.incident(id).Settled)
			})
		})
	}
}

// The issue is open in the end, with one comment.
func TestReopeningWithoutAnswer(t *testing.T) {
	for _, match := range []struct {
		name  string
		match func(*http.Request) bool
	}{{"of the reopening", giteatest.ReopenIssue()}, {"of its comment", giteatest.CommentIssue()}} {
		for _, f := range lostAnswers {
			t.Run(match.name+": "+f.name, func(t *testing.T) {
				play(t, func(w *world) {
					id := w.trip(project)
					w.Gitea.As("alex").Close(fleet, 1)
					w.Gitea.Inject(giteatest.Fault{Match: match.match, Times: 1, Do: f.do})
					_, err := w.sweepAnd(escalate.SweepOptions{})
					require.Error(w, err)
					w.sweepFor(5 * time.Minute)
					i := w.issue()
					require.Equal(w, "open", i.State)
					require.Len(w, comments(i), 1)
					require.False(w, w.incident(id).ReopenPending)
					require.Len(w, w.incident(id).Reopens, 1, "it counts once")
				})
			})
		}
	}
}

// An issue that was deleted takes with it what was about to be said in it.
func TestDeletedDuringReopening(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.Gitea.As("alex").Close(fleet, 1)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CommentIssue(), Times: 1, Do: lostAnswers[0].do})
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(w, err)
		w.Gitea.As("alex").Delete(fleet, 1)
		w.sweepFor(5 * time.Minute)
		i := w.issue()
		require.Equal(w, "open", i.State)
		require.Empty(w, comments(i), "nobody has closed the new one")
	})
}

// A duplicate is closed with one comment, whatever answer is lost.
func TestDuplicateWithoutAnswer(t *testing.T) {
	for _, match := range []struct {
		name  string
		match func(*http.Request) bool
	}{{"of the closing", giteatest.CloseIssue()}, {"of its comment", giteatest.CommentIssue()}} {
		for _, f := range lostAnswers {
			t.Run(match.name+": "+f.name, func(t *testing.T) {
				play(t, func(w *world) {
					w.trip(project)
					w.Gitea.As("adf-bot").Open(fleet, "twin", w.issue().Body)
					w.Gitea.Inject(giteatest.Fault{Match: match.match, Times: 1, Do: f.do})
					_, err := w.sweepAnd(escalate.SweepOptions{})
					require.Error(w, err)
					w.sweepFor(5 * time.Minute)
					all := w.issues(fleet)
					require.Equal(w, []string{"open", "closed"}, []string{all[0].State, all[1].State})
					require.Empty(w, comments(all[0]))
					require.Len(w, comments(all[1]), 1)
					require.Empty(w, w.sweep().Actions)
				})
			})
		}
	}
}

// A failed look-up makes no second issue.
func TestFailedLookUp(t *testing.T) {
	for _, f := range lostAnswers {
		t.Run(f.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
				undo := w.Gitea.Inject(giteatest.Fault{Match: func(r *http.Request) bool {
					return giteatest.ListIssues()(r) && r.URL.Query().Get("state") == "all"
				}, Do: f.do})
				_, err := w.tripAnd(project)
				require.Error(w, err)
				// The list of open issues shows it, so that one is kept from the bot as well.
				w.Gitea.As("alex").Close(fleet, 1)
				w.sweepFor(10 * time.Minute)
				require.Len(w, w.issues(fleet), 1)
				undo()
				w.sweepFor(20 * time.Minute)
				require.Equal(w, "open", w.issue().State)
			})
		})
	}
}

// The next process finishes what a killed one began, once.
func TestKilledProcess(t *testing.T) {
	// Each step of a trip, and of a resume, of a reopening and of a duplicate.
	for _, step := range []string{"flag-written", "flag-noted", "create-begun", "created", "issue-noted"} {
		t.Run("trip dies at "+step, func(t *testing.T) {
			play(t, func(w *world) {
				tripped := w.failed(project)
				id := tripped.ID
				w.dies(step, func(ctx context.Context) { _, _ = w.rec.Trip(ctx, tripped) })
				m := w.reopened()
				m.sweepFor(3 * time.Minute)
				require.True(w, m.paused(project))
				i := m.issue()
				require.Equal(w, "open", i.State)
				require.Equal(w, i.Number, m.incident(id).Issue.Number)
				require.Empty(w, m.sweep().Actions)
			})
		})
	}
	for _, step := range []string{"resume-noted", "comment-begun", "commented", "closed", "settled"} {
		t.Run("resume dies at "+step, func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				w.rm(project)
				w.dies(step, func(ctx context.Context) { _, _ = w.rec.Escalate(ctx, project) })
				m := w.reopened()
				m.sweepFor(3 * time.Minute)
				i := m.issue()
				require.Equal(w, "closed", i.State)
				require.Len(w, comments(i), 1)
				require.True(w, m.incident(id).Settled)
				p, err := m.store.Project(w.Context(), project)
				require.NoError(w, err)
				require.EqualValues(w, 1, p.Generation)
			})
		})
	}
	for _, step := range []string{"reopen-begun", "comment-begun", "commented", "reopened"} {
		t.Run("reopening dies at "+step, func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				w.Gitea.As("alex").Close(fleet, 1)
				w.sweepDies(step)
				m := w.reopened()
				m.sweepFor(3 * time.Minute)
				i := m.issue()
				require.Equal(w, "open", i.State)
				require.Len(w, comments(i), 1)
				require.Len(w, m.incident(id).Reopens, 1)
				require.False(w, m.incident(id).ReopenPending)
			})
		})
	}
}
