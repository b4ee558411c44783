package escalate_test

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

var everyone = []string{"atlas", "bravo", "carol", project}

// playStop plays with four projects.
func playStop(t *testing.T, f func(w *world)) {
	t.Helper()
	play(t, func(w *world) {
		w.rec.Options().Projects = everyone
		f(w)
	})
}

// aStop is a stop of all projects; it ends after a time, or with 0 when somebody says so.
func aStop(lasts time.Duration, patterns ...string) incident.Stop {
	if patterns == nil {
		patterns = []string{incident.EveryProject}
	}
	s := incident.Stop{ID: pause.NewRandomID(), Patterns: patterns, Reason: "the provider is down", By: "kim", Since: time.Now().UTC()}
	if lasts > 0 {
		s.Until = s.Since.Add(lasts)
	}
	return s
}

func (m *machine) stop(s incident.Stop) escalate.Stopped {
	m.Helper()
	out, err := m.rec.Stop(m.context(), s)
	require.NoError(m, err)
	require.NoError(m, out.Failed)
	return out
}

func (m *machine) endStops() escalate.StopEnded {
	m.Helper()
	stops, err := m.rec.StopsInForce(m.Context())
	require.NoError(m, err)
	out, err := m.rec.EndStops(m.context(), stops, true, "resumed by kim")
	require.NoError(m, err)
	require.NoError(m, out.Failed)
	return out
}

// flags are the projects with a flag.
func (m *machine) flags() []string {
	m.Helper()
	list, err := m.rec.Flags()
	require.NoError(m, err)
	return list
}

func (m *machine) pauseByHand(project string) {
	m.Helper()
	_, err := m.rec.Pause(m.context(), project, project+" is paused by eve")
	require.NoError(m, err)
}

// nothingLeft requires that a sweep has nothing to do.
func (m *machine) nothingLeft() {
	m.Helper()
	require.Empty(m, kinds(m.sweep().Actions))
}

func TestStopHoldsWhatNothingElsePauses(t *testing.T) {
	playStop(t, func(w *world) {
		w.trip("atlas")
		w.pauseByHand("bravo")
		w.touch("carol") // nobody has seen that yet
		out := w.stop(aStop(0))
		require.Equal(t, []string{project}, out.Held)
		require.Equal(t, []string{"atlas", "bravo", "carol"}, out.Others)
		require.Equal(t, everyone, w.flags())
		flag, err := w.dir.Look(project)
		require.NoError(t, err)
		require.Contains(t, flag.Note, "odilo is paused with all projects by kim")
		require.Contains(t, flag.Note, "Reason: the provider is down\n")
		w.sweep()
		require.Len(t, w.issues(fleet), 1, "that of the incident")

		ended := w.endStops()
		require.Equal(t, []string{project}, ended.Resumed)
		require.Empty(t, ended.StillPaused)
		require.Equal(t, []string{"atlas", "bravo", "carol"}, w.flags())
		w.nothingLeft()
	})
}

// Whatever a crash leaves undone, the next sweep does, and no issue tells of it.
func TestStopHalfDone(t *testing.T) {
	for _, step := range []string{"stop-noted", "stop-covered", "flag-written", "flag-noted"} {
		t.Run(step, func(t *testing.T) {
			playStop(t, func(w *world) {
				w.pauseByHand("bravo")
				w.killedIn(step, func(ctx context.Context) { _, _ = w.rec.Stop(ctx, aStop(0)) })
				w.machine = w.reopened()
				w.rec.Options().Projects = everyone
				w.sweep()
				require.Equal(t, everyone, w.flags())
				w.nothingLeft()
				require.Equal(t, []string{"atlas", "carol", project}, w.endStops().Resumed)
				require.Equal(t, []string{"bravo"}, w.flags())
			})
		})
	}
}

// The end of a stop that was interrupted pauses nothing first.
func TestEndOfStopHalfBegun(t *testing.T) {
	for _, step := range []string{"stop-noted", "stop-covered", "flag-written"} {
		t.Run(step, func(t *testing.T) {
			playStop(t, func(w *world) {
				s := aStop(0)
				w.killedIn(step, func(ctx context.Context) { _, _ = w.rec.Stop(ctx, s) })
				w.machine = w.reopened()
				w.rec.Options().Projects = everyone
				ctx := fault.With(w.Context(), func(name string) { require.NotEqual(w, "flag-written", name) })
				out, err := w.rec.EndStops(ctx, []incident.Stop{s}, true, "resumed by kim")
				require.NoError(w, err)
				require.NoError(w, out.Failed)
				require.Empty(t, w.flags())
				w.nothingLeft()
			})
		})
	}
}

// killedIn runs f in a process of its own, which is killed at the named step.
func (m *machine) killedIn(step string, f func(ctx context.Context)) {
	m.Helper()
	reached := make(chan struct{}, 100)
	ctx := fault.With(m.Context(), func(name string) {
		if name == step {
			reached <- struct{}{}
			runtime.Goexit()
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	<-done
	require.NotEmpty(m, reached, "step %s is reached", step)
}

func TestEndOfStopHalfDone(t *testing.T) {
	for _, step := range []string{"stop-ended", "hold-ended"} {
		t.Run(step, func(t *testing.T) {
			playStop(t, func(w *world) {
				w.pauseByHand("bravo")
				s := aStop(0)
				w.stop(s)
				w.killedIn(step, func(ctx context.Context) { _, _ = w.rec.EndStops(ctx, []incident.Stop{s}, true, "resumed by kim") })
				w.machine = w.reopened()
				w.rec.Options().Projects = everyone
				w.sweep()
				require.Equal(t, []string{"bravo"}, w.flags())
				w.nothingLeft()
				for _, id := range []string{"atlas", "carol", project} {
					require.Equal(t, int64(1), w.state(id).Generation, "resumed once")
				}
			})
		})
	}
}

func TestStopCoversWhatBecomesKnown(t *testing.T) {
	playStop(t, func(w *world) {
		w.rec.Options().Projects = []string{"atlas"}
		w.stop(aStop(0, "a*", project))
		w.rec.Options().Projects = everyone
		w.sweep()
		require.Equal(t, []string{"atlas", project}, w.flags())
		stopped, err := w.rec.KeepStopped(w.Context(), "avalon")
		require.NoError(t, err)
		require.True(t, stopped)
		_, _, err = w.rec.Local(w.Context(), "avalon")
		require.NoError(t, err)
		require.True(t, w.paused("avalon"))
		stopped, err = w.rec.KeepStopped(w.Context(), "bravo")
		require.NoError(t, err)
		require.False(t, stopped)
	})
}

// Whoever resumes a project during a stop means it.
func TestResumedDuringStop(t *testing.T) {
	playStop(t, func(w *world) {
		w.trip("bravo")
		w.stop(aStop(0))
		w.rm("atlas")
		w.sweep()
		for _, id := range []string{"carol", "bravo"} {
			_, err := w.rec.Resume(w.Context(), id, "resumed by kim")
			require.NoError(t, err)
		}
		w.sweep()
		w.sweep()
		require.Equal(t, []string{project}, w.flags())
		require.Equal(t, []string{project}, w.endStops().Resumed)
	})
}

// A second stop stops what was resumed during the first one. Each holds what the other one leaves.
func TestStopsOverlap(t *testing.T) {
	playStop(t, func(w *world) {
		w.stop(aStop(time.Hour))
		_, err := w.rec.Resume(w.Context(), "atlas", "resumed by kim")
		require.NoError(t, err)
		second := aStop(0)
		out := w.stop(second)
		require.Equal(t, []string{"atlas"}, out.Held)
		time.Sleep(61 * time.Minute)
		w.sweep()
		require.Equal(t, everyone, w.flags(), "the second one goes on")
		require.Equal(t, second.ID, w.state("bravo").Hold.Stop)
		w.nothingLeft()
		ended := w.endStops()
		require.Equal(t, everyone, ended.Resumed)
		require.Empty(t, w.flags())
	})
}

func TestStopEndsByItself(t *testing.T) {
	playStop(t, func(w *world) {
		w.trip("atlas")
		w.sweep()
		w.stop(aStop(2 * time.Hour))
		flag, err := w.dir.Look(project)
		require.NoError(t, err)
		require.Contains(t, flag.Note, "It resumes by itself at "+time.Now().UTC().Add(2*time.Hour).Format("2006-01-02 15:04 UTC"))
		time.Sleep(2*time.Hour - time.Second)
		w.nothingLeft()
		require.Equal(t, everyone, w.flags())
		time.Sleep(time.Second)
		rep, err := w.rec.SweepLocal(w.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"atlas"}, w.flags(), "%v", rep.Actions)
		w.nothingLeft()
		stops, err := w.rec.StopsInForce(w.Context())
		require.NoError(t, err)
		require.Empty(t, stops)
	})
}

// An incident that opens during a stop outlasts it: a run that had begun before failed.
func TestIncidentOutlastsStop(t *testing.T) {
	playStop(t, func(w *world) {
		w.stop(aStop(0))
		id := w.trip(project)
		w.sweep()
		ended := w.endStops()
		require.Equal(t, []string{project}, ended.StillPaused)
		require.Equal(t, []string{project}, w.flags())
		require.True(t, w.incident(id).IsOpen())
		require.Nil(t, w.state(project).Hold)
		flag, err := w.dir.Look(project)
		require.NoError(t, err)
		require.Contains(t, flag.Note, "project-meta failed 1 time", "the flag says what pauses the project now")
		w.nothingLeft()
		w.rm(project)
		w.sweep()
		require.False(t, w.incident(id).IsOpen())
	})
}

// The flag of a pause that would end by itself does not say so any more once an incident pauses the project, too.
func TestTripDuringTimedPause(t *testing.T) {
	for name, begin := range map[string]func(*world){
		"stop": func(w *world) { w.stop(aStop(time.Hour)) },
		"pause by hand": func(w *world) {
			_, err := w.rec.Hold(w.Context(), incident.Hold{Project: project, Note: "It resumes by itself at 12:00.", Until: time.Now().Add(time.Hour)})
			require.NoError(w, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			playStop(t, func(w *world) {
				begin(w)
				hold := w.state(project).Hold.ID
				id := w.trip(project)
				flag, err := w.dir.Look(project)
				require.NoError(t, err)
				require.Contains(t, flag.Note, "project-meta failed 1 time")
				require.NotContains(t, flag.Note, "resumes by itself")
				require.Equal(t, hold, w.state(project).Hold.ID)
				require.NotContains(t, w.issue().Body, "NOT PAUSED")
				require.Empty(t, kinds(w.sweep().Actions))
				time.Sleep(2 * time.Hour)
				w.sweep()
				require.Nil(t, w.state(project).Hold)
				require.True(t, w.incident(id).IsOpen())
				w.rm(project)
				w.sweep()
				require.False(t, w.incident(id).IsOpen())
			})
		})
	}
}

// A stop is ended before anybody has looked for issues, after the state was lost: the flag tells of the incident that outlasts the stop.
func TestLostStateTripDuringStop(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"for good": 0, "for a time": time.Hour} {
		t.Run(name, func(t *testing.T) {
			playStop(t, func(w *world) {
				w.stop(aStop(lasts))
				id := w.trip(project)
				w.machine = w.withoutState()
				w.rec.Options().Projects = everyone
				time.Sleep(2 * time.Hour)
				_, _, err := w.rec.Local(w.context(), project)
				require.NoError(t, err)
				w.endStops()
				require.Equal(t, []string{project}, w.flags())
				w.sweep()
				require.Equal(t, []string{project}, w.flags())
				require.True(t, w.incident(id).IsOpen())
				require.Equal(t, "open", w.issue().State)
				w.rm(project)
				w.sweep()
				require.Equal(t, "closed", w.issue().State)
			})
		})
	}
}

// Where the flag cannot be replaced, the project is paused all the same, and its issue says nothing else.
func TestTripDuringTimedPauseUnwritable(t *testing.T) {
	playStop(t, func(w *world) {
		w.stop(aStop(time.Hour))
		undo := testhost.ReadOnly(w, w.dir.Path())
		_, err := w.tripAnd(project)
		require.ErrorContains(t, err, "is paused by the flag of another pause")
		require.NotContains(t, w.issue().Body, "NOT PAUSED")
		undo()
		w.sweep()
		flag, err := w.dir.Look(project)
		require.NoError(t, err)
		require.Contains(t, flag.Note, "project-meta failed 1 time")
	})
}

// A flag that somebody makes or touches is a pause of its own, which no time ends.
func TestPersonsFlagOutlastsStop(t *testing.T) {
	playStop(t, func(w *world) {
		s := aStop(time.Hour)
		w.stop(s)
		time.Sleep(2 * time.Second)
		w.touch("atlas")
		require.NoError(t, os.Chtimes(w.dir.FlagPath("bravo"), time.Now(), time.Now()))
		w.sweep()
		require.Empty(t, w.state("atlas").Hold.Stop)
		require.Contains(t, w.state("bravo").Hold.Note, "Reason: the provider is down")
		require.NotContains(t, w.state("bravo").Hold.Note, "resumes by itself", "it is what the flag says where it is written again")
		w.touch("carol") // and nobody sees it before the end
		time.Sleep(time.Hour)
		w.sweep()
		require.Equal(t, []string{"atlas", "bravo", "carol"}, w.flags())
		w.nothingLeft()
		w.rm("atlas")
		w.sweep()
		require.Equal(t, []string{"bravo", "carol"}, w.flags())
	})
}

func TestPausedByHandDuringStop(t *testing.T) {
	playStop(t, func(w *world) {
		w.stop(aStop(0))
		w.pauseByHand("atlas")
		flag, err := w.dir.Look("atlas")
		require.NoError(t, err)
		require.Contains(t, flag.Note, "atlas is paused by eve")
		w.endStops()
		require.Equal(t, []string{"atlas"}, w.flags())
		w.nothingLeft()
	})
}

func TestPauseEndsByItself(t *testing.T) {
	for _, step := range []string{"", "hold-ended"} {
		t.Run(step, func(t *testing.T) {
			playStop(t, func(w *world) {
				_, err := w.rec.Hold(w.Context(), incident.Hold{Project: project, Note: "two hours", Until: time.Now().Add(2 * time.Hour)})
				require.NoError(t, err)
				time.Sleep(2*time.Hour - time.Second)
				w.nothingLeft()
				time.Sleep(time.Second)
				if step != "" {
					w.diesIn(step)
					w.machine = w.reopened()
				}
				w.sweep()
				require.Empty(t, w.flags())
				require.Equal(t, int64(1), w.state(project).Generation)
				w.nothingLeft()
			})
		})
	}
}

// A crash between flag and confirmation must not make it a person's.
func TestPauseEndsBeforeItsFlagIsConfirmed(t *testing.T) {
	playStop(t, func(w *world) {
		w.dies("flag-written", func(ctx context.Context) {
			_, _ = w.rec.Hold(ctx, incident.Hold{Project: project, Note: "two hours", Until: time.Now().Add(2 * time.Hour)})
		})
		w.machine = w.reopened()
		time.Sleep(3 * time.Hour)
		w.sweep()
		require.Empty(t, w.flags())
		w.nothingLeft()
	})
}

// A pause for good is not ended by the time of an earlier one.
func TestLongerPauseTakesOver(t *testing.T) {
	playStop(t, func(w *world) {
		_, err := w.rec.Hold(w.Context(), incident.Hold{Project: project, Note: "an hour", Until: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		w.pauseByHand(project)
		flag, err := w.dir.Look(project)
		require.NoError(t, err)
		require.Contains(t, flag.Note, "paused by eve")
		time.Sleep(2 * time.Hour)
		w.nothingLeft()
		require.True(t, w.paused(project))
	})
}

func TestClockSetDuringPause(t *testing.T) {
	playStop(t, func(w *world) {
		var off time.Duration
		w.rec.Options().Now = func() time.Time { return time.Now().Add(off) }
		w.stop(aStop(2 * time.Hour))
		off = -time.Hour
		time.Sleep(2 * time.Hour)
		w.nothingLeft() // set back: it lasts longer
		require.Equal(t, everyone, w.flags())
		off = 0
		w.sweep()
		require.Empty(t, w.flags())
		off = -24 * time.Hour
		w.sweep()
		require.Empty(t, w.flags(), "it is over for good")
		stops, err := w.rec.StopsInForce(w.Context())
		require.NoError(t, err)
		require.Empty(t, stops)

		w.stop(aStop(0))
		off = -48 * time.Hour
		w.endStops()
		require.Empty(t, w.flags(), "what somebody ends does not wait for a clock")
	})
}

// The flags say what they are a part of, so that a lost state loses no end.
func TestStopAfterLostState(t *testing.T) {
	playStop(t, func(w *world) {
		w.stop(aStop(time.Hour, "atlas"))
		w.stop(aStop(0))
		w.machine = w.withoutState()
		w.rec.Options().Projects = everyone
		w.sweep()
		require.Equal(t, everyone, w.flags())
		time.Sleep(61 * time.Minute)
		w.sweep()
		require.Equal(t, []string{"bravo", "carol", project}, w.flags())
		require.Equal(t, []string{"bravo", "carol", project}, w.endStops().Resumed)
	})
}

// A shorter pause by hand does not end what a lost state had stopped: no stop goes on with the project after it.
func TestPausedByHandDuringLostStop(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"for good": 0, "for a time": 5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			playStop(t, func(w *world) {
				w.stop(aStop(lasts))
				w.machine = w.withoutState()
				w.rec.Options().Projects = everyone
				held, err := w.rec.Hold(w.Context(), incident.Hold{Project: project, Note: "a minute", Until: time.Now().Add(time.Minute)})
				require.NoError(t, err)
				require.Equal(t, escalate.Held{}, held)
				time.Sleep(2 * time.Hour)
				w.sweep()
				require.Equal(t, everyone, w.flags())
				require.Equal(t, []string{"atlas", "bravo", "carol"}, w.endStops().Resumed, "odilo is paused by hand")
				time.Sleep(4 * time.Hour)
				w.sweep()
				require.Equal(t, lasts == 0, w.paused(project))
			})
		})
	}
}

// fullFolder is a pause directory that does not take the flag of atlas.
type fullFolder struct{ escalate.Folder }

func (f fullFolder) Write(id, note string, at time.Time) (bool, error) {
	if id == "atlas" {
		return false, syscall.ENOSPC
	}
	return f.Folder.Write(id, note, at)
}

func TestStopWithUnwritableFlag(t *testing.T) {
	playStop(t, func(w *world) {
		w.rec.SetFolder(func() (escalate.Folder, error) {
			f, err := w.dir.Open()
			return fullFolder{f}, err
		})
		out, err := w.rec.Stop(w.Context(), aStop(0))
		require.NoError(t, err)
		require.Equal(t, everyone, out.Held)
		var failed *escalate.FlagWriteError
		require.ErrorAs(t, out.Failed, &failed)
		require.Equal(t, "atlas", failed.Project)
		require.Equal(t, []string{"bravo", "carol", project}, w.flags())
		w.machine = w.reopened()
		w.rec.Options().Projects = everyone
		w.sweep()
		require.Equal(t, everyone, w.flags())
	})
}

func TestStopWithoutDirectory(t *testing.T) {
	playStop(t, func(w *world) {
		blocked(t, w, func() {
			_, err := w.rec.Stop(w.Context(), aStop(0))
			var unknown *escalate.FlagUnknownError
			require.ErrorAs(t, err, &unknown)
		})
		w.nothingLeft()
		require.Empty(t, w.flags())
	})
}

func TestCommandPauseAll(t *testing.T) {
	for _, step := range []string{"", "order-begun", "stop-noted", "stop-covered", "flag-written", "order-carried", "comment-begun", "commented"} {
		t.Run(step, func(t *testing.T) {
			playStopCommands(t, func(w *world) {
				w.says("alex", "/adf pause all for 2h: provider outage")
				if step != "" {
					w.diesIn(step)
					w.machine = w.reborn()
					w.rec.Options().Projects = everyone
				}
				w.sweepFor(3 * time.Minute)
				require.Equal(t, everyone, w.flags())
				require.Contains(t, w.last(), "projects paused until ")
				require.Contains(t, w.last(), "and any that becomes known from now on. 1 other project had been paused before")
				require.Len(t, comments(w.issue()), 1, "one answer")
				stops, err := w.rec.StopsInForce(w.Context())
				require.NoError(t, err)
				require.Len(t, stops, 1)
				require.Equal(t, "provider outage", stops[0].Reason)
				require.Contains(t, stops[0].By, "alex in terraphim/")

				w.says("alex", "/adf resume all")
				w.sweepFor(2 * time.Minute)
				require.Equal(t, []string{project}, w.flags(), "its incident goes on")
				require.Contains(t, w.last(), "The stop of all projects is over: 3 projects resumed. What was paused before the stop is as it was.")
			})
		})
	}
}

// What ends a stop of all projects also ends an earlier one.
func TestCommandPauseAllAgain(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.pauseByHand("atlas")
		w.stop(aStop(0, "bravo"))
		w.stop(aStop(0))
		w.says("alex", "/adf pause all for 1h")
		w.sweep()
		require.Contains(t, w.last(), "any that becomes known from now on. 3 other projects had been paused before, and stay so. To end this, comment `/adf resume all`")
		require.Contains(t, w.last(), "or run `adfbot resume --all`. That also resumes 1 project that an earlier stop holds.")
		w.says("alex", "/adf resume all")
		w.sweepFor(2 * time.Minute)
		require.Equal(t, []string{"atlas", "bravo", project}, w.flags())
		require.Contains(t, w.last(), "The stops of all projects are over: 1 project resumed. What was paused before the first of them is as it was.")
		w.says("alex", "/adf pause all")
		w.sweep()
		require.NotContains(t, w.last(), "earlier stop")
	})
}

// What another stop is about, too, stays paused at the end of all stops of all projects.
func TestCommandPauseAllBesideAPattern(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.rm(project)
		w.sweep()
		w.stop(aStop(0))
		w.stop(aStop(0, "odi*"))
		w.says("alex", "/adf pause all for 1h")
		w.sweep()
		require.Contains(t, w.last(), "1 other project had been paused before")
		require.Contains(t, w.last(), "That also resumes 3 projects that an earlier stop holds.")
		w.says("alex", "/adf resume all")
		w.sweepFor(2 * time.Minute)
		require.Contains(t, w.last(), "3 projects resumed")
		require.Equal(t, []string{project}, w.flags())
	})
}

// A pause by hand outlasts a stop, or an earlier pause for a time, that pauses the project already, and the answer says so.
func TestCommandPauseDuringStop(t *testing.T) {
	for name, hold := range map[string]func(w *world){
		"all":            func(w *world) { w.stop(aStop(0)) },
		"all for a time": func(w *world) { w.stop(aStop(time.Hour)) },
		"by a pattern":   func(w *world) { w.stop(aStop(0, "odi*")) },
		"for a time": func(w *world) {
			_, err := w.rec.Hold(w.Context(), incident.Hold{Project: project, Note: "an hour", Until: time.Now().Add(time.Hour)})
			require.NoError(w, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			playStopCommands(t, func(w *world) {
				w.rm(project)
				w.sweep()
				hold(w)
				w.says("alex", "/adf pause mine")
				w.sweep()
				require.Contains(t, w.last(), "`odilo` was paused already, and stays paused until somebody resumes it. "+
					"To resume it, comment `/adf resume odilo` here, or run `adfbot resume odilo`.")
				w.says("alex", "/adf pause mine")
				w.sweep()
				require.Contains(t, w.last(), "`odilo` is already paused.")
				w.endStops()
				time.Sleep(2 * time.Hour)
				w.sweep()
				require.Equal(t, []string{project}, w.flags())
			})
		})
	}
}

// Answers name the commands that work on the bot's machine.
func TestCommandsInAnswers(t *testing.T) {
	playStopCommands(t, func(w *world) {
		o := w.rec.Options()
		o.RunAs, o.ConfigFlag = func() string { return "sudo -u adfbot " }, " --config /srv/a.yaml"
		w.says("alex", "/adf pause all")
		w.sweep()
		require.Contains(t, w.last(), "or run `sudo -u adfbot adfbot resume --all --config /srv/a.yaml`.")
		w.says("alex", "/adf pause for 2h")
		w.sweep()
		require.Contains(t, w.last(), "for a time, run `sudo -u adfbot adfbot pause odilo --for 2h --config /srv/a.yaml` on the machine.")
	})
}

func TestCommandResumeAllCrash(t *testing.T) {
	for _, step := range []string{"order-begun", "stop-ended", "hold-ended", "order-carried", "comment-begun"} {
		t.Run(step, func(t *testing.T) {
			playStopCommands(t, func(w *world) {
				w.stop(aStop(0))
				time.Sleep(2 * time.Second)
				w.says("alex", "/adf resume all the provider is back")
				w.diesIn(step)
				w.machine = w.reborn()
				w.rec.Options().Projects = everyone
				w.stop(aStop(0, "carol")) // somebody stops one again
				w.sweepFor(3 * time.Minute)
				require.Subset(t, []string{"carol", project}, w.flags())
				require.Len(t, comments(w.issue()), 1)
				require.Contains(t, w.last(), "The stop of all projects is over")
			})
		})
	}
}

func playStopCommands(t *testing.T, f func(w *world)) {
	t.Helper()
	playOperated(t, func(w *world, _ string) {
		w.rec.Options().Projects = everyone
		f(w)
	})
}

func TestCommandsAboutAll(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.says("alex", "/adf resume all")
		w.sweep()
		require.Contains(t, w.last(), "Nothing was done: no stop of all projects is in force. To resume `odilo`, comment `/adf resume`.")
		w.says("kim", "/adf pause all")
		w.sweep()
		require.Contains(t, w.last(), "only from its operators")
		require.Equal(t, []string{project}, w.flags())
		for text, said := range map[string]string{
			"for 30s": "`30s` is shorter than 1m", "for 1w maintenance": "`1w` is no time", "for 2 hours": "`2` is no time", "for: 31d": "`31d` is longer than 30d",
			"for 256d": "`256d` is longer than 30d", "for 99999d": "`99999d` is longer than 30d",
		} {
			w.says("alex", "/adf pause all "+text)
			w.sweep()
			require.Contains(t, w.last(), "Nothing was paused: "+said+". Write a time from 1m to 30d")
			require.Equal(t, []string{project}, w.flags())
		}
		w.says("alex", "/adf resume all tests are fixed")
		w.sweep()
		require.Empty(t, w.flags(), "without a stop, that is a reason")
	})
}

// A stop that the state has lost is ended by a comment, too, unless it is later than that.
func TestCommandEndsLostStop(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.stop(aStop(0))
		w.machine = w.withoutState()
		w.operated("alex")
		w.rec.Options().Projects = everyone
		w.sweep()
		require.Equal(t, everyone, w.flags())
		time.Sleep(time.Minute)
		w.says("alex", "/adf resume all")
		w.sweep()
		require.Contains(t, w.last(), "The stop of all projects is over: 3 projects resumed.")
		require.Equal(t, []string{project}, w.flags())
	})
}

// A command that was written before somebody has ended a stop, or begun one, may not mean it.
func TestLateCommandsAboutAll(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.says("alex", "/adf pause all")
		w.stop(aStop(0))
		time.Sleep(2 * time.Second)
		w.endStops()
		w.sweep()
		require.Contains(t, w.last(), "Nothing was done: an earlier stop of all projects was ended at")
		require.Equal(t, []string{project}, w.flags())
		w.says("alex", "/adf pause all")
		w.sweep()
		require.Equal(t, everyone, w.flags())
		w.endStops()

		time.Sleep(2 * time.Second)
		w.says("alex", "/adf resume all")
		time.Sleep(time.Second)
		w.stop(aStop(0))
		w.sweep()
		require.Contains(t, w.last(), "Nothing was done: all projects were paused at")
		require.Equal(t, everyone, w.flags())
		w.says("alex", "/adf resume all")
		w.sweep()
		require.Equal(t, []string{project}, w.flags())
	})
}

// A state in memory does it, too.
func TestStopInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, id := pause.New(t.TempDir()), pause.NewRandomID()
		require.NoError(t, dir.Init(id))
		rec, err := escalate.New(escalate.Options{Installation: id, State: escalate.NewMemory(), Dir: dir, Projects: everyone})
		require.NoError(t, err)
		m := &machine{rec: rec, dir: dir}
		out, err := rec.Stop(t.Context(), aStop(time.Hour))
		require.NoError(t, err)
		require.Equal(t, everyone, out.Held)
		time.Sleep(time.Hour)
		rep, err := m.rec.SweepLocal(t.Context())
		require.NoError(t, err)
		require.Len(t, rep.Actions, 8)
		require.Contains(t, kinds(rep.Actions), plan.EndHold)
		list, err := dir.List()
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

// A comment names one project and no pattern, and a pause of one has no end: what cannot be meant does nothing.
func TestCommandWithPatternOrTime(t *testing.T) {
	for said, answer := range map[string]string{
		"/adf resume odi*":              "a comment names one project, and no pattern such as `odi*`",
		"/adf resume 'o?ilo' mended":    "no pattern such as `o?ilo`",
		"/adf pause od* for 2h":         "no pattern such as `od*`",
		"/adf pause for 2h":             "leave out the time; for a time, run `adfbot pause odilo --for 2h` on the machine",
		"/adf pause odilo for 2h":       "leave out the time",
		"/adf pause odilo: FOR: 2h now": "leave out the time",
		"/adf resume for 2h":            "leave out the time, or give the command when the project is to run again",
		"/adf resume odilo in 30m":      "leave out the time",
		"/adf resume after 1d":          "leave out the time",
		"/adf resume all for 2h":        "leave out the time",
	} {
		t.Run(said, func(t *testing.T) {
			playStopCommands(t, func(w *world) {
				w.says("alex", said)
				w.sweep()
				require.Contains(t, w.last(), "Nothing was done: ", said)
				require.Contains(t, w.last(), answer, said)
				require.Equal(t, "open", w.issue().State)
				require.True(t, w.paused(project))
			})
		})
	}
	for _, said := range []string{"/adf resume why?", "/adf resume **done**", "/adf resume for 2 reasons", "/adf resume in 2026 it works", "/adf resume after 2h of work"} {
		t.Run(said, func(t *testing.T) {
			playStopCommands(t, func(w *world) {
				w.says("alex", said)
				w.sweep()
				require.False(t, w.paused(project), said)
			})
		})
	}
}

// A resume of all has no time either: the stop goes on.
func TestResumeAllWithTime(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.says("alex", "/adf pause all")
		w.sweep()
		stopped := w.flags()
		for _, said := range []string{"/adf resume all for 2h", "/adf resume all in 2h", "/adf resume all: for 90m please"} {
			w.says("alex", said)
			w.sweep()
			require.Contains(t, w.last(), "Nothing was done: ", said)
			require.Equal(t, stopped, w.flags(), said)
		}
		w.says("alex", "/adf resume all for 2 reasons")
		w.sweep()
		require.NotContains(t, w.last(), "Nothing was done: ")
		require.Less(t, len(w.flags()), len(stopped))
	})
}

// Days are a time, too; and a stop whose time is over was ended by nobody, so a pause that was written before the bot noticed that is meant.
func TestPauseAllAfterTimeWasOver(t *testing.T) {
	playStopCommands(t, func(w *world) {
		w.says("alex", "/adf pause all for 1d")
		w.sweep()
		stops, err := w.store.Stops(w.Context())
		require.NoError(t, err)
		require.Len(t, stops, 1)
		require.Equal(t, 24*time.Hour, stops[0].Until.Sub(stops[0].Since))
		time.Sleep(24*time.Hour + time.Second)
		w.says("alex", "/adf pause all again please")
		time.Sleep(10 * time.Second)
		w.sweep()
		w.sweep()
		require.NotContains(t, w.last(), "Nothing was done")
		require.Greater(t, len(w.flags()), 1)
	})
}
