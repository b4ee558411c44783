package escalate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/fault"
)

// stopsAt stops the machine's process for a minute when it is about to send a request, like a SIGSTOP or a suspended
// machine, and lets the server take longer over that request than the client waits.
func (w *world) stopsAt(step string, slow giteatest.Fault) {
	w.ctx = fault.With(w.Context(), func(name string) {
		if name == step {
			time.Sleep(time.Minute)
			w.ctx = nil
		}
	})
	slow.Times, slow.Do = 1, giteatest.Latency(timeout+2*time.Second)
	w.Gitea.Inject(slow)
}

// A creation that is sent late makes exactly one issue.
func TestCreationSentLate(t *testing.T) {
	play(t, func(w *world) {
		w.stopsAt("create-begun", giteatest.Fault{Match: giteatest.CreateIssue()})
		_, err := w.tripAnd(project)
		require.Error(w, err)
		require.NoError(w, w.force())
		w.sweepFor(5 * time.Minute)
		require.Equal(w, "open", w.issue().State)
	})
}

// A comment that is sent late is made once.
func TestCommentSentLate(t *testing.T) {
	play(t, func(w *world) {
		w.trip(project)
		w.rm(project)
		w.stopsAt("comment-begun", giteatest.Fault{Match: giteatest.CommentIssue()})
		_ = w.force()
		_ = w.force()
		w.sweepFor(5 * time.Minute)
		require.Equal(w, "closed", w.issue().State)
		require.Len(w, comments(w.issue()), 1)
	})
}
