package escalate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// operated makes a machine's bot take orders from these people.
func (m *machine) operated(logins ...string) {
	o := &m.rec.Options().Commands
	o.Operators = logins
	o.Describe = func(context.Context, string) (string, error) { return "`odilo` is paused.", nil }
}

// playOperated is play with alex as an operator, a tripped project, and a first sweep behind it.
func playOperated(t *testing.T, f func(w *world, id string)) {
	t.Helper()
	play(t, func(w *world) {
		w.operated("alex")
		id := w.trip(project)
		w.sweep()
		time.Sleep(time.Minute)
		w.gitea.ResetRequests()
		f(w, id)
	})
}

// says comments on the bot's issue and lets a second pass, as long as a person needs at least.
func (w *world) says(login, body string) int64 {
	id := w.gitea.As(login).Comment(fleet, w.issue().Number, body)
	time.Sleep(time.Second)
	return id
}

func TestWithoutOperatorsCommentsAreNotAskedFor(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.says("alex", "/adf resume")
		w.gitea.ResetRequests()
		w.sweep()
		require.Len(t, w.asked(), 1, "the list of open issues and nothing else")
		require.True(t, w.paused(project))
	})
}

func TestASweepWithOperatorsCostsOneRequestMoreForEachRepository(t *testing.T) {
	playOperated(t, func(w *world, _ string) {
		w.sweep()
		asked := w.asked()
		require.Len(t, asked, 2)
		require.Contains(t, asked[1].Path, "/issues/comments?")
		require.Contains(t, asked[1].Path, "since=")
	})
}

func TestAnOperatorResumes(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "It was the disk.\n\n/adf resume the disk @kim was full")
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

		w.gitea.ResetRequests()
		w.sweepFor(10 * time.Minute)
		require.Empty(t, writes(w.asked()), "once")
	})
}

func TestAResumeBeginsTheNextGeneration(t *testing.T) {
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

func TestWhoIsNoOperatorGetsOnePoliteAnswer(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("kim", "/adf resume please")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "`kim`, this bot takes commands only from its operators")
		require.Contains(t, said[0], "`alex`")
		require.NotContains(t, said[0], "@")
		w.says("kim", "/adf resume !!")
		w.says("kim", "/adf status")
		w.sweepFor(3 * time.Minute)
		require.Len(t, comments(w.issue()), 1, "and no second one")
	})
}

func TestWhoBecomesAnOperatorLaterHasGivenNoOrderBefore(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("kim", "/adf resume")
		w.sweep()
		w.operated("alex", "kim")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		w.says("kim", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

func TestWhatWasWrittenWhileThereWereNoOperatorsIsNoOrder(t *testing.T) {
	play(t, func(w *world) {
		w.operated("alex")
		w.trip(project)
		w.sweep()
		w.operated()
		w.sweep()
		time.Sleep(time.Hour)
		w.says("alex", "/adf resume")
		w.sweep()
		time.Sleep(2 * time.Hour)
		w.operated("alex")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
	})
}

func TestTheBotTakesNoOrdersFromItself(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.operated("alex", "adf-bot")
		w.says("adf-bot", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Len(t, comments(w.issue()), 1, "its own one, which it does not answer")
	})
}

func TestAnEditedCommentIsNoOrder(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "/adf status")
		w.gitea.As("kim").EditComment(fleet, c, "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "your comment was edited")
	})
}

func TestACommentThatIsEditedAfterItsCommandRanIsNotHeardAgain(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "/adf status")
		w.sweep()
		require.Len(t, comments(w.issue()), 1)
		time.Sleep(24 * time.Hour)
		w.gitea.As("alex").EditComment(fleet, c, "/adf status\n/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Len(t, comments(w.issue()), 1)
	})
}

func TestAnOldCommentWithoutACommandThatIsEditedToHaveOneIsNoOrder(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "I am looking into it")
		w.sweepFor(3 * time.Minute)
		time.Sleep(48 * time.Hour)
		w.gitea.As("kim").EditComment(fleet, c, "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Empty(t, comments(w.issue()), "after two days it is not worth an answer either")
	})
}

func TestStatusIsAnswered(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf status")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "`odilo` is paused.")
		require.True(t, w.paused(project))
	})
}

func TestAnUnknownCommandIsAnsweredWithThoseThereAre(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf re@kim start")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "There is no command `re@kim`. The commands are `/adf resume [reason]`")
	})
}

func TestAckAssignsAndNotesWhoTookIt(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.gitea.As("alex").Assign(fleet, w.issue().Number, "kim")
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

func TestAnAckThatGiteaDoesNotAssignIsNotedAllTheSame(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.gitea.Inject(giteatest.Fault{Match: giteatest.Method("PATCH"), Times: 1, Do: giteatest.Status(422, `{"message":"no access"}`)})
		w.says("alex", "/adf ack")
		w.sweepFor(2 * time.Minute)
		require.NotNil(t, w.incident(id).Ack)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "Gitea did not assign them")
	})
}

func TestPauseOfAProjectWhoseIncidentHasEndedHoldsIt(t *testing.T) {
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
		require.False(t, hold.FlagWritten.IsZero())
		require.Equal(t, "closed", w.issue().State, "a hold has no issue")
		require.Contains(t, comments(w.issue())[1], "`odilo` is paused. To resume it, comment `/adf resume` here")

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

func TestPauseAndResumeOfWhatIsSoAlreadyChangeNothing(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf pause")
		w.sweep()
		require.Contains(t, comments(w.issue())[0], "`odilo` is paused already, by `odilo#1`.")
		w.says("alex", "/adf resume")
		w.sweep()
		w.says("alex", "/adf resume")
		w.sweepFor(3 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 3)
		require.Contains(t, said[2], "`odilo` was not paused.")
	})
}

func TestAResumeInTheIssueOfAnEarlierIncidentDoesNotEndTheLaterOne(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.sweep()
		later := w.trip(project)
		w.gitea.As("alex").Comment(fleet, 1, "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.incident(later).IsOpen())
		require.True(t, w.paused(project))
		old, _ := w.gitea.Issue(fleet, 1)
		require.Contains(t, comments(old)[1], "this is the issue of `odilo#1`, which has ended. `odilo` is now paused by `odilo#2`: give the command in #2")
	})
}

func TestSeveralCommandsInOneCommentAreCarriedOutInOrderAndAnsweredTogether(t *testing.T) {
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

func TestACommentAndAClosingInOneGoIsAResumeEvenWhereClosingsAreReopened(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.gitea.As("alex").Close(fleet, 1)
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.Equal(t, "closed", w.issue().State)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "was resumed on")
	})
}

func TestCommandsInOtherIssuesAreLeftAlone(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		kim := w.gitea.As("kim")
		forged, _ := w.gitea.Issue(fleet, 1)
		n := kim.Open(fleet, "[ADF] project-meta on odilo failed 3 consecutively", forged.Body)
		w.gitea.As("alex").Comment(fleet, n, "/adf resume")
		plain := kim.Open(fleet, "something else", "text")
		w.gitea.As("alex").Comment(fleet, plain, "/adf resume")
		w.sweep()
		w.gitea.ResetRequests()
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		for _, number := range []int64{n, plain} {
			i, _ := w.gitea.Issue(fleet, number)
			require.Empty(t, comments(i))
		}
		for _, r := range w.asked() {
			require.NotContains(t, r.Path, "/issues/2", "it was looked at once")
		}
	})
}

func TestAnIssueThatLostItsMarkerTakesNoCommands(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf status")
		w.gitea.As("kim").EditBody(fleet, 1, "mine now")
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		first, _ := w.gitea.Issue(fleet, 1)
		require.Empty(t, comments(first))
	})
}

func TestAnOperatorWhoChangesTheirLoginStaysOne(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.gitea.RenameUser("alex", "alexandra")
		w.says("alexandra", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
		require.Contains(t, w.incident(id).EndedHow, "@alexandra")
	})
}

func TestWhoTakesAnOperatorsOldLoginIsNone(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.gitea.RenameUser("alex", "alexandra")
		w.gitea.AddUser("alex", giteatest.UserOptions{})
		w.says("alex", "/adf resume")
		rep, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(t, err, `operator "alex" is user`)
		require.Contains(t, rep.Errors[0], "who is no operator")
		require.True(t, w.paused(project))
		require.Contains(t, comments(w.issue())[0], "only from its operators")
		w.says("alex", "/adf resume")
		_, err = w.sweepAnd(escalate.SweepOptions{})
		require.NoError(t, err, "it is reported once, and kept for status")
		ops, err := w.store.Operators(w.Context(), server)
		require.NoError(t, err)
		require.Contains(t, ops[0].Problem, "the login belongs to user")

		// Taking the login out and putting it in again says that this is meant.
		w.operated("kim")
		w.sweep()
		w.operated("alex")
		w.sweep()
		w.says("alex", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

func TestOperatorsAreLookedUpOnce(t *testing.T) {
	play(t, func(w *world) {
		w.operated("Alex", "nobody-here")
		w.sweep()
		lookUps := func() (n int) {
			for _, r := range w.asked() {
				if strings.HasPrefix(r.Path, "/api/v1/users/") {
					n++
				}
			}
			return n
		}
		require.Equal(t, 2, lookUps())
		w.sweepFor(10 * time.Minute)
		require.Zero(t, lookUps())
		time.Sleep(10 * time.Minute)
		w.sweep()
		require.Equal(t, 1, lookUps(), "an unknown one now and then")
		ops, err := w.store.Operators(w.Context(), server)
		require.NoError(t, err)
		require.Empty(t, ops[0].Problem)
		require.Contains(t, ops[1].Problem, "nobody at http://gitea.example has this login")
	})
}

func TestATokenThatMayNotReadUsersLearnsAnOperatorFromTheFirstCommand(t *testing.T) {
	play(t, func(w *world) {
		w.gitea.AddToken("adf-bot", "narrow", "write:issue")
		w.tokens.now = "narrow"
		w.operated("alex")
		w.trip(project)
		w.sweep()
		w.says("alex", "/adf status")
		w.sweep()
		require.Len(t, comments(w.issue()), 1)
		w.gitea.RenameUser("alex", "alexandra")
		w.gitea.AddUser("alex", giteatest.UserOptions{})
		w.says("alex", "/adf resume")
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		require.True(t, w.paused(project), "from then on it is the id that counts")
	})
}

func TestADryRunTellsWhatWasOrderedAndDoesNothing(t *testing.T) {
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

func TestManyCommentsAreReadPageByPage(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		for range 120 {
			w.gitea.As("kim").Comment(fleet, 1, "chatter")
		}
		w.says("alex", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

func TestCommandsAreHeardWhereAServerGivesShorterPages(t *testing.T) {
	for _, total := range []bool{true, false} {
		playOperated(t, func(w *world, id string) {
			w.gitea.SetMaxItems(20)
			if !total { // a proxy drops the count
				w.rec.Options().Tracker = w.over(without(w.gitea.Transport(), "X-Total-Count"))
			}
			for range 25 {
				w.gitea.As("kim").Comment(fleet, 1, "chatter")
			}
			w.says("alex", "/adf resume")
			w.sweep()
			require.False(t, w.paused(project))
		})
	}
}

func TestAnOrderFollowsItsIssueWhenTheRepositoryIsRenamedBeforeItIsCarriedOut(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.says("alex", "/adf resume")
		w.gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Status(502, "bad gateway")})
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(t, err)
		require.True(t, w.paused(project))
		w.gitea.Rename(fleet, "fleet-2")
		w.moveTo("terraphim/fleet-2")
		w.sweepFor(3 * time.Minute)
		require.False(t, w.paused(project))
		require.True(t, w.incident(id).Settled)
		i, _ := w.gitea.Issue("terraphim/fleet-2", 1)
		require.Len(t, comments(i), 1)
		left, err := w.store.PendingCommands(w.Context(), server, "")
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func TestAnOrderWhoseCommentHasAnIDThatGiteaGaveBeforeItsRestoreIsCarriedOut(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		first := w.says("alex", "/adf status")
		w.sweepFor(3 * time.Minute)
		require.Len(t, comments(w.issue()), 1)
		// The backup is from before that comment.
		s := newGitea(w.T)
		for _, name := range []string{"adf", "circuit-breaker", "priority/high"} {
			s.AddLabel(fleet, name)
		}
		s.AddUser("adf-bot", giteatest.UserOptions{})
		s.As("adf-bot").Open(fleet, w.issue().Title, w.issue().Body)
		require.Equal(t, w.issue().ID, s.Issues(fleet)[0].ID)
		w.gitea, w.machine.gitea = s, s
		w.rec.Options().Tracker = w.over(s.Transport())
		for w.says("kim", "chatter") < first-1 {
		}
		require.Equal(t, first, w.says("alex", "/adf resume"))
		w.sweep()
		require.False(t, w.paused(project))
		require.Len(t, comments(w.issue()), 1)
		w.sweepFor(3 * time.Minute)
		require.Len(t, comments(w.issue()), 1, "once")
	})
}

// withClock puts another Gitea in the place of the world's: its clock is off by as much as the variable says.
func (w *world) withClock(off *time.Duration) {
	w.gitea.Close()
	s := giteatest.New(func() time.Time { return time.Now().Add(*off) })
	w.Cleanup(s.Close)
	for _, login := range []string{"adf-bot", "alex", "kim"} {
		s.AddUser(login, giteatest.UserOptions{})
	}
	s.AddToken("adf-bot", "s3cret-token")
	s.AddRepo("terraphim", "adf-fleet")
	s.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
	w.gitea, w.machine.gitea = s, s
	w.rec.Options().Tracker = w.over(s.Transport())
	require.NoError(w, w.store.SetLabels(w.Context(), repoOf(fleet), nil))
	me := s.AddUser("adf-bot", giteatest.UserOptions{})
	require.NoError(w, w.store.AddAccount(w.Context(), server, tracker.Account{ID: me, Login: "adf-bot"}))
}

func TestACommentIsNotMissedWhenTheServersClockIsFarOff(t *testing.T) {
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

func TestACommentIsNotMissedAfterTheServersClockWasAheadAndSetRight(t *testing.T) {
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
