package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

// FleetReader is the part of a state that several hosts share which tells of them.
type FleetReader interface {
	Hosts(ctx context.Context) ([]store.Host, error)
	MissingFlags(ctx context.Context) ([]store.MissingFlag, error)
}

// Fleet is the hosts that share a state: `adfbot hosts --json`.
type Fleet struct {
	State  string    `json:"state"`
	Shared bool      `json:"shared"` // false: the state is a file, which belongs to this host alone
	At     time.Time `json:"at"`     // by the state's clock
	Hosts  []Host    `json:"hosts"`  // by name, the retired ones last
}

// Host is a host of a fleet.
type Host struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"` // for people, else the beginning of the id; two hosts may have the same
	State         string     `json:"state"`
	This          bool       `json:"this"` // the host that shows this
	Version       string     `json:"version"`
	Seen          *time.Time `json:"seen"`       // its last heartbeat; null: it never had one
	AwaySince     *time.Time `json:"away_since"` // the same time if it is away, else null; at most now
	Retired       *time.Time `json:"retired"`    // null: it is not
	Spooled       int        `json:"spooled"`    // results that wait there
	DirError      string     `json:"dir_error"`  // what is wrong with its pause directory
	CanIssue      bool       `json:"can_issue"`  // it can read the token of Gitea, which took it the last time
	ClockOffset   int64      `json:"clock_offset_ms"`
	Config        string     `json:"config"` // a hash
	ConfigDiffers bool       `json:"config_differs"`
	ConfigKeys    []string   `json:"config_keys"`   // that differ from those of the host that shows this
	IDShared      bool       `json:"id_shared"`     // another machine reports under the same id
	NameShared    bool       `json:"name_shared"`   // another host that is here has the same name
	FlagsMissing  int        `json:"flags_missing"` // flags of paused projects that it has not confirmed
	FlagErrors    []string   `json:"flag_errors"`   // why it could not write them, each once
}

// States of a [Host].
const (
	HostHere    = "here"
	HostAway    = "away" // not heard of for fleet.away_after, or never
	HostRetired = "retired"
)

// hostState returns the state of a host at a time by the state's clock.
func hostState(h store.Host, now time.Time, awayAfter time.Duration) string {
	switch {
	case !h.Retired.IsZero():
		return HostRetired
	case h.Seen.IsZero(), now.Sub(h.Seen).Abs() > awayAfter: // a heartbeat of the future comes from before the clock was set back
		return HostAway
	}
	return HostHere
}

// Label returns the name of a host with, if another one has the same name, the beginning of its id.
func (f Fleet) Label(h Host) string {
	for _, other := range f.Hosts {
		if other.ID != h.ID && other.Name == h.Name && other.State != HostRetired {
			return h.Name + " (" + shortID(h.ID) + ")"
		}
	}
	return h.Name
}

func shortID(id string) string { return id[:min(len(id), minIDPrefix)] }

// In returns the hosts that are in one of the states.
func (f Fleet) In(states ...string) []Host {
	return slices.DeleteFunc(slices.Clone(f.Hosts), func(h Host) bool { return !slices.Contains(states, h.State) })
}

// minIDPrefix is how much of an id names a host.
const minIDPrefix = 8

// Find returns the host that a person means by a name, an id, or the beginning of an id. Of hosts that are retired it finds one only if
// no other is meant.
func (f Fleet) Find(name string) (Host, error) {
	means := func(h Host) bool {
		return name != "" && (h.Name == name || h.ID == name || len(name) >= minIDPrefix && strings.HasPrefix(h.ID, name))
	}
	live := f.In(HostHere, HostAway)
	found := slices.DeleteFunc(slices.Clone(live), func(h Host) bool { return !means(h) })
	if n := slices.IndexFunc(found, func(h Host) bool { return h.ID == name }); n >= 0 {
		return found[n], nil
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if gone := slices.DeleteFunc(f.In(HostRetired), func(h Host) bool { return !means(h) }); len(gone) > 0 {
			return gone[len(gone)-1], nil
		}
		e := &UnknownHostError{Name: name}
		for _, h := range live {
			e.Known = append(e.Known, h.Name)
		}
		return Host{}, e
	}
	e := &AmbiguousHostError{Name: name}
	for _, h := range found {
		e.IDs = append(e.IDs, h.ID)
	}
	return Host{}, e
}

// UnknownHostError means that no host has a name or id.
type UnknownHostError struct {
	Name  string
	Known []string // names
}

func (e *UnknownHostError) Error() string {
	near := (&config.UnknownProjectError{ID: e.Name, Known: e.Known}).Nearest()
	switch {
	case len(e.Known) == 0:
		return fmt.Sprintf("unknown host %q: no host has reported yet", e.Name)
	case len(near) == 0:
		return fmt.Sprintf("unknown host %q: there are %s, none with a similar name; see adfbot hosts", e.Name, text.Plural(len(e.Known), "host"))
	case len(near) == len(e.Known):
		return fmt.Sprintf("unknown host %q: the hosts are %s", e.Name, strings.Join(near, ", "))
	}
	return fmt.Sprintf("unknown host %q: the nearest names are %s", e.Name, strings.Join(near, ", "))
}

// AmbiguousHostError means that several hosts have a name.
type AmbiguousHostError struct {
	Name string
	IDs  []string
}

func (e *AmbiguousHostError) Error() string {
	return fmt.Sprintf("%d hosts are called %s: give the id, which is one of %s", len(e.IDs), e.Name, strings.Join(e.IDs, ", "))
}

// maxNamed is how many names a line has.
const maxNamed = 5

// Summary returns how many hosts there are, and which are away, e.g. "20 hosts, 19 here; edge-7 away since 04:10 UTC, 3 results spooled there".
func (f Fleet) Summary() string {
	away := f.In(HostAway)
	here := len(f.In(HostHere))
	parts := []string{fmt.Sprintf("%s, %d here", text.Plural(here+len(away), "host"), here)}
	// Those with results first.
	slices.SortStableFunc(away, func(a, b Host) int { return cmp.Compare(b.Spooled, a.Spooled) })
	for _, h := range away[:min(len(away), maxNamed)] {
		part := f.Label(h) + " " + h.StateText(f.At)
		if h.Spooled > 0 {
			part += ", " + text.Plural(h.Spooled, "result") + " spooled there"
		}
		parts = append(parts, part)
	}
	if more := len(away) - maxNamed; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more away", more))
	}
	return strings.Join(parts, "; ")
}

// StateText returns the state of a host, and since when it is away.
func (h Host) StateText(now time.Time) string {
	switch {
	case h.State == HostRetired && h.Retired != nil:
		return "retired " + clockTime(*h.Retired, now)
	case h.State == HostAway && h.AwaySince == nil:
		return "never heard of"
	case h.State == HostAway:
		return "away since " + clockTime(*h.AwaySince, now)
	}
	return h.State
}

// clockTime returns a time as the time of day, with the date if that was earlier than today and more than 12 hours ago.
func clockTime(t, now time.Time) string {
	if now.Sub(t) < 12*time.Hour || t.UTC().Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return t.UTC().Format("15:04 UTC")
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// leastOffset is from which offset on a clock is shown as wrong.
const leastOffset = 2 * time.Second

// IDSharedText says what is wrong with a host if another machine reports under its id.
const IDSharedText = "another machine uses the same id, as after a copy of the disk with /etc/machine-id, so flags that are removed may be written again: " +
	"on the copy, stop adfbot, remove /etc/machine-id and /var/lib/dbus/machine-id, from which systemd would take the same id, " +
	"run systemd-machine-id-setup, and start adfbot"

// NameSharedText says what is wrong with hosts that have one name.
const NameSharedText = "another host that is here has the same name: give each of them one of its own with fleet.host, " +
	"or retire, by its id, the one that is gone for good"

// Remarks returns what is wrong with a host that is not retired.
func (h Host) Remarks() (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if h.State == HostRetired {
		return nil
	}
	if h.IDShared {
		add("%s", IDSharedText)
	}
	if h.NameShared {
		add("%s", NameSharedText)
	}
	if h.DirError != "" {
		add("its pause directory: %s", h.DirError)
	}
	for _, e := range h.FlagErrors {
		add("a flag is not written there: %s", e)
	}
	if h.ConfigDiffers {
		add("its configuration differs from that of this host: %s", strings.Join(h.ConfigKeys, ", "))
	}
	switch offset := time.Duration(h.ClockOffset) * time.Millisecond; {
	case offset >= leastOffset:
		add("its clock is %s ahead", text.Duration(offset))
	case offset <= -leastOffset:
		add("its clock is %s behind", text.Duration(-offset))
	}
	return out
}

// FlagHosts says on how many hosts of a fleet a paused project has its flag.
type FlagHosts struct {
	On      int           `json:"on"`
	Of      int           `json:"of"`
	Missing []MissingFlag `json:"missing"`
}

// MissingFlag is a host that has not confirmed the flag of a paused project.
type MissingFlag struct {
	Host  string `json:"host"` // its name
	ID    string `json:"id"`
	Away  bool   `json:"away"`
	Error string `json:"error,omitempty"` // why it could not write the flag

	label string
}

// String returns e.g. "PAUSED on 18 of 20 hosts, not on edge-7 (away); not on edge-9: disk full".
func (f FlagHosts) String() string {
	out := fmt.Sprintf("PAUSED on %d of %s", f.On, text.Plural(f.Of, "host"))
	var names, failed []string
	for _, m := range f.Missing {
		switch {
		case m.Away:
			names = append(names, m.label+" (away)")
		case m.Error != "":
			failed = append(failed, "not on "+m.label+": "+m.Error)
		default:
			names = append(names, m.label)
		}
	}
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("%d more", more))
	}
	if more := len(failed) - maxNamed; more > 0 {
		failed = append(failed[:maxNamed], fmt.Sprintf("nor on %d more", more))
	}
	if len(names) > 0 {
		failed = append([]string{"not on " + strings.Join(names, ", ")}, failed...)
	}
	if len(failed) > 0 {
		out += ", " + strings.Join(failed, "; ")
	}
	return out
}

// Fleet returns the hosts that share the state.
func (r *Reader) Fleet(ctx context.Context) (Fleet, error) {
	f, err := r.fleet(ctx)
	if f != nil {
		return f.Fleet, err
	}
	return Fleet{State: r.from.State.Path(), At: r.from.Now().UTC(), Hosts: []Host{}}, err
}

// fleet is a [Fleet] with the flags that its hosts lack, by project.
type fleet struct {
	Fleet
	of      int // hosts that are not retired
	missing map[string][]MissingFlag
	lacks   map[string]bool // projects whose flag this host has not confirmed
}

// fleet makes two queries, however many projects and hosts there are. It returns nil if the state has no other host.
func (r *Reader) fleet(ctx context.Context) (*fleet, error) {
	if r.from.Fleet == nil {
		return nil, nil
	}
	hosts, err := r.from.Fleet.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	missing, err := r.from.Fleet.MissingFlags(ctx)
	if err != nil {
		return nil, err
	}
	return newFleet(r.from.State.Path(), r.from.Host, r.from.Config.SharedHash(), r.from.Config.Fleet.AwayAfter, r.from.Now().UTC(), hosts, missing), nil
}

// newFleet joins what the state knows of hosts and flags, as the host with the id this, whose configuration has the hash, shows it.
func newFleet(state, this, hash string, awayAfter time.Duration, now time.Time, hosts []store.Host, missing []store.MissingFlag) *fleet {
	f := &fleet{Fleet: Fleet{State: state, Shared: true, At: now, Hosts: []Host{}}, missing: map[string][]MissingFlag{}, lacks: map[string]bool{}}
	place := map[string]int{}
	for n, h := range hosts {
		place[h.ID] = n
		f.Hosts = append(f.Hosts, newHost(h, this, hash, awayAfter, now))
	}
	for n, h := range f.Hosts {
		f.Hosts[n].NameShared = h.State == HostHere && slices.ContainsFunc(f.In(HostHere), func(o Host) bool { return o.ID != h.ID && o.Name == h.Name })
	}
	f.of = len(f.In(HostHere, HostAway))
	labels := map[string]string{}
	for _, m := range missing {
		n, known := place[m.Host]
		if !known {
			continue // it joined between the two queries
		}
		h := &f.Hosts[n]
		if labels[h.ID] == "" {
			labels[h.ID] = f.Label(*h)
		}
		why := ""
		if m.Error != "" {
			why = redact.Line(m.Error, 300)
		}
		h.FlagsMissing++
		if why != "" && !slices.Contains(h.FlagErrors, why) && len(h.FlagErrors) < maxNamed {
			h.FlagErrors = append(h.FlagErrors, why)
		}
		f.missing[m.Project] = append(f.missing[m.Project], MissingFlag{Host: h.Name, ID: h.ID, Away: h.State == HostAway, Error: why, label: labels[h.ID]})
		f.lacks[m.Project] = f.lacks[m.Project] || h.This
	}
	return f
}

func newHost(h store.Host, this, hash string, awayAfter time.Duration, now time.Time) Host {
	v := Host{
		ID: h.ID, Name: cmp.Or(redact.Line(h.Name, 100), shortID(h.ID)), State: hostState(h, now, awayAfter), This: h.ID == this, Version: redact.Line(h.Version, 100),
		Seen: known(h.Seen), Retired: known(h.Retired), Spooled: h.Spooled, DirError: redact.Line(h.DirError, 500), CanIssue: h.CanIssue,
		ClockOffset: h.Offset.Milliseconds(), Config: h.Config, ConfigKeys: []string{}, FlagErrors: []string{},
	}
	if v.State != HostRetired {
		v.ConfigKeys = append(v.ConfigKeys, config.SharedDiffers(hash, h.Config)...)
	}
	v.ConfigDiffers = len(v.ConfigKeys) > 0
	v.IDShared = v.State == HostHere && now.Sub(h.IDShared) <= awayAfter
	if v.State == HostAway {
		v.AwaySince = v.Seen
		if h.Seen.After(now) { // by a clock that was set back
			v.AwaySince = &now
		}
	}
	return v
}

// known returns nil for the zero time.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// written reports whether the flag of an open incident was written on this host.
func (f *fleet) written(i incident.Incident) bool {
	if f == nil {
		return !i.FlagWritten.IsZero()
	}
	return !f.lacks[i.Project]
}

// addFleet adds where a paused project has its flag.
func (p *Project) addFleet(f *fleet) {
	if f == nil {
		return
	}
	missing := append([]MissingFlag{}, f.missing[p.ID]...)
	p.FlagHosts = &FlagHosts{On: max(f.of-len(missing), 0), Of: f.of, Missing: missing}
	if len(missing) > 0 {
		p.Warnings = append(p.Warnings, p.FlagHosts.String())
	}
}

// problems returns what is wrong with the ids of hosts, and with the pause directories of other ones. This one looks at its own.
func (f *fleet) problems() (out []string) {
	if f == nil {
		return nil
	}
	for _, h := range f.In(HostHere) {
		if h.IDShared {
			out = append(out, f.Label(h)+": "+IDSharedText)
		}
		if h.DirError != "" && !h.This {
			out = append(out, "the pause directory of "+f.Label(h)+": "+h.DirError)
		}
	}
	return out
}
