package escalate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/testworld"
)

// Incidents of one cause share an issue.

// inStorm plays in a world where incidents of one class join each other's issues.
func inStorm(t *testing.T, f func(w *world)) {
	t.Helper()
	play(t, func(w *world) {
		w.storms()
		f(w)
	})
}

func (m *machine) storms() {
	m.rec.Options().StormWindow = 15 * time.Minute
	m.rec.Options().Projects = []string{"atlas", "bravo", "carol", project}
}

// hits has projects trip by the same cause, one after the other, and returns their incidents.
func (m *machine) hits(projects ...string) (ids []string) {
	m.Helper()
	for _, p := range projects {
		id, err := m.hit(p)
		require.NoError(m, err)
		ids = append(ids, id)
	}
	return ids
}

// hit is hits where the escalation may fail.
func (m *machine) hit(project string) (string, error) {
	m.Helper()
	i := m.classified(project)
	_, err := m.rec.Trip(m.context(), i)
	return i.ID, err
}

// classified stores an incident of the class quota, and does no more.
func (m *machine) classified(project string) incident.Incident {
	m.Helper()
	i := m.failed(project)
	evidence := i.Evidence
	m.change(i.ID, func(i *incident.Incident) { i.Class = "quota" })
	i = m.incident(i.ID)
	i.Evidence = evidence
	return i
}

// lines returns the checklist of an issue, as "x odilo" for each line that is ticked and "- odilo" for the others.
func lines(i giteatest.Issue) (out []string) {
	for _, m := range regexp.MustCompile("(?m)^- \\[(.)\\] `([^`]+)`(.*)$").FindAllStringSubmatch(i.Body, -1) {
		box := "-"
		if m[1] == "x" {
			box = "x"
		}
		if strings.Contains(m[3], "NOT PAUSED") {
			box = "!"
		}
		out = append(out, box+" "+m[2])
	}
	return out
}

// markers returns the projects of the incidents that an issue carries, the lead first.
func markers(i giteatest.Issue) (out []string) {
	lead, members := tracker.ParseMarkers(i.Body)
	for _, m := range append([]tracker.Marker{lead}, members...) {
		out = append(out, m.Project)
	}
	return out
}

// requireOnce requires that each incident's marker stands in exactly one issue, and its line once.
func (w *world) requireOnce(ids ...string) {
	w.Helper()
	for _, id := range ids {
		var carried []int64
		for _, i := range w.issues(fleet) {
			lead, members := tracker.ParseMarkers(i.Body)
			for _, m := range append([]tracker.Marker{lead}, members...) {
				if m.Incident == id {
					carried = append(carried, i.Number)
				}
			}
		}
		require.Len(w, carried, 1, "%s is in exactly one issue", w.incident(id).Name())
	}
	for _, i := range w.issues(fleet) {
		seen := map[string]bool{}
		for _, l := range lines(i) {
			require.False(w, seen[l[2:]], "%s stands once in the list", l)
			seen[l[2:]] = true
		}
	}
}

func TestStormOff(t *testing.T) {
	play(t, func(w *world) {
		w.hits("atlas", "bravo", project)
		w.sweepFor(2 * time.Minute)
		require.Len(w, w.issues(fleet), 3)
		for _, i := range w.issues(fleet) {
			require.NotContains(w, i.Body, tracker.PartStart)
			require.Empty(w, i.Comments)
		}
	})
}

func TestStorm(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo")
		i := w.issue()
		require.Equal(w, "[ADF] project-meta on atlas and 1 other failed 1 consecutively: quota", i.Title)
		require.Equal(w, []string{"- atlas", "- bravo"}, lines(i))
		require.Len(w, comments(i), 1, "the first join is told at once")
		require.Contains(w, comments(i)[0], "`bravo` has failed, too. This issue is about 2 projects now")

		ids = append(ids, w.hits("carol", project)...)
		require.Equal(w, i.Body, w.issue().Body, "what comes right after that waits")
		time.Sleep(30 * time.Second)
		w.sweep()
		i = w.issue()
		require.Equal(w, "[ADF] project-meta on atlas and 3 others failed 1 consecutively: quota", i.Title)
		require.Equal(w, []string{"- atlas", "- bravo", "- carol", "- odilo"}, lines(i))
		require.ElementsMatch(w, []string{"atlas", "bravo", "carol", "odilo"}, markers(i))
		require.Equal(w, "atlas", markers(i)[0])
		require.Len(w, comments(i), 1)
		for _, p := range []string{"bravo", "carol"} {
			require.Contains(w, i.Body, "The last failed run of "+p)
		}
		require.NotContains(w, i.Body, "The last failed run of odilo", "the first three are enough")
		w.sweepFor(11 * time.Minute)
		require.Len(w, comments(w.issue()), 2)
		require.Contains(w, comments(w.issue())[1], "`carol` and `odilo` have failed, too. This issue is about 4 projects now")
		require.Empty(w, w.sweep().Actions)
		w.requireOnce(ids...)
		for n, id := range ids {
			if n > 0 {
				require.Equal(w, ids[0], w.incident(id).Lead)
			}
			require.True(w, w.paused(w.incident(id).Project))
		}

		w.rm("atlas") // that of the lead
		w.sweep()
		require.Equal(w, []string{"x atlas", "- bravo", "- carol", "- odilo"}, lines(w.issue()))
		require.Equal(w, "open", w.issue().State)
		require.False(w, w.incident(ids[0]).Settled)
		for _, p := range []string{"bravo", "carol", project} {
			_, err := w.rec.Resume(w.Context(), p, "resumed by kim with adfbot resume on bigbox")
			require.NoError(w, err)
			_, err = w.rec.Escalate(w.Context(), p)
			require.NoError(w, err)
		}
		i = w.issue()
		require.Equal(w, "closed", i.State)
		require.Equal(w, []string{"x atlas", "x bravo", "x carol", "x odilo"}, lines(i))
		require.Len(w, comments(i), 3)
		require.Contains(w, comments(i)[2], "All 4 projects of this issue have been resumed, `odilo` as the last one on ")
		w.sweep()
		for _, id := range ids {
			require.True(w, w.incident(id).Settled, w.incident(id).Name())
		}
		require.Empty(w, w.sweep().Actions)
		next := w.hits("atlas")
		require.Len(w, w.issues(fleet), 2, "what is over is joined by nobody")
		w.requireOnce(next...)
	})
}

// One that fails again and again has a line each time, and is counted once.
func TestStormOfTwoProjects(t *testing.T) {
	inStorm(t, func(w *world) {
		w.hits("atlas")
		for range 5 {
			w.hits("bravo")
			time.Sleep(time.Minute)
			w.rm("bravo")
			w.sweepFor(2 * time.Minute)
		}
		i := w.issue()
		require.Equal(w, "[ADF] project-meta on atlas and 1 other failed 1 consecutively: quota", i.Title)
		require.Equal(w, []string{"- atlas", "x bravo", "x bravo", "x bravo", "x bravo", "x bravo"}, lines(i))
		require.Len(w, markers(i), 6)
		require.Contains(w, i.Body, "**2 projects have failed for the same reason, `quota`:** exit 1, `out of memory`. One of them is still paused.")
		w.rm("atlas")
		w.sweepFor(2 * time.Minute)
		said := strings.Join(comments(w.issue()), "\n")
		require.NotContains(w, said, "about 3 projects")
		require.Contains(w, said, "`bravo` has failed, too. This issue is about 2 projects now")
		require.Contains(w, said, "All 2 projects of this issue have been resumed, `atlas` as the last one")
	})
}

// Whoever trips while Gitea is down stands in the issue from its beginning.
func TestStormWhileGiteaIsDown(t *testing.T) {
	inStorm(t, func(w *world) {
		up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
		var ids []string
		for _, p := range []string{"atlas", "bravo", "carol"} {
			id, _ := w.hit(p)
			ids = append(ids, id)
		}
		w.rm("atlas") // its project runs again before there is an issue
		w.sweepFor(5 * time.Minute)
		up()
		w.Gitea.ResetRequests()
		w.sweepFor(20 * time.Minute)
		i := w.issue()
		require.Equal(w, []string{"x atlas", "- bravo", "- carol"}, lines(i))
		require.Equal(w, "[ADF] project-meta on atlas and 2 others failed 1 consecutively: quota", i.Title)
		require.Contains(w, i.Body, "The project was paused at 2000-01-01 00:00 UTC and resumed at 2000-01-01 00:00 UTC.")
		for _, s := range []string{"has been paused since", "## How to resume", "adfbot resume atlas", w.dir.FlagPath("atlas"), "had failed", "NOT PAUSED"} {
			require.NotContains(w, i.Body, s)
		}
		w.requireOnce(ids...)
		edits := 0
		for _, r := range writes(w.asked()) {
			if r.Method == http.MethodPatch {
				edits++
			}
		}
		require.Zero(w, edits)
	})
}

// The first project could not be paused by a flag, and was resumed. The issue that comes after that, or anew, does not say that work may go on.
func TestStormIssueAfterItsFirstWasResumed(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo", "carol")
		w.rm("atlas")
		w.sweepFor(time.Minute)
		w.change(ids[0], func(i *incident.Incident) { i.FlagWritten = time.Time{} })
		w.Gitea.As("alex").Delete(fleet, w.issue().Number)
		w.sweepFor(30 * time.Minute)
		i := w.issue()
		require.Equal(w, []string{"x atlas", "- bravo", "- carol"}, lines(i))
		require.Contains(w, i.Body, "The project was paused at 2000-01-01 00:00 UTC and resumed at 2000-01-01 00:00 UTC.")
		require.Contains(w, i.Body, "This issue replaces #1, which was deleted or lost its marker.")
		for _, s := range []string{"has been paused since", "## How to resume", "adfbot resume atlas", w.dir.FlagPath("atlas"), "had failed", "NOT PAUSED"} {
			require.NotContains(w, i.Body, s)
		}
		w.requireOnce(ids...)
	})
}

// All resume before Gitea is back: there is nothing to open an issue for.
func TestStormOverBeforeItsIssue(t *testing.T) {
	inStorm(t, func(w *world) {
		w.rec.Options().Tracker = w.over(refuses{})
		var ids []string
		for _, p := range []string{"atlas", "bravo"} {
			id, _ := w.hit(p)
			ids = append(ids, id)
			w.rm(p)
		}
		w.rec.Options().Tracker = w.over(w.Gitea.Transport())
		w.sweepFor(5 * time.Minute)
		require.Empty(w, w.issues(fleet))
		for _, id := range ids {
			require.True(w, w.incident(id).Settled)
		}
		require.Empty(w, w.sweep().Actions)
	})
}

// Whatever answer is lost, each stands once in the list, and is told of once.
func TestStormLostAnswers(t *testing.T) {
	for name, match := range map[string]func(*http.Request) bool{
		"create": giteatest.CreateIssue(), "edit": giteatest.EditIssue(), "comment": giteatest.CommentIssue(), "read": giteatest.GetIssue(),
	} {
		for n := range 3 {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				inStorm(t, func(w *world) {
					w.Gitea.Inject(giteatest.Fault{Match: match, After: n, Times: 1, Do: giteatest.LostAnswer()})
					var ids []string
					for _, p := range []string{"atlas", "bravo", "carol"} {
						id, _ := w.hit(p)
						ids = append(ids, id)
					}
					w.sweepFor(20 * time.Minute)
					require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
					w.requireOnce(ids...)
					told := strings.Join(comments(w.issue()), "\n")
					require.Equal(w, 1, strings.Count(told, "`bravo`"))
					require.Equal(w, 1, strings.Count(told, "`carol`"))
					for _, p := range []string{"carol", "atlas", "bravo"} {
						w.rm(p)
					}
					w.sweepFor(5 * time.Minute)
					require.Equal(w, "closed", w.issue().State)
					require.Equal(w, []string{"x atlas", "x bravo", "x carol"}, lines(w.issue()))
					require.Equal(w, 1, strings.Count(strings.Join(comments(w.issue()), "\n"), "have been resumed"))
				})
			})
		}
	}
}

// A process that is killed anywhere leaves nothing twice and nothing out.
func TestStormCrash(t *testing.T) {
	for _, step := range []string{"joined", "show-begun", "shown", "shown-noted", "tell-begun", "comment-begun", "commented"} {
		t.Run(step, func(t *testing.T) {
			inStorm(t, func(w *world) {
				ids := w.hits("atlas")
				i := w.classified("bravo")
				ids = append(ids, i.ID)
				w.dies(step, func(ctx context.Context) { _, _ = w.rec.Trip(ctx, i) })
				w.machine = w.reopened()
				w.storms()
				w.sweepFor(15 * time.Minute)
				require.Equal(w, []string{"- atlas", "- bravo"}, lines(w.issue()))
				require.Len(w, comments(w.issue()), 1)
				w.requireOnce(ids...)
				w.rm("bravo")
				w.sweepFor(time.Minute)
				w.rm("atlas")
				w.sweepDies("shown")
				w.machine = w.reopened()
				w.storms()
				w.sweepFor(2 * time.Minute)
				require.Equal(w, "closed", w.issue().State)
				require.Len(w, comments(w.issue()), 2)
				require.True(w, w.incident(ids[0]).Settled)
				require.True(w, w.incident(ids[1]).Settled)
			})
		})
	}
}

// Whoever finishes the comment that a killed process has begun also writes the one about who has joined since.
func TestStormCrashBeforeAnotherJoins(t *testing.T) {
	inStorm(t, func(w *world) {
		w.hits("atlas")
		i := w.classified("bravo")
		w.dies("comment-begun", func(ctx context.Context) { _, _ = w.rec.Trip(ctx, i) })
		w.machine = w.reopened()
		w.storms()
		time.Sleep(11 * time.Minute)
		w.hits("carol")
		require.Len(w, comments(w.issue()), 2)
		require.Contains(w, comments(w.issue())[0], "`bravo` has failed, too. This issue is about")
		require.Contains(w, comments(w.issue())[1], "`carol` has failed, too. This issue is about 3 projects now")
		require.Empty(w, w.sweep().Actions)
	})
}

// What people write stays.
func TestStormBesidePeople(t *testing.T) {
	alone := func(w *world) (p *giteatest.Person, edit func(func(string) string)) {
		p = w.Gitea.As("alex")
		return p, func(f func(string) string) { p.EditBody(fleet, 1, f(w.issue().Body)) }
	}
	t.Run("around the bot's part", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas", "bravo")
			_, edit := alone(w)
			edit(func(b string) string {
				return "I am on it.\n\n" + strings.Replace(b, "### Last runs", "(seen)\n\n### Last runs", 1)
			})
			time.Sleep(time.Minute)
			w.hits("carol")
			b := w.issue().Body
			require.True(w, strings.HasPrefix(b, "I am on it.\n\n"+tracker.PartStart))
			require.Contains(w, b, "(seen)")
			require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
		})
	})
	t.Run("in the bot's part", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas", "bravo")
			_, edit := alone(w)
			edit(func(b string) string { return strings.ReplaceAll(b, "- [ ]", "- [x]") }) // in the page, by a click
			time.Sleep(time.Minute)
			w.hits("carol")
			require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))

			w.rm("atlas")
			time.Sleep(time.Minute)
			w.sweep()
			edit(func(b string) string { // as the page sends what somebody has edited there
				return strings.ReplaceAll(strings.ReplaceAll(b, "- [ ] `bravo`", "- [x] `bravo`"), "\n", "\r\n")
			})
			time.Sleep(time.Minute)
			w.sweep()
			require.Equal(w, []string{"x atlas", "- bravo", "- carol"}, lines(w.issue()), "also where nothing else has to be written")
			time.Sleep(time.Minute)
			require.Empty(w, w.sweep().Actions)
		})
	})
	t.Run("instead of its hidden lines", func(t *testing.T) {
		inStorm(t, func(w *world) {
			ids := w.hits("atlas", "bravo")
			_, edit := alone(w)
			edit(func(b string) string {
				_, part, after := tracker.SplitPart(b)
				require.NotEmpty(w, part)
				return "mine" + after
			})
			time.Sleep(time.Minute)
			ids = append(ids, w.hits("carol")...)
			b := w.issue().Body
			require.True(w, strings.HasPrefix(b, tracker.PartStart))
			require.Contains(w, b, "mine")
			require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
			w.requireOnce(ids...)
		})
	})
	t.Run("in the title", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas", "bravo")
			p, _ := alone(w)
			p.EditTitle(fleet, 1, "Quota again")
			time.Sleep(time.Minute)
			w.hits("carol")
			require.Equal(w, "Quota again", w.issue().Title)
			require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
		})
	})
	for name, older := range map[string]bool{"while the bot edits": false, "while the bot edits, in an older Gitea": true} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				if older {
					w.Gitea.HideContentVersion()
				}
				w.hits("atlas")
				p, _ := alone(w)
				meanwhile := giteatest.Meanwhile(func() { p.EditBody(fleet, 1, w.issue().Body+"\n\nI am on it.") })
				match := giteatest.EditIssue()
				if older {
					match = giteatest.GetIssue()
				}
				w.Gitea.Inject(giteatest.Fault{Match: match, Times: 1, Do: meanwhile})
				w.hits("bravo")
				require.Contains(w, w.issue().Body, "I am on it.")
				require.Equal(w, []string{"- atlas", "- bravo"}, lines(w.issue()))
			})
		})
	}
}

// A hundred projects trip within a second, from ten processes.
func TestStormOfAHundred(t *testing.T) {
	inStorm(t, func(w *world) {
		const processes, each = 10, 10
		w.Gitea.Inject(giteatest.Fault{Do: giteatest.Latency(20 * time.Millisecond)})
		done := make(chan []string)
		for p := range processes {
			m := w.machine
			if p > 0 {
				m = w.another()
				m.storms()
			}
			go func() {
				var ids []string
				for n := range each {
					id, err := m.hit(fmt.Sprintf("p%d-%d", p, n))
					if err == nil {
						ids = append(ids, id)
					}
					time.Sleep(80 * time.Millisecond)
				}
				done <- ids
			}()
		}
		var ids []string
		for range processes {
			ids = append(ids, <-done...)
		}
		require.Len(w, ids, processes*each, "nobody has failed")
		w.sweepFor(10 * time.Minute)
		var created, edits, said int
		for _, r := range writes(w.asked()) {
			switch {
			case giteatest.CreateIssue()(&http.Request{Method: r.Method, URL: &url.URL{Path: r.Path}}):
				created++
			case r.Method == http.MethodPatch:
				edits++
			default:
				said++
			}
		}
		require.Equal(w, 1, created)
		require.LessOrEqual(w, edits, 20)
		require.LessOrEqual(w, said, 2)
		i := w.issue()
		require.Len(w, markers(i), len(ids))
		require.Len(w, lines(i), len(ids))
		w.requireOnce(ids...)
		leads := map[string]int{}
		for _, id := range ids {
			leads[w.incident(id).Lead]++
			require.True(w, w.paused(w.incident(id).Project))
		}
		require.Len(w, leads, 2)
		require.Equal(w, 1, leads[""])
	})
}

// Two processes join at once: both are listed.
func TestStormOfTwoProcesses(t *testing.T) {
	inStorm(t, func(w *world) {
		second := w.another()
		second.storms()
		ids := w.hits("atlas")
		done := make(chan string)
		go func() {
			id, _ := second.hit("bravo")
			done <- id
		}()
		id, _ := w.hit("carol")
		ids = append(ids, id, <-done)
		w.sweepFor(2 * time.Minute)
		require.Len(w, lines(w.issue()), 3)
		w.requireOnce(ids...)
		require.Len(w, comments(w.issue()), 1+strings.Count(strings.Join(comments(w.issue())[1:], ""), "failed, too"))
	})
}

// Closed by hand, deleted, locked, moved: as an issue of one incident.
func TestStormIssueIsTouched(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas", "bravo")
			w.rm("atlas")
			w.sweepFor(time.Minute)
			w.Gitea.As("kim").Close(fleet, 1)
			w.sweep()
			require.Equal(w, "open", w.issue().State)
			said := comments(w.issue())
			require.Contains(w, said[len(said)-1], "but `bravo` is still paused")
			w.rm("bravo")
			w.Gitea.As("kim").Close(fleet, 1)
			w.sweep()
			require.Equal(w, "closed", w.issue().State)
			require.Equal(w, []string{"x atlas", "x bravo"}, lines(w.issue()))
		})
	})
	t.Run("deleted", func(t *testing.T) {
		inStorm(t, func(w *world) {
			ids := w.hits("atlas", "bravo", "carol")
			w.rm("atlas")
			w.sweepFor(time.Minute)
			w.Gitea.As("kim").Delete(fleet, 1)
			w.sweepFor(2 * time.Minute)
			require.EqualValues(w, 2, w.issue().Number)
			require.Equal(w, []string{"x atlas", "- bravo", "- carol"}, lines(w.issue()))
			w.requireOnce(ids...)
			w.rm("bravo")
			w.rm("carol")
			w.sweepFor(2 * time.Minute)
			require.Equal(w, "closed", w.issue().State)
		})
	})
	t.Run("locked", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas")
			w.Gitea.SetPermission("terraphim", "adf-fleet", testworld.Bot, giteatest.Read)
			w.Gitea.As("kim").Lock(fleet, 1)
			w.hits("bravo")
			w.sweepFor(5 * time.Minute)
			require.Equal(w, []string{"- atlas", "- bravo"}, lines(w.issue()))
			require.Empty(w, comments(w.issue()))
			require.Empty(w, w.sweep().Errors)
		})
	})
	t.Run("renamed", func(t *testing.T) {
		inStorm(t, func(w *world) {
			ids := w.hits("atlas", "bravo")
			w.Gitea.Rename(fleet, "fleet-2")
			w.moveTo("terraphim/fleet-2")
			w.sweepFor(2 * time.Minute)
			ids = append(ids, w.hits("carol")...)
			w.sweepFor(2 * time.Minute)
			i, _ := w.Gitea.Issue("terraphim/fleet-2", 1)
			require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(i))
			require.Len(w, w.issues("terraphim/fleet-2"), 1)
			for _, id := range ids[1:] {
				require.Equal(w, ids[0], w.incident(id).Lead)
			}
		})
	})
	t.Run("taken over", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas", "bravo")
			w.Gitea.As("kim").EditBody(fleet, 1, "mine now")
			w.sweepFor(2 * time.Minute)
			all := w.issues(fleet)
			require.Len(w, all, 2)
			require.Equal(w, "mine now", all[0].Body)
			require.Equal(w, []string{"- atlas", "- bravo"}, lines(all[1]))
		})
	})
	t.Run("duplicated", func(t *testing.T) {
		inStorm(t, func(w *world) {
			w.hits("atlas", "bravo")
			i := w.issue()
			w.Gitea.As(testworld.Bot).Open(fleet, i.Title, i.Body)
			w.sweepFor(2 * time.Minute)
			first, _ := w.Gitea.Issue(fleet, 1)
			second, _ := w.Gitea.Issue(fleet, 2)
			require.Equal(w, []string{"open", "closed"}, []string{first.State, second.State})
		})
	})
}

// An operator's closing resumes all that were there by then.
func TestStormClosedByOperator(t *testing.T) {
	inStorm(t, func(w *world) {
		w.operated("alex")
		w.rec.Options().Commands.CloseResumes = true
		ids := w.hits("atlas", "bravo", "carol")
		time.Sleep(time.Minute)
		w.rm("atlas")
		w.sweep()
		time.Sleep(time.Second)
		w.Gitea.As("alex").Close(fleet, 1)
		w.sweepFor(2 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
		for _, id := range ids {
			require.False(w, w.paused(w.incident(id).Project))
			require.True(w, w.incident(id).Settled)
		}
		require.Contains(w, w.incident(ids[1]).EndedHow, "resumed by @alex, who closed the issue")
		require.Equal(w, []string{"x atlas", "x bravo", "x carol"}, lines(w.issue()))
		require.Equal(w, 1, strings.Count(strings.Join(comments(w.issue()), "\n"), "have been resumed"))
	})
}

// One that joins after that is not meant: the issue is opened again for it.
func TestStormJoinedAfterClosing(t *testing.T) {
	inStorm(t, func(w *world) {
		w.operated("alex")
		w.rec.Options().Commands.CloseResumes = true
		ids := w.hits("atlas", "bravo")
		time.Sleep(time.Minute)
		w.Gitea.As("alex").Close(fleet, 1)
		time.Sleep(10 * time.Second)
		ids = append(ids, w.hits("carol")...)
		w.sweepFor(2 * time.Minute)
		require.False(w, w.paused("atlas"))
		require.False(w, w.paused("bravo"))
		require.True(w, w.paused("carol"))
		require.Equal(w, "open", w.issue().State)
		require.Equal(w, []string{"x atlas", "x bravo", "- carol"}, lines(w.issue()))
		w.requireOnce(ids...)
	})
}

// Nor is one meant that joined before, and of which the issue did not tell yet.
func TestStormResumedBeforeListed(t *testing.T) {
	for name, resume := range map[string]func(*world){
		"closed":    func(w *world) { w.Gitea.As("alex").Close(fleet, 1) },
		"commanded": func(w *world) { w.says("alex", "/adf resume") },
	} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				w.operated("alex")
				w.rec.Options().Commands.CloseResumes = true
				ids := w.hits("atlas", "bravo")
				time.Sleep(time.Minute)
				ids = append(ids, w.hits("carol")...)
				time.Sleep(5 * time.Second)
				ids = append(ids, w.hits(project)...)
				require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
				time.Sleep(5 * time.Second)
				resume(w)
				w.sweepFor(2 * time.Minute)
				for _, id := range ids[:3] {
					require.False(w, w.paused(w.incident(id).Project))
				}
				require.True(w, w.paused(project))
				require.Equal(w, "open", w.issue().State)
				require.Equal(w, []string{"x atlas", "x bravo", "x carol", "- " + project}, lines(w.issue()))
				w.requireOnce(ids...)
				if said := strings.Join(comments(w.issue()), "\n"); name == "closed" {
					require.Contains(w, said, "It was closed by alex before this stood in its list: that does not resume what is still paused.")
				}
				resume(w)
				w.sweepFor(2 * time.Minute)
				require.False(w, w.paused(project), "which knows of it")
			})
		})
	}
}

// A Gitea that was restored from a backup has forgotten who joined since. Who is not in the list is not meant, and is listed again.
func TestStormAfterGiteaWasRestored(t *testing.T) {
	for name, resume := range map[string]func(*world){
		"left alone": nil,
		"closed":     func(w *world) { w.Gitea.As("alex").Close(fleet, 1) },
		"commanded":  func(w *world) { w.says("alex", "/adf resume") },
	} {
		for _, alone := range []bool{false, true} {
			t.Run(fmt.Sprint(name, alone), func(t *testing.T) {
				inStorm(t, func(w *world) {
					w.operated("alex")
					w.rec.Options().Commands.CloseResumes = true
					ids := w.hits("atlas")
					if !alone {
						ids = append(ids, w.hits("bravo")...)
					}
					w.sweepFor(time.Hour)
					restore := w.Gitea.BackUp()
					before := len(ids)
					w.rec.Options().StormWindow = 2 * time.Hour
					ids = append(ids, w.hits("carol", project)...)
					w.sweepFor(time.Hour)
					listed := lines(w.issue())
					restore()
					if resume != nil {
						resume(w)
					}
					w.sweepFor(2 * time.Minute)
					w.requireOnce(ids...)
					require.Len(w, w.issues(fleet), 1)
					require.Equal(w, "open", w.issue().State)
					require.True(w, w.paused("carol"))
					require.True(w, w.paused(project))
					require.Equal(w, resume == nil, w.paused("atlas"))
					if resume == nil {
						require.Equal(w, listed, lines(w.issue()))
						require.Contains(w, w.issue().Title, fmt.Sprintf("on atlas and %d others", len(ids)-1))
					} else {
						require.Len(w, lines(w.issue()), len(ids))
						w.requireTicks()
						resume(w)
						w.sweepFor(2 * time.Minute)
						require.False(w, w.paused(project), "which is listed by now")
						require.Equal(w, "closed", w.issue().State)
					}
					if name == "closed" {
						require.Contains(w, strings.Join(comments(w.issue()), "\n"), "It was closed by alex before this stood in its list")
					}
					for _, id := range ids[:before] {
						require.Equal(w, resume == nil, w.incident(id).IsOpen())
					}
					require.Empty(w, w.sweep().Actions)
				})
			})
		}
	}
}

// Its list shows some as paused who have resumed since. People may take a tick away, too.
func TestStormBoxIsTickedAgain(t *testing.T) {
	inStorm(t, func(w *world) {
		w.hits("atlas", "bravo", "carol")
		w.sweepFor(2 * time.Minute)
		restore := w.Gitea.BackUp()
		w.rm("bravo")
		w.sweepFor(time.Minute)
		require.Equal(w, []string{"- atlas", "x bravo", "- carol"}, lines(w.issue()))
		restore()
		require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
		w.sweepFor(time.Minute)
		require.Equal(w, []string{"- atlas", "x bravo", "- carol"}, lines(w.issue()))
		require.Empty(w, w.sweep().Actions)
	})
}

// Who joins does not open the issue of one whose flag is about to be written: it would say NOT PAUSED.
func TestStormOfOneThatIsTripping(t *testing.T) {
	for name, goOn := range map[string]func(*world, incident.Incident){
		"goes on": func(w *world, i incident.Incident) {
			_, err := w.rec.Trip(w.Context(), i)
			require.NoError(w, err)
		},
		"died": func(w *world, _ incident.Incident) { w.sweepFor(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				lead := w.classified("atlas")
				w.hits("bravo")
				require.Empty(w, w.Gitea.Issues(fleet))
				goOn(w, lead)
				w.sweepFor(time.Minute)
				require.NotContains(w, w.issue().Body, "NOT PAUSED")
				require.Equal(w, []string{"- atlas", "- bravo"}, lines(w.issue()))
			})
		})
	}
}

// A lost state gets all of them back from the one issue.
func TestStormLostState(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo", "carol")
		w.sweepFor(11 * time.Minute)
		before := w.issue()
		w.rm("bravo")
		m := w.withoutState()
		m.storms()
		w.machine = m
		w.sweepFor(3 * time.Minute)
		require.Equal(w, []string{"- atlas", "x bravo", "- carol"}, lines(w.issue()))
		require.Equal(w, "open", w.issue().State)
		require.Equal(w, len(before.Comments), len(w.issue().Comments), "nothing is told again: %s", comments(w.issue()))
		require.Contains(w, w.issue().Body, "The last failed run of bravo", "only the issue knows that now")
		for _, id := range ids[1:] {
			require.Equal(w, ids[0], w.incident(id).Lead)
		}
		require.ElementsMatch(w, ids, w.incident(ids[0]).MemberIDs())
		w.requireOnce(ids...)
		require.Empty(w, w.sweep().Actions)
		w.rm("atlas")
		w.rm("carol")
		w.sweepFor(2 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
	})
}

// A storm in which the state is lost goes on in the same issue: the flags tell its class.
func TestStormGoesOnAfterLostState(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo")
		w.sweepFor(time.Minute)
		w.machine = w.withoutState()
		w.storms()
		w.sweepFor(3 * time.Minute)
		ids = append(ids, w.hits("carol")...)
		w.sweepFor(time.Minute)
		require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
		w.requireOnce(ids...)
	})
}

// A project that trips again joins the issue that it has led, which another one keeps open, and adds its parts there.
func TestStormLeadTripsAgain(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo")
		w.sweepFor(time.Minute)
		w.rm("atlas")
		w.sweepFor(time.Minute)
		again := w.hits("atlas")
		w.change(again[0], func(i *incident.Incident) { i.Incomplete = true })
		w.sweepFor(2 * time.Minute)
		require.Equal(w, ids[0], w.incident(again[0]).Lead)
		require.False(w, w.incident(again[0]).Incomplete)
		require.Equal(w, []string{"x atlas", "- bravo", "- atlas"}, lines(w.issue()))
	})
}

// The lead had resumed when the state was lost.
func TestStormLostStateWithoutLead(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo", "carol")
		w.sweepFor(time.Minute)
		w.rm("atlas")
		w.sweepFor(time.Minute)
		w.machine = w.withoutState()
		w.storms()
		w.sweepFor(3 * time.Minute)
		require.Equal(w, "open", w.issue().State)
		require.Equal(w, []string{"x atlas", "- bravo", "- carol"}, lines(w.issue()))
		w.requireOnce(ids...)
		w.rm("bravo")
		w.rm("carol")
		w.sweepFor(2 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
	})
}

// The state is a copy from before some have joined, or tripped: all stay in the one issue.
func TestStormOlderState(t *testing.T) {
	for name, copied := range map[string]int{"before the others tripped": 1, "before they joined": 2} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				ids := w.hits("atlas")
				var i incident.Incident
				if copied == 2 {
					i = w.classified("bravo")
				}
				require.NoError(w, w.store.Close())
				backup, err := os.ReadFile(w.path)
				require.NoError(w, err)
				w.machine = w.another()
				w.storms()
				if copied == 2 {
					_, err := w.rec.Trip(w.Context(), i)
					require.NoError(w, err)
					ids = append(ids, i.ID)
				} else {
					ids = append(ids, w.hits("bravo")...)
				}
				ids = append(ids, w.hits("carol")...)
				w.sweepFor(2 * time.Minute)
				require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
				require.NoError(w, w.store.Close())
				for _, suffix := range []string{"-wal", "-shm"} {
					_ = os.Remove(w.path + suffix)
				}
				require.NoError(w, os.WriteFile(w.path, backup, 0o600))
				w.machine = w.another()
				w.storms()
				w.sweepFor(15 * time.Minute)
				require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
				w.requireOnce(ids...)
				require.Empty(w, w.sweep().Actions)
			})
		})
	}
}

// An issue that is full is followed by another one that names it.
func TestStormFull(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas")
		w.change(ids[0], func(i *incident.Incident) {
			for n := range plan.MaxMembers {
				i.AddMember(fmt.Sprintf("%032x", n), i.Opened)
			}
		})
		w.hits("bravo", "carol")
		w.sweepFor(2 * time.Minute)
		second, _ := w.Gitea.Issue(fleet, 2)
		require.Equal(w, []string{"- bravo", "- carol"}, lines(second))
		require.Contains(w, second.Body, "It continues #1, which has no room for more.")
		require.Len(w, w.issues(fleet), 2)
	})
}

// A line says that a flag is missing.
func TestStormNotPaused(t *testing.T) {
	inStorm(t, func(w *world) {
		w.hits("atlas")
		i := w.classified("bravo")
		blocked(t, w, func() { _, _ = w.rec.Trip(w.Context(), i) })
		require.Equal(w, []string{"- atlas", "! bravo"}, lines(w.issue()))
		w.sweepFor(2 * time.Minute)
		require.Equal(w, []string{"- atlas", "- bravo"}, lines(w.issue()))
		require.True(w, w.paused("bravo"))
	})
}

// Labels and assignees of those that join are added, and never cost the join.
func TestStormParts(t *testing.T) {
	for name, login := range map[string]string{"added": "alex", "unknown": "nobody", "blocked": "kim"} {
		t.Run(name, func(t *testing.T) {
			inStorm(t, func(w *world) {
				target := w.rec.Options().Target
				w.Gitea.AddUser("alex", giteatest.UserOptions{})
				w.Gitea.AddUser("kim", giteatest.UserOptions{})
				w.Gitea.Block("kim", testworld.Bot)
				w.rec.Options().Target = func(p string) escalate.Target {
					to := target(p)
					if p == "bravo" {
						to.Labels, to.Assignees = append(to.Labels, "team/bravo"), []string{login}
					}
					return to
				}
				w.hits("atlas")
				w.Gitea.As("kim").SetLabels(fleet, 1, "adf", "seen")
				ids := w.hits("bravo")
				w.sweepFor(5 * time.Minute)
				i := w.issue()
				require.Equal(w, []string{"- atlas", "- bravo"}, lines(i))
				require.Subset(w, i.Labels, []string{"adf", "seen", "team/bravo"})
				if login == "alex" {
					require.Equal(w, []string{"alex"}, i.Assignees)
				} else {
					require.Empty(w, i.Assignees)
					require.Contains(w, i.Body, login+" is not assigned")
				}
				require.False(w, w.incident(ids[0]).Incomplete)
				require.Empty(w, w.sweep().Actions)
			})
		})
	}
}

// A server, or a firewall before it, that refuses a long text gets a shorter one.
func TestStormLongTextRefused(t *testing.T) {
	inStorm(t, func(w *world) {
		w.hits("atlas")
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.All(giteatest.EditIssue(), giteatest.BodyHas("The last failed run of")), Do: giteatest.Status(403, "")})
		w.hits("bravo")
		require.Equal(w, []string{"- atlas", "- bravo"}, lines(w.issue()))
		require.NotContains(w, w.issue().Body, "The last failed run of")

		o := w.rec.Options()
		o.RunAs, o.ConfigFlag = func() string { return "sudo -u adfbot " }, " --config /srv/a.yaml"
		for n := range 20 {
			o.Projects = append(o.Projects, fmt.Sprintf("p%02d", n))
		}
		w.hits(o.Projects[4:]...)
		w.sweepFor(5 * time.Minute)
		require.Contains(w, w.issue().Body, "and 2 more, of which 2 are paused: `sudo -u adfbot adfbot status --config /srv/a.yaml`")
	})
}

// A dry run says who would join, and changes nothing.
func TestStormDryRun(t *testing.T) {
	inStorm(t, func(w *world) {
		w.hits("atlas")
		i := w.classified("bravo")
		rep, err := w.sweepAnd(escalate.SweepOptions{DryRun: true})
		require.NoError(w, err)
		require.Contains(w, kinds(rep.Actions), plan.Join)
		require.NotContains(w, kinds(rep.Actions), plan.Create)
		require.Empty(w, w.incident(i.ID).Lead)
	})
}
