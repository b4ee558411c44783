package bot

import (
	"context"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/pause"
)

// FollowFlags is pass.
func (b *Bot) FollowFlags(ctx context.Context) error { return b.pass(ctx) }

// GateWith is [Gate] with another look at the directory.
func GateWith(ctx context.Context, cfg *config.Config, project string, look func(pause.Dir, string) (pause.Flag, pause.Sentinel, error)) Verdict {
	return gate(ctx, cfg, project, look, isKnown)
}

// LoadForGateWith is [LoadForGate] with another way to read the file.
var LoadForGateWith = loadForGate

// LetIn is letIn.
var LetIn = letIn

// CheckReport returns what Check says about a server.
func CheckReport(r postgres.Report) []Finding {
	c := &checker{}
	c.rights(r)
	c.server(r)
	return c.out
}

// ObservedClaims are claims whose losses an observer is told.
func ObservedClaims(c incident.Claimer, o Observer) incident.Claimer {
	return observedClaims{c, Env{Observe: []Observer{o}}}
}

// WithStateClock returns the environment on a machine whose clock is not that of a shared state.
func (e Env) WithStateClock(now func() time.Time) Env {
	e = e.withDefaults()
	e.setNow = now
	return e
}

// Beat is one heartbeat of a daemon in a fleet.
func (b *Bot) Beat(ctx context.Context) error { return b.beat(ctx) }

// Pass is one pass of a daemon in a fleet.
func (b *Bot) Pass(ctx context.Context) error { return b.pass(ctx) }

// LookForSilence is what serve does once a minute.
func (b *Bot) LookForSilence(ctx context.Context) error { return b.lookForSilence(ctx) }
