package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
)

// What follows from a flag, the confirmation of this host and the pause that the state knows. X is the pause of one of them, Y another
// one, earlier or later. Nothing is known of Gitea, so what comes later in a plan is left out.
func TestNextFlags(t *testing.T) {
	const x, y = "x", "y"
	id := map[string]string{x: idA, y: idB}
	absent := incident.FlagView{State: incident.FlagGone}
	at := now.Add(-time.Hour)
	bots := func(pause string, generation int64) incident.FlagView {
		at := at.Add(time.Duration(generation) * time.Minute) // each pause has a flag of its own
		return incident.FlagView{
			State: incident.FlagThere, Identity: incident.FlagIdentity{Kind: incident.BotFlag, Mtime: at.UnixNano(), Size: 300},
			Info: incident.FlagInfo{Project: project, Incident: id[pause], Pause: incident.Pause{ID: id[pause], Generation: generation}, Written: at},
		}
	}
	touched := func(v incident.FlagView) incident.FlagView {
		v.Identity = personFlag
		return v
	}
	holds := func(v incident.FlagView) incident.FlagView { // it is the flag of a hold
		v.Info.Incident = ""
		return v
	}
	persons := incident.FlagView{State: incident.FlagThere, Identity: personFlag}
	confirmed := func(pause string, flag incident.FlagView) incident.Confirmation {
		return incident.Confirmation{Pause: id[pause], Identity: flag.Identity}
	}
	removed := incident.Confirmation{Pause: idA, Identity: incident.FlagIdentity{Kind: incident.RemovedFlag}}
	none := incident.Confirmation{}
	const (
		resume, forget, write, confirm = plan.Resume, plan.ForgetFlag, plan.WriteFlag, plan.ConfirmFlag
		remove, hold, rebuild          = plan.RemoveFlag, plan.RecordHold, plan.Rebuild
	)
	for _, c := range []struct {
		name      string
		confirmed incident.Confirmation
		flag      incident.FlagView
		pause     string // x, y or "": none; its generation is 3
		want      []plan.Kind
	}{
		{"removed by a person", confirmed(x, bots(x, 3)), absent, x, []plan.Kind{resume}},
		{"a person's flag, removed by a person", confirmed(x, persons), absent, x, []plan.Kind{resume}},
		{"removed, and resumed already", confirmed(x, bots(x, 2)), absent, "", []plan.Kind{forget}},
		{"removed, resumed and paused again", confirmed(x, bots(x, 2)), absent, y, []plan.Kind{forget}},
		{"removed before anybody looked at it", incident.Confirmation{Pause: idA}, absent, x, []plan.Kind{resume}},
		{"no flag, no pause", none, absent, "", nil},
		{"no flag, and its removal is known", removed, absent, "", nil},

		{"paused elsewhere", none, absent, x, []plan.Kind{write}},
		{"paused again after a removal", removed, absent, y, []plan.Kind{write}},
		{"written and not confirmed", none, bots(x, 3), x, []plan.Kind{confirm}},
		{"confirmed", confirmed(x, bots(x, 3)), bots(x, 3), x, nil},
		{"of an earlier pause, confirmed", confirmed(x, bots(x, 2)), bots(x, 2), y, []plan.Kind{write}},
		{"of an earlier pause, not confirmed", none, bots(x, 2), y, []plan.Kind{write}},

		{"of a later pause, and the state is older", confirmed(x, bots(x, 3)), holds(bots(y, 4)), x, nil},
		{"of an earlier hold", none, holds(bots(y, 2)), x, []plan.Kind{write}},

		{"a person was first", none, persons, x, []plan.Kind{confirm}},
		{"a person's, confirmed", confirmed(x, persons), persons, x, nil},
		{"touched while paused", confirmed(x, bots(x, 3)), touched(bots(x, 3)), x, []plan.Kind{confirm}},
		{"touched, of an earlier pause", confirmed(x, bots(x, 2)), touched(bots(x, 2)), y, []plan.Kind{confirm}},
		{"a person's, of an earlier pause", confirmed(x, persons), persons, y, []plan.Kind{confirm}},

		{"resumed elsewhere", confirmed(x, bots(x, 2)), bots(x, 2), "", []plan.Kind{remove}},
		{"resumed elsewhere, touched before that", confirmed(x, touched(bots(x, 2))), touched(bots(x, 2)), "", []plan.Kind{remove}},
		{"resumed elsewhere, a person's", confirmed(x, persons), persons, "", []plan.Kind{remove}},
		{"resumed elsewhere, touched since", confirmed(x, bots(x, 2)), touched(bots(x, 2)), "", []plan.Kind{hold}},
		{"resumed elsewhere, another made since", confirmed(x, bots(x, 2)), persons, "", []plan.Kind{hold}},

		{"of a pause that is over, not confirmed", none, bots(x, 2), "", []plan.Kind{remove}},
		{"of a pause that is over, another is confirmed", confirmed(y, bots(y, 2)), bots(x, 1), "", []plan.Kind{remove}},
		{"of a hold that is over", none, holds(bots(x, 2)), "", []plan.Kind{remove}},
		{"put back after its removal", removed, bots(x, 2), "", []plan.Kind{hold}},
		{"of a pause that is over, touched", none, touched(bots(x, 2)), "", []plan.Kind{hold}},
		{"of an incident that was lost", none, bots(x, 3), "", []plan.Kind{rebuild}},
		{"of an incident that was lost, touched", none, touched(bots(x, 3)), "", []plan.Kind{rebuild}},
		{"of a hold that was lost", none, holds(bots(x, 3)), "", []plan.Kind{hold}},
		{"a person's", none, persons, "", []plan.Kind{hold}},
		{"a person's, made after a removal", removed, persons, "", []plan.Kind{hold}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := plan.Observation{Now: now, Project: project, Generation: 3, Fleet: true, Flag: c.flag, Confirmed: c.confirmed,
				Known: func(i string) bool { return i == id[c.pause] || c.pause != "" && i != "" }}
			if c.pause != "" {
				o.Incidents = []incident.Incident{{ID: id[c.pause], Project: project, Seq: 3, Opened: at}}
			}
			kinds := func() (out []plan.Kind) {
				for _, a := range plan.Next(o) {
					if a.Kind.Local() {
						out = append(out, a.Kind)
					}
				}
				return out
			}
			require.Equal(t, c.want, kinds())
			if strings.HasPrefix(c.name, "of a later pause") {
				o.Fleet = false
				require.Equal(t, []plan.Kind{resume}, kinds(), "on a single host, the flag knows better than the state")
				o.Fleet = true
			}
			if c.pause == "" {
				o.Fleet = false
				if strings.HasPrefix(c.name, "of a pause that is over") || strings.HasPrefix(c.name, "of a hold that is over") {
					require.Equal(t, []plan.Kind{hold}, kinds(), "on a single host, somebody has put it back")
				} else {
					require.Equal(t, c.want, kinds())
				}
				return
			}
			o.Incidents, o.Hold = nil, &incident.Hold{ID: id[c.pause], Project: project, Since: at} // a hold is a pause like an incident
			want := slices.Clone(c.want)
			if n := slices.Index(want, resume); n >= 0 {
				want[n] = plan.ReleaseHold
			}
			require.Equal(t, want, kinds())
		})
	}
}

// A note from the future is not believed: anybody may write one.
func TestNextFlagFarAhead(t *testing.T) {
	for generation, want := range map[int64]int64{3: 3, 4: 4, 1_000_003: 1_000_003, 1_000_004: 0} {
		o := plan.Observation{Now: now, Project: project, Generation: 3, Known: func(string) bool { return false }, Flag: incident.FlagView{
			State: incident.FlagThere, Identity: botFlag,
			Info: incident.FlagInfo{Project: project, Incident: idA, Pause: incident.Pause{ID: idA, Generation: generation}, Written: now},
		}}
		actions := plan.Next(o)
		require.Equal(t, []string{"rebuild"}, steps(actions))
		require.Equal(t, want, plan.Rebuilt(actions[0], now).Generation)
		o.Flag.Info.Incident = ""
		actions = plan.Next(o)
		require.Equal(t, []string{"note-hold"}, steps(actions))
		h, least := plan.HoldOf(actions[0], idB, now)
		require.Equal(t, idA, h.ID)
		require.Equal(t, want, least)
	}
}

// A project of a single host trips beside the pause by hand that its flag names, after the state was lost: both go on. An incident whose
// flag the state has confirmed was there before that pause, and is over.
func TestNextFlagOfLostHold(t *testing.T) {
	known := &incident.Hold{ID: idA, Project: project, Since: ago(time.Hour)}
	flagged := func(o *plan.Observation) { o.Confirmed.Pause, o.Incidents[0].FlagWritten = idB, ago(time.Hour) }
	for _, c := range []struct {
		name       string
		generation int64 // of the hold; the state's is 3
		change     func(*plan.Observation)
		want       plan.Kind
	}{
		{"later", 4, nil, plan.RecordHold},
		{"of the same generation", 3, nil, plan.RecordHold},
		{"later, with a confirmation of an earlier pause", 4, func(o *plan.Observation) { o.Confirmed.Pause = aHold.ID }, plan.RecordHold},
		{"later than a hold that the state knows", 4, func(o *plan.Observation) { o.Hold = aHold }, plan.EndHold},
		{"results wait", 4, func(o *plan.Observation) { o.Unstored = true }, plan.RecordHold},
		{"the state knows it", 4, func(o *plan.Observation) { o.Hold = known }, plan.ConfirmFlag},
		{"of an earlier pause", 2, nil, plan.WriteFlag},
		{"another hold took its place", 3, func(o *plan.Observation) { o.Hold = aHold }, plan.WriteFlag},
		{"the state knew it, and it is over", 3, func(o *plan.Observation) { o.Confirmed.Pause = idA }, plan.WriteFlag},
		{"it is over beside the incident", 3, flagged, plan.WriteFlag},
		{"later than the incident, which had its flag", 4, flagged, plan.Resume},
		{"later by its note, and confirmed beside the incident", 4, func(o *plan.Observation) {
			flagged(o)
			o.Confirmed.Identity = o.Flag.Identity
		}, plan.WriteFlag},
		{"a fleet keeps both", 4, func(o *plan.Observation) { o.Fleet = true }, plan.ConfirmFlag},
		{"a fleet, and the host has confirmed it", 4, func(o *plan.Observation) {
			o.Fleet, o.Confirmed = true, incident.Confirmation{Pause: idB, Identity: o.Flag.Identity}
		}, plan.Create},
		{"a fleet, the same generation", 3, func(o *plan.Observation) { o.Fleet = true }, plan.RecordHold},
		{"a fleet, another host has the incident's flag", 3, func(o *plan.Observation) {
			o.Fleet, o.Incidents[0].FlagWritten = true, ago(time.Hour)
		}, plan.RecordHold},
		{"a fleet, this host had the incident's flag", 3, func(o *plan.Observation) { o.Fleet, o.Confirmed.Pause = true, idB }, plan.WriteFlag},
		{"a fleet, this host has confirmed it before it was over", 3, func(o *plan.Observation) { o.Fleet, o.Confirmed.Pause = true, idA }, plan.WriteFlag},
		{"touched", 4, func(o *plan.Observation) { o.Flag.Identity = personFlag }, plan.ConfirmFlag},
	} {
		t.Run(c.name, func(t *testing.T) {
			until := now.Add(time.Hour)
			o := plan.Observation{Now: now, Project: project, Generation: 3, Known: func(id string) bool { return id == idB },
				Incidents: []incident.Incident{{ID: idB, Project: project, Seq: 1, Opened: now}},
				Flag: incident.FlagView{State: incident.FlagThere, Identity: botFlag,
					Info: incident.FlagInfo{Project: project, Pause: incident.Pause{ID: idA, Generation: c.generation}, Written: now, Until: until, Stop: idA}}}
			if c.change != nil {
				c.change(&o)
			}
			a := plan.Next(o)[0]
			require.Equal(t, c.want, a.Kind)
			if a.Kind == plan.RecordHold {
				h, _ := plan.HoldOf(a, idB, now)
				require.Equal(t, incident.Hold{ID: idA, Project: project, Since: now, Until: until, Stop: idA}, h)
			}
			dry := plan.DryRun(o)
			require.Equal(t, c.want == plan.Resume, slices.ContainsFunc(dry, func(a plan.Action) bool { return a.Kind == plan.Resume }))
			require.Equal(t, c.want != plan.Resume, slices.ContainsFunc(dry, func(a plan.Action) bool { return a.Kind == plan.Create && a.Incident == idB }), "it gets its issue")
		})
	}
}
