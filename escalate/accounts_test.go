package escalate_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/testworld"
)

// Accounts and repositories that change under the bot.

// The bot goes on with the issues of its old account.
func TestTokenOfAnotherAccount(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.AddUser("new-bot", giteatest.UserOptions{})
		w.Gitea.AddToken("new-bot", "new-token")
		w.Gitea.SetPermission("terraphim", "adf-fleet", "new-bot", giteatest.Write)
		w.tokens.now = "new-token"
		w.trip("digital-twins")
		require.Empty(w, w.sweep().Actions, "both are its own")
		w.rm(project)
		w.rm("digital-twins")
		w.sweep()
		for _, i := range w.Gitea.Issues(fleet) {
			require.Equal(w, "closed", i.State, i.Number)
		}
		require.True(w, w.incident(id).Settled)
	})
}

// The first write of a new account does not make the old one's issues look like somebody else's in the same visit.
func TestOldIssueInVisitOfNewAccount(t *testing.T) {
	play(t, func(w *world) {
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.CloseIssue(), Do: giteatest.Status(502, "bad gateway")})
		old := w.trip(project)
		w.rm(project)
		_, _ = w.sweepAnd(escalate.SweepOptions{})
		require.False(w, w.incident(old).IsOpen())
		undo()
		w.Gitea.AddUser("new-bot", giteatest.UserOptions{})
		w.Gitea.AddToken("new-bot", "new-token")
		w.Gitea.SetPermission("terraphim", "adf-fleet", "new-bot", giteatest.Write)
		m := w.another()
		m.tokens.now = "new-token"
		time.Sleep(time.Hour)
		m.trip(project)
		require.True(w, w.incident(old).Settled)
		require.Equal(w, "closed", w.issue().State)
	})
}

// A creation in doubt is looked for among the issues of the account that sent it.
func TestCreationInDoubtByOldAccount(t *testing.T) {
	for _, configured := range []bool{false, true} {
		t.Run(fmt.Sprintf("gitea.login set %v", configured), func(t *testing.T) {
			play(t, func(w *world) {
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
				id, err := w.tripAnd(project)
				require.Error(w, err)
				w.Gitea.AddUser("new-bot", giteatest.UserOptions{})
				w.Gitea.AddToken("new-bot", "new-token")
				w.Gitea.SetPermission("terraphim", "adf-fleet", "new-bot", giteatest.Write)
				w.tokens.now = "new-token"
				if configured {
					w.rec.Options().Login = "new-bot"
				}
				w.trip("digital-twins") // by which the bot learns of its new account
				w.sweepFor(time.Hour)
				require.Equal(w, 2, len(w.Gitea.Issues(fleet)), "one for each incident")
				require.Equal(w, w.issue().Number, w.incident(id).Issue.Number)
				w.rm(project)
				w.sweep()
				require.Equal(w, "closed", w.issue().State)
				require.True(w, w.incident(id).Settled)
			})
		})
	}
}

func TestRenamedAccount(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		// What the renamed account looks like: its login is unknown, and the token is of another one.
		me, err := w.store.Accounts(w.Context(), server)
		require.NoError(w, err)
		require.NoError(w, w.store.AddAccount(w.Context(), server, tracker.Account{ID: me[0].ID, Login: "old-name"}))
		w.sweep()
		w.rm(project)
		w.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.True(w, w.incident(id).Settled)
		w.asked()
		w.sweep()
		require.Len(w, w.asked(), 1, "the new name is kept")
	})
}

// The error names a configured login that nobody has.
func TestUnknownConfiguredLogin(t *testing.T) {
	playNew(t, func(w *world) {
		w.rec.Options().Login = "adf-bto"
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "if the token's account has another name now, set gitea.login to it; else: gitea: list issues")
		require.ErrorContains(w, err, `nobody has the login "adf-bto"`)
	})
}

// A token that may not read its user works with a configured login.
func TestTokenWithoutReadUser(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.AddToken("adf-bot", testworld.Token, "write:issue")
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "set gitea.login")
		w.rec.Options().Login = "adf-bot"
		id := w.trip(project)
		w.sweep()
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.Equal(w, "open", w.issue().State)
		m := w.withoutState()
		m.rec.Options().Login = "adf-bot"
		m.sweep()
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.True(w, m.incident(id).Settled)
	})
}

// failedCreates are the ways in which the first creation is not made directly.
func failedCreates(w *world) map[string]func() (undo func()) {
	inject := func(do giteatest.Effect) func() func() {
		return func() func() {
			return w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: do})
		}
	}
	return map[string]func() func(){
		"the process has no token": func() func() {
			w.tokens.err = syscall.EACCES
			return func() { w.tokens.err = nil }
		},
		"connection refused": func() func() {
			w.rec.Options().Tracker = w.over(refuses{})
			return func() { w.rec.Options().Tracker = w.over(w.Gitea.Transport()) }
		},
		"502":           inject(giteatest.Status(502, "bad gateway")),
		"reset":         inject(giteatest.Reset()),
		"lost answer":   inject(giteatest.LostAnswer()),
		"late creation": inject(giteatest.LateWork(time.Second)),
	}
}

// With gitea.login nobody asks /user: login and marker tell whose an issue is, until an answer to an own write tells the id.
func TestConfiguredLoginNeedsNoReadUser(t *testing.T) {
	for _, name := range []string{"the process has no token", "connection refused", "502", "reset", "lost answer", "late creation"} {
		t.Run(name, func(t *testing.T) {
			playNew(t, func(w *world) {
				w.Gitea.AddToken("adf-bot", testworld.Token, "write:issue")
				w.rec.Options().Login = "ADF-bot" // logins have no case
				undo := failedCreates(w)[name]()
				id, err := w.tripAnd(project)
				require.Error(w, err)
				undo()
				w.sweepFor(5 * time.Minute)
				require.Equal(w, "open", w.issue().State)
				require.Equal(w, w.issue().Number, w.incident(id).Issue.Number)
				require.Empty(w, w.incident(id).LastErr)
				w.Gitea.As("alex").Close(fleet, w.issue().Number)
				w.sweep()
				require.Equal(w, "open", w.issue().State, "it is recognized as closed")
				w.rm(project)
				w.sweep()
				require.Equal(w, "closed", w.issue().State)
				require.True(w, w.incident(id).Settled)
				for _, r := range w.asked() {
					require.NotEqual(w, "/api/v1/user", r.Path)
				}
				known, err := w.store.Accounts(w.Context(), server)
				require.NoError(w, err)
				require.Equal(w, []tracker.Account{{ID: w.issue().AuthorID, Login: "adf-bot"}}, known)
			})
		})
	}
}

// A state that is lost with the id loses no issue, and the bot still takes no commands from itself.
func TestConfiguredLoginAfterLostState(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.AddToken("adf-bot", testworld.Token, "write:issue")
		w.rec.Options().Login = "adf-bot"
		id := w.trip(project)
		w.Gitea.As("adf-bot").Comment(fleet, 1, "/adf resume")
		w.asked()
		m := w.withoutState()
		m.rec.Options().Login = "adf-bot"
		m.rec.Options().Commands.Operators = []string{"kim"}
		m.sweep()
		require.True(w, m.incident(id).IsOpen())
		require.Empty(w, writes(w.asked()), "nothing is said about the bot's own comment")
		m.rm(project)
		m.sweep()
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 2)
		known, err := m.store.Accounts(w.Context(), server)
		require.NoError(w, err)
		require.Equal(w, []tracker.Account{{ID: w.issue().AuthorID, Login: "adf-bot"}}, known, "the comment's answer tells it")
	})
}

// The issues of another account are not the bot's, although they carry its marker, and teach it nothing.
func TestConfiguredLoginTrustsNoOtherAccount(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.AddToken("adf-bot", testworld.Token, "write:issue")
		w.rec.Options().Login = "adf-bot"
		w.rec.Options().Tracker = w.over(refuses{})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.rec.Options().Tracker = w.over(w.Gitea.Transport())
		forged := tracker.Marker{Installation: w.store.Installation(), Project: project, Incident: id, Seq: 1}
		w.Gitea.As("kim").Open(fleet, "mine", forged.String())
		w.sweepFor(5 * time.Minute)
		require.EqualValues(w, 2, w.incident(id).Issue.Number)
	})
}

// A login that is not the token's hides an issue whose answer was lost, until an answer tells the account. Then all issues are
// listed, and the second one is closed.
func TestWrongConfiguredLogin(t *testing.T) {
	playNew(t, func(w *world) {
		w.Gitea.AddToken("adf-bot", testworld.Token, "write:issue")
		w.rec.Options().Login = "kim"
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
		_, err := w.tripAnd(project)
		require.Error(w, err)
		w.sweepFor(10 * time.Minute)
		states := map[string]int{}
		for _, i := range w.Gitea.Issues(fleet) {
			states[i.State]++
		}
		require.Equal(w, map[string]int{"open": 1, "closed": 1}, states)
		w.rm(project)
		w.sweep()
		for _, i := range w.Gitea.Issues(fleet) {
			require.Equal(w, "closed", i.State, i.Number)
		}
	})
}

// A bot that died before it knew its account still recognizes its issue.
func TestDiedBeforeAccountKnown(t *testing.T) {
	playNew(t, func(w *world) {
		tripped := w.failed(project)
		w.dies("issue-noted", func(ctx context.Context) { _, _ = w.rec.Trip(ctx, tripped) })
		m := w.reopened()
		m.rm(project)
		_, err := m.rec.Escalate(w.Context(), project)
		require.NoError(w, err)
		require.Equal(w, "closed", m.issue().State)
		require.Len(w, comments(m.issue()), 1)
	})
}

// A bot that knows no account asks for it before it judges an issue.
func TestAskForAccountFirst(t *testing.T) {
	playNew(t, func(w *world) {
		id := w.fail(project)
		_, _, err := w.rec.Local(w.Context(), project)
		require.NoError(w, err)
		m := tracker.Marker{Installation: w.store.Installation(), Project: project, Incident: id, Seq: 1}
		w.Gitea.As("adf-bot").Open(fleet, "of a state that was put together by hand", m.String())
		w.change(id, func(i *incident.Incident) {
			i.Issue = tracker.IssueRef{Repo: repoOf(fleet), ID: w.issue().ID, Number: 1}
		})
		w.rm(project)
		_, err = w.rec.Escalate(w.Context(), project)
		require.NoError(w, err)
		require.Equal(w, "closed", w.issue().State)
	})
}

// A hidden repository does not make its issues look deleted.
func TestHiddenRepository(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.None)
		w.Gitea.SetPrivate(fleet, true)
		w.rm(project)
		// What `adfbot resume` does: it has no list that would tell a missing issue from a missing right.
		_, err := w.rec.Escalate(w.Context(), project)
		require.ErrorContains(w, err, "404")
		w.sweepFor(2 * time.Minute)
		require.False(w, w.incident(id).Settled)
		w.Gitea.SetPrivate(fleet, false)
		require.NoError(w, w.force())
		require.Equal(w, "closed", w.issue().State)
	})
}

// The bot follows a renamed repository when the configuration has its new name.
func TestRenamedRepository(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed meanwhile %v", closed), func(t *testing.T) {
			playRenamed(t, func(w *world, rename func() string) {
				id := w.trip(project)
				now := rename()
				if closed {
					w.Gitea.As("alex").Close(now, 1)
				}
				_, err := w.sweepAnd(escalate.SweepOptions{})
				require.ErrorContains(w, err, "moved to "+now)
				require.ErrorContains(w, err, "gitea.repo")
				w.moveTo(now)
				w.sweep() // it does not ask for what is done
				require.Equal(w, repoOf(now), w.incident(id).Issue.Repo)
				require.Contains(w, w.incident(id).Issue.URL, now, "another repository may take the old name")
				w.sweep()
				i, _ := w.Gitea.Issue(now, 1)
				require.Equal(w, "open", i.State)
				w.rm(project)
				w.sweep()
				i, _ = w.Gitea.Issue(now, 1)
				require.Equal(w, "closed", i.State)
				require.Len(w, w.Gitea.Issues(now), 1)
			})
		})
	}
}

func TestCreationInDoubtInRenamedRepository(t *testing.T) {
	playRenamed(t, func(w *world, rename func() string) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LateWork(time.Second)})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		time.Sleep(2 * time.Second)
		now := rename()
		w.sweepFor(2 * time.Minute)
		require.NotEmpty(w, w.incident(id).LastErr, "it waits for a person")
		w.moveTo(now)
		_ = w.force()
		require.Equal(w, repoOf(now), w.incident(id).Issue.Repo)
		require.Len(w, w.Gitea.Issues(now), 1)
		w.sweep()
	})
}

// playRenamed plays with each kind of rename of the repository. Its owner's is another status.
func playRenamed(t *testing.T, f func(w *world, rename func() (now string))) {
	for name, rename := range map[string]func(*world) string{
		"repository": func(w *world) string { w.Gitea.Rename(fleet, "fleet-2"); return "terraphim/fleet-2" },
		"owner":      func(w *world) string { w.Gitea.RenameUser("terraphim", "terra"); return "terra/adf-fleet" },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *world) { f(w, func() string { return rename(w) }) })
		})
	}
}

// moveTo has all projects' issues go to another repository.
func (m *machine) moveTo(repo string) {
	m.rec.Options().Target = func(string) escalate.Target { return escalate.Target{Repo: repoOf(repo)} }
}

// The project's issue is closed in the old repository.
func TestProjectMovedToAnotherRepository(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.moveTo(other)
		require.Empty(w, w.sweep().Actions)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweep()
		require.Equal(w, "open", w.issue().State)
		w.rm(project)
		w.sweep()
		require.Equal(w, "closed", w.issue().State)
		w.trip(project)
		require.Len(w, w.issues(other), 1)
		require.Len(w, w.issues(fleet), 1)
	})
}

// The issue is looked for in the old repository.
func TestCreationInDoubtOfMovedProject(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LateWork(time.Second)})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.moveTo(other)
		time.Sleep(2 * time.Second)
		w.Gitea.As("alex").Close(fleet, 1) // so that the list of open issues does not show it
		w.sweepFor(5 * time.Minute)
		require.Empty(w, w.issues(other))
		require.Equal(w, "open", w.issue().State)
		require.Equal(w, w.issue().Number, w.incident(id).Issue.Number)
	})
}

// An incident reports that its repository is gone, and goes on in an empty one of the same name.
func TestRepositoryGoneWhilePaused(t *testing.T) {
	for _, doubt := range []bool{false, true} {
		t.Run(fmt.Sprintf("creation in doubt %v", doubt), func(t *testing.T) {
			play(t, func(w *world) {
				if doubt {
					w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Reset()})
				}
				id, _ := w.tripAnd(project)
				w.Gitea.DeleteRepo(fleet)
				w.moveTo(other)
				w.sweepFor(time.Hour)
				require.Empty(w, w.issues(other), "it may only be hidden")
				require.Contains(w, w.incident(id).LastErr, "list issues in terraphim/adf-fleet: status 404")
				require.Contains(w, w.incident(id).LastErr, "if it was deleted, make an empty repository of its name")

				w.Gitea.AddRepo("terraphim", "adf-fleet")
				w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
				w.sweepFor(time.Hour)
				require.Len(w, w.issues(other), 1)
				require.Empty(w, w.incident(id).LastErr)
				w.Gitea.DeleteRepo(fleet)
				w.sweep()
				w.rm(project)
				w.sweep()
				require.Equal(w, "closed", w.issues(other)[0].State)
				require.True(w, w.incident(id).Settled)
			})
		})
	}
}

// An ended incident reports that its repository is gone, and is settled by an empty one of the same name.
func TestRepositoryGoneAfterResume(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.DeleteRepo(fleet)
		w.moveTo(other)
		w.rm(project)
		w.sweepFor(time.Hour)
		require.Contains(w, w.incident(id).LastErr, "status 404")
		w.Gitea.AddRepo("terraphim", "adf-fleet")
		w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
		w.sweepFor(time.Hour)
		require.True(w, w.incident(id).Settled)
		require.Empty(w, w.incident(id).LastErr)
		require.Empty(w, w.issues(other))
	})
}

// Open incidents report a hidden repository, and forget it when it is back.
func TestRepositoryHiddenForAWhile(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Status(502, "bad gateway")})
		w.sweepFor(3 * time.Minute)
		require.Empty(w, w.incident(id).LastErr, "that passes by itself")
		undo()
		w.Gitea.SetPrivate(fleet, true)
		w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.None)
		_, err := w.sweepAnd(escalate.SweepOptions{DryRun: true})
		require.Error(w, err)
		require.Empty(w, w.incident(id).LastErr, "a dry run writes nothing")
		w.sweepFor(3 * time.Minute)
		require.Contains(w, w.incident(id).LastErr, "status 404")
		w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
		w.sweep()
		require.Empty(w, w.incident(id).LastErr)
	})
}

// The issue of a project that left the configuration is closed.
func TestRemovedProject(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rec.Options().Projects = []string{"digital-twins"}
		w.moveTo(other)
		require.Empty(w, w.sweep().Actions)
		w.rm(project)
		w.sweep()
		require.Equal(w, "closed", w.issue().State)
	})
}

// A panic is the error of its project and does not stop another.
func TestPanicInOneProject(t *testing.T) {
	play(t, func(w *world) {
		w.rec.Options().Projects = []string{project, "digital-twins"}
		undo := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Reset()})
		_, _ = w.tripAnd(project)
		_, _ = w.tripAnd("digital-twins")
		undo()
		time.Sleep(time.Hour)
		var once sync.Once
		w.ctx = fault.With(w.Context(), func(string) { once.Do(func() { panic("a fault of the bot's own") }) })
		_, err := w.sweepAnd(escalate.SweepOptions{})
		require.ErrorContains(w, err, "panic: a fault of the bot's own")
		require.Len(w, w.issues(fleet), 1)
		time.Sleep(time.Hour)
		w.sweep()
		require.Len(w, w.issues(fleet), 2)
	})
}

// A failing repository does not stop another.
func TestFailingRepository(t *testing.T) {
	for _, f := range lostAnswers {
		t.Run(f.name, func(t *testing.T) {
			play(t, func(w *world) {
				target := w.rec.Options().Target
				w.rec.Options().Target = func(p string) escalate.Target {
					t := target(p)
					if p == "digital-twins" {
						t.Repo = repoOf(other)
					}
					return t
				}
				w.rec.Options().Projects = []string{project, "digital-twins"}
				one, two := w.trip(project), w.trip("digital-twins")
				undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas(fleet + "/"), Do: f.do})
				w.rm(project)
				w.rm("digital-twins")
				began := time.Now()
				_, err := w.sweepAnd(escalate.SweepOptions{})
				require.Error(w, err)
				require.Less(w, time.Since(began), 2*timeout)
				require.Equal(w, "closed", w.issues(other)[0].State)
				require.True(w, w.incident(two).Settled)
				require.False(w, w.incident(one).Settled)
				require.NotEmpty(w, w.incident(one).LastErr)
				undo()
				w.sweepFor(20 * time.Minute)
				require.Equal(w, "closed", w.issue().State)
			})
		})
	}
}
