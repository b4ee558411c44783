package escalate_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testworld"
)

// What commands do, and in which issues.

func TestResumeCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume the disk @kim was full\n\nI made room.")
		rep := w.sweep()
		require.False(t, w.paused(project), "the flag is gone")
		i := w.incident(id)
		require.Equal(t, "resumed by @alex's /adf resume in the issue: the disk @kim was full", i.EndedHow)
		require.True(t, i.Settled)
		require.Equal(t, "closed", w.issue().State)
		said := comments(w.issue())
		require.Len(t, said, 1, "the comment on the end is the answer")
		require.Contains(t, said[0], "/adf resume in the issue: the disk")
		require.NotContains(t, said[0], "@alex", "nobody is notified")
		require.NotContains(t, said[0], "@kim")
		require.Equal(t, plan.RunCommand, rep.Actions[0].Kind)
		require.Contains(t, rep.Actions[0].Why, "alex wrote /adf resume")

		w.Gitea.ResetRequests()
		w.sweepFor(10 * time.Minute)
		require.Empty(t, writes(w.asked()), "once")
	})
}

func TestResumeCommandBeginsGeneration(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.sweep()
		p, err := w.store.Project(w.Context(), project)
		require.NoError(t, err)
		require.Zero(t, p.Breaker.Failures)
		require.EqualValues(t, 1, p.Generation)
		again := w.trip(project)
		w.sweepFor(5 * time.Minute)
		require.True(t, w.paused(project), "the old command is not taken up for the new incident")
		require.True(t, w.incident(again).IsOpen())
	})
}

func TestStatusCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf status")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "`odilo` is paused.")
		require.True(t, w.paused(project))
	})
}

// The answer lists the commands that there are.
func TestUnknownCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf re@kim start")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "There is no command `re@kim`. The commands are `/adf resume [reason]`")
		require.Contains(t, w.Logged.String(), "command answered")
		require.NotContains(t, w.Logged.String(), "command carried out")
	})
}

// The command that the issue of one project offers names the project. It is answered by the comment that ends the incident, and by no other.
func TestResumeCommandWithName(t *testing.T) {
	for _, command := range []string{"/adf resume", "/adf resume odilo", "/adf resume odilo: the disk was full"} {
		t.Run(command, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.says("alex", command)
				w.sweepFor(3 * time.Minute)
				require.False(t, w.paused(project))
				require.Len(t, comments(w.issue()), 1)
			})
		})
	}
}

// Ack assigns the issue and stores who took it.
func TestAckCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.As("alex").Assign(fleet, w.issue().Number, "kim")
		w.says("alex", "/adf ack")
		w.sweepFor(3 * time.Minute)
		require.ElementsMatch(t, []string{"alex", "kim"}, w.issue().Assignees, "who was assigned stays")
		ack := w.incident(id).Ack
		require.NotNil(t, ack)
		require.Equal(t, "alex", ack.By.Login)
		require.True(t, w.paused(project))
		require.Contains(t, comments(w.issue())[0], "`alex` takes incident `odilo#1`.")
	})
}

// An ack that Gitea does not assign is stored all the same.
func TestAckCommandNotAssigned(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.Method("PATCH"), Times: 1, Do: giteatest.Status(422, `{"message":"no access"}`)})
		w.says("alex", "/adf ack")
		w.sweepFor(2 * time.Minute)
		require.NotNil(t, w.incident(id).Ack)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "Gitea did not assign them")
	})
}

// A resume that was written before somebody paused the project by hand is not about that pause.
func TestResumeCommandBeforeHold(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		time.Sleep(5 * time.Second)
		_, err := w.rec.Resume(w.Context(), project, "resumed by eve")
		require.NoError(t, err)
		_, err = w.rec.Pause(w.Context(), project, "odilo is paused by eve")
		require.NoError(t, err)
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Contains(t, strings.Join(comments(w.issue()), "\n"), "Nothing was done: `odilo` was paused by hand at ")
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))

		w.says("alex", "/adf pause")
		time.Sleep(time.Second)
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project), "the order of two comments is known")
	})
}

// A pause that was written before the project was resumed on the machine is not about what comes after it. It is refused once.
func TestPauseCommandBeforeResume(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf pause not yet")
		w.says("alex", "/adf pause wait for me")
		time.Sleep(5 * time.Second)
		_, err := w.rec.Resume(w.Context(), project, "resumed by eve")
		require.NoError(t, err)
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		said := comments(w.issue())
		require.Contains(t, said[0], "Nothing was done: `odilo` was resumed after this was written.")
		require.Contains(t, said[1], "Nothing was done: `odilo` was resumed after this was written.")
		w.says("alex", "/adf pause")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
	})
}

// The daemon has seen the flag after the pause was written, and while it cannot reach Gitea, somebody removes it.
func TestPauseCommandBeforeRemoval(t *testing.T) {
	playOperated(t, func(w *world, _ string) {
		w.says("alex", "/adf pause not yet")
		time.Sleep(5 * time.Second)
		_, err := w.rec.SweepLocal(w.Context())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		w.rm(project)
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.Contains(t, comments(w.issue())[0], "Nothing was done: `odilo` was resumed after this was written.")

		id := w.trip(project)
		w.sweepFor(time.Minute)
		w.rm(project)
		w.Gitea.As("alex").Comment(fleet, w.incident(id).Issue.Number, "/adf pause not yet")
		time.Sleep(5 * time.Second)
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project), "the removal may be older")
	})
}

// A pause that was written after a resume in Gitea is carried out, however late both are read.
func TestPauseCommandAfterResumeCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.says("alex", "/adf pause")
		time.Sleep(5 * time.Second)
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
	})
}

// Somebody pauses a project that its incident pauses already. What is older does not resume it, and the end of the incident says so.
func TestPauseBesideIncident(t *testing.T) {
	byHand := func(w *world) {
		paused, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve.\nReason: disk swap\nTo resume, run: x\n")
		require.NoError(w, err)
		require.False(w, paused, "it was")
	}
	for name, pause := range map[string]func(w *world){"by hand": byHand, "in the issue": func(w *world) { w.says("kim", "/adf pause disk swap") }} {
		t.Run("after a command, "+name, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.operated("alex", "kim")
				w.says("alex", "/adf status")
				w.says("alex", "/adf resume")
				time.Sleep(5 * time.Second)
				byHand(w)
				w.sweepFor(3 * time.Minute)
				require.True(t, w.paused(project))
				require.Contains(t, strings.Join(comments(w.issue()), "\n"), "Nothing was done: `odilo` was paused by hand at ")
				w.says("alex", "/adf resume")
				w.sweepFor(3 * time.Minute)
				require.False(t, w.paused(project))
				require.Contains(t, w.incident(id).EndedHow, "this also ended the pause by hand since ")
				require.Contains(t, w.incident(id).EndedHow, "disk swap")
			})
		})
		t.Run("after a closing, "+name, func(t *testing.T) {
			playClosing(t, func(w *world, id string) {
				w.operated("alex", "kim")
				w.Gitea.As("alex").Close(fleet, w.issue().Number)
				time.Sleep(5 * time.Second)
				pause(w)
				w.sweepFor(3 * time.Minute)
				require.True(t, w.paused(project))
				require.Equal(t, "open", w.issue().State)
				said := comments(w.issue())
				require.Contains(t, said[len(said)-1], "It was closed by alex before the project was paused: that does not resume the project.")
				w.Gitea.As("alex").Close(fleet, w.issue().Number)
				w.sweepFor(3 * time.Minute)
				require.False(t, w.paused(project))
			})
		})
	}
	t.Run("before it", func(t *testing.T) {
		playClosing(t, func(w *world, id string) {
			byHand(w)
			time.Sleep(5 * time.Second)
			w.Gitea.As("alex").Close(fleet, w.issue().Number)
			w.sweepFor(3 * time.Minute)
			require.False(t, w.paused(project))
			require.Equal(t, "closed", w.issue().State)
		})
	})
}

// Somebody pauses a project by hand again. What was written or closed in between is not about the last pause.
func TestPausedAgain(t *testing.T) {
	pause := func(w *world) {
		_, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve.\nTo resume, run: x\n")
		require.NoError(w, err)
		time.Sleep(5 * time.Second)
	}
	t.Run("after a command", func(t *testing.T) {
		playOperated(t, func(w *world, id string) {
			pause(w)
			w.says("alex", "/adf resume")
			time.Sleep(5 * time.Second)
			pause(w)
			w.sweepFor(3 * time.Minute)
			require.True(t, w.paused(project))
			w.says("alex", "/adf resume")
			w.sweepFor(3 * time.Minute)
			require.False(t, w.paused(project))
		})
	})
	t.Run("after a closing", func(t *testing.T) {
		playClosing(t, func(w *world, id string) {
			pause(w)
			w.Gitea.As("alex").Close(fleet, w.issue().Number)
			time.Sleep(5 * time.Second)
			pause(w)
			w.sweepFor(3 * time.Minute)
			require.True(t, w.paused(project))
		})
	})
	t.Run("after a closing, by a command", func(t *testing.T) {
		playClosing(t, func(w *world, id string) {
			w.operated("alex", "kim")
			pause(w)
			w.Gitea.As("alex").Close(fleet, w.issue().Number)
			time.Sleep(5 * time.Second)
			w.says("kim", "/adf pause keep it")
			w.sweepFor(3 * time.Minute)
			require.True(t, w.paused(project))
		})
	})
}

// A second resume is not the answer to the refusal of the first one, if it was written before that.
func TestTwoResumeCommandsBeforeHold(t *testing.T) {
	for what, say := range map[string]func(w *world){
		"two comments": func(w *world) { w.says("alex", "/adf resume"); w.says("alex", "/adf resume please") },
		"two lines":    func(w *world) { w.says("alex", "/adf resume\n/adf resume") },
	} {
		t.Run(what, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				say(w)
				time.Sleep(5 * time.Second)
				_, err := w.rec.Resume(w.Context(), project, "resumed by eve")
				require.NoError(t, err)
				_, err = w.rec.Pause(w.Context(), project, "odilo is paused by eve")
				require.NoError(t, err)
				w.sweepFor(3 * time.Minute)
				require.True(t, w.paused(project))
			})
		})
	}
}

// Gitea's clock is behind, so a resume seems to be from before the pause by hand: it is refused once, and then obeyed.
func TestResumeCommandWithClockBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := testworld.New(t, t.TempDir(), func() time.Time { return time.Now().Add(-30 * time.Minute) })
		w := &world{openMachine(tw, tw.Path("adfbot.db"), tw.Path("pause"))}
		require.NoError(t, w.dir.Init(w.store.Installation()))
		w.operated("alex")
		w.trip(project)
		w.sweep()
		w.rm(project)
		w.sweepFor(3 * time.Minute)
		_, err := w.rec.Pause(w.Context(), project, "odilo is paused by kim")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
	})
}

// Somebody pauses a project by hand, and a run from before trips its breaker. What ends the incident says that it ends their pause, too.
func TestIncidentBesideHold(t *testing.T) {
	for what, end := range map[string]func(w *world){
		"command": func(w *world) { w.Gitea.As("alex").Comment(fleet, 2, "/adf resume") },
		"removal": func(w *world) { w.rm(project) },
	} {
		t.Run(what, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.rm(project)
				w.sweepFor(time.Minute)
				_, err := w.rec.Pause(w.Context(), project, "odilo is paused by eve.\nReason: disk swap\nTo resume, run: x\n")
				require.NoError(t, err)
				second := w.trip(project)
				require.Equal(t, second, w.state(project).Pause().ID)
				flag, err := w.dir.Look(project)
				require.NoError(t, err)
				require.Contains(t, flag.Note, "disk swap")
				w.sweepFor(time.Minute)
				end(w)
				w.sweepFor(3 * time.Minute)
				require.False(t, w.paused(project))
				i, ok := w.Gitea.Issue(fleet, 2)
				require.True(t, ok)
				require.Equal(t, "closed", i.State)
				require.Contains(t, strings.Join(comments(i), "\n"), "this also ended the pause by hand since ")
				require.Contains(t, strings.Join(comments(i), "\n"), "Reason: disk swap")
			})
		})
	}
}

// A project whose incident has ended is held.
func TestPauseCommandAfterIncident(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.sweep()
		w.says("alex", "/adf pause not yet")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		flag, err := w.dir.Look(project)
		require.NoError(t, err)
		require.Contains(t, flag.Note, "odilo is paused by alex (in Gitea, terraphim/adf-fleet#1")
		require.Contains(t, flag.Note, "Reason: not yet")
		hold, err := w.store.Hold(w.Context(), project)
		require.NoError(t, err)
		require.NotNil(t, hold)
		require.Equal(t, hold.ID, w.state(project).Confirmed.Pause)
		require.Equal(t, "closed", w.issue().State, "a hold has no issue")
		require.Contains(t, comments(w.issue())[1], "`odilo` is paused. To resume it, comment `/adf resume odilo` here")

		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		hold, err = w.store.Hold(w.Context(), project)
		require.NoError(t, err)
		require.Nil(t, hold)
		require.Contains(t, comments(w.issue())[2], "`odilo` is resumed.")
		require.Len(t, comments(w.issue()), 3)
	})
}

// A repeated command changes nothing.
func TestRepeatedPauseAndResumeCommands(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf pause")
		w.sweep()
		require.Contains(t, comments(w.issue())[0], "`odilo` is already paused, by `odilo#1`.")
		w.says("alex", "/adf resume")
		w.sweep()
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 3)
		require.Contains(t, said[2], "`odilo` was not paused.")
	})
}

// A resume in the issue of an earlier incident does not end the later one.
func TestResumeCommandInEarlierIssue(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.sweep()
		later := w.trip(project)
		w.Gitea.As("alex").Comment(fleet, 1, "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.incident(later).IsOpen())
		require.True(t, w.paused(project))
		old, _ := w.Gitea.Issue(fleet, 1)
		require.Contains(t, comments(old)[1], "this is the issue of `odilo#1`, which has ended. `odilo` is now paused by `odilo#2`: comment `/adf resume odilo` in #2")
	})
}

// Commands in one comment run in order and are answered together.
func TestSeveralCommandsInOneComment(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf ack\n/adf status\n/adf resume done")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 2)
		require.Contains(t, said[0], "`/adf ack`: `alex` takes")
		require.Contains(t, said[0], "`/adf status`: `odilo` is paused.")
		require.Contains(t, said[1], "was resumed on")
		require.NotNil(t, w.incident(id).Ack)
		require.False(t, w.paused(project))
	})
}

// A resume command with "Comment and close" resumes, even where closed issues are reopened.
func TestCommentAndClose(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.Equal(t, "closed", w.issue().State)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "was resumed on")
	})
}

// A command below other text, or with what may hide it, gets one reply. What stands before it is run.
func TestMisplacedCommand(t *testing.T) {
	for name, tt := range map[string]struct{ body, wrote, want string }{
		"below words":   {"It was the disk.\n\n/adf resume\n/adf ack", "alex wrote /adf resume (misplaced)", "Not run. Please put commands first"},
		"an example":    {"How to:\n```\n/adf resume\n```", "alex wrote /adf resume (misplaced)", "Not run. Please put commands first"},
		"a code span":   {"/adf resume `df` said so", "alex wrote /adf resume (misplaced)", "without the characters `` ` `` and `<`"},
		"end of a line": {"I think it is fixed. /adf resume", "alex wrote /adf resume (misplaced)", "Not run. Please put commands first"},
		"a mention":     {"@adf-bot /adf resume", "alex wrote /adf resume (misplaced)", "Explanations and mentions go below them."},
		"unseen":        {"\u200b/adf resume", "alex wrote /adf resume (misplaced)", "a copied line may begin with an invisible character"},
		"below commands": {"/adf status\nand then\n/adf resume", "alex wrote /adf status resume (misplaced)",
			"`/adf status`: `odilo` is paused.\n\n`/adf resume`: Not run."},
	} {
		t.Run(name, func(t *testing.T) {
			playOperated(t, func(w *world, id string) {
				w.says("alex", tt.body)
				rep := w.sweep()
				require.Equal(t, tt.wrote, rep.Actions[0].Why)
				w.sweepFor(5 * time.Minute)
				require.True(t, w.paused(project))
				said := comments(w.issue())
				require.Len(t, said, 1)
				require.Contains(t, said[0], tt.want)
			})
		})
	}
}

// Commands in other issues are left alone.
func TestCommandInForeignIssue(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		kim := w.Gitea.As("kim")
		forged, _ := w.Gitea.Issue(fleet, 1)
		n := kim.Open(fleet, "[ADF] project-meta on odilo failed 3 consecutively", forged.Body)
		w.Gitea.As("alex").Comment(fleet, n, "/adf resume")
		plain := kim.Open(fleet, "something else", "text")
		w.Gitea.As("alex").Comment(fleet, plain, "/adf resume")
		w.sweep()
		w.Gitea.ResetRequests()
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		for _, number := range []int64{n, plain} {
			i, _ := w.Gitea.Issue(fleet, number)
			require.Empty(t, comments(i))
		}
		for _, r := range w.asked() {
			require.NotContains(t, r.Path, "/issues/2", "it was looked at once")
		}
	})
}

// An issue that lost its marker takes no commands.
func TestCommandInIssueWithoutMarker(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf status")
		w.Gitea.As("kim").EditBody(fleet, 1, "mine now")
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		first, _ := w.Gitea.Issue(fleet, 1)
		require.Empty(t, comments(first))
	})
}

// A dry run reports commands and runs none.
func TestCommandsInDryRun(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		rep, err := w.sweepAnd(escalate.SweepOptions{DryRun: true})
		require.NoError(t, err)
		require.Len(t, rep.Actions, 1)
		require.Equal(t, plan.RunCommand, rep.Actions[0].Kind)
		require.Equal(t, "alex wrote /adf resume", rep.Actions[0].Why)
		require.True(t, w.paused(project))
		require.Empty(t, comments(w.issue()))
		w.sweep()
		require.False(t, w.paused(project), "the real sweep hears it still")
	})
}

// A pause that takes the place of one that would end before it stands without its flag, and the answer says so.
func TestPauseCommandWhoseFlagCannotBeReplaced(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		_, err := w.rec.Hold(w.Context(), incident.Hold{Project: project, Until: time.Now().Add(48 * time.Hour)})
		require.NoError(t, err)
		testhost.ReadOnly(w, w.dir.Path())
		w.says("alex", "/adf pause")
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		require.Contains(t, w.last(), "project odilo is paused by the flag of another pause")
		require.Contains(t, w.last(), "To resume it, comment `/adf resume odilo` here")
		require.NotContains(t, w.last(), "is not paused yet")
	})
}
