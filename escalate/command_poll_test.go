package escalate_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testworld"
)

// No comment is missed, and none is read twice.

func TestCommentPages(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		for range 120 {
			w.Gitea.As("kim").Comment(fleet, 1, "chatter")
		}
		w.says("alex", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

func TestCommentsInShorterPages(t *testing.T) {
	for _, total := range []bool{true, false} {
		t.Run(fmt.Sprint("total ", total), func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.Gitea.SetMaxItems(20)
				if !total { // a proxy drops the count
					w.rec.Options().Tracker = w.over(without(w.Gitea.Transport(), "X-Total-Count"))
				}
				for range 25 {
					w.Gitea.As("kim").Comment(fleet, 1, "chatter")
				}
				w.says("alex", "/adf resume")
				w.sweep()
				require.False(t, w.paused(project))
			})
		})
	}
}

// Where one sweep can't read all, each goes on where the last one stopped.
func TestCommentsOfSlowServer(t *testing.T) {
	late := func(r *http.Request) bool {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		return page > 10 && giteatest.PathHas("/issues/comments")(r)
	}
	for name, fault := range map[string]giteatest.Fault{
		"slow":                 {Match: giteatest.PathHas("/issues/comments"), Times: 1000, Do: giteatest.Latency(timeout - time.Millisecond)},
		"fails after 10 pages": {Match: late, Times: 1000, Do: giteatest.Status(504, "gateway timeout")},
	} {
		t.Run(name, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.Gitea.SetMaxItems(5)
				early := w.says("kim", "chatter")
				for range 200 {
					w.says("kim", "chatter")
					time.Sleep(time.Minute)
				}
				w.says("alex", "/adf ack")
				w.says("kim", "chatter")
				w.Gitea.As("kim").EditComment(fleet, early, "chatter, edited later than all others")
				w.says("alex", "/adf resume")
				w.Gitea.Inject(fault)
				_, err := w.sweepAnd(escalate.SweepOptions{})
				require.ErrorContains(t, err, "list new comments")
				require.True(t, w.paused(project), "not read yet")
				for range 30 {
					_, _ = w.sweepAnd(escalate.SweepOptions{})
					time.Sleep(time.Minute)
				}
				require.False(t, w.paused(project))
				require.NotNil(t, w.incident(id).Ack)
			})
		})
	}
}

// Whoever floods an issue with commands keeps nobody waiting: what was said before a command is not read for it, and those of somebody
// who has got their answer cost nothing.
func TestFloodOfCommands(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		lists := func() (paths []string) {
			for _, r := range w.asked() {
				if r.Method == "GET" && strings.Contains(r.Path, "/issues/1/comments") {
					paths = append(paths, r.Path)
				}
			}
			w.Gitea.ResetRequests()
			return paths
		}
		w.says("kim", "/adf resume")
		w.sweep()
		require.Len(t, lists(), 1)
		for range 40 {
			w.says("kim", "/adf resume")
		}
		w.sweep()
		require.Empty(t, lists())
		w.says("alex", "/adf status")
		w.sweep()
		paths := lists()
		require.Len(t, paths, 1)
		require.Contains(t, paths[0], "since=")
		require.Len(t, comments(w.issue()), 2)
	})
}

// A command that waits follows its issue into a renamed repository.
func TestCommandInRenamedRepository(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Status(502, "bad gateway")})
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(t, err)
		require.True(t, w.paused(project))
		w.Gitea.Rename(fleet, "fleet-2")
		w.moveTo("terraphim/fleet-2")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.True(t, w.incident(id).Settled)
		i, _ := w.Gitea.Issue("terraphim/fleet-2", 1)
		require.Len(t, comments(i), 1)
		left, err := w.store.PendingCommands(w.Context(), server, "")
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// In the issue of an incident that has ended, which nobody has looked for since the renaming, commands are run too.
func TestCommandInRenamedRepositoryAfterTheEnd(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.rm(project)
		w.sweepFor(3 * time.Minute)
		require.True(t, w.incident(id).Settled)
		w.Gitea.Rename(fleet, "fleet-2")
		w.moveTo("terraphim/fleet-2")
		w.sweepFor(time.Minute)
		w.Gitea.As("alex").Comment("terraphim/fleet-2", 1, "/adf pause disk swap")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		i, _ := w.Gitea.Issue("terraphim/fleet-2", 1)
		require.Contains(t, comments(i)[len(comments(i))-1], "`odilo` is paused.")
	})
}

// So is one that was written after the renaming, although it takes hours until the configuration has the new name.
func TestCommandWhileRepositoryIsNotFound(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.Rename(fleet, "fleet-2")
		w.Gitea.As("alex").Comment("terraphim/fleet-2", 1, "/adf resume")
		for range 3 {
			time.Sleep(time.Hour)
			_, err := w.sweepAnd(escalate.SweepOptions{})
			require.Error(t, err)
		}
		w.moveTo("terraphim/fleet-2")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.True(t, w.incident(id).Settled)
	})
}

// No project uses the repository, so nobody reads what is written there. A project that does later does not have the commands of weeks ago
// carried out.
func TestCommandsInUnusedRepository(t *testing.T) {
	for _, command := range []string{"/adf pause all", "/adf pause", "/adf resume", "/adf status"} {
		t.Run(command, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.rm(project)
				w.sweepFor(3 * time.Minute)
				w.moveTo(other)
				w.sweepFor(3 * time.Minute)
				before := len(comments(w.issue()))
				w.says("alex", command)
				w.sweepFor(3 * time.Minute)
				require.Len(t, comments(w.issue()), before)
				time.Sleep(8 * 24 * time.Hour)
				_, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve")
				require.NoError(t, err)
				w.moveTo(fleet)
				w.sweepFor(3 * time.Minute)
				require.Equal(t, []string{project}, w.flags())
				require.Len(t, comments(w.issue()), before+1)
				require.Contains(t, w.last(), "`alex`, your comment was read more than a week after it was written, so its command was not run.")
				stops, err := w.rec.StopsInForce(w.Context())
				require.NoError(t, err)
				require.Empty(t, stops)
				w.says("alex", command)
				w.sweepFor(3 * time.Minute)
				require.Len(t, comments(w.issue()), before+2)
				require.Equal(t, command != "/adf resume", w.paused(project))
			})
		})
	}
}

// A command is run and answered although its comment has an id that Gitea gave away before it was restored.
func TestCommandAfterRestoreOfGitea(t *testing.T) {
	for _, command := range []string{"/adf resume", "/adf status", "/adf ack", "/adf nonsense"} {
		t.Run(command, func(t *testing.T) { commandAfterRestore(t, command) })
	}
}

func commandAfterRestore(t *testing.T, command string) {
	playOperated(t, func(w *world, id string) {
		first := w.says("alex", "/adf status")
		w.sweepFor(3 * time.Minute)
		require.Len(t, comments(w.issue()), 1)
		// The backup is from before that comment.
		s := testworld.Gitea(time.Now)
		w.Cleanup(s.Close)
		for _, name := range []string{"adf", "circuit-breaker", "priority/high"} {
			s.AddLabel(fleet, name)
		}
		s.As(testworld.Bot).Open(fleet, w.issue().Title, w.issue().Body)
		require.Equal(t, w.issue().ID, s.Issues(fleet)[0].ID)
		w.Gitea = s
		w.rec.Options().Tracker = w.over(s.Transport())
		for w.says("kim", "chatter") < first-1 {
		}
		require.Equal(t, first, w.says("alex", command))
		w.sweep()
		require.Equal(t, command != "/adf resume", w.paused(project))
		require.Len(t, comments(w.issue()), 1)
		w.sweepFor(3 * time.Minute)
		require.Len(t, comments(w.issue()), 1, "once")
	})
}

// withClock puts another Gitea in the place of the world's: its clock is off by as much as the variable says.
func (w *world) withClock(off *time.Duration) {
	w.Gitea.Close()
	s := testworld.Gitea(func() time.Time { return time.Now().Add(*off) })
	w.Cleanup(s.Close)
	w.Gitea = s
	w.rec.Options().Tracker = w.over(s.Transport())
	require.NoError(w, w.store.SetLabels(w.Context(), repoOf(fleet), nil))
	w.knowsItsAccount()
}

// No comment is missed.
func TestCommentOfWrongServerClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"fast": 3 * time.Hour, "slow": -50 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.withClock(&off)
				w.operated("alex")
				w.trip(project)
				w.says("alex", "/adf status")
				w.sweep()
				require.Len(t, comments(w.issue()), 1)
				w.says("kim", "hm")
				w.sweep()
				w.says("alex", "/adf resume")
				w.sweep()
				require.False(t, w.paused(project))
			})
		})
	}
}

// No comment is missed after the server's clock was ahead and is right again.
func TestCommentAfterServerClockSet(t *testing.T) {
	play(t, func(w *world) {
		off := 100 * 24 * time.Hour
		w.withClock(&off)
		w.operated("alex")
		w.trip(project)
		w.says("kim", "hm")
		off = 0
		w.sweepEvery(5*time.Minute, 30*time.Minute)
		w.says("alex", "/adf resume")
		time.Sleep(4 * time.Minute) // more than is read again each time
		w.sweep()
		require.False(t, w.paused(project))
	})
}
