package bot_test

import (
	"net/http"
	"strings"
	"sync"
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

const (
	agents   = "terraphim/agents"
	workflow = "agent.yaml"
)

// actionsWorld has a workflow whose runs are the results of odilo. It was read once.
func actionsWorld(t *testing.T, more string) *world {
	w := newWorld(t)
	addWorkflow(w, more)
	w.with(bot.Daemon, func(*bot.Bot) {}) // makes the pause directory
	return w
}

func addWorkflow(w *world, more string) {
	w.Gitea.AddRepo("terraphim", "agents")
	w.Gitea.SetPermission("terraphim", "agents", testworld.Bot, giteatest.Write)
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "write:repository")
	w.Gitea.AddWorkflow(agents, workflow, "agent")
	w.Gitea.AddWorkflow(agents, "lint.yaml", "lint")
	w.change("  - id: odilo\n", "  - id: odilo\n    actions: {repo: "+agents+", workflow: "+workflow+more+"}\n")
}

// ended is a run that ended a second after the last one.
func (w *world) ended(conclusion string) (id int64) {
	w.Helper()
	id = w.Gitea.StartWorkflowRun(agents, workflow)
	w.end(id, conclusion)
	return id
}

func (w *world) end(id int64, conclusion string) {
	w.pass(2 * time.Minute)
	w.Gitea.EndWorkflowRun(agents, id, conclusion)
}

// outcomes are those of odilo's results, the newest first.
func (w *world) outcomes() (out []string) {
	w.Helper()
	for _, r := range w.project("odilo").LastRuns {
		out = append(out, r.Outcome)
	}
	return out
}

func TestWorkflowRunsAreResults(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, "")
	w.ended("failure") // before the project had the workflow
	open := w.Gitea.StartWorkflowRun(agents, workflow)
	w.sweepWell()
	require.Empty(t, w.outcomes())

	w.ended("failure")
	w.ended("cancelled")
	w.ended("skipped")
	w.Gitea.EndWorkflowRun(agents, w.Gitea.StartWorkflowRun(agents, "lint.yaml"), "failure")
	w.sweepWell()
	require.Equal(t, []string{store.Failure}, w.outcomes())
	w.end(open, "failure") // it had begun before the first sweep
	w.sweepWell()
	w.sweepWell()
	require.Equal(t, 2, w.project("odilo").Failures)
	w.ended("success")
	require.Equal(t, 1, w.sweepWell().Runs)
	require.Zero(t, w.sweepWell().Runs)
	require.Equal(t, []string{store.Success, store.Failure, store.Failure}, w.outcomes())
	run := w.project("odilo").LastRuns[0]
	require.Equal(t, time.Minute, run.Finished.Sub(run.Started))
	require.Equal(t, "gitea-actions", run.Host)

	for range 3 {
		w.ended("failure")
	}
	w.sweepWell()
	p := w.project("odilo")
	require.Equal(t, "yes", p.Paused)
	require.Contains(t, w.issues("open")[0].Body, "http://gitea.example/terraphim/agents/actions/runs/10")
	w.inState(func(s store.State) {
		list, err := s.Unsettled(ctx, "")
		require.NoError(t, err)
		require.Empty(t, list[0].Fingerprint, "a link is no reason that others share")
	})
}

// Each run counts once, whoever reads it and wherever a process dies; another attempt is another run.
func TestWorkflowRunsCountOnce(t *testing.T) {
	t.Parallel()
	for _, tells := range []bool{false, true} {
		w := actionsWorld(t, "")
		w.sweepWell()
		id := w.ended("failure")
		w.sweepWell()
		w.inState(func(s store.State) { // as if the process had died before it stored how far it has come
			require.NoError(t, s.SetMeta(ctx, "workflow_runs/odilo", `{"repo":"terraphim/agents","workflow":"agent.yaml"}`))
		})
		w.sweepWell()
		require.Equal(t, 1, w.project("odilo").Failures)
		w.Gitea.RerunWorkflowRun(agents, id, tells)
		w.sweepWell()
		require.Equal(t, 1, w.project("odilo").Failures, "it goes on")
		w.end(id, "failure")
		w.sweepWell()
		w.sweepWell()
		require.Equal(t, 2, w.project("odilo").Failures)
	}
}

// A Gitea that was restored from a backup gives the ids of the runs since then to others, and older runs come back to the first page.
func TestWorkflowRunsAfterGiteaWasRestored(t *testing.T) {
	t.Parallel()
	for _, tells := range []bool{false, true} {
		w := actionsWorld(t, "")
		w.Gitea.NumberAttempts(tells)
		w.Gitea.SetMaxItems(3)
		for range 4 {
			w.ended("failure") // before the project had the workflow
		}
		w.sweepWell()
		undo := w.Gitea.BackUp()
		for range 3 {
			w.ended("success")
		}
		w.sweepWell()
		require.Len(t, w.outcomes(), 3)
		undo()
		w.sweepWell()
		require.Len(t, w.outcomes(), 3, "what happened before does not count")
		require.Zero(t, w.project("odilo").Failures)

		for range 4 { // on two pages
			w.ended("failure")
		}
		w.sweepWell()
		require.Equal(t, 4, w.project("odilo").Failures)
		require.Equal(t, "yes", w.project("odilo").Paused)
	}
}

// What a program has read that went by the number of an attempt alone, and what was read before Gitea told it, is not read again.
func TestWorkflowRunsThatWereReadBefore(t *testing.T) {
	t.Parallel()
	for _, numbered := range []bool{false, true} {
		w := actionsWorld(t, "")
		w.Gitea.NumberAttempts(numbered)
		w.sweepWell()
		for range 3 {
			w.ended("success")
		}
		w.sweepWell()
		w.Gitea.NumberAttempts(true)
		if numbered {
			w.inState(func(s store.State) {
				require.NoError(t, s.SetMeta(ctx, "workflow_runs/odilo",
					`{"repo":"terraphim/agents","workflow":"agent.yaml","up_to":3,"open":null,"seen":{"1":"1","2":"1","3":"1"}}`))
			})
		}
		require.Zero(t, w.sweepWell().Runs)
		w.Gitea.RerunWorkflowRun(agents, 2, true)
		w.end(2, "failure")
		require.Equal(t, 1, w.sweepWell().Runs)
		require.Equal(t, 1, w.project("odilo").Failures)
		require.Zero(t, w.sweepWell().Runs)
	}
}

// However many runs there are, and in whatever order they end.
func TestWorkflowRunsOnManyPages(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, "")
	w.Gitea.SetMaxItems(7)
	first := w.Gitea.StartWorkflowRun(agents, workflow)
	gone := w.Gitea.StartWorkflowRun(agents, workflow)
	w.sweepWell()
	for range 20 {
		w.ended("success")
	}
	w.sweepWell()
	w.inState(func(s store.State) {
		runs, err := s.Runs(ctx, "odilo", 99)
		require.NoError(t, err)
		require.Len(t, runs, 20)
		require.True(t, runs[0].Finished.After(runs[19].Finished), "the oldest first")
	})
	w.Gitea.DeleteWorkflowRun(agents, gone)
	w.end(first, "failure")
	w.sweepWell()
	require.Equal(t, store.Failure, w.outcomes()[0])
	w.Gitea.ResetRequests()
	w.sweepWell()
	lists := 0
	for _, r := range w.Gitea.Requests() {
		if r.Path == "/api/v1/repos/terraphim/agents/actions/runs?limit=50&page=1" {
			lists++
		}
		require.NotContains(t, r.Path, "/actions/runs/", "the run that was deleted is not asked for again")
	}
	require.Equal(t, 1, lists)
}

// endedOnALaterPage is a world with a run that was under way at the last sweeps, has failed since, and is behind newer ones on a later page.
func endedOnALaterPage(t *testing.T) *world {
	t.Helper()
	w := actionsWorld(t, "")
	w.Gitea.SetMaxItems(2)
	w.sweepWell()
	first := w.Gitea.StartWorkflowRun(agents, workflow)
	w.sweepWell()
	for range 4 {
		w.ended("success")
	}
	w.sweepWell()
	w.end(first, "failure")
	return w
}

// After a time without sweeps, a run that went on before it may be on a later page, among those that were read.
func TestOpenWorkflowRunOnALaterPage(t *testing.T) {
	t.Parallel()
	w := endedOnALaterPage(t)
	w.sweepWell()
	require.Equal(t, store.Failure, w.outcomes()[0])
}

// A proxy's 404, as while Gitea is started, does not make a run look deleted.
func TestWorkflowRunBehindAProxyWithoutRoute(t *testing.T) {
	t.Parallel()
	w := endedOnALaterPage(t)
	undo := w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/actions/runs/"), Do: giteatest.Status(404, "404 page not found\n", "Content-Type", "text/plain")})
	_, err := w.sweep()
	require.ErrorContains(t, err, "read workflow run")
	undo()
	w.sweepWell()
	require.Contains(t, w.outcomes(), store.Failure)
}

func TestWorkflowRunBeforeAResume(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, "")
	w.sweepWell()
	for range 3 {
		w.ended("failure")
	}
	w.sweepWell()
	old := w.Gitea.StartWorkflowRun(agents, workflow)
	w.pass(time.Minute)
	w.Gitea.EndWorkflowRun(agents, old, "failure")
	w.with(bot.Operate, func(b *bot.Bot) {
		_, err := b.ResumeBy(ctx, "odilo", "alice")
		require.NoError(t, err)
	})
	w.sweepWell()
	p := w.project("odilo")
	require.Zero(t, p.Failures, "it began before the resume")
	require.Len(t, p.LastRuns, 4)
}

func TestWorkflowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, "")
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user")
	_, err := w.sweep()
	require.ErrorContains(t, err, "odilo: gitea: list workflow runs in terraphim/agents: status 403")
	require.ErrorContains(t, err, "read:repository")
	require.NotEmpty(t, w.status().LastSweep.Errors)
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "read:repository")
	w.sweepWell()
	w.ended("failure")
	remove := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(http.StatusBadGateway, ""), Match: giteatest.PathHas("/actions/")})
	_, err = w.sweep()
	require.Error(t, err)
	require.Zero(t, w.project("odilo").Failures)
	remove()
	w.sweepWell()
	require.Equal(t, 1, w.project("odilo").Failures)
}

func (w *world) active() bool { return w.Gitea.WorkflowActive(agents, workflow) }

func (w *world) requireNoneDisabled() {
	w.Helper()
	w.with(bot.ReadOnly, func(b *bot.Bot) {
		disabled, err := b.DisabledWorkflows(ctx)
		require.NoError(w, err)
		require.Empty(w, disabled)
	})
}

func TestWorkflowIsDisabledWhilePaused(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.sweepWell()
	require.True(t, w.active())
	w.fail("odilo", 3)
	w.sweepWell()
	require.False(t, w.active())
	require.True(t, w.project("odilo").Workflow.Disabled)
	w.Gitea.ResetRequests()
	w.sweepWell()
	for _, r := range w.Gitea.Requests() {
		require.NotEqual(t, http.MethodPut, r.Method, "it is in line")
	}
	w.Gitea.SetWorkflowActive(agents, workflow, true) // level-triggered, as the flag is
	w.sweepWell()
	require.False(t, w.active())
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.True(t, w.active())
	require.False(t, w.project("odilo").Workflow.Disabled)
	w.Touch(w.flag("odilo")) // a pause by hand is one, too
	w.sweepWell()
	require.False(t, w.active())
}

// A dry run, of all projects or of one, neither records runs nor changes a workflow.
func TestDryRunOfWorkflow(t *testing.T) {
	t.Parallel()
	plans := func(w *world) {
		w.ended("success")
		w.Touch(w.flag("odilo"))
		runs := w.outcomes()
		w.Gitea.ResetRequests()
		for _, names := range [][]string{nil, {"odilo"}} {
			rep, err := bot.DryRun(ctx, w.cfg, w.env(), names...)
			require.NoError(w, err)
			require.True(w, rep.DryRun)
			require.Zero(w, rep.Runs)
			require.Equal(w, runs, w.outcomes())
			require.True(w, w.active())
		}
		for _, r := range w.Gitea.Requests() {
			require.Equal(w, http.MethodGet, r.Method)
		}
		require.Equal(w, 1, w.sweepWell().Runs)
		require.False(w, w.active())
	}
	t.Run("of one host", func(t *testing.T) {
		t.Parallel()
		w := actionsWorld(t, ", disable: true")
		w.sweepWell()
		plans(w)
	})
	t.Run("of a fleet", func(t *testing.T) {
		t.Parallel()
		w := newFirstHost(t)
		addWorkflow(w, ", disable: true")
		w.with(bot.Daemon, func(*bot.Bot) {})
		w.sweepWell()
		plans(w)
	})
}

// A resume enables the workflow at once where Gitea answers. Else it says that the sweep will.
func TestResumeEnablesWorkflow(t *testing.T) {
	t.Parallel()
	resume := func(w *world) (done bot.Done) {
		w.with(bot.Operate, func(b *bot.Bot) {
			var err error
			done, err = b.ResumeBy(ctx, "odilo", "alice")
			require.NoError(t, err)
		})
		return done
	}
	paused := func(t *testing.T) *world {
		w := actionsWorld(t, ", disable: true")
		w.fail("odilo", 3)
		w.sweepWell()
		require.False(t, w.active())
		return w
	}
	t.Run("at once", func(t *testing.T) {
		w := paused(t)
		done := resume(w)
		require.Equal(t, "odilo is resumed; its workflow is enabled again: agent.yaml in terraphim/agents", done.Text)
		require.Empty(t, done.Problems)
		require.True(t, w.active())
		require.Equal(t, "odilo was not paused", resume(w).Text)
	})
	t.Run("refused", func(t *testing.T) {
		w := paused(t)
		w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "read:repository")
		done := resume(w)
		require.Equal(t, "odilo is resumed", done.Text)
		require.Len(t, done.Problems, 1)
		require.Contains(t, done.Problems[0], "odilo: gitea: enable workflow agent.yaml in terraphim/agents: status 403")
		require.Contains(t, w.project("odilo").Workflow.Problem, "make a token with the scope write:repository too")
		w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "write:repository")
		w.sweepWell()
		require.True(t, w.active())
		require.Empty(t, w.project("odilo").Workflow.Problem)
	})
	t.Run("removed", func(t *testing.T) {
		w := paused(t)
		w.Gitea.RemoveWorkflow(agents, workflow)
		require.Equal(t, bot.Done{Text: "odilo is resumed; Gitea shows its workflow no more, so adfbot leaves it as it is: agent.yaml in terraphim/agents"}, resume(w))
	})
	t.Run("hidden", func(t *testing.T) { // for a while: Gitea answers as for one that was removed
		w := paused(t)
		w.Gitea.SetPrivate(agents, true)
		w.Gitea.SetPermission("terraphim", "agents", testworld.Bot, giteatest.None)
		done := resume(w)
		require.Equal(t, "odilo is resumed", done.Text)
		const problem = "cannot enable workflow agent.yaml in terraphim/agents: its repository is missing, its Actions are disabled, or they are hidden from the token's account"
		require.Contains(t, strings.Join(done.Problems, "\n"), problem)
		require.True(t, w.project("odilo").Workflow.Disabled)
		require.Contains(t, w.project("odilo").Workflow.Problem, problem)

		asked := func(after time.Duration) (n int) {
			w.pass(after)
			w.Gitea.ResetRequests()
			w.with(bot.Operate, func(b *bot.Bot) { _, _ = b.Sweep(ctx, escalate.SweepOptions{}) })
			for _, r := range w.Gitea.Requests() {
				if strings.HasSuffix(r.Path, "/enable") {
					n++
				}
			}
			return n
		}
		require.Equal(t, 0, asked(time.Second))
		require.Equal(t, 1, asked(time.Minute))
		require.Equal(t, 0, asked(30*time.Second), "the waits grow")
		require.Equal(t, 1, asked(20*time.Minute))
		w.Gitea.SetPrivate(agents, false)
		w.Gitea.SetPermission("terraphim", "agents", testworld.Bot, giteatest.Write)
		w.sweepWell()
		require.True(t, w.active())
		require.Empty(t, w.project("odilo").Workflow.Problem)
	})
	t.Run("Actions disabled for good", func(t *testing.T) {
		w := paused(t)
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.PathHas("/actions/"), Do: giteatest.Status(http.StatusForbidden,
			`{"message":"user should have specific read permission or be a repo admin or a site admin"}`)})
		require.Contains(t, strings.Join(resume(w).Problems, "\n"), "its Actions are disabled")
		w.change("    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n", "")
		w.sweepWell()
		w.requireNoneDisabled()
	})
	t.Run("gone for good", func(t *testing.T) {
		w := paused(t)
		w.Gitea.DeleteRepo(agents)
		require.Len(t, resume(w).Problems, 1)
		w.change("    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n", "")
		w.sweepWell()
		w.requireNoneDisabled()
	})
	t.Run("the issue is refused", func(t *testing.T) {
		w := paused(t)
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Refuse(http.StatusForbidden, "no"), Match: giteatest.PathHas("/issues/")})
		done := resume(w)
		require.Equal(t, "odilo is resumed; its workflow is enabled again: agent.yaml in terraphim/agents", done.Text)
		require.Len(t, done.Problems, 1)
		require.True(t, w.active(), "Gitea answers")
	})
	t.Run("no answer", func(t *testing.T) {
		w := paused(t)
		remove := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(http.StatusBadGateway, "")})
		w.Gitea.ResetRequests()
		done := resume(w)
		require.Contains(t, done.Problems, "odilo: enable the workflow agent.yaml in terraphim/agents")
		for _, r := range w.Gitea.Requests() {
			require.NotContains(t, r.Path, "/enable", "it would wait as long again")
		}
		remove()
		w.pass(time.Minute)
		w.sweepWell()
		require.True(t, w.active())
	})
	t.Run("with a stop", func(t *testing.T) {
		w := actionsWorld(t, ", disable: true")
		w.with(bot.Operate, func(b *bot.Bot) {
			_, err := b.PauseMany(ctx, bot.Many{Names: []string{incident.EveryProject}, By: "alice"})
			require.NoError(t, err)
		})
		w.sweepWell()
		require.False(t, w.active())
		w.with(bot.Operate, func(b *bot.Bot) {
			done, err := b.ResumeMany(ctx, bot.Many{Names: []string{incident.EveryProject}, By: "alice"})
			require.NoError(t, err)
			require.Empty(t, done.Problems)
		})
		require.True(t, w.active())
	})
	t.Run("another project is paused", func(t *testing.T) {
		w := actionsWorld(t, ", disable: true")
		w.change("  - id: atlas\n", "  - id: atlas\n    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n")
		w.fail("odilo", 3)
		w.fail("atlas", 2)
		w.sweepWell()
		require.Equal(t, bot.Done{Text: "odilo is resumed; its workflow is enabled when atlas is resumed, too: agent.yaml in terraphim/agents"}, resume(w))
		require.False(t, w.active())
	})
}

// What a person has disabled stays so.
func TestWorkflowThatAPersonHasDisabled(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.Gitea.SetWorkflowActive(agents, workflow, false)
	w.fail("odilo", 3)
	w.sweepWell()
	require.False(t, w.project("odilo").Workflow.Disabled)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.False(t, w.active())
}

// What is disabled is enabled again, wherever the configuration has gone meanwhile.
func TestWorkflowLeavesTheConfiguration(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(w *world){
		"no longer to be disabled": func(w *world) { w.change(", disable: true", "") },
		"another workflow":         func(w *world) { w.change(workflow+", d", "lint.yaml, d") },
		"no workflow": func(w *world) {
			w.change("    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n", "")
		},
		"no project": func(w *world) {
			w.change("  - id: odilo\n    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n", "")
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := actionsWorld(t, ", disable: true")
			w.fail("odilo", 3)
			w.sweepWell()
			require.False(t, w.active())
			change(w)
			w.sweepWell()
			require.True(t, w.active())
		})
	}
	w := actionsWorld(t, ", disable: true")
	w.fail("odilo", 3)
	w.sweepWell()
	w.Gitea.RemoveWorkflow(agents, workflow)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
}

// Runs that ended while a project had no workflow, or another one, are no results of it, as those before it had one: it may have reported them.
func TestWorkflowComesBackToTheConfiguration(t *testing.T) {
	t.Parallel()
	key := "    actions: {repo: " + agents + ", workflow: " + workflow + "}\n"
	for what, pairs := range map[string][]string{
		"no workflow":      {key, ""},
		"no project":       {"  - id: odilo\n" + key, ""},
		"another workflow": {workflow + "}", "lint.yaml}"},
	} {
		t.Run(what, func(t *testing.T) {
			w := actionsWorld(t, "")
			w.sweepWell()
			w.ended("failure")
			w.sweepWell()
			require.Equal(t, 1, w.project("odilo").Failures)

			with := w.yaml
			w.change(pairs...)
			w.sweepWell()
			open := w.Gitea.StartWorkflowRun(agents, workflow)
			for range 3 {
				w.ended("failure")
			}
			w.sweepWell()
			w.configure(with)
			w.sweepWell()
			require.Equal(t, 1, w.project("odilo").Failures)
			w.end(open, "failure") // it went on when the workflow was the project's again
			w.ended("failure")
			w.sweepWell()
			require.Equal(t, 3, w.project("odilo").Failures)
		})
	}
}

// A repository that was renamed while its workflow was disabled still has that workflow, under its new name.
func TestWorkflowOfARenamedRepository(t *testing.T) {
	t.Parallel()
	const renamed = "terraphim/agents-2"
	enabled := func(w *world) (n int) {
		for _, r := range w.Gitea.Requests() {
			if strings.HasSuffix(r.Path, "/enable") && strings.Contains(r.Path, renamed) {
				n++
			}
		}
		return n
	}
	for what, c := range map[string]struct {
		change func(w *world)
		paused bool
	}{
		"configured by its new name": {func(w *world) { w.change(agents, renamed) }, true},
		"in another spelling":        {func(w *world) { w.change(agents, "Terraphim/Agents-2") }, true},
		"resumed before that": {func(w *world) {
			w.Remove(w.flag("odilo"))
			_, err := w.sweep()
			require.ErrorContains(w, err, "list workflow runs in terraphim/agents: status 301")
		}, false},
		"no workflow": {func(w *world) {
			w.change("    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n", "")
			w.sweepWell()
		}, false},
		"another workflow": {func(w *world) {
			w.change(agents+", workflow: "+workflow, renamed+", workflow: lint.yaml")
			w.sweepWell()
		}, false},
	} {
		t.Run(what, func(t *testing.T) {
			w := actionsWorld(t, ", disable: true")
			w.fail("odilo", 3)
			w.sweepWell()
			w.Gitea.Rename(agents, "agents-2")
			w.Gitea.ResetRequests()
			c.change(w)
			if c.paused {
				w.sweepWell()
				require.False(t, w.Gitea.WorkflowActive(renamed, workflow))
				require.Zero(t, enabled(w), "it is not enabled for a moment while the project is paused")
				require.True(t, w.project("odilo").Workflow.Disabled)
				w.Remove(w.flag("odilo"))
				w.sweepWell()
			}
			require.True(t, w.Gitea.WorkflowActive(renamed, workflow))
			require.Equal(t, 1, enabled(w))
		})
	}
}

// What ended between the renaming of a repository and the change of the key is read then, from where reading had come to under the old name.
func TestRunsOfARenamedRepository(t *testing.T) {
	t.Parallel()
	for what, rename := range map[string]func(s *giteatest.Server){
		"repository":  func(s *giteatest.Server) { s.Rename("factory/agents", "agents-2") },
		"owner":       func(s *giteatest.Server) { s.RenameUser("factory", "works") },
		"transferred": func(s *giteatest.Server) { s.Rename("factory/agents", "terraphim/agents") },
		"both": func(s *giteatest.Server) {
			s.Rename("factory/agents", "agents-2")
			s.RenameUser("factory", "works")
		},
		"case": func(*giteatest.Server) {}, // Gitea takes either
	} {
		now := map[string]string{
			"repository": "factory/agents-2", "owner": "works/agents", "transferred": agents, "both": "works/agents-2", "case": "factory/Agents",
		}[what]
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.Gitea.AddRepo("factory", "agents")
			w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "read:repository")
			w.Gitea.AddWorkflow("factory/agents", workflow, "agent")
			w.change("  - id: odilo\n", "  - id: odilo\n    actions: {repo: factory/agents, workflow: "+workflow+"}\n")
			w.with(bot.Daemon, func(*bot.Bot) {})
			run := func(repo string) {
				id := w.Gitea.StartWorkflowRun(repo, workflow)
				w.pass(2 * time.Minute)
				w.Gitea.EndWorkflowRun(repo, id, "failure")
			}
			w.sweepWell()
			run("factory/agents")
			w.sweepWell()
			rename(w.Gitea)
			run(now)
			if what != "case" {
				_, err := w.sweep()
				require.ErrorContains(t, err, "set `actions` of the project to it")
				require.Equal(t, 1, w.project("odilo").Failures)
			}
			w.change("factory/agents", now)
			for _, do := range []giteatest.Effect{giteatest.Status(502, ""), giteatest.Status(403, "<h1>Blocked</h1>", "Content-Type", "text/html")} {
				remove := w.Gitea.Inject(giteatest.Fault{Do: do, Match: giteatest.PathHas("factory/agents/actions")})
				_, err := w.sweep()
				remove()
				require.Equal(t, what != "case", err != nil, "whether it was renamed is not known")
			}
			w.sweepWell()
			w.Gitea.ResetRequests()
			w.sweepWell()
			for _, r := range w.Gitea.Requests() {
				require.NotContains(t, r.Path, "factory/agents/", "it is asked once")
			}
			require.Equal(t, 2, w.project("odilo").Failures)
			run(now)
			w.sweepWell()
			require.True(t, w.paused("odilo"))
		})
	}
}

// The hosts of a fleet get the new name one after the other, whichever sweeps meanwhile.
func TestRunsOfARenamedRepositoryInAFleet(t *testing.T) {
	t.Parallel()
	a, b, _ := workflowFleet(t, "")
	a.Gitea.Rename(agents, "agents-2")
	for n := range 2 {
		id := a.Gitea.StartWorkflowRun(agents+"-2", workflow)
		a.pass(2 * time.Minute)
		b.pass(a.now().Sub(b.now()))
		a.Gitea.EndWorkflowRun(agents+"-2", id, "failure")
		if n == 0 {
			a.change(agents, agents+"-2")
		}
		_, err := b.sweep()
		require.ErrorContains(t, err, "moved to terraphim/agents-2")
		a.sweepWell()
		require.Equal(t, n+1, a.project("odilo").Failures)
	}
	b.change(agents, agents+"-2")
	id := a.Gitea.StartWorkflowRun(agents+"-2", workflow)
	a.pass(2 * time.Minute)
	b.pass(a.now().Sub(b.now()))
	a.Gitea.EndWorkflowRun(agents+"-2", id, "failure")
	b.sweepWell()
	require.True(t, b.paused("odilo"))
}

// A host that has the old name still does not enable the workflow of a paused project, which another one has followed to the new name.
func TestDisabledWorkflowOfARenamedRepositoryInAFleet(t *testing.T) {
	t.Parallel()
	a, b, _ := workflowFleet(t, ", disable: true")
	a.fail("odilo", 3)
	a.sweepWell()
	a.Gitea.Rename(agents, "agents-2")
	a.change(agents, agents+"-2")
	a.sweepWell()
	_, err := b.sweep()
	require.ErrorContains(t, err, "moved to terraphim/agents-2")
	require.False(t, a.Gitea.WorkflowActive(agents+"-2", workflow))
	require.True(t, a.project("odilo").Workflow.Disabled)
	b.change(agents, agents+"-2")
	b.sweepWell()
	a.Remove(a.flag("odilo"))
	a.sweepWell()
	require.True(t, a.Gitea.WorkflowActive(agents+"-2", workflow))
}

func TestWorkflowMayNotBeDisabled(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "read:repository")
	w.fail("odilo", 3)
	_, err := w.sweep()
	require.ErrorContains(t, err, "odilo: gitea: disable workflow agent.yaml in terraphim/agents: status 403")
	require.ErrorContains(t, err, "make a token with the scope write:repository too")
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "write:repository")
	w.Gitea.SetPermission("terraphim", "agents", testworld.Bot, giteatest.Read)
	_, err = w.sweep()
	require.ErrorContains(t, err, "give the token's account write access to the repository's Actions")
	require.NotContains(t, err.Error(), "issues:")
	require.False(t, w.project("odilo").Workflow.Disabled)
	require.Contains(t, w.project("odilo").Workflow.Problem, "give the token's account write access to the repository's Actions")
	was := w.yaml
	w.change(", disable: true", "")
	w.sweepWell()
	require.Empty(t, w.project("odilo").Workflow.Problem, "nobody wants it disabled any more")
	w.configure(was)
	_, err = w.sweep()
	require.Error(t, err)
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.True(t, w.active())
	require.Empty(t, w.project("odilo").Workflow.Problem)
}

// An answer that was lost: it is disabled, and adfbot knows that it did it.
func TestWorkflowAnswerLost(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.fail("odilo", 3)
	remove := w.Gitea.Inject(giteatest.Fault{Do: giteatest.LostAnswer(), Match: giteatest.PathHas("/disable")})
	_, err := w.sweep()
	require.Error(t, err)
	remove()
	require.False(t, w.active())
	w.Remove(w.flag("odilo"))
	remove = w.Gitea.Inject(giteatest.Fault{Do: giteatest.LostAnswer(), Match: giteatest.PathHas("/enable")})
	_, err = w.sweep()
	require.Error(t, err)
	remove()
	w.sweepWell()
	require.True(t, w.active())
	require.False(t, w.project("odilo").Workflow.Disabled)
}

// An issue does not say that nothing is started where a workflow goes on.
func TestIssueOfWorkflow(t *testing.T) {
	t.Parallel()
	for more, says := range map[string]string{"": "but Gitea goes on starting its workflow", ", disable: true": "nothing is dispatched for it"} {
		w := actionsWorld(t, more)
		w.fail("odilo", 3)
		w.sweepWell()
		require.Contains(t, w.issues("open")[0].Body, says)
		require.Equal(t, more == "", w.active())
	}
}

// Two projects may have one workflow. It runs again when neither is paused.
func TestWorkflowOfTwoProjects(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.change("  - id: atlas\n", "  - id: atlas\n    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n")
	w.fail("odilo", 3)
	w.sweepWell()
	require.False(t, w.active())
	require.Equal(t, "atlas: adfbot disabled the workflow agent.yaml of terraphim/agents when odilo was paused, and enables it when no project that has "+
		"it is paused any more", w.finding("actions", bot.Warn))
	require.Equal(t, "agent.yaml in terraphim/agents, disabled by adfbot when odilo was paused", w.project("atlas").Workflow.String())
	require.Equal(t, "agent.yaml in terraphim/agents, disabled by adfbot when the project was paused", w.project("odilo").Workflow.String())
	w.fail("atlas", 2)
	w.sweepWell()
	require.False(t, w.active())
	require.Equal(t, "agent.yaml in terraphim/agents, disabled by adfbot when the project was paused", w.project("atlas").Workflow.String())
	w.Remove(w.flag("odilo"))
	w.sweepWell()
	require.False(t, w.active())
	require.Contains(t, w.project("odilo").Workflow.String(), "when atlas was paused")
	w.Remove(w.flag("atlas"))
	w.sweepWell()
	require.True(t, w.active())
	require.False(t, w.project("odilo").Workflow.Disabled)
}

// A project that got another id while it was paused has the workflow that was disabled for the former one.
func TestCheckOfWorkflowAfterRename(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	w.fail("odilo", 3)
	w.sweepWell()
	w.change("  - id: odilo\n", "  - id: odilo-2\n")
	require.Contains(t, w.finding("actions", bot.Warn), "odilo-2: adfbot disabled the workflow agent.yaml of terraphim/agents when odilo was paused")
	w.sweepWell()
	require.True(t, w.active())
}

// An event has its project swept at once. Its run is looked at even if many others have begun since.
func TestWorkflowEvent(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, "")
	old := w.ended("success")
	for range 60 {
		w.ended("success")
	}
	w.with(bot.Daemon, func(b *bot.Bot) {
		_, err := b.SweepProject(ctx, "odilo")
		require.NoError(t, err)
		w.Gitea.RerunWorkflowRun(agents, old, false)
		w.end(old, "failure")
		require.Empty(t, b.AcceptWorkflowEvent(bot.WorkflowEvent{Owner: "terraphim", Repo: "agents", Workflow: "lint.yaml", Run: old}))
		require.Equal(t, []string{"odilo"}, b.AcceptWorkflowEvent(bot.WorkflowEvent{Owner: "Terraphim", Repo: "Agents", Workflow: workflow, Run: old}))
		_, err = b.SweepProject(ctx, "odilo")
		require.NoError(t, err)
		require.Equal(t, 1, w.project("odilo").Failures)
	})
}

func TestCheckOfWorkflows(t *testing.T) {
	t.Parallel()
	w := actionsWorld(t, ", disable: true")
	require.Empty(t, w.fails())
	require.Equal(t, "odilo: the runs of agent.yaml in terraphim/agents can be read", w.finding("actions", bot.OK))
	for _, r := range w.Gitea.Requests() {
		require.NotContains(t, r.Path, workflow+"/", "it changes nothing")
	}
	w.Gitea.SetWorkflowActive(agents, workflow, false)
	require.Contains(t, w.finding("actions", bot.Warn), "odilo: the workflow agent.yaml of terraphim/agents is disabled, and adfbot knows of no pause for which it did that: to let it run, enable it on its page in Gitea")
	state := w.Read(w.Path("state/adfbot.db"))
	w.Write(w.Path("state/adfbot.db"), "damaged")
	require.Contains(t, w.finding("actions", bot.Warn), "odilo: the workflow agent.yaml of terraphim/agents is disabled; whether adfbot did that, and will enable it, is in the state, which was not read")
	w.Write(w.Path("state/adfbot.db"), state)
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "read:repository")
	require.Contains(t, w.finding("actions", bot.Fail), "make a token with the scope write:repository too")
	w.change(", disable: true", "")
	require.Contains(t, w.finding("actions", bot.OK), "can be read")
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user")
	require.Contains(t, w.finding("actions", bot.Fail), "make a token with the scope read:repository too")
	w.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "read:repository")
	w.change(workflow, "agents.yaml")
	require.Contains(t, w.finding("actions", bot.Fail), "odilo: there is no workflow agents.yaml on the default branch of terraphim/agents")
	w.change(agents, "terraphim/nowhere")
	require.Contains(t, w.finding("actions", bot.Fail), "odilo: there is no terraphim/nowhere")
}

// A host whose configuration was not changed yet does not make the others begin to read anew, by which results would be lost.
func TestWorkflowThatAHostDoesNotKnow(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	a.Gitea.AddRepo("terraphim", "agents")
	a.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "write:repository")
	a.Gitea.AddWorkflow(agents, workflow, "agent")
	a.change("  - id: odilo\n", "  - id: odilo\n    actions: {repo: "+agents+", workflow: "+workflow+"}\n")
	for _, w := range []*world{a, b} {
		w.with(bot.Daemon, func(*bot.Bot) {})
	}
	a.sweepWell()
	for n := range 2 {
		a.ended("failure")
		b.pass(a.now().Sub(b.now()))
		b.sweepWell()
		a.sweepWell()
		require.Equal(t, n+1, a.project("odilo").Failures)
	}
}

// workflowFleet returns two hosts with the workflow of a project.
func workflowFleet(t *testing.T, more string) (a, b *world, key string) {
	a = newFirstHost(t)
	b = a.newHostBeside(t)
	key = "    actions: {repo: " + agents + ", workflow: " + workflow + more + "}\n"
	addWorkflow(a, more)
	b.change("  - id: odilo\n", "  - id: odilo\n"+key)
	for _, w := range []*world{a, b} {
		w.with(bot.Daemon, func(*bot.Bot) {})
		w.sweepWell()
	}
	return a, b, key
}

// A host whose configuration has lost the key has the others go on where they were. Once none has it, reading begins anew.
func TestWorkflowThatOneHostLeavesOut(t *testing.T) {
	t.Parallel()
	a, b, key := workflowFleet(t, "")
	runs := func(sweep ...*world) {
		a.ended("failure")
		b.pass(a.now().Sub(b.now()))
		for _, w := range sweep {
			w.sweepWell()
		}
	}
	with := b.yaml
	b.change(key, "")
	runs(b, a)
	require.Equal(t, 1, a.project("odilo").Failures)
	b.configure(with)
	runs(b)
	require.Equal(t, 2, a.project("odilo").Failures, "it goes on where the other one was")

	b.change(key, "")
	a.change(key, "")
	runs(b, a)
	a.configure(with)
	runs(a)
	require.Equal(t, 2, a.project("odilo").Failures, "what ended before this sweep is not the project's")
	b.configure(with)
	runs(b, a)
	require.Equal(t, 3, a.project("odilo").Failures)
}

// A host's configuration is known also if another one does all sweeps of Gitea.
func TestWorkflowThatAHostWhichDoesNotSweepLeavesOut(t *testing.T) {
	t.Parallel()
	a, b, key := workflowFleet(t, "")
	with := a.yaml
	b.change(key, "")
	a.inFleet(func(f store.Fleet) {
		_, release, err := f.Claim(ctx, "sweep", 0)
		require.NoError(t, err)
		defer release()
		b.with(bot.Daemon, func(b *bot.Bot) {
			_, err := b.Sweep(ctx, escalate.SweepOptions{})
			require.NoError(t, err)
		})
	})
	a.change(key, "")
	a.sweepWell()
	a.ended("failure")
	a.configure(with)
	a.sweepWell()
	require.Zero(t, a.project("odilo").Failures)
}

// A host that was retired has no configuration any more.
func TestWorkflowThatARetiredHostHad(t *testing.T) {
	t.Parallel()
	a, b, key := workflowFleet(t, "")
	with := a.yaml
	a.change(key, "")
	a.sweepWell()
	a.ended("failure")
	b.pass(a.now().Sub(b.now()))
	a.with(bot.Operate, func(on *bot.Bot) {
		f, err := on.Fleet(ctx)
		require.NoError(t, err)
		for _, h := range f.Hosts {
			if !h.This {
				_, err = on.RetireHost(ctx, h.ID, true)
				require.NoError(t, err)
			}
		}
	})
	a.configure(with)
	a.sweepWell()
	require.Zero(t, a.project("odilo").Failures)
	a.ended("failure")
	a.sweepWell()
	require.Equal(t, 1, a.project("odilo").Failures)
}

// A host that knows nothing of a workflow does not enable it while another one has it disabled.
func TestDisabledWorkflowThatOneHostLeavesOut(t *testing.T) {
	t.Parallel()
	a, b, key := workflowFleet(t, ", disable: true")
	a.fail("odilo", 3)
	a.sweepWell()
	require.False(t, a.active())
	b.change(key, "")
	b.sweepWell()
	require.False(t, a.active())
	a.change(key, "")
	a.sweepWell()
	require.True(t, a.active(), "no host has it")
}

// Whichever host reads a run, and however many do: it counts once, and the workflow is disabled and enabled once.
func TestWorkflowOfAFleet(t *testing.T) {
	t.Parallel()
	a := newFirstHost(t)
	b := a.newHostBeside(t)
	a.Gitea.AddRepo("terraphim", "agents")
	a.Gitea.SetPermission("terraphim", "agents", testworld.Bot, giteatest.Write)
	a.Gitea.AddToken(testworld.Bot, token, "write:issue", "read:user", "write:repository")
	a.Gitea.AddWorkflow(agents, workflow, "agent")
	for _, w := range []*world{a, b} {
		w.change("  - id: odilo\n", "  - id: odilo\n    actions: {repo: "+agents+", workflow: "+workflow+", disable: true}\n")
		w.with(bot.Daemon, func(*bot.Bot) {})
	}
	a.sweepWell()
	for range 2 {
		a.ended("failure")
	}
	b.pass(a.now().Sub(b.now()))
	sweep := func() {
		var both sync.WaitGroup
		for _, w := range []*world{a, b} {
			both.Go(func() { _, _ = w.sweep() }) // the one that has to wait may say so
		}
		both.Wait()
	}
	sweep()
	require.Equal(t, 2, b.project("odilo").Failures)
	a.ended("failure")
	b.pass(a.now().Sub(b.now()))
	sweep()
	sweep()
	require.Equal(t, 3, b.project("odilo").Failures)
	require.False(t, a.active())
	require.True(t, b.project("odilo").Workflow.Disabled)
	b.with(bot.Operate, func(bb *bot.Bot) {
		_, err := bb.ResumeBy(ctx, "odilo", "alice")
		require.NoError(t, err)
	})
	sweep()
	require.True(t, a.active())
	puts := 0
	for _, r := range a.Gitea.Requests() {
		if r.Method == http.MethodPut {
			puts++
		}
	}
	require.Equal(t, 2, puts)
}
