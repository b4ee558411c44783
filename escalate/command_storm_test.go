package escalate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// playOperatedStorm plays with alex as an operator and an issue that carries the incidents of three projects.
func playOperatedStorm(t *testing.T, f func(w *world, ids []string)) {
	t.Helper()
	inStorm(t, func(w *world) {
		w.operated("alex")
		ids := w.hits("atlas", "bravo", "carol")
		w.sweepFor(11 * time.Minute)
		f(w, ids)
	})
}

// last is what the bot said last.
func (w *world) last() string {
	w.Helper()
	said := comments(w.issue())
	require.NotEmpty(w, said)
	return said[len(said)-1]
}

func TestStormResumeAllCommand(t *testing.T) {
	for _, step := range []string{"", "order-begun", "flag-removed", "resume-noted", "order-carried", "comment-begun"} {
		t.Run(step, func(t *testing.T) {
			playOperatedStorm(t, func(w *world, ids []string) {
				before := len(comments(w.issue()))
				w.says("alex", "/adf resume")
				if step != "" {
					w.diesIn(step)
					w.machine = w.reborn()
					w.storms()
				}
				w.sweepFor(3 * time.Minute)
				for _, id := range ids {
					require.Contains(w, w.incident(id).EndedHow, "resumed by @alex's /adf resume in the issue")
					require.False(w, w.paused(w.incident(id).Project))
				}
				said := comments(w.issue())[before:]
				require.Len(w, said, 2)
				require.Contains(w, said[0]+said[1], "`atlas`, `bravo` and `carol` are resumed.")
				require.Contains(w, said[0]+said[1], "All 3 projects of this issue have been resumed")
				require.Equal(w, "closed", w.issue().State)
				require.Equal(w, []string{"x atlas", "x bravo", "x carol"}, lines(w.issue()))
			})
		})
	}
}

// Where no stop is in force, what the flag and the issue of a project with this name advise is about that project.
func TestResumeOfAProjectCalledAll(t *testing.T) {
	inStorm(t, func(w *world) {
		w.operated("alex")
		ids := w.hits("all")
		require.Contains(w, w.issue().Body, "- comment `/adf resume all` here")
		w.says("alex", "/adf resume all")
		w.sweep()
		require.Contains(w, w.incident(ids[0]).EndedHow, "resumed by @alex's /adf resume in the issue")
		require.False(w, w.paused("all"))
	})
}

func TestStormCommandForOne(t *testing.T) {
	playOperatedStorm(t, func(w *world, ids []string) {
		w.says("alex", "/adf resume bravo it has its own quota")
		w.sweep()
		require.Contains(w, w.last(), "`bravo` is resumed.")
		require.Contains(w, w.incident(ids[1]).EndedHow, "in the issue: it has its own quota")
		require.Equal(w, []string{"- atlas", "x bravo", "- carol"}, lines(w.issue()))

		w.says("alex", "/adf resume atlas")
		w.sweepFor(2 * time.Minute)
		require.Equal(w, []string{"x atlas", "x bravo", "- carol"}, lines(w.issue()), "that of the lead")
		require.Equal(w, "open", w.issue().State)

		w.says("alex", "/adf ack carol")
		w.sweep()
		require.Contains(w, w.last(), "`alex` takes incident `carol#1`.")
		require.NotNil(w, w.incident(ids[2]).Ack)
		require.Equal(w, []string{"alex"}, w.issue().Assignees)

		w.says("alex", "/adf status carol")
		w.sweep()
		require.Contains(w, w.last(), "is paused.")

		w.says("alex", "/adf pause bravo for 2h")
		w.sweep()
		require.Contains(w, w.last(), "run `adfbot pause bravo --for 2h`")
		w.says("alex", "/adf pause bravo until tomorrow")
		w.sweep()
		require.Contains(w, w.last(), "`bravo` is paused. To resume it")
		require.True(w, w.paused("bravo"))
		require.NotNil(w, w.state("bravo").Hold)
		w.says("alex", "/adf resume bravo")
		w.sweep()
		require.False(w, w.paused("bravo"))
	})
}

func TestStormCommandsForAll(t *testing.T) {
	playOperatedStorm(t, func(w *world, ids []string) {
		w.says("alex", "/adf ack")
		w.sweep()
		require.Contains(w, w.last(), "`alex` takes incident `atlas#1`. They take the 2 others of this issue that are paused, too.")
		for _, id := range ids {
			require.NotNil(w, w.incident(id).Ack)
		}
		w.says("alex", "/adf status")
		w.sweep()
		require.Contains(w, w.last(), "is paused.\n\n`odilo` is paused.\n\n")
		w.says("alex", "/adf pause")
		w.sweep()
		require.Contains(w, w.last(), "this issue is about 3 projects. Name the one to pause, e.g. `/adf pause atlas`.")
		w.says("alex", "/adf resume "+project)
		w.sweep()
		require.Contains(w, w.last(), "Nothing was done: this issue is not about `odilo`.")
		w.says("kim", "/adf resume")
		w.sweep()
		require.Contains(w, w.last(), "only from its operators")
		for _, id := range ids {
			require.True(w, w.incident(id).IsOpen())
		}
	})
}

// Who asks is not told that all have been resumed while somebody has paused one of them by hand.
func TestStormStatusOfPausedByHand(t *testing.T) {
	playOperatedStorm(t, func(w *world, _ []string) {
		status := func() (described int) {
			w.says("alex", "/adf status")
			w.sweep()
			return strings.Count(w.last(), "`odilo` is paused.") // what the tests have for any project
		}
		w.says("alex", "/adf resume bravo")
		w.sweep()
		require.Equal(w, 2, status())
		w.says("alex", "/adf pause bravo not yet")
		w.sweep()
		require.Equal(w, 3, status())

		w.says("alex", "/adf resume bravo\n/adf resume")
		w.sweepFor(3 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
		require.Zero(w, status())
		require.Contains(w, w.last(), "All projects of this issue have been resumed.")
		w.says("alex", "/adf pause carol")
		w.sweep()
		require.Equal(w, 1, status())
		require.NotContains(w, w.last(), "have been resumed")
	})
}

// What joined, or was paused by hand, after the command was written is not meant.
func TestStormResumeAllBeforeJoin(t *testing.T) {
	playOperatedStorm(t, func(w *world, ids []string) {
		w.says("alex", "/adf resume")
		time.Sleep(time.Second)
		ids = append(ids, w.hits(project)...)
		_, err := w.rec.Pause(w.Context(), "bravo", "bravo is paused by eve")
		require.NoError(w, err)
		w.sweepFor(2 * time.Minute)
		require.Contains(w, comments(w.issue())[len(comments(w.issue()))-1], "`atlas` and `carol` are resumed.")
		require.Contains(w, w.last(), "`bravo` and `odilo` are still paused, because that was after this was written, or not in the list yet.")
		require.True(w, w.paused("bravo"))
		require.True(w, w.paused(project))
		w.says("alex", "/adf resume")
		w.sweepFor(2 * time.Minute)
		require.False(w, w.paused("bravo"))
		require.False(w, w.paused(project))
		require.Equal(w, "closed", w.issue().State)
		w.requireOnce(ids...)
	})
}

// What looks like a project that the issue is not about resumes nothing, whatever else it may have meant.
func TestStormResumeOfNoMember(t *testing.T) {
	playOperatedStorm(t, func(w *world, ids []string) {
		for _, text := range []string{"bravoo", "Bravo", "br*", "bravo#1", "project bravo", "all of them", "the quota is back", "claude is back, leave the others"} {
			w.says("alex", "/adf resume "+text)
			w.sweep()
			require.Contains(w, w.last(), "Nothing was done: ", text)
			require.Contains(w, w.last(), "Comment `/adf resume atlas` to resume one of them, or `/adf resume` without more to resume all.")
		}
		for _, text := range []string{"bravo carol", "bravo, carol"} {
			w.says("alex", "/adf resume "+text)
			w.sweep()
			require.Contains(w, w.last(), "Nothing was done: name one project in each line, e.g. `/adf resume bravo`.")
		}
		for _, id := range ids {
			require.True(w, w.incident(id).IsOpen())
		}
		w.says("alex", "/adf resume bravo: it has its own quota\n/adf resume \"carol\"")
		w.sweep()
		require.False(w, w.incident(ids[1]).IsOpen())
		require.False(w, w.incident(ids[2]).IsOpen())
		require.True(w, w.incident(ids[0]).IsOpen())
	})
}

// Nor does the name of a project that is paused and that the configuration of this process does not have: it has left it while it was paused, or
// was added, and the daemon has not read that yet.
func TestCommandForAPausedProjectThatIsNotConfigured(t *testing.T) {
	inStorm(t, func(w *world) {
		w.operated("alex")
		other := w.hits("bravo")[0]
		w.sweepFor(30 * time.Minute)
		id := w.hits("atlas")[0]
		w.sweep()
		w.rec.Options().Projects = []string{"atlas"}
		for _, command := range []string{"resume", "pause", "ack", "status"} {
			w.Gitea.As("alex").Comment(fleet, 2, "/adf "+command+" bravo")
			w.sweep()
			is, _ := w.Gitea.Issue(fleet, 2)
			said := comments(is)
			require.Contains(w, said[len(said)-1], "Nothing was done: this issue is not about `bravo`.", command)
		}
		require.True(w, w.incident(id).IsOpen())
		w.Gitea.As("alex").Comment(fleet, 1, "/adf resume bravo")
		w.sweep()
		require.False(w, w.incident(other).IsOpen())
		w.Gitea.As("alex").Comment(fleet, 2, "/adf resume bravo runs again, too")
		w.sweep()
		require.False(w, w.incident(id).IsOpen(), "it is a word again")
	})
}

// A project of the issue that is paused by hand is resumed by its name alone.
func TestStormResumeAllBesidePauseByHand(t *testing.T) {
	playOperatedStorm(t, func(w *world, _ []string) {
		w.says("alex", "/adf resume bravo")
		w.sweep()
		time.Sleep(time.Minute)
		w.says("alex", "/adf pause bravo until tomorrow")
		w.sweep()
		require.Contains(w, w.last(), "`bravo` is paused. To resume it, comment `/adf resume bravo` here")
		time.Sleep(time.Minute)
		w.says("alex", "/adf resume")
		w.sweepFor(2 * time.Minute)
		said := comments(w.issue())
		require.Contains(w, said[len(said)-2], "`atlas` and `carol` are resumed.\n\n`bravo` is still paused, by hand. To resume one, name it: `/adf resume bravo`.")
		require.True(w, w.paused("bravo"))
		w.says("alex", "/adf resume bravo")
		w.sweep()
		require.False(w, w.paused("bravo"))
	})
}

// The issue of one incident is about its project alone.
func TestCommandNamesProject(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.rec.Options().Projects = []string{project, "atlas"}
		w.says("alex", "/adf resume atlas")
		w.sweep()
		require.Contains(w, w.last(), "Nothing was done: this issue is not about `atlas`.")
		require.True(w, w.incident(id).IsOpen())
		w.says("alex", "/adf resume "+project+" the disk was full")
		w.sweep()
		require.Contains(w, w.incident(id).EndedHow, "in the issue: the disk was full")
	})
}

// A resume in the issue of an earlier incident is told how to resume that project alone in the issue that it shares now.
func TestResumeInEarlierIssueOfMember(t *testing.T) {
	for _, name := range []string{"atlas", "bravo"} { // the one that leads, and another one
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				w.operated("alex")
				earlier := w.hits(name)
				w.says("alex", "/adf resume")
				w.sweepFor(20 * time.Minute)
				require.False(w, w.incident(earlier[0]).IsOpen())
				w.hits("atlas", "bravo")
				w.sweepFor(time.Minute)
				w.Gitea.As("alex").Comment(fleet, 1, "/adf resume")
				w.sweep()
				old, _ := w.Gitea.Issue(fleet, 1)
				said := comments(old)
				require.Regexp(w, "`"+name+"` is now paused by `"+name+"#[12]`: comment `/adf resume "+name+"` in #2", said[len(said)-1])
			})
		})
	}
}
