package escalate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testworld"
)

// operated makes a machine's bot run the commands of these people.
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
		w.Gitea.ResetRequests()
		f(w, id)
	})
}

// says comments on the bot's issue and lets a second pass, as long as a person needs at least.
func (w *world) says(login, body string) int64 {
	id := w.Gitea.As(login).Comment(fleet, w.issue().Number, body)
	time.Sleep(time.Second)
	return id
}

// Comments are not asked for.
func TestCommentsWithoutOperators(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.says("alex", "/adf resume")
		w.Gitea.ResetRequests()
		w.sweep()
		require.Len(t, w.asked(), 1, "the list of open issues and nothing else")
		require.True(t, w.paused(project))
	})
}

// Operators cost one more request for each repository.
func TestRequestsOfSweepWithOperators(t *testing.T) {
	playOperated(t, func(w *world, _ string) {
		w.sweep()
		asked := w.asked()
		require.Len(t, asked, 2)
		require.Contains(t, asked[1].Path, "/issues/comments?")
		require.Contains(t, asked[1].Path, "since=")
	})
}

// Anyone but an operator gets one reply.
func TestCommandByStranger(t *testing.T) {
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

// A comment from before its author became an operator is no command.
func TestCommandByLaterOperator(t *testing.T) {
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

// A comment from before there were operators is no command.
func TestCommandBeforeOperators(t *testing.T) {
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

// The bot runs no commands of its own.
func TestCommandByTheBot(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.operated("alex", "adf-bot")
		w.says("adf-bot", "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Len(t, comments(w.issue()), 1, "its own one, which it does not answer")
	})
}

// An edited comment is no command.
func TestEditedComment(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "/adf status")
		w.Gitea.As("kim").EditComment(fleet, c, "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "your comment was edited")
	})
}

// The command is not run again.
func TestCommentEditedAfterCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "/adf status")
		w.sweep()
		require.Len(t, comments(w.issue()), 1)
		time.Sleep(24 * time.Hour)
		w.Gitea.As("alex").EditComment(fleet, c, "/adf status\n/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Len(t, comments(w.issue()), 1)
	})
}

// A command that is edited into an old comment is not run.
func TestCommandEditedIntoOldComment(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "I am looking into it")
		w.sweepFor(3 * time.Minute)
		time.Sleep(48 * time.Hour)
		w.Gitea.As("kim").EditComment(fleet, c, "/adf resume")
		w.sweepFor(3 * time.Minute)
		require.True(t, w.paused(project))
		require.Empty(t, comments(w.issue()), "after two days it is not worth an answer either")
	})
}

// An operator who changes their login stays one.
func TestRenamedOperator(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.RenameUser("alex", "alexandra")
		w.says("alexandra", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
		require.Contains(t, w.incident(id).EndedHow, "@alexandra")
	})
}

// One who had changed it before they became one is to be named by the login that they have.
func TestOperatorByAFormerLogin(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.RenameUser("alex", "alexandra")
		w.operated("alex")
		w.sweep()
		ops, err := w.store.Operators(w.Context(), server)
		require.NoError(t, err)
		require.Equal(t, `operator "alex": this login was changed to alexandra: name that one in operators`, ops[0].Problem)
	})
}

// Whoever takes it is no operator.
func TestOldLoginOfOperator(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.RenameUser("alex", "alexandra")
		w.Gitea.AddUser("alex", giteatest.UserOptions{})
		w.says("alex", "/adf resume")
		rep, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(t, err, `operator "alex" is user`)
		require.Contains(t, rep.Errors[0], "who is no operator")
		require.True(t, w.paused(project))
		require.Contains(t, comments(w.issue())[0], "`alex`, this bot takes commands only from its operators, so it did nothing. "+
			"Its operator `alex` is another account, which had this login before: if it is to be yours, whoever runs the bot takes the login out of "+
			"`operators`, lets a sweep pass, and puts it in again.\n", "nobody is told to ask themselves")
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

// Nor is one who gets the number of an operator's account that is gone since Gitea was restored from a backup.
func TestNumberOfOperatorIsGivenAgain(t *testing.T) {
	for _, again := range []bool{false, true} {
		for name, act := range map[string]func(w *world, login string){
			"commanded": func(w *world, login string) { w.says(login, "/adf resume") },
			"closed":    func(w *world, login string) { w.Gitea.As(login).Close(fleet, 1) },
		} {
			t.Run(fmt.Sprint(name, again), func(t *testing.T) {
				play(t, func(w *world) {
					w.operated("alex")
					w.rec.Options().Commands.CloseResumes = true
					w.trip(project)
					restore := w.Gitea.BackUp()
					id := w.Gitea.AddUser("carla", giteatest.UserOptions{})
					w.operated("alex", "carla")
					w.sweep()
					time.Sleep(time.Minute)
					restore()
					require.Equal(t, id, w.Gitea.AddUser("eve", giteatest.UserOptions{}))
					if again {
						w.Gitea.AddUser("carla", giteatest.UserOptions{})
					}
					time.Sleep(time.Minute)
					act(w, "eve")
					_, err := w.sweepAnd(escalate.SweepOptions{})
					if name == "commanded" {
						require.ErrorContains(t, err, `operator "carla" is user`)
					}
					require.True(t, w.paused(project))
					require.Equal(t, "open", w.issue().State)
					ops, err := w.store.Operators(w.Context(), server)
					require.NoError(t, err)
					require.Contains(t, ops[1].Problem, "whose login is eve now")
					act(w, "eve")
					_, err = w.sweepAnd(escalate.SweepOptions{})
					require.NoError(t, err, "it is reported once, and kept for status")

					w.operated("alex", "eve") // if eve is the one
					act(w, "eve")
					w.sweepFor(time.Minute)
					require.False(t, w.paused(project))
				})
			})
		}
	}
}

// An operator stays one also where somebody has taken their former login.
func TestRenamedOperatorWhoseLoginWasTaken(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.RenameUser("alex", "alexandra")
		w.Gitea.AddUser("alex", giteatest.UserOptions{})
		w.says("alexandra", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project))
	})
}

// While Gitea does not tell whether an operator was renamed, their command waits.
func TestRenamedOperatorWhileGiteaDoesNotAnswer(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.Gitea.RenameUser("alex", "alexandra")
		w.says("alexandra", "/adf resume")
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/users/"), Do: giteatest.Status(502, "")})
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.Error(t, err)
		require.True(t, w.paused(project))
		require.Len(t, w.issue().Comments, 1)
		undo()
		w.sweepFor(time.Minute)
		require.False(t, w.paused(project))
	})
}

func TestOperatorsLookedUpOnce(t *testing.T) {
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
		require.Contains(t, ops[1].Problem, "nobody at http://gitea.example has this login, or the profile is private: correct operators in the configuration, "+
			"or let the operator write a command")
	})
}

// Whoever gives the bot a token of their own is told that its comments are no commands.
func TestBotAsOperator(t *testing.T) {
	play(t, func(w *world) {
		w.operated("adf-bot", "alex")
		w.trip(project)
		w.sweep()
		ops, err := w.store.Operators(w.Context(), server)
		require.NoError(t, err)
		require.Equal(t, `operator "adf-bot" is the bot's own account, whose comments and closings never count: give the bot an account of its own`, ops[0].Problem)
		require.Empty(t, ops[1].Problem)
	})
}

// An operator whose own token the bot had at first is one from when it has another account's.
func TestOperatorWhoLentTheirToken(t *testing.T) {
	for name, scopes := range map[string][]string{"the token tells its account": nil, "it does not": {"write:issue"}} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) {
				w.operated("alex")
				w.rec.Options().Commands.CloseResumes = true
				w.Gitea.AddToken("alex", "alex-token")
				w.Gitea.SetPermission("terraphim", "adf-fleet", "alex", giteatest.Write)
				w.Gitea.AddToken(testworld.Bot, testworld.Token, scopes...)
				w.tokens.now = "alex-token"
				id := w.trip(project)
				w.sweep()
				w.Gitea.As("alex").Comment(fleet, 1, "/adf status")
				w.sweep()
				i, _ := w.Gitea.Issue(fleet, 1)
				require.Empty(t, comments(i), "whoever has the bot's token is no operator")
				ops, err := w.store.Operators(w.Context(), server)
				require.NoError(t, err)
				require.Contains(t, ops[0].Problem, "the bot's own account")

				w.tokens.now = testworld.Token
				if scopes != nil {
					w.trip("other") // its first write tells
				}
				w.Gitea.As("alex").Comment(fleet, 1, "/adf ack")
				w.sweep()
				require.NotNil(t, w.incident(id).Ack)
				ops, err = w.store.Operators(w.Context(), server)
				require.NoError(t, err)
				require.Empty(t, ops[0].Problem)
				w.Gitea.As("alex").Close(fleet, 1)
				w.sweepFor(3 * time.Minute)
				require.False(t, w.paused(project))
			})
		})
	}
}

// A token that may not read users learns an operator's id from the first command.
func TestOperatorsWithoutReadUser(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.AddToken("adf-bot", "narrow", "write:issue")
		w.tokens.now = "narrow"
		w.operated("alex")
		w.trip(project)
		w.sweep()
		w.says("alex", "/adf status")
		w.sweep()
		require.Len(t, comments(w.issue()), 1)
		w.Gitea.RenameUser("alex", "alexandra")
		w.Gitea.AddUser("alex", giteatest.UserOptions{})
		w.says("alex", "/adf resume")
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		require.True(t, w.paused(project), "from then on it is the id that counts")
	})
}
