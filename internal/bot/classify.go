package bot

import (
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
)

// Decided returns a result from a spool with what was left to decide.
func Decided(cfg *config.Config, r store.Result) store.Result {
	if r.Decide == "" {
		return r
	}
	if r.Decide == store.DecideOutcome {
		p, _ := cfg.Project(r.Project)
		r.Outcome = OutcomeOf(p, r.ExitCode)
	}
	r.Decide = ""
	Classify(cfg, &r)
	return r
}

// Classify decides the class of a failure, and with it whether it counts. That is done once, by the first process of adfbot that knows how
// the run ended, with its configuration, and before the result is stored or spooled: the flag for spooled failures and the state must
// agree. See [Decided] for a project whose settings that process did not know. Only the daemon decides again about what a user reports through its socket, because it trusts nobody else's rules.
func Classify(cfg *config.Config, r *store.Result) {
	if r.Outcome != store.Failure {
		return
	}
	d := class.Decide(cfg.ClassRules(r.Project), class.Run{Agent: r.Agent, ExitCode: r.ExitCode, Output: r.Output, Ended: r.Ended || r.Signal != ""})
	r.Class, r.Trips = d.Class, d.Outcome == class.Trip
	if d.Outcome == class.Ignored {
		r.Outcome = store.Ignored
	}
}
