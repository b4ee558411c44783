package escalate_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/fault"
)

var errUnreadable = errors.New("the disk is away")

// blocked runs f while no flag can be written: a directory that is none is in the way.
func blocked(t *testing.T, w *world, f func()) {
	t.Helper()
	away := w.dir.Path() + ".away"
	require.NoError(t, os.Rename(w.dir.Path(), away))
	require.NoError(t, os.WriteFile(w.dir.Path(), nil, 0o600))
	f()
	require.NoError(t, os.Remove(w.dir.Path()))
	require.NoError(t, os.Rename(away, w.dir.Path()))
}

// diesIn lets a sweep end at the named step, as in a process that is killed there.
func (m *machine) diesIn(step string) {
	m.Helper()
	var reached atomic.Bool
	ctx := fault.With(m.Context(), func(name string) {
		if name == step {
			reached.Store(true)
			runtime.Goexit()
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = m.rec.Sweep(ctx, escalate.SweepOptions{})
	}()
	<-done
	require.True(m, reached.Load(), "step %s is reached", step)
}

// reborn is reopened with the same operators.
func (m *machine) reborn() *machine {
	commands := m.rec.Options().Commands
	n := m.reopened()
	n.operated(commands.Operators...)
	n.rec.Options().Commands.CloseResumes = commands.CloseResumes
	return n
}

// The next process finishes the command, and runs it once.
func TestCrashDuringCommand(t *testing.T) {
	for _, command := range []string{"resume", "pause", "ack", "status"} {
		for _, step := range []string{"order-begun", "flag-removed", "hold-noted", "flag-written", "resume-noted", "order-carried", "order-answered-next", "comment-begun", "commented"} {
			begins := command == "resume" || command == "pause" || command == "ack"
			switch {
			case step == "order-begun" && !begins,
				(step == "flag-removed" || step == "resume-noted") && command != "resume",
				(step == "hold-noted" || step == "flag-written") && command != "pause":
				continue
			}
			t.Run(command+" "+step, func(t *testing.T) {
				playOperated(t, func(w *world, id string) {
					if command == "pause" {
						w.rm(project)
						w.sweep()
						time.Sleep(time.Minute)
					}
					before := len(comments(w.issue()))
					w.says("alex", "/adf "+command)
					w.diesIn(step)
					w.machine = w.reborn()
					w.sweepFor(10 * time.Minute)
					said := comments(w.issue())[before:]
					require.Len(t, said, 1, "one answer")
					require.Equal(t, command != "resume", w.paused(project))
					switch command {
					case "resume":
						require.Contains(t, w.incident(id).EndedHow, "@alex's /adf resume")
						require.Equal(t, "closed", w.issue().State)
						later := w.trip(project)
						w.sweepFor(5 * time.Minute)
						require.True(t, w.incident(later).IsOpen(), "nothing of it is left for a later incident")
					case "pause":
						w.rm(project)
						w.sweepFor(5 * time.Minute)
						require.False(t, w.paused(project), "a person's resume after that stands")
					case "ack":
						require.Equal(t, []string{"alex"}, w.issue().Assignees)
						require.NotNil(t, w.incident(id).Ack)
					}
				})
			})
		}
	}
}

// The flag of a pause that a dead process stored need not wait until another one may take over the issue.
func TestBegunPauseGetsItsFlag(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.rm(project)
		w.sweep()
		time.Sleep(time.Minute)
		w.says("alex", "/adf pause")
		w.diesIn("hold-noted")
		w.machine = w.reborn()
		require.False(t, w.paused(project))
		_, err := w.rec.SweepLocal(w.Context())
		require.NoError(t, err)
		require.True(t, w.paused(project), "before the command is finished")
		w.rm(project)
		w.sweepFor(5 * time.Minute)
		require.False(t, w.paused(project), "a person's resume stands when it is finished")
	})
}

// An outstanding command does not end a later incident.
func TestOutstandingCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.diesIn("order-begun")
		w.machine = w.reborn()
		w.rm(project) // a person was faster
		_, _, err := w.rec.Local(w.Context(), project)
		require.NoError(t, err)
		later := w.trip(project)
		w.sweepFor(5 * time.Minute)
		require.True(t, w.incident(later).IsOpen())
		require.True(t, w.paused(project))
	})
}

// The reply is not made twice.
func TestLostReplyToCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.Method("POST"), Times: 1, Do: giteatest.LostAnswer()})
		w.says("alex", "/adf status")
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(t, err)
		w.sweepFor(5 * time.Minute)
		require.Len(t, comments(w.issue()), 1)
	})
}

// The reply says so, and the command is not tried again.
func TestResumeCommandThatFails(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.rec.SetDirError(errUnreadable)
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		w.rec.SetDirError(nil)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "`/adf resume` failed, ")
		require.Contains(t, said[0], "the disk is away. Fix that, and give the command again.")
		w.sweepFor(5 * time.Minute)
		require.True(t, w.paused(project), "it does not come true hours later")
		w.says("alex", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

// The command runs once.
func TestCommandInTwoProcesses(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		second := w.another()
		second.operated("alex")
		w.says("alex", "/adf ack\n/adf resume")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = second.sweepAnd(escalate.SweepOptions{})
		}()
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		<-done
		w.sweepFor(3 * time.Minute)
		require.Len(t, comments(w.issue()), 2)
		require.False(t, w.paused(project))
	})
}

// Old commands are not run again.
func TestOldCommandsAfterLostState(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf ack")
		w.says("alex", "/adf status")
		w.sweep()
		require.Len(t, comments(w.issue()), 2)
		w.machine = w.withoutState()
		w.operated("alex")
		w.Gitea.As("alex").Assign(fleet, 1)
		w.sweepFor(5 * time.Minute)
		require.Len(t, comments(w.issue()), 2)
		require.Empty(t, w.issue().Assignees)
		w.says("alex", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

// A command in the issue of a lost state waits until the incident is rebuilt.
func TestCommandBeforeRebuilding(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.machine = w.withoutState()
		w.operated("alex")
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.Contains(t, strings.Join(comments(w.issue()), ""), "/adf resume in the issue")
	})
}

func TestSweepOfOneProjectRunsCommands(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		_, err := w.sweepAnd(escalate.SweepOptions{Project: project})
		require.NoError(t, err)
		require.False(t, w.paused(project))
		require.Equal(t, "closed", w.issue().State)
	})
}

// A sweep of one project leaves the others alone.
func TestSweepOfOneProject(t *testing.T) {
	play(t, func(w *world) {
		w.rec.Options().Projects = []string{project, "other"}
		w.trip(project)
		w.trip("other")
		w.sweep()
		w.rm("other")
		w.Gitea.ResetRequests()
		_, err := w.sweepAnd(escalate.SweepOptions{Project: project})
		require.NoError(t, err)
		require.Len(t, w.asked(), 1)
	})
}
