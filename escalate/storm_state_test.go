package escalate_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/testworld"
)

// What the state knows of a shared issue may be lost, or older than the issue. Whatever else has happened, the sweeps come to an end, and
// then each project that an incident pauses has one open issue that says so.

// settles sweeps until nothing is left to do. It requires that paused projects have their issues after the third sweep: which project of a
// sweep comes first is left to chance.
func (w *world) settles() {
	w.Helper()
	const most = 8
	var last []string
	for n := range most {
		rep := w.sweep()
		if n >= 2 {
			w.requireIssues()
		}
		if len(rep.Actions) == 0 {
			return
		}
		last = nil
		for _, a := range rep.Actions {
			last = append(last, fmt.Sprint(a.Kind, " ", a.Name))
		}
		time.Sleep(time.Minute)
	}
	require.Fail(w, "there is no end to it", "the last of %d sweeps: %s", most, last)
}

// requireIssues requires that each open incident has an open issue, and that no other open issue is about it.
func (w *world) requireIssues() {
	w.Helper()
	unsettled, err := w.store.Unsettled(w.Context(), "")
	require.NoError(w, err)
	for _, i := range unsettled {
		if !i.IsOpen() {
			continue
		}
		issue := i.Issue
		if i.Lead != "" {
			issue = w.incident(i.Lead).Issue
		}
		var open []int64
		for _, g := range w.issues(fleet) {
			if g.State == "open" && strings.Contains(g.Body, "incident="+i.ID) {
				open = append(open, g.Number)
			}
		}
		require.Equal(w, []int64{issue.Number}, open, "the open issues about %s", i.Name())
	}
}

// requireTicks requires that the lines of open issues tell of each project whether an incident pauses it.
func (w *world) requireTicks() {
	w.Helper()
	for _, g := range w.issues(fleet) {
		for _, l := range lines(g) {
			if g.State == "open" {
				require.Equal(w, w.state(l[2:]).Open() != nil, l[0] == '-', "#%d: %s", g.Number, l)
			}
		}
	}
}

func TestStormWithAnotherState(t *testing.T) {
	type scene struct {
		resumed string // projects, in this order
		back    string // the one of them whose flag is put back
		issue   string // what somebody does to the issue
		state   string // of when the copy is
	}
	for _, c := range []scene{
		{"", "", "closed", "lost"},
		{"bravo", "", "closed", "lost"},
		{"bravo", "", "deleted", "of before the issue"},
		{"bravo", "bravo", "closed", "of all trips"},
		{"atlas", "", "", "lost"},
		{"atlas", "", "", "of the first trip"},
		{"atlas", "", "closed", "lost"},
		{"atlas", "", "closed", "of the first trip"},
		{"atlas", "", "closed", "of before the issue"},
		{"atlas", "", "closed", "of all trips"},
		{"atlas", "", "deleted", "lost"},
		{"atlas", "", "duplicated", "lost"},
		{"atlas", "atlas", "closed", "lost"},
		{"atlas bravo", "", "", "of before the issue"},
		{"atlas bravo", "bravo", "closed", "kept"},
		{"atlas bravo", "bravo", "closed", "of the first trip"},
		{"atlas bravo", "", "duplicated", "of the first trip"},
		{"atlas bravo carol", "bravo", "", "lost"},
		{"atlas bravo carol", "bravo", "", "of before all"},
		{"atlas bravo carol", "bravo", "", "of the first trip"},
		{"atlas bravo carol", "", "", "lost"},
		{"atlas bravo carol", "", "", "of before the issue"},
	} {
		t.Run(fmt.Sprintf("resumed %s, put back %s, issue %s, state %s", c.resumed, c.back, c.issue, c.state), func(t *testing.T) {
			inStorm(t, func(w *world) {
				var restore func() *machine
				copied := func(now string) {
					if now == c.state {
						restore = w.copied()
						w.storms()
					}
				}
				copied("of before all")
				w.hits("atlas")
				copied("of the first trip")
				up := w.Gitea.Inject(giteatest.Fault{Do: giteatest.Status(503, "")})
				_, _ = w.hit("bravo")
				copied("of before the issue")
				up()
				w.sweepFor(2 * time.Minute)
				w.hits("carol")
				w.sweepFor(12 * time.Minute)
				require.Equal(w, []string{"- atlas", "- bravo", "- carol"}, lines(w.issue()))
				copied("of all trips")
				flags := map[string][]byte{}
				for _, p := range strings.Fields(c.resumed) {
					var err error
					flags[p], err = os.ReadFile(w.dir.FlagPath(p))
					require.NoError(w, err)
					w.rm(p)
					w.sweepFor(2 * time.Minute)
				}
				switch i := w.issue(); c.issue {
				case "closed":
					w.Gitea.As("kim").Close(fleet, 1)
				case "duplicated":
					w.Gitea.As(testworld.Bot).Open(fleet, i.Title, i.Body)
				case "deleted":
					w.Gitea.As("kim").Delete(fleet, 1)
				}
				switch {
				case c.state == "lost":
					w.machine = w.withoutState()
				case restore != nil:
					w.machine = restore()
				}
				w.storms()
				if c.back != "" {
					require.NoError(w, os.WriteFile(w.dir.FlagPath(c.back), flags[c.back], 0o644))
				}
				said := map[int64]int{}
				for _, i := range w.issues(fleet) {
					said[i.Number] = len(comments(i))
				}
				w.settles()
				w.requireTicks()
				for _, i := range w.issues(fleet) {
					if added := comments(i)[said[i.Number]:]; i.State == "open" {
						require.LessOrEqual(w, len(added), 1, "%q", added)
						require.NotContains(w, strings.Join(added, ""), "resumed,", "a project of the issue is paused")
						require.NotContains(w, strings.Join(added, ""), "was resumed", "a project of the issue is paused")
					}
				}

				for _, p := range []string{"atlas", "bravo", "carol"} {
					if w.paused(p) {
						w.rm(p)
					}
				}
				w.settles()
				for _, i := range w.issues(fleet) {
					require.Equal(w, "closed", i.State, "#%d", i.Number)
				}
				unsettled, err := w.store.Unsettled(w.Context(), "")
				require.NoError(w, err)
				require.Empty(w, unsettled)
			})
		})
	}
}

// An incident that leads others gets an issue of its own, whatever other issue says that it carries it.
func TestStormLeadInAnotherIssue(t *testing.T) {
	inStorm(t, func(w *world) {
		ids := w.hits("atlas", "bravo", "carol")
		w.sweepFor(2 * time.Minute)
		w.change(ids[1], func(i *incident.Incident) { i.Lead = ""; i.AddMember(ids[2], i.Opened) })
		w.change(ids[2], func(i *incident.Incident) { i.Lead = ids[1] })
		w.settles()
		w.requireOnce(ids...)
		require.Len(w, w.issues(fleet), 2)
		require.Equal(w, []string{"- bravo", "- carol"}, lines(w.issues(fleet)[1]))
	})
}

// An operator's closing ends what the state knows of. The bot does not say that it was all while another one is paused.
func TestStormClosedByOperatorWithOlderState(t *testing.T) {
	inStorm(t, func(w *world) {
		w.operated("alex")
		w.rec.Options().Commands.CloseResumes = true
		w.hits("atlas", "bravo")
		w.sweepFor(time.Minute)
		restore := w.copied()
		w.storms()
		w.hits("carol")
		w.sweepFor(12 * time.Minute)
		said := len(comments(w.issue()))
		w.Gitea.As("alex").Close(fleet, 1)
		w.machine = restore()
		w.storms()
		w.settles()
		require.False(w, w.paused("atlas"))
		require.False(w, w.paused("bravo"))
		require.True(w, w.paused("carol"))
		require.Equal(w, []string{"x atlas", "x bravo", "- carol"}, lines(w.issue()))
		require.Equal(w, "open", w.issue().State)
		require.NotContains(w, strings.Join(comments(w.issue())[said:], ""), "resumed,")
	})
}
