package escalate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// Memory is an [incident.State] in the memory of one process, for programs that need none that outlives them. A program that
// starts anew with an empty Memory loses nothing but history: its first sweep rebuilds the incidents from flags and issues.
// It keeps no breaker: a caller resets its own when a report lists a resume. It is safe for concurrent use.
type Memory struct {
	mu         sync.Mutex
	generation map[string]int64
	incidents  map[string]incident.Incident
	holds      map[string]incident.Hold
	stops      memoryStops
	confirmed  map[string]incident.Confirmation
	labels     map[tracker.Repo]map[string]int64
	accounts   map[string][]tracker.Account
	locks      map[string]chan struct{} // one place each
}

var _ incident.State = (*Memory)(nil)

// NewMemory returns an empty state.
func NewMemory() *Memory {
	return &Memory{generation: map[string]int64{}, incidents: map[string]incident.Incident{}, holds: map[string]incident.Hold{},
		confirmed: map[string]incident.Confirmation{}, labels: map[tracker.Repo]map[string]int64{},
		stops: memoryStops{covered: map[string]map[string]bool{}}, accounts: map[string][]tracker.Account{}, locks: map[string]chan struct{}{}}
}

// copyOf returns a copy that shares nothing that is changed, without the evidence.
func copyOf(i incident.Incident) incident.Incident {
	i.Evidence = incident.Evidence{}
	i.Lost, i.Reopens, i.Comments, i.Members = slices.Clone(i.Lost), slices.Clone(i.Reopens), maps.Clone(i.Comments), slices.Clone(i.Members)
	i.Escalation = i.Escalation.Clone()
	if i.Ack != nil {
		ack := *i.Ack
		i.Ack = &ack
	}
	return i
}

// Unsettled implements [incident.IncidentReader].
func (m *Memory) Unsettled(_ context.Context, project string) ([]incident.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unsettled(project, ""), nil
}

func (m *Memory) unsettled(project string, kind incident.Kind) []incident.Incident {
	var out []incident.Incident
	for _, i := range m.incidents {
		if !i.Settled && i.Kind == kind && (project == "" || i.Project == project) {
			out = append(out, copyOf(i))
		}
	}
	slices.SortFunc(out, func(a, b incident.Incident) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Seq, b.Seq))
	})
	return out
}

// ProjectState implements [incident.IncidentReader].
func (m *Memory) ProjectState(_ context.Context, project string) (incident.ProjectState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state(project), nil
}

func (m *Memory) state(project string) incident.ProjectState {
	return incident.ProjectState{Generation: m.generation[project], Unsettled: m.unsettled(project, ""), Silent: m.unsettled(project, incident.Silent),
		Hold: m.hold(project), Confirmed: m.confirmed[project]}
}

// ProjectStates implements [incident.IncidentReader].
func (m *Memory) ProjectStates(context.Context) (map[string]incident.ProjectState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]incident.ProjectState{}
	add := func(project string) { out[project] = m.state(project) }
	for _, i := range m.incidents {
		if !i.Settled {
			add(i.Project)
		}
	}
	for project := range m.holds {
		add(project)
	}
	for project := range m.confirmed {
		add(project)
	}
	for project := range m.generation {
		add(project)
	}
	return out, nil
}

// Incidents implements [incident.IncidentReader].
func (m *Memory) Incidents(_ context.Context, ids ...string) ([]incident.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []incident.Incident
	for _, id := range ids {
		if i, ok := m.incidents[id]; ok {
			out = append(out, copyOf(i))
		}
	}
	return out, nil
}

// Evidence implements [incident.IncidentReader].
func (m *Memory) Evidence(_ context.Context, id string) (incident.Evidence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.incidents[id].Evidence, nil
}

// Change implements [incident.IncidentWriter].
func (m *Memory) Change(_ context.Context, id string, f func(*incident.Incident)) (incident.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.incidents[id]
	if !ok {
		return incident.Incident{}, fmt.Errorf("incident %s does not exist", id)
	}
	i := copyOf(old)
	f(&i)
	i.Evidence = old.Evidence
	m.incidents[id] = i
	return copyOf(i), nil
}

// Join implements [incident.IncidentWriter].
func (m *Memory) Join(_ context.Context, id string, choose func(incident.Incident, []incident.Incident) incident.Joining) (incident.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.incidents[id]
	if !ok {
		return incident.Incident{}, fmt.Errorf("incident %s does not exist", id)
	}
	if !i.MayJoin() {
		return copyOf(i), nil
	}
	join := choose(copyOf(i), m.unsettled("", ""))
	if lead, ok := m.incidents[join.Lead]; ok && !lead.Settled && lead.Lead == "" {
		lead.TakeIn(i, join.Continues)
		m.incidents[lead.ID] = lead
		i.JoinLead(lead.ID)
	} else {
		i.KeepOwn(join.Continues)
	}
	m.incidents[id] = i
	return copyOf(i), nil
}

// Insert implements [incident.IncidentWriter].
func (m *Memory) Insert(_ context.Context, i incident.Incident) (incident.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.incidents[i.ID]; ok {
		return copyOf(old), nil
	}
	next, taken := 1, i.Seq <= 0
	for _, other := range m.incidents {
		if other.Project != i.Project || other.Kind != i.Kind {
			continue
		}
		if other.IsOpen() && i.IsOpen() {
			return i, fmt.Errorf("project %s: %w", i.Project, incident.ErrOpenIncident)
		}
		next, taken = max(next, other.Seq+1), taken || other.Seq == i.Seq
	}
	if taken {
		i.Seq = next
	}
	m.generation[i.Project] = max(m.generation[i.Project], i.Generation)
	i.Generation = 0
	if !i.FlagWritten.IsZero() && i.IsOpen() {
		m.confirmed[i.Project] = incident.Confirmation{Pause: i.ID}
	}
	stored := copyOf(i)
	stored.Evidence = i.Evidence
	m.incidents[i.ID] = stored
	return i, nil
}

// Silent implements [incident.SilentStore].
func (m *Memory) Silent(_ context.Context, project string) ([]incident.Incident, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unsettled(project, incident.Silent), nil
}

// OpenSilent implements [incident.SilentStore]. There are no results: its callers know the last one.
func (m *Memory) OpenSilent(ctx context.Context, i incident.Incident) (incident.Incident, bool, error) {
	m.mu.Lock()
	_, known := m.incidents[i.ID]
	open := slices.ContainsFunc(m.unsettled(i.Project, incident.Silent), incident.Incident.IsOpen)
	paused := m.state(i.Project).Pause().ID != ""
	m.mu.Unlock()
	switch {
	case known || !i.Rebuilt && (open || paused):
		return i, false, nil
	case open:
		i.Ended, i.EndedHow, i.Replaced = i.Opened, "has another issue that tells of the same silence", true
	}
	i, err := m.Insert(ctx, i)
	if errors.Is(err, incident.ErrOpenIncident) { // just now
		return i, false, nil
	}
	return i, err == nil, err
}

// EndSilent implements [incident.SilentStore].
func (m *Memory) EndSilent(ctx context.Context, id, how string, at time.Time) (i incident.Incident, ended bool, err error) {
	i, err = m.Change(ctx, id, func(i *incident.Incident) { ended = i.EndSilence(how, at) })
	return i, ended, err
}

// Resume implements [incident.IncidentWriter].
func (m *Memory) Resume(_ context.Context, r incident.Resumption) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.state(r.Project)
	ends := r.Pause != "" && state.Pause().ID == r.Pause
	switch {
	case state.Confirmed.Pause != r.Pause:
	case ends && r.FlagRemoved:
		m.confirmed[r.Project] = incident.Confirmation{Pause: r.Pause, Identity: incident.FlagIdentity{Kind: incident.RemovedFlag}}
	default:
		delete(m.confirmed, r.Project)
	}
	if !ends {
		return false, nil // ended already
	}
	if open := state.Open(); open != nil {
		i := m.incidents[open.ID]
		i.Ended, i.EndedHow, i.NextTry = r.At.UTC(), r.How, time.Time{}
		m.incidents[i.ID] = i
	}
	delete(m.holds, r.Project)
	m.generation[r.Project]++
	m.stops.leave(r.Project)
	return true, nil
}

// Confirm implements [incident.FlagStore].
func (m *Memory) Confirm(_ context.Context, project string, c incident.Confirmation, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Pause == "" || m.state(project).Pause().ID != c.Pause {
		return false, nil
	}
	m.confirmed[project] = c
	if i, ok := m.incidents[c.Pause]; ok {
		if i.FlagError = ""; i.FlagWritten.IsZero() {
			i.FlagWritten = at
		}
		m.incidents[i.ID] = i
	}
	return true, nil
}

// Unconfirm implements [incident.FlagStore].
func (m *Memory) Unconfirm(_ context.Context, project, pause string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.confirmed[project].Pause == pause {
		delete(m.confirmed, project)
	}
	return nil
}

// AddHold implements [incident.FlagStore].
func (m *Memory) AddHold(_ context.Context, h incident.Hold, flag incident.FlagIdentity, generation int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.state(h.Project); state.Open() != nil || state.Hold != nil && !state.Hold.Ends() {
		return false, nil
	}
	m.generation[h.Project] = max(m.generation[h.Project], generation)
	m.holds[h.Project] = h
	m.confirmed[h.Project] = incident.Confirmation{Pause: h.ID, Identity: flag}
	return true, nil
}

// Hold implements [incident.HoldStore].
func (m *Memory) Hold(_ context.Context, project string) (*incident.Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hold(project), nil
}

func (m *Memory) hold(project string) *incident.Hold {
	if h, ok := m.holds[project]; ok {
		return &h
	}
	return nil
}

// Holds implements [incident.HoldStore].
func (m *Memory) Holds(context.Context) ([]incident.Hold, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.holds), func(a, b incident.Hold) int { return cmp.Compare(a.Project, b.Project) }), nil
}

// SetHold implements [incident.HoldStore].
func (m *Memory) SetHold(_ context.Context, h incident.Hold) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.holds[h.Project]; ok {
		h = old.PausedAgain(h, m.stops.find(old.Stop) == nil)
	}
	m.holds[h.Project] = h
	return nil
}

// DropHold implements [incident.HoldStore].
func (m *Memory) DropHold(_ context.Context, project string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.holds, project)
	return nil
}

// Labels implements [incident.TrackerCache].
func (m *Memory) Labels(_ context.Context, repo tracker.Repo) (map[string]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ids := m.labels[repo]; ids != nil {
		return maps.Clone(ids), nil
	}
	return map[string]int64{}, nil
}

// SetLabels implements [incident.TrackerCache].
func (m *Memory) SetLabels(_ context.Context, repo tracker.Repo, ids map[string]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.labels[repo] = maps.Clone(ids)
	return nil
}

// Accounts implements [incident.TrackerCache].
func (m *Memory) Accounts(_ context.Context, server string) ([]tracker.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.accounts[server]), nil
}

// AddAccount implements [incident.TrackerCache].
func (m *Memory) AddAccount(_ context.Context, server string, a tracker.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(m.accounts[server]), func(b tracker.Account) bool { return b.ID == a.ID })
	m.accounts[server] = append(others, a)
	return nil
}

// LockHere implements [incident.HostLocker].
func (m *Memory) LockHere(ctx context.Context, name string, wait time.Duration) (unlock func(), err error) {
	m.mu.Lock()
	place, ok := m.locks[name]
	if !ok {
		place = make(chan struct{}, 1)
		m.locks[name] = place
	}
	m.mu.Unlock()
	unlock = func() { <-place }
	select {
	case place <- struct{}{}: // free: the wait may be 0
		return unlock, nil
	default:
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case place <- struct{}{}:
		return unlock, nil
	case <-t.C:
		return nil, fmt.Errorf("the lock %s was not free within %s", name, wait)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Claim implements [incident.Claimer].
func (m *Memory) Claim(ctx context.Context, name string, wait time.Duration) (held context.Context, release func(), err error) {
	unlock, err := m.LockHere(ctx, name, wait)
	if err != nil {
		return nil, nil, err
	}
	held, cancel := context.WithCancel(ctx)
	return held, func() { cancel(); unlock() }, nil
}
