package bot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{
		Classes: []class.Rule{{Name: "busy", ExitCodes: []int{9}, Outcome: class.Ignored}, {Name: "licence", ExitCodes: []int{10}, Outcome: class.Trip}},
	}
	for _, c := range []struct {
		name     string
		in, want store.Result
		builtin  bool
	}{
		{"a success", store.Result{Outcome: store.Success}, store.Result{Outcome: store.Success}, true},
		{"ignored before", store.Result{Outcome: store.Ignored, ExitCode: 10}, store.Result{Outcome: store.Ignored, ExitCode: 10}, true},
		{"no rule", store.Result{Outcome: store.Failure, ExitCode: 1}, store.Result{Outcome: store.Failure, ExitCode: 1, Class: "unknown"}, true},
		{"ignored", store.Result{Outcome: store.Failure, ExitCode: 9}, store.Result{Outcome: store.Ignored, ExitCode: 9, Class: "busy"}, true},
		{"at once", store.Result{Outcome: store.Failure, ExitCode: 10}, store.Result{Outcome: store.Failure, ExitCode: 10, Class: "licence", Trips: true}, true},
		{"built-in", store.Result{Outcome: store.Failure, Output: "Credit balance is too low"},
			store.Result{Outcome: store.Failure, Output: "Credit balance is too low", Class: "quota"}, true},
		{"not built-in", store.Result{Outcome: store.Failure, Output: "Credit balance is too low"},
			store.Result{Outcome: store.Failure, Output: "Credit balance is too low", Class: "unknown"}, false},
	} {
		cfg.BuiltinClasses = c.builtin
		bot.Classify(cfg, &c.in)
		require.Equal(t, c.want, c.in, c.name)
		require.Equal(t, store.Failure == c.want.Outcome || c.want.Class != "", c.in.Reported() == store.Failure, c.name)
	}
}
