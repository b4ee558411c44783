package escalate_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Issues that are not the bot's, or no longer, and accounts and repositories that change under it.

// untouched fails the test if f changes the issue in any way.
func (w *world) untouched(repo string, n int64, f func()) {
	w.Helper()
	before, ok := w.Gitea.Issue(repo, n)
	require.True(w, ok)
	f()
	after, ok := w.Gitea.Issue(repo, n)
	require.True(w, ok)
	require.Equal(w, before, after)
}

// A person's issue is never touched.
func TestPersonsIssue(t *testing.T) {
	for _, c := range []struct {
		name string
		body func(marker string) string
	}{
		{"with the title alone", func(string) string { return "it fails again" }},
		{"with a copied marker", func(m string) string { return "I saw this:\n\n" + m }},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.trip(project)
				m, _ := tracker.ParseMarker(w.issue().Body)
				n := w.Gitea.As("alex").Open(fleet, "[ADF] project-meta on odilo failed 3 consecutively", c.body(m.String()))
				w.untouched(fleet, n, func() {
					w.sweep()
					w.rm(project)
					w.sweep()
					w.Gitea.As("alex").Reopen(fleet, 1)
					w.sweep()
				})
				require.Len(w, w.Gitea.Issues(fleet), 2)
			})
		})
	}
}

// A person's copy of an issue is left alone although the server lists it.
func TestPersonsCopyInList(t *testing.T) {
	play(t, func(w *world) {
		// A server or proxy that ignores created_by: the author is checked all the same.
		w.rec.Options().Tracker = w.over(answers(func(r *http.Request) *http.Response {
			r = r.Clone(r.Context())
			q := r.URL.Query()
			q.Del("created_by")
			r.URL.RawQuery = q.Encode()
			resp, err := w.Gitea.Transport().RoundTrip(r)
			require.NoError(w, err)
			return resp
		}))
		w.trip(project)
		n := w.Gitea.As("alex").Open(fleet, "mine", w.issue().Body)
		w.untouched(fleet, n, func() {
			require.Empty(w, w.sweep().Actions)
			w.Gitea.As("alex").Delete(fleet, 1)
			w.sweep()
			require.Len(w, w.issues(fleet), 1, "it is not adopted either")
			w.rm(project)
			w.sweep()
		})
		require.Equal(w, "closed", w.issue().State)
	})
}

// A person's copy is not taken for the lost issue.
func TestPersonsCopyOfLostIssue(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.Reset()})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		marker := tracker.Marker{Installation: w.store.Installation(), Project: project, Incident: id, Seq: 1}
		n := w.Gitea.As("alex").Open(fleet, "mine", marker.String())
		w.untouched(fleet, n, func() { w.sweepFor(2 * time.Minute) })
		require.Len(w, w.issues(fleet), 1)
		require.NotEqual(w, n, w.incident(id).Issue.Number)
	})
}

// An issue of the same account is reported and left alone.
func TestIssueOfAnotherInstallation(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		dir := w.TempDir()
		their := openMachine(w.World, dir+"/theirs.db", dir+"/pause")
		require.NoError(w, their.dir.Init(their.store.Installation()))
		their.trip(project)
		require.Len(w, w.issues(fleet), 2)

		w.untouched(fleet, 2, func() {
			rep := w.sweep()
			require.Equal(w, []string{"http://gitea.example/terraphim/adf-fleet/issues/2"}, rep.Foreign)
			w.rm(project)
			w.sweep()
		})
		w.untouched(fleet, 1, func() {
			their.sweep()
			their.rm(project)
			their.sweep()
		})
		for _, i := range w.issues(fleet) {
			require.Equal(w, "closed", i.State)
			require.Len(w, comments(i), 1)
		}
	})
}

// An issue whose marker was edited away is lost, and never touched.
func TestIssueWithoutMarker(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.Gitea.As("alex").EditBody(fleet, 1, "taken over by me")
		w.untouched(fleet, 1, func() {
			w.sweep()
			require.Len(w, w.issues(fleet), 2)
			require.Contains(w, w.issues(fleet)[1].Body, "This issue replaces #1")
			w.rm(project)
			w.sweep()
			require.Equal(w, "closed", w.issues(fleet)[1].State)
		})
		require.True(w, w.incident(id).Settled)
	})
}

// What takes the marker out of each new issue gets another one ever more rarely. Status and sweep say why.
func TestMarkerTakenAwayAgain(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		var waits []time.Duration
		for n := range 15 {
			w.Gitea.As("alex").EditBody(fleet, int64(n+1), "tidied up by a bot")
			rep := w.sweep()
			var wait time.Duration
			if i := w.incident(id); i.Issue.IsZero() {
				wait = time.Until(i.NextTry)
				require.Contains(w, i.LastErr, "lose the hidden last line by which adfbot knows them")
				require.Len(w, rep.Waiting, 1)
				require.Contains(w, rep.Waiting[0].Why, "another issue is opened later: its issues disappear again and again")
				time.Sleep(wait - time.Second)
				require.Empty(w, w.sweep().Actions)
				require.Len(w, w.issues(fleet), n+1)
				time.Sleep(time.Second)
				w.sweep()
			}
			waits = append(waits, wait)
			require.Len(w, w.issues(fleet), n+2)
			require.Empty(w, w.incident(id).LastErr, "another one is there")
		}
		require.Equal(w, []time.Duration{0, time.Minute, 2 * time.Minute, 4 * time.Minute}, waits[:4])
		require.Equal(w, []time.Duration{512 * time.Minute, 1024 * time.Minute, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour}, waits[10:])

		w.Gitea.As("alex").EditBody(fleet, 16, "again")
		require.NoError(w, w.force())
		require.Len(w, w.issues(fleet), 17, "a person who sweeps does not wait")
	})
}

// An ended incident's issue that somebody took over is left open.
func TestIssueTakenOver(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		w.rm(project)
		w.Gitea.As("alex").EditBody(fleet, 1, "taken over by me")
		w.untouched(fleet, 1, func() { w.sweep() })
		require.True(w, w.incident(id).Settled)
		require.Contains(w, w.Logged.String(), "no longer the bot's")
	})
}

// A number that belongs to somebody else in a remade repository is never touched.
func TestNumberInRemadeRepository(t *testing.T) {
	for _, ended := range []bool{false, true} {
		t.Run(fmt.Sprintf("ended %v", ended), func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				body := w.issue().Body
				w.Gitea.DeleteRepo(fleet)
				w.Gitea.AddRepo("terraphim", "adf-fleet")
				w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
				w.Gitea.As("alex").Open(fleet, "number one is mine", body)
				w.untouched(fleet, 1, func() {
					if ended {
						w.rm(project)
					}
					w.sweepFor(2 * time.Minute)
				})
				if ended {
					require.True(w, w.incident(id).Settled)
					require.Empty(w, w.issues(fleet))
				} else {
					require.EqualValues(w, 2, w.incident(id).Issue.Number)
				}
			})
		})
	}
}

// An imported copy of the repository is taken up under its new id.
func TestImportedRepository(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed %v", closed), func(t *testing.T) {
			play(t, func(w *world) {
				id := w.trip(project)
				body := w.issue().Body
				w.Gitea.DeleteRepo(fleet)
				w.Gitea.AddRepo("terraphim", "adf-fleet")
				w.Gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
				w.Gitea.As("adf-bot").Open(fleet, "imported", body)
				if closed {
					w.Gitea.As("alex").Close(fleet, 1)
				}
				w.sweep()
				require.Equal(w, "open", w.issue().State)
				require.Equal(w, w.issue().ID, w.incident(id).Issue.ID)
			})
		})
	}
}

// Issues beyond the first page are known too.
func TestIssueBeyondFirstPage(t *testing.T) {
	play(t, func(w *world) {
		id := w.trip(project)
		// 120 open issues of the same account, newer ones first: ours is on the third page.
		for n := range 120 {
			w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint("other work ", n), "")
		}
		w.asked()
		require.Empty(w, w.sweep().Actions)
		require.Len(w, w.asked(), 3)

		m := w.withoutState()
		rep := m.sweep()
		require.Empty(w, rep.Foreign, "an issue without a marker is nobody's")
		require.EqualValues(w, 1, m.incident(id).Issue.Number)
		require.Len(w, w.issues(fleet), 121)
	})
}

func TestLostCreationBeyondFirstPage(t *testing.T) {
	play(t, func(w *world) {
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.CreateIssue(), Times: 1, Do: giteatest.LostAnswer()})
		id, err := w.tripAnd(project)
		require.Error(w, err)
		w.Gitea.As("alex").Close(fleet, 1)
		for n := range 70 {
			w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint("other work ", n), "")
		}
		w.sweepFor(2 * time.Minute)
		require.EqualValues(w, 1, w.incident(id).Issue.Number)
		require.Len(w, w.issues(fleet), 71)
	})
}
