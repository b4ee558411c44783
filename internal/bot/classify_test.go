package bot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
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

// The command for a lost result says how the run ended by its exit code, but for one that alone would give it another outcome.
func TestEndedFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("projects:", "classes:\n  - {name: busy, exit_codes: [8], outcome: ignored}\n  - {name: licence, exit_codes: [10], outcome: trip}\nprojects:")
	for _, c := range []struct {
		in   store.Result
		want string
	}{
		{store.Result{Outcome: store.Success}, "--success"},
		{store.Result{Outcome: store.Failure, ExitCode: 7, Class: class.Unknown}, "--exit-code 7"},
		{store.Result{Outcome: store.Failure, ExitCode: 137, Signal: "SIGKILL"}, "--exit-code 137"},
		{store.Result{Outcome: store.Failure, Ended: true}, "--failure"}, // the command caught the signal of --timeout
		{store.Result{Outcome: store.Failure, ExitCode: 75}, "--failure"},
		{store.Result{Outcome: store.Ignored, ExitCode: 75}, "--exit-code 75"},
		{store.Result{Outcome: store.Ignored, ExitCode: 8, Class: "busy"}, "--exit-code 8"},
		{store.Result{Outcome: store.Failure, ExitCode: 8, Class: "busy", Ended: true}, "--failure"},
		{store.Result{Outcome: store.Ignored, ExitCode: 4, Class: "by its output"}, "--ignored"},
		{store.Result{Outcome: store.Failure, ExitCode: 10, Class: "licence", Trips: true}, "--exit-code 10"},
		{store.Result{Outcome: store.Failure, ExitCode: 10, Class: "by its output"}, "--failure"},
		{store.Result{Outcome: store.Failure, ExitCode: 75, Decide: store.DecideOutcome}, "--exit-code 75"},
	} {
		c.in.Project, c.in.Agent = "atlas", "project-meta"
		require.Equal(t, c.want, bot.EndedFlag(w.cfg, c.in), "%+v", c.in)
	}
}

// A spooled result keeps its class, by which the spool has paused the project, whatever the rules are by the time it can be stored.
func TestSpooledClass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("projects:", "classes:\n  - {name: licence, output: [licence expired], outcome: trip}\n  - {name: busy, exit_codes: [9], outcome: ignored}\nprojects:")
	w.fail("odilo", 1)
	repair := damage["corrupt"](t, w)
	require.Equal(t, 9, w.sh("odilo", "exit 9").code)
	require.NoFileExists(t, w.flag("odilo"))
	require.Equal(t, 4, w.sh("odilo", "echo licence expired; exit 4").code)
	require.FileExists(t, w.flag("odilo"), "at the first failure in the spool")
	repair()
	w.change("outcome: trip", "outcome: failure", "[9]", "[10]")
	require.Equal(t, 2, w.sweepWell().TakenIn)
	p := w.project("odilo")
	require.Equal(t, status.Yes, p.Paused)
	require.Equal(t, "licence", p.Incident.Class)
	require.Equal(t, 2, p.Incident.Failures)
	require.Equal(t, []string{"licence", "busy", ""}, []string{p.LastRuns[0].Class, p.LastRuns[1].Class, p.LastRuns[2].Class})
	require.Equal(t, store.Ignored, p.LastRuns[1].Outcome)
	require.Equal(t, "[ADF] project-meta on odilo failed 2 consecutively: licence", w.issues("open")[0].Title)
}

// What was left to decide of spooled results is decided by whoever counts them, in the spool and when they are recorded.
func TestSpooledUndecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("projects:", "classes:\n  - {name: busy, exit_codes: [8], outcome: ignored}\nprojects:")
	w.fail("odilo", 1)
	for n, code := range []int{75, 8, 1} {
		r := failure("atlas")
		r.RunID, r.ExitCode, r.Decide = string(rune('a'+n)), code, store.DecideOutcome
		_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
		require.NoError(t, err)
	}
	repair := damage["corrupt"](t, w)
	require.Equal(t, 3, w.sh("atlas", "exit 3").code)
	require.FileExists(t, w.flag("atlas"), "at its second failure that counts")
	repair()
	require.Equal(t, 4, w.sweepWell().TakenIn)
	p := w.project("atlas")
	require.Equal(t, 2, p.Incident.Failures)
	var outcomes []string
	for _, r := range p.LastRuns {
		outcomes = append(outcomes, r.Outcome+" "+r.Class)
	}
	require.Equal(t, []string{"failure unknown", "failure unknown", "ignored busy", "ignored "}, outcomes)
}

// A result that an earlier version has spooled has no class. A file with one that nobody can have given is not recorded.
func TestSpooledWithoutClass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail("odilo", 1)
	r := failure("odilo")
	r.RunID = "r"
	_, err := hostlocal.Beside(w.cfg.State).Spool().Add(r)
	require.NoError(t, err)
	require.Equal(t, 1, w.sweepWell().TakenIn)
	require.Equal(t, 2, w.project("odilo").Failures)
	require.Empty(t, w.project("odilo").LastRuns[0].Class)
	r.RunID, r.Class = "s", "a\nb"
	_, err = hostlocal.Beside(w.cfg.State).Spool().Add(r)
	require.NoError(t, err)
	_, err = w.sweep()
	require.ErrorContains(t, err, `bad class "a\nb"`)
}
