package status

import (
	"context"
	"encoding/json"
	"time"

	"github.com/terraphim/adfbot/escalate"
)

// SweepReport is what one sweep did, or would do: `adfbot sweep --json`. The last one is kept in the state under [SweepKey].
type SweepReport struct {
	escalate.Report
	DryRun   bool          `json:"dry_run"`
	At       time.Time     `json:"at"` // when it began
	Took     time.Duration `json:"took_ns"`
	TakenIn  int           `json:"taken_in"`  // spooled results
	LostRuns int           `json:"lost_runs"` // runs that were gone without a result
	Pruned   int           `json:"pruned"`    // old results

	PruneFrom time.Time `json:"prune_from,omitzero"` // when old results may be deleted again, after the clock has jumped
}

// SweepKey is the key of the state's meta table under which the last [SweepReport] is kept, in JSON.
const SweepKey = "last_sweep"

// LastSweep returns the report of the last sweep of any process, and whether there was one.
func (r *Reader) LastSweep(ctx context.Context) (rep SweepReport, ok bool, err error) {
	doc, err := r.from.State.Meta(ctx, SweepKey)
	if err != nil || doc == "" {
		return rep, false, err
	}
	return rep, true, json.Unmarshal([]byte(doc), &rep)
}
