package bot_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testworld"
)

// resumed is a world where alex has resumed a project by a comment, so that nothing is unfinished.
func resumed(t *testing.T) *world {
	w := newWorld(t)
	w.configure(plainConfig + "operators: [alex]\n")
	w.fail("odilo", 3)
	w.Gitea.As("alex").Comment(repo, 1, "/adf resume odilo")
	w.sweepWell()
	require.Equal(t, "closed", w.Gitea.Issues(repo)[0].State)
	w.pass(10 * time.Minute)
	return w
}

// moveGitea changes gitea.url. At the new address is the same Gitea.
func (w *world) moveGitea() {
	w.change("http://gitea.example", "http://new.example")
	w.Gitea.SetBaseURL("http://new.example")
}

// anotherGitea changes gitea.url to that of another Gitea, where alex has another id, and the one that was alex's is a stranger's.
func (w *world) anotherGitea() {
	was := w.Gitea.AddUser("alex", giteatest.UserOptions{})
	other := giteatest.New(w.now)
	w.Cleanup(other.Close)
	for n := range was - 1 {
		other.AddUser(fmt.Sprint("user-", n), giteatest.UserOptions{})
	}
	require.Equal(w, was, other.AddUser("mallory", giteatest.UserOptions{}))
	for _, login := range []string{testworld.Bot, "alex"} {
		other.AddUser(login, giteatest.UserOptions{})
	}
	other.AddToken(testworld.Bot, token, testworld.Scopes()...)
	other.AddRepo("terraphim", "adf-fleet")
	for _, login := range []string{testworld.Bot, "alex", "mallory"} {
		other.SetPermission("terraphim", "adf-fleet", login, giteatest.Write)
	}
	w.change("http://gitea.example", "http://new.example")
	w.Gitea = other
	w.Gitea.SetBaseURL("http://new.example")
}

func (w *world) comments(n int64) (bodies []string) {
	i, ok := w.Gitea.Issue(repo, n)
	require.True(w, ok)
	for _, c := range i.Comments {
		bodies = append(bodies, c.Body)
	}
	return bodies
}

// What is known of a Gitea goes with it to its new address, also where nothing depends on the old one.
func TestMovedGitea(t *testing.T) {
	t.Parallel()
	w := resumed(t)
	said := w.comments(1)
	w.moveGitea()
	w.sweepWell()
	require.Equal(t, said, w.comments(1), "what was carried out is not carried out again")

	w.Gitea.As("alex").Comment(repo, 1, "/adf pause all")
	w.pass(3 * time.Hour)
	w.Gitea.RenameUser("alex", "alexandra")
	w.Gitea.AddUser("alex", giteatest.UserOptions{})
	w.Gitea.SetPermission("terraphim", "adf-fleet", "alex", giteatest.Write)
	w.Gitea.As("alex").Comment(repo, 1, "/adf status")
	w.change("http://new.example", "https://gitea.example")
	w.Gitea.SetBaseURL("https://gitea.example")
	w.fail("atlas", 2) // before anybody sweeps
	_, err := w.sweep()
	require.ErrorContains(t, err, "who is no operator", "ids go with the Gitea")
	require.Equal(t, "yes", w.project("odilo").Paused, "also what was written long before is read")
	require.Len(t, w.comments(1), len(said)+4)
}

// At another Gitea, nothing is known of anybody, whatever the ids.
func TestAnotherGitea(t *testing.T) {
	t.Parallel()
	w := resumed(t)
	w.anotherGitea()
	w.fail("odilo", 3)
	w.Gitea.As("mallory").Comment(repo, 1, "/adf resume odilo")
	w.sweepWell()
	require.Equal(t, "yes", w.project("odilo").Paused)
	w.Gitea.As("alex").Comment(repo, 1, "/adf resume odilo")
	w.sweepWell()
	require.Equal(t, "no", w.project("odilo").Paused)
	w.Gitea.ResetRequests()
	w.sweepWell()
	for _, r := range w.Gitea.Requests() {
		require.NotContains(t, r.Path, "/issues/1", "it is asked once")
	}
}

// A dry run moves nothing: what was carried out at the earlier address is not planned again, and it says what it cannot plan.
func TestDryRunAtAMovedGitea(t *testing.T) {
	t.Parallel()
	w := resumed(t)
	w.moveGitea()
	for _, names := range [][]string{nil, {"odilo"}} {
		rep, err := bot.DryRun(ctx, w.cfg, w.env(), names...)
		require.ErrorContains(t, err, "gitea.url was changed from http://gitea.example to http://new.example since the last sweep")
		require.Empty(t, rep.Actions)
		require.Len(t, rep.Errors, 1)
	}
	w.sweepWell()
	_, err := bot.DryRun(ctx, w.cfg, w.env())
	require.NoError(t, err)

	w = resumed(t)
	w.anotherGitea()
	rep, err := bot.DryRun(ctx, w.cfg, w.env())
	require.NoError(t, err)
	require.Empty(t, rep.Actions)
}

// As long as the new address does not answer, nothing is read there.
func TestMovedGiteaDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := resumed(t)
	said := w.comments(1)
	w.moveGitea()
	down := w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Do: giteatest.Status(503, "")})
	rep, err := w.sweep()
	require.ErrorContains(t, err, "whether http://new.example is the same Gitea as http://gitea.example")
	require.Len(t, rep.Errors, 1)
	require.Equal(t, said, w.comments(1))
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.SweepProject(ctx, "odilo")
		require.ErrorContains(t, err, "whether http://new.example is the same Gitea")
	})
	down()
	w.Gitea.AddToken(testworld.Bot, token, "read:user")
	_, err = w.sweep()
	require.ErrorContains(t, err, "whether http://new.example is the same Gitea", "nor as long as the token may not read it")
	w.Gitea.AddToken(testworld.Bot, token, testworld.Scopes()...)
	w.sweepWell()
	require.Equal(t, said, w.comments(1))
}

// What answers at a wrong address, or stands in front of Gitea, is no other Gitea: nothing is forgotten for it, and it is not confirmed.
func TestMovedGiteaIsNotReached(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]giteatest.Effect{
		"to https":       giteatest.Status(301, "", "Location", "https://new.example/api/v1/repos/terraphim/adf-fleet/issues/1"),
		"a login":        giteatest.Status(302, "", "Location", "https://login.example/"),
		"a wall":         giteatest.Status(403, "<html>no</html>", "Content-Type", "text/html"),
		"plain http":     giteatest.Status(400, "Client sent an HTTP request to an HTTPS server."),
		"hidden from it": giteatest.Status(404, `{"message":"The target couldn't be found."}`, "Content-Type", "application/json"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, unfinished := range []bool{false, true} {
				w := actionsMoved(t)
				if unfinished {
					w.fail("odilo", 3)
				} else {
					w.with(bot.Operate, func(b *bot.Bot) {
						_, err := b.PauseMany(ctx, bot.Many{Names: []string{"odilo"}, By: "alice"})
						require.NoError(t, err)
					})
				}
				w.sweepWell()
				require.False(t, w.active())
				said := w.comments(1)
				w.moveGitea()
				right := w.Gitea.Inject(giteatest.Fault{Do: do})
				confirm := func() (err error) {
					w.with(bot.Operate, func(b *bot.Bot) { err = b.ConfirmURL(ctx) })
					return err
				}
				if unfinished {
					require.ErrorContains(t, confirm(), "the new address is not confirmed; give the command again once Gitea answers: ")
				}
				_, err := w.sweep()
				require.Error(t, err)
				right()
				require.NoError(t, confirm())
				w.sweepWell()
				require.Equal(t, said, w.comments(1))
				w.with(bot.Operate, func(b *bot.Bot) {
					_, err := b.ResumeBy(ctx, "odilo", "alice")
					require.NoError(t, err)
				})
				require.True(t, w.active(), "adfbot knows that it disabled the workflow")
			}
		})
	}
}

// The repository of the issues may have been renamed before the address changes. An issue that is over has its earlier name.
func TestMovedGiteaOfARenamedRepository(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"redirected", "gone", "and its owner"} {
		w := resumed(t)
		said := w.comments(1)
		w.Gitea.Rename(repo, "fleet")
		w.change("  repo: adf-fleet\n", "  repo: fleet\n")
		now := "terraphim/fleet"
		switch name {
		case "gone":
			w.Gitea.AddRepo("terraphim", "adf-fleet") // which ends the redirect
			w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Write)
		case "and its owner":
			w.Gitea.RenameUser("terraphim", "terra")
			w.change("  owner: terraphim\n", "  owner: terra\n")
			now = "terra/fleet"
		}
		w.sweepWell()
		w.moveGitea()
		w.sweepWell()
		require.Contains(t, w.Logged.String(), "same_gitea=true", name)
		i, ok := w.Gitea.Issue(now, 1)
		require.True(t, ok)
		require.Len(t, i.Comments, len(said))
	}
}

// The repository of an issue that is over is gone, and so is its project. No other one is configured for all.
func TestMovedGiteaWithoutARepositoryForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Gitea.AddRepo("terraphim", "atlas")
	w.Gitea.SetPermission("terraphim", "atlas", testworld.Bot, giteatest.Write)
	const both = "projects:\n  - id: odilo\n    owner: terraphim\n    repo: adf-fleet\n  - id: atlas\n    owner: terraphim\n    repo: atlas\n"
	w.change("  owner: terraphim\n  repo: adf-fleet\nprojects:\n  - id: odilo\n  - id: atlas\n", both)
	w.fail("odilo", 3)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	w.Gitea.DeleteRepo(repo)
	w.change("  - id: odilo\n    owner: terraphim\n    repo: adf-fleet\n", "")
	w.moveGitea()
	w.sweepWell()
	require.Contains(t, w.Logged.String(), "same_gitea=false")
}

// A daemon whose configuration is not read anew yet knows nothing of its address once that has been moved.
func TestMovedGiteaMeanwhile(t *testing.T) {
	t.Parallel()
	w := resumed(t)
	said := w.comments(1)
	w.with(bot.Daemon, func(b *bot.Bot) {
		w.moveGitea()
		w.sweepWell()
		_, err := b.Sweep(ctx, escalate.SweepOptions{})
		require.ErrorContains(t, err, "gitea.url is http://gitea.example here, but another process uses the state with http://new.example now")
	})
	require.Equal(t, said, w.comments(1))
	w.change("http://new.example", "http://gitea.example")
	w.sweepWell()
	require.Equal(t, said, w.comments(1))
}

// Who confirms another Gitea gets new issues there, and no operators by the ids of the old one.
func TestConfirmAnotherGitea(t *testing.T) {
	t.Parallel()
	w := resumed(t)
	w.fail("odilo", 3)
	w.sweepWell()
	w.anotherGitea()
	remove := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
	w.with(bot.Operate, func(b *bot.Bot) {
		err := b.ConfirmURL(ctx)
		require.ErrorContains(t, err, "the new address is not confirmed; give the command again once Gitea answers: ")
		require.NotContains(t, err.Error(), "retried automatically")
	})
	remove()
	w.with(bot.Operate, func(b *bot.Bot) { require.NoError(t, b.ConfirmURL(ctx)) })
	w.sweepWell()
	require.Len(t, w.issues("open"), 1)
	w.Gitea.As("mallory").Comment(repo, 1, "/adf resume odilo")
	w.sweepWell()
	require.Equal(t, "yes", w.project("odilo").Paused)
	w.Gitea.As("alex").Comment(repo, 1, "/adf resume odilo")
	w.sweepWell()
	require.Equal(t, "no", w.project("odilo").Paused)
}

// actionsMoved is a world whose project has a workflow, and an incident with an issue that is over.
func actionsMoved(t *testing.T) *world {
	w := resumed(t)
	addWorkflow(w, ", disable: true")
	w.sweepWell()
	return w
}

// withRuns gives a Gitea the workflow, and failures of long ago.
func (w *world) withRuns(g *giteatest.Server, failures int) {
	g.AddRepo("terraphim", "agents")
	g.SetPermission("terraphim", "agents", testworld.Bot, giteatest.Write)
	g.AddToken(testworld.Bot, token, "write:issue", "read:user", "write:repository")
	g.AddWorkflow(agents, workflow, "agent")
	for range failures {
		id := g.StartWorkflowRun(agents, workflow)
		w.pass(time.Second)
		g.EndWorkflowRun(agents, id, "failure")
	}
}

// At an address that is not confirmed, or that another process has left, no runs are read and no workflow is changed.
func TestWorkflowAtAnUnconfirmedAddress(t *testing.T) {
	t.Parallel()
	w := actionsMoved(t)
	w.ended("failure")
	w.sweepWell()
	w.fail("odilo", 2)
	w.sweepWell()
	require.False(t, w.active())
	was := w.Gitea
	w.anotherGitea()
	w.withRuns(w.Gitea, 30)
	w.Gitea.SetWorkflowActive(agents, workflow, false) // by a person
	w.Gitea.ResetRequests()
	_, err := w.sweep()
	require.ErrorContains(t, err, "gitea.url was changed")
	w.with(bot.Operate, func(b *bot.Bot) {
		done, err := b.ResumeBy(ctx, "odilo", "alice")
		require.NoError(t, err)
		require.Contains(t, strings.Join(done.Problems, "\n"), "enable the workflow")
		_, err = b.SweepProject(ctx, "odilo")
		require.ErrorContains(t, err, "gitea.url was changed")
	})
	rep, _ := w.sweep()
	require.Zero(t, rep.Runs)
	require.Empty(t, w.Gitea.Requests())
	require.True(t, w.project("odilo").Workflow.Disabled)

	w.change("http://new.example", "http://gitea.example")
	w.Gitea = was
	w.sweepWell()
	require.True(t, w.active(), "it is enabled where it was disabled")
}

// Whoever resumes all at an address that is not confirmed enables nothing there.
func TestResumeAllAtAnUnconfirmedAddress(t *testing.T) {
	t.Parallel()
	w := actionsMoved(t)
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.PauseMany(ctx, bot.Many{Names: []string{incident.EveryProject}, By: "alice"})
		require.NoError(t, err)
	})
	w.sweepWell()
	require.False(t, w.active())
	w.anotherGitea()
	w.withRuns(w.Gitea, 30)
	w.Gitea.ResetRequests()
	w.with(bot.Operate, func(b *bot.Bot) {
		done, err := b.ResumeMany(ctx, bot.Many{Names: []string{incident.EveryProject}, By: "alice"})
		require.NoError(t, err)
		require.Contains(t, strings.Join(done.Problems, "\n"), "enable the workflow")
	})
	require.Empty(t, w.Gitea.Requests())
	require.True(t, w.project("odilo").Workflow.Disabled)
}

// A daemon with the earlier address neither reads runs there nor changes workflows.
func TestWorkflowAtAnAddressThatWasLeft(t *testing.T) {
	t.Parallel()
	w := actionsMoved(t)
	was := w.Gitea
	w.with(bot.Daemon, func(b *bot.Bot) {
		w.ended("failure")
		w.anotherGitea()
		w.withRuns(w.Gitea, 30)
		w.sweepWell()
		w.fail("odilo", 3)
		was.ResetRequests()
		rep, err := b.Sweep(ctx, escalate.SweepOptions{})
		require.ErrorContains(t, err, "another process uses the state with http://new.example now")
		require.Zero(t, rep.Runs)
		_, err = b.SweepProject(ctx, "odilo")
		require.ErrorContains(t, err, "another process uses the state with http://new.example now")
		for _, r := range was.Requests() {
			require.NotContains(t, r.Path, "/actions/")
		}
	})
}

// While it is not known which Gitea is at the new address, its runs are left; what the same one has had meanwhile counts then.
func TestRunsOfAMovedGitea(t *testing.T) {
	t.Parallel()
	w := actionsMoved(t)
	w.ended("failure")
	w.moveGitea()
	down := w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Do: giteatest.Status(503, "")})
	w.Gitea.ResetRequests()
	rep, err := w.sweep()
	require.ErrorContains(t, err, "whether http://new.example is the same Gitea as http://gitea.example")
	require.Zero(t, rep.Runs)
	require.Len(t, w.Gitea.Requests(), 1, "it is asked once")
	down()
	require.Equal(t, 1, w.sweepWell().Runs)
}

// What another Gitea has had before adfbot looked for the first time does not count, and what was disabled at the former one is not enabled there.
func TestRunsOfAnotherGitea(t *testing.T) {
	t.Parallel()
	for _, confirm := range []bool{false, true} {
		w := actionsMoved(t)
		w.ended("success")
		w.sweepWell()
		if confirm {
			w.fail("odilo", 3)
			w.sweepWell()
		} else { // the workflow waits to be enabled, and nothing else is unfinished
			w.inState(func(s store.State) {
				require.NoError(t, s.SetMeta(ctx, "disabled_workflows", `{"odilo":{"repo":"terraphim/agents","workflow":"agent.yaml"}}`))
			})
		}
		w.anotherGitea()
		w.withRuns(w.Gitea, 30)
		w.Gitea.SetWorkflowActive(agents, workflow, false) // by a person
		w.Gitea.ResetRequests()
		if confirm {
			w.with(bot.Operate, func(b *bot.Bot) { require.NoError(t, b.ConfirmURL(ctx)) })
		}
		require.Zero(t, w.sweepWell().Runs)
		for _, r := range w.Gitea.Requests() {
			require.NotContains(t, r.Path, "/actions/runs/", "ids of the former Gitea mean nothing here")
		}
		w.requireNoneDisabled()
		require.Contains(t, w.Logged.String(), "a workflow that adfbot disabled stays disabled at the former Gitea")
		w.with(bot.Operate, func(b *bot.Bot) {
			_, err := b.ResumeBy(ctx, "odilo", "alice")
			require.NoError(t, err)
		})
		w.sweepWell()
		require.False(t, w.active(), "what a person has disabled stays so")
		require.Equal(t, "no", w.project("odilo").Paused)
		w.pass(time.Minute)
		w.ended("failure")
		require.Equal(t, 1, w.sweepWell().Runs)
	}
}

// Where no issue tells which Gitea is at the new address, a workflow that waits to be enabled is.
func TestDisabledWorkflowOfAGiteaWithoutIssues(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.Touch(w.flag("odilo"))
	w.sweepWell()
	require.False(t, w.active())
	w.moveGitea()
	w.with(bot.Operate, func(b *bot.Bot) { require.NoError(t, b.ConfirmURL(ctx)) })
	w.sweepWell()
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.ResumeBy(ctx, "odilo", "alice")
		require.NoError(t, err)
	})
	w.sweepWell()
	require.True(t, w.active())
}

// Issues may have been deleted, as after a trial. The account tells that it may be the same Gitea, so that a workflow which adfbot disabled
// is enabled.
func TestDisabledWorkflowWhereIssuesWereDeleted(t *testing.T) {
	t.Parallel()
	for _, scopes := range [][]string{nil, {"write:issue", "write:repository"}} {
		w := actionsMoved(t)
		w.Gitea.As("alex").Delete(repo, 1)
		w.with(bot.Operate, func(b *bot.Bot) {
			_, err := b.PauseMany(ctx, bot.Many{Names: []string{"odilo"}, By: "alice"})
			require.NoError(t, err)
		})
		w.sweepWell()
		require.False(t, w.active())
		w.moveGitea()
		if scopes != nil {
			w.change("  token_env: BOT_TOKEN\n", "  token_env: BOT_TOKEN\n  login: "+testworld.Bot+"\n")
			w.Gitea.AddToken(testworld.Bot, token, scopes...)
		}
		w.sweepWell()
		w.with(bot.Operate, func(b *bot.Bot) {
			_, err := b.ResumeBy(ctx, "odilo", "alice")
			require.NoError(t, err)
		})
		require.True(t, w.active())
	}
}

// Likewise where somebody has replaced the text of the only one, and with it the hidden last line.
func TestDisabledWorkflowWhereATextWasReplaced(t *testing.T) {
	t.Parallel()
	w := actionsMoved(t)
	w.Gitea.As("alex").EditBody(repo, 1, "only a trial")
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.PauseMany(ctx, bot.Many{Names: []string{"odilo"}, By: "alice"})
		require.NoError(t, err)
	})
	w.sweepWell()
	require.False(t, w.active())
	w.moveGitea()
	w.sweepWell()
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.ResumeBy(ctx, "odilo", "alice")
		require.NoError(t, err)
	})
	require.True(t, w.active())
}

// A run of another Gitea is another one, whatever its id and that of its repository.
func TestRunsOfAnotherGiteaWithTheSameIDs(t *testing.T) {
	t.Parallel()
	w := actionsMoved(t)
	again := func() (repo int64) {
		id := w.ended("cancelled")
		w.sweepWell()
		w.Gitea.RerunWorkflowRun(agents, id, true)
		w.end(id, "failure")
		require.EqualValues(t, 1, id)
		require.Equal(t, 1, w.sweepWell().Runs)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.cfg.Gitea.URL+"/api/v1/repos/"+agents, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "token "+token)
		res, err := w.Gitea.Transport().RoundTrip(req)
		require.NoError(t, err)
		defer res.Body.Close()
		var r struct{ ID int64 }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&r))
		return r.ID
	}
	was := again()
	w.anotherGitea()
	for n := 0; w.Gitea.AddUser(fmt.Sprint("other-", n), giteatest.UserOptions{}) < was-1; n++ {
	}
	w.withRuns(w.Gitea, 0)
	w.sweepWell()
	require.Equal(t, was, again())
	require.Equal(t, 2, w.project("odilo").Failures)
}
