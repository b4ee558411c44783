package escalate_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/gitea"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Lists of the client.

// without drops headers from answers, as proxies do.
func without(next http.RoundTripper, headers ...string) http.RoundTripper {
	return answers(func(r *http.Request) *http.Response {
		resp, err := next.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		for _, h := range headers {
			resp.Header.Del(h)
		}
		return resp
	})
}

// A list has all pages, whatever headers a proxy drops.
func TestListWithoutHeaders(t *testing.T) {
	for _, dropped := range [][]string{nil, {"Link"}, {"X-Total-Count"}, {"Link", "X-Total-Count"}} {
		for _, n := range []int{0, 1, 49, 50, 51, 100, 120} {
			t.Run(fmt.Sprint(n, " issues without ", dropped), func(t *testing.T) {
				play(t, func(w *world) {
					for k := range n {
						w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint(k), "")
					}
					g := w.over(without(w.Gitea.Transport(), dropped...))
					all, err := g.List(w.Context(), repoOf(fleet), "adf-bot", false)
					require.NoError(w, err)
					require.Len(w, all, n)
				})
			})
		}
	}
}

func TestLabelsInShorterPages(t *testing.T) {
	for _, dropped := range [][]string{nil, {"X-Total-Count"}} {
		t.Run(fmt.Sprint("without ", dropped), func(t *testing.T) {
			play(t, func(w *world) {
				w.Gitea.SetMaxItems(20)
				for k := range 45 {
					w.Gitea.AddLabel(other, fmt.Sprint("label-", k))
				}
				ids, err := w.over(without(w.Gitea.Transport(), dropped...)).Labels(w.Context(), repoOf(other))
				require.NoError(w, err)
				require.Len(w, ids, 45)
				require.Len(w, w.asked(), 3)
			})
		})
	}
}

// A list that is null is not an empty one.
func TestNullList(t *testing.T) {
	eachCall(t, func(w *world, _ *gitea.Client, c call) {
		if c.name == "list" || c.name == "comments" || c.name == "labels" {
			w.Gitea.Inject(giteatest.Fault{Do: giteatest.NullBody()})
			te := trackerError(w, c.do(w.Context(), w.over(without(w.Gitea.Transport(), "Link", "X-Total-Count"))))
			require.Equal(w, tracker.Lost, te.Outcome)
			require.Len(w, w.asked(), 1)
		}
	})
}

// A list that changes while it is read is read again.
func TestShiftingList(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, n int64)
		all  bool
	}{
		{"an issue of the first page is deleted", func(w *world, n int64) { w.Gitea.As("alex").Delete(fleet, n) }, true},
		{"an issue of the first page is closed", func(w *world, n int64) { w.Gitea.As("alex").Close(fleet, n) }, false},
		{"an issue is opened", func(w *world, _ int64) { w.Gitea.As("adf-bot").Open(fleet, "new", "") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(w *world) {
				for n := range 60 {
					w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint(n), "")
				}
				w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Times: 1, Do: giteatest.Afterwards(func() { c.do(w, 55) })})
				found, err := w.over(w.Gitea.Transport()).List(w.Context(), repoOf(fleet), "adf-bot", c.all)
				require.NoError(w, err)
				var got, want []int64
				for _, i := range found {
					got = append(got, i.Number)
				}
				for _, i := range w.issues(fleet) {
					if c.all || i.State == "open" {
						want = append(want, i.Number)
					}
				}
				require.ElementsMatch(w, want, got, "none is missing, and none is there that is not")
			})
		})
	}
	t.Run("again and again", func(t *testing.T) {
		play(t, func(w *world) {
			for n := range 60 {
				w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint(n), "")
			}
			n := int64(60)
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), Do: giteatest.Afterwards(func() {
				n--
				w.Gitea.As("alex").Delete(fleet, n)
			})})
			_, err := w.over(w.Gitea.Transport()).List(w.Context(), repoOf(fleet), "adf-bot", true)
			require.ErrorContains(w, err, "the list changed while it was read")
			require.Len(w, w.asked(), 6)
		})
	})
}

// A failing page fails the whole list.
func TestFailingPage(t *testing.T) {
	play(t, func(w *world) {
		for n := range 60 {
			w.Gitea.As("adf-bot").Open(fleet, fmt.Sprint(n), "")
		}
		w.Gitea.Inject(giteatest.Fault{Match: giteatest.ListIssues(), After: 1, Times: 1, Do: giteatest.Status(500, "")})
		all, err := w.over(w.Gitea.Transport()).List(w.Context(), repoOf(fleet), "adf-bot", false)
		require.Error(w, err)
		require.Empty(w, all, "it is everything or an error")
	})
}
