package escalate_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/fault"
)

// An edit within the second of a comment does not show in Gitea's API. Its webhook tells.

// edited delivers Gitea's event that a comment was edited to body.
func (w *world) edited(id string, comment int64, login, body string) {
	w.Helper()
	for _, c := range w.issue().Comments {
		if c.ID == comment {
			by := tracker.Account{ID: w.Gitea.AddUser(login, giteatest.UserOptions{}), Login: login}
			require.NoError(w, w.rec.CommentEdited(w.Context(), w.incident(id), tracker.Comment{ID: comment, Number: w.issue().Number, By: by, Created: c.Created, Body: body}))
			return
		}
	}
	require.Fail(w, "no such comment")
}

// editedAtOnce returns a comment that kim has edited within the second in which login wrote it: Gitea's API shows the same as if login
// had written the edited text.
func (w *world) editedAtOnce(login, shows string) int64 {
	id := w.Gitea.As(login).Comment(fleet, w.issue().Number, "I am looking into it")
	w.Gitea.As("kim").EditCommentAtOnce(fleet, id, shows)
	time.Sleep(time.Second)
	return id
}

// The event comes first: the command is never run, and the answer says why.
func TestEditedWithinItsSecond(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.editedAtOnce("alex", "/adf resume")
		for range 3 { // repeated
			w.edited(id, c, "alex", "/adf resume")
		}
		w.sweepFor(5 * time.Minute)
		require.True(t, w.paused(project))
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "`alex`, your comment was edited")

		w.says("alex", "/adf resume")
		w.sweep()
		require.False(t, w.paused(project), "a new comment is obeyed")
	})
}

// What is no command needs no answer, and is none later.
func TestEditedCommentWithoutCommand(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.editedAtOnce("alex", "looks fine")
		w.edited(id, c, "alex", "looks fine")
		w.sweep()
		w.Gitea.As("kim").EditComment(fleet, c, "/adf resume")
		w.sweepFor(5 * time.Minute)
		require.True(t, w.paused(project))
		require.Empty(t, comments(w.issue()))
	})
}

// After two days a comment is not worth an answer.
func TestEditedOldComment(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		c := w.says("alex", "looks fine")
		time.Sleep(48 * time.Hour)
		w.Gitea.As("kim").EditComment(fleet, c, "/adf resume")
		w.edited(id, c, "alex", "/adf resume")
		w.sweepFor(5 * time.Minute)
		require.True(t, w.paused(project))
		require.Empty(t, comments(w.issue()))
	})
}

// Somebody who is no operator is told so, and not to write again.
func TestEditedCommentOfStranger(t *testing.T) {
	playOperated(t, func(w *world, id string) {
		w.edited(id, w.editedAtOnce("kim", "/adf resume"), "kim", "/adf resume")
		w.sweepFor(5 * time.Minute)
		said := comments(w.issue())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "only from its operators")
	})
}

// The event comes when the command is stored already. What has begun is finished, and nothing more is run.
func TestEditedWhileCommandRuns(t *testing.T) {
	t.Run("before anything has begun", func(t *testing.T) {
		for _, command := range []string{"/adf resume", "/adf ack", "/adf status"} {
			t.Run(command, func(t *testing.T) {
				playOperated(t, func(w *world, id string) {
					c := w.editedAtOnce("alex", command)
					told := false
					w.Gitea.Inject(giteatest.Fault{Match: func(r *http.Request) bool { // the command is stored, and its issue is read
						if giteatest.GetIssue()(r) && !told {
							told = true
							go w.edited(id, c, "alex", command)
						}
						return told
					}, Times: 1, Do: giteatest.Latency(time.Second)})
					w.sweepFor(3 * time.Minute)
					require.True(t, told)
					require.True(t, w.paused(project))
					require.Nil(t, w.incident(id).Ack)
					said := comments(w.issue())
					require.Len(t, said, 1)
					require.Contains(t, said[0], "your comment was edited")
				})
			})
		}
	})
	t.Run("between two commands", func(t *testing.T) {
		playOperated(t, func(w *world, id string) {
			c := w.editedAtOnce("alex", "/adf ack\n/adf status\n/adf resume")
			ctx := fault.With(w.Context(), func(name string) {
				if name == "order-begun" {
					w.edited(id, c, "alex", "/adf ack\n/adf status\n/adf resume")
				}
			})
			_, err := w.rec.Sweep(ctx, escalate.SweepOptions{})
			require.NoError(t, err)
			w.sweepFor(3 * time.Minute)
			require.True(t, w.paused(project))
			require.NotNil(t, w.incident(id).Ack)
			said := comments(w.issue())
			require.Len(t, said, 1)
			require.Contains(t, said[0], "`/adf ack`: `alex` takes incident `odilo#1`.\n\n`/adf status`: Not run, like all below it: your comment was edited.")
		})
	})
	t.Run("a pause", func(t *testing.T) {
		playOperated(t, func(w *world, id string) {
			w.says("alex", "/adf resume")
			w.sweep()
			c := w.editedAtOnce("alex", "/adf pause")
			ctx, cancel := context.WithCancel(w.Context())
			w.Gitea.Inject(giteatest.Fault{Match: giteatest.GetIssue(), Times: 1, Do: giteatest.Latency(time.Second)})
			done := make(chan struct{})
			go func() { _, _ = w.rec.Sweep(ctx, escalate.SweepOptions{}); close(done) }()
			time.Sleep(time.Millisecond)
			w.edited(id, c, "alex", "/adf pause")
			<-done
			cancel()
			w.sweepFor(3 * time.Minute)
			require.False(t, w.paused(project))
			hold, err := w.store.Hold(w.Context(), project)
			require.NoError(t, err)
			require.Nil(t, hold)
		})
	})
	t.Run("after it was done", func(t *testing.T) {
		playOperated(t, func(w *world, id string) {
			c := w.editedAtOnce("alex", "/adf resume")
			w.sweep()
			require.False(t, w.paused(project))
			n := len(comments(w.issue()))
			w.edited(id, c, "alex", "/adf resume")
			w.sweepFor(3 * time.Minute)
			require.Len(t, comments(w.issue()), n)
		})
	})
}
