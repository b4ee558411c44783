package escalate

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
)

// memoryStops are the stops of a [Memory].
type memoryStops struct {
	list    []incident.Stop
	covered map[string]map[string]bool // by stop and project, whether somebody has resumed the project since
}

// leave has the stops that have covered a project pause it no more.
func (m *memoryStops) leave(project string) {
	for _, projects := range m.covered {
		if _, ok := projects[project]; ok {
			projects[project] = true
		}
	}
}

func (m *memoryStops) find(id string) *incident.Stop {
	for n := range m.list {
		if m.list[n].ID == id {
			return &m.list[n]
		}
	}
	return nil
}

// Stops implements [incident.StopStore].
func (m *Memory) Stops(context.Context) ([]incident.Stop, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var last time.Time
	for _, s := range m.stops.list {
		if s.Ended.After(last) {
			last = s.Ended
		}
	}
	return slices.DeleteFunc(slices.Clone(m.stops.list), func(s incident.Stop) bool { return !s.Ended.IsZero() && !s.Ended.Equal(last) }), nil
}

// AddStop implements [incident.StopStore].
func (m *Memory) AddStop(_ context.Context, s incident.Stop) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stops.find(s.ID) == nil {
		m.stops.list = append(m.stops.list, s)
		m.stops.covered[s.ID] = map[string]bool{}
	}
	return nil
}

// Covered implements [incident.StopStore].
func (m *Memory) Covered(_ context.Context, stop string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.stops.covered[stop])), nil
}

// Cover implements [incident.StopStore].
func (m *Memory) Cover(_ context.Context, stop string, projects []string, hold func(string) incident.Hold) (held []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.stops.find(stop); s == nil || !s.Ended.IsZero() {
		return nil, nil
	}
	covered := m.stops.covered[stop]
	for _, project := range slices.Compact(slices.Sorted(slices.Values(projects))) {
		if _, before := covered[project]; before {
			continue
		}
		covered[project] = false
		if m.state(project).Pause().ID == "" {
			m.holds[project] = hold(project)
			held = append(held, project)
		}
	}
	return held, nil
}

// EndStop implements [incident.StopStore].
func (m *Memory) EndStop(_ context.Context, id, how string, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stops.find(id)
	if id != "" {
		if s == nil || !s.Ended.IsZero() {
			return false, nil
		}
		s.Ended, s.EndedHow = at.UTC(), how
		delete(m.stops.covered, id)
	}
	for project, h := range m.holds {
		if h.Stop != "" && (h.Stop == id || id == "" && m.stops.find(h.Stop) == nil) {
			h.Until = incident.AtOnce
			m.holds[project] = h
		}
	}
	return s != nil, nil
}

// EndHold implements [incident.StopStore].
func (m *Memory) EndHold(_ context.Context, r incident.Resumption, next func([]incident.Stop) *incident.Hold) (incident.HoldEnd, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.state(r.Project)
	if state.Hold == nil || state.Hold.ID != r.Pause {
		return incident.HoldNotEnded, nil
	}
	delete(m.holds, r.Project)
	if state.Open() != nil {
		return incident.HoldDropped, nil
	}
	if h := next(m.stopsOver(r.Project, r.At)); h != nil {
		m.holds[r.Project] = *h
		m.stops.covered[h.Stop][r.Project] = false
		return incident.HoldPassedOn, nil
	}
	m.generation[r.Project]++
	return incident.HoldResumed, nil
}

// stopsOver returns the stops in force that may pause a project.
func (m *Memory) stopsOver(project string, now time.Time) []incident.Stop {
	return slices.DeleteFunc(slices.Clone(m.stops.list), func(s incident.Stop) bool { return s.Over(now) || m.stops.covered[s.ID][project] })
}
