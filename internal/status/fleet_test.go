package status

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

var four = time.Date(2026, 11, 23, 4, 10, 0, 0, time.UTC)

// twenty returns edge-0 to edge-19, of which edge-7 was last heard of at 04:10.
func twenty() (hosts []store.Host) {
	for n := range 20 {
		hosts = append(hosts, store.Host{ID: fmt.Sprintf("%032d", n), Name: fmt.Sprint("edge-", n), Config: "breaker=c fleet=c", Seen: four.Add(time.Hour), CanIssue: true})
	}
	hosts[7].Seen, hosts[7].Spooled = four, 3
	return hosts
}

func fleetOf(hosts []store.Host, missing ...store.MissingFlag) *fleet {
	return newFleet("postgres://db/adfbot", hosts[0].ID, "breaker=c fleet=c", time.Minute, four.Add(time.Hour+30*time.Second), hosts, missing)
}

func missing(h store.Host, project, why string) store.MissingFlag {
	return store.MissingFlag{Host: h.ID, Project: project, Error: why}
}

func TestFleetSummary(t *testing.T) {
	hosts := twenty()
	require.Equal(t, "20 hosts, 19 here; edge-7 away since 04:10 UTC, 3 results spooled there", fleetOf(hosts).Summary())

	hosts[3].Retired, hosts[3].Seen = four, four
	require.Equal(t, "19 hosts, 18 here; edge-7 away since 04:10 UTC, 3 results spooled there", fleetOf(hosts).Summary(), "a retired host is none of it")

	hosts[5].Seen = four.Add(-48 * time.Hour)
	hosts[6].Seen = time.Time{}
	require.Equal(t, "19 hosts, 16 here; edge-7 away since 04:10 UTC, 3 results spooled there; edge-5 away since 2026-11-21 04:10 UTC; edge-6 never heard of",
		fleetOf(hosts).Summary())

	for n := range hosts {
		hosts[n].Seen = four
	}
	require.Regexp(t, `^19 hosts, 0 here; edge-7 away .*; edge-4 away since 04:10 UTC; 14 more away$`, fleetOf(hosts).Summary())
	require.Equal(t, "1 host, 1 here", fleetOf(twenty()[:1]).Summary())
}

// A host is away once it was not heard of for longer than fleet.away_after, by the state's clock.
func TestHostState(t *testing.T) {
	for name, tt := range map[string]struct {
		seen, retired time.Time
		want          string
	}{
		"just heard of":          {seen: four, want: HostHere},
		"for as long as allowed": {seen: four.Add(-time.Minute), want: HostHere},
		"longer":                 {seen: four.Add(-time.Minute - time.Millisecond), want: HostAway},
		"never heard of":         {want: HostAway},
		"a clock set back":       {seen: four.Add(time.Minute), want: HostHere},
		"a clock set far back":   {seen: four.Add(time.Hour), want: HostAway}, // until its next heartbeat, if it is there
		"retired":                {seen: four, retired: four, want: HostRetired},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, hostState(store.Host{Seen: tt.seen, Retired: tt.retired}, four, time.Minute))
		})
	}
}

func TestFlagHosts(t *testing.T) {
	hosts := twenty()
	f := fleetOf(hosts, missing(hosts[7], "odilo", ""), missing(hosts[7], "twins", ""), missing(hosts[9], "twins", "no space left on device"),
		missing(hosts[12], "twins", ""), missing(hosts[0], "atlas", ""))
	text := func(project string) string {
		var p Project
		p.ID = project
		p.addFleet(f)
		return p.FlagHosts.String()
	}
	require.Equal(t, "PAUSED on 19 of 20 hosts, not on edge-7 (away)", text("odilo"))
	require.Equal(t, "PAUSED on 17 of 20 hosts, not on edge-7 (away), edge-12; not on edge-9: no space left on device", text("twins"))
	require.Equal(t, "PAUSED on 20 of 20 hosts", text("other"))
	require.Equal(t, map[string]bool{"odilo": false, "twins": false, "atlas": true}, f.lacks, "of this host")

	require.Equal(t, 2, f.Hosts[7].FlagsMissing)
	require.Equal(t, []string{"no space left on device"}, f.Hosts[9].FlagErrors)
	require.Zero(t, f.Hosts[1].FlagsMissing)

	var all []store.MissingFlag
	for n, h := range hosts {
		all = append(all, missing(h, "odilo", map[bool]string{true: "disk full"}[n%2 == 0]))
	}
	f = fleetOf(hosts, all...)
	require.Equal(t, "PAUSED on 0 of 20 hosts, not on edge-1, edge-3, edge-5, edge-7 (away), edge-9, 5 more; not on edge-0: disk full; "+
		"not on edge-2: disk full; not on edge-4: disk full; not on edge-6: disk full; not on edge-8: disk full; nor on 5 more", text("odilo"))
}

// Only what is wrong becomes a warning of the project.
func TestFlagHostsAsWarning(t *testing.T) {
	hosts := twenty()
	f := fleetOf(hosts, missing(hosts[7], "odilo", ""))
	odilo, twins := Project{ID: "odilo"}, Project{ID: "twins"}
	odilo.addFleet(f)
	twins.addFleet(f)
	require.Equal(t, []string{"PAUSED on 19 of 20 hosts, not on edge-7 (away)"}, odilo.Warnings)
	require.Empty(t, twins.Warnings)
	require.Equal(t, &FlagHosts{On: 20, Of: 20, Missing: []MissingFlag{}}, twins.FlagHosts)
	alone := Project{ID: "odilo"}
	alone.addFleet(nil)
	require.Nil(t, alone.FlagHosts)
}

// What one host has written says nothing about the flag on this one.
func TestFlagWrittenHere(t *testing.T) {
	hosts := twenty()
	i := incident.Incident{ID: "i", Project: "odilo", Opened: four, FlagWritten: four}
	for name, tt := range map[string]struct {
		fleet *fleet
		want  string
	}{
		"not confirmed here": {fleetOf(hosts, missing(hosts[0], "odilo", "")), "its pause flag is not written: exec refuses"},
		"confirmed here":     {fleetOf(hosts, missing(hosts[1], "odilo", "")), "its flag was removed"},
		"no fleet":           {nil, "its flag was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Project{ID: "odilo", Paused: No}
			p.addIncident(i, tt.fleet.written(i), false)
			require.Len(t, p.Warnings, 1)
			require.Contains(t, p.Warnings[0], tt.want)
		})
	}
}

func TestHostRemarks(t *testing.T) {
	hosts := twenty()
	remarks := func(change func(h *store.Host)) []string {
		h := hosts[4]
		change(&h)
		all := append([]store.Host{hosts[0]}, h)
		return fleetOf(all).Hosts[1].Remarks()
	}
	require.Empty(t, remarks(func(*store.Host) {}))
	require.Empty(t, remarks(func(h *store.Host) { h.Offset = 1999 * time.Millisecond }))
	require.Equal(t, []string{"its clock is 2s ahead"}, remarks(func(h *store.Host) { h.Offset = 2 * time.Second }))
	require.Equal(t, []string{"its clock is 1m 5s behind"}, remarks(func(h *store.Host) { h.Offset = -65 * time.Second }))
	require.Equal(t, []string{"its configuration differs from that of this host: fleet"}, remarks(func(h *store.Host) { h.Config = "breaker=c fleet=d" }))
	require.Empty(t, remarks(func(h *store.Host) { h.Config = "" }), "it has not reported any")
	require.Equal(t, []string{"its pause directory: stale file handle"}, remarks(func(h *store.Host) { h.DirError = "stale file handle" }))
	twice := []string{IDSharedText}
	require.Equal(t, twice, remarks(func(h *store.Host) { h.IDShared = four.Add(time.Hour) }))
	require.Empty(t, remarks(func(h *store.Host) { h.IDShared = four }), "that is over")
	require.Empty(t, remarks(func(h *store.Host) {
		h.DirError, h.Config, h.Retired, h.IDShared = "x", "fleet=d", four, four.Add(time.Hour)
	}))
}

// Two hosts may have one name, and none.
func TestHostLabels(t *testing.T) {
	hosts := twenty()[:4]
	hosts[2].Name, hosts[3].Name = hosts[1].Name, ""
	hosts[2].ID = "abcdef0123456789"
	f := fleetOf(hosts, missing(hosts[1], "odilo", ""), missing(hosts[2], "odilo", ""))
	require.Equal(t, "edge-0", f.Label(f.Hosts[0]))
	require.Equal(t, "00000000", f.Label(f.Hosts[3]))
	p := Project{ID: "odilo"}
	p.addFleet(f)
	require.Equal(t, "PAUSED on 2 of 4 hosts, not on edge-1 (00000000), edge-1 (abcdef01)", p.FlagHosts.String())
	require.Equal(t, []string{NameSharedText}, f.Hosts[1].Remarks())
	require.Empty(t, f.Hosts[0].Remarks())
	hosts[2].Seen = hosts[2].Seen.Add(-time.Hour)
	require.Empty(t, fleetOf(hosts).Hosts[1].Remarks(), "it was wiped and has joined again")
	hosts[2].Retired = four
	f = fleetOf(hosts)
	require.Equal(t, "edge-1", f.Label(f.Hosts[1]))
}

// Other hosts report what they please.
func TestHostTextIsCleaned(t *testing.T) {
	hosts := twenty()[:2]
	hosts[1].Name, hosts[1].Version, hosts[1].DirError = "a\x1b[31m\nb", "v\n1", "x\ny"
	f := fleetOf(hosts, missing(hosts[1], "odilo", "no\nspace"))
	text, err := json.Marshal(f.Hosts[1])
	require.NoError(t, err)
	require.NotContains(t, string(text), `\n`)
	require.NotContains(t, string(text), `\u001b`)
}

func TestFleetJSON(t *testing.T) {
	hosts := twenty()[6:8]
	text, err := json.Marshal(fleetOf(hosts, missing(hosts[1], "odilo", "")).Hosts[1])
	require.NoError(t, err)
	require.JSONEq(t, `{"id": "00000000000000000000000000000007", "name": "edge-7", "state": "away", "this": false, "version": "", "seen": "2026-11-23T04:10:00Z",
		"away_since": "2026-11-23T04:10:00Z", "retired": null, "spooled": 3, "dir_error": "", "can_issue": true, "clock_offset_ms": 0, "config": "breaker=c fleet=c",
		"config_differs": false, "config_keys": [], "id_shared": false, "name_shared": false, "flags_missing": 1, "flag_errors": []}`, string(text))
}

func TestFindHost(t *testing.T) {
	hosts := twenty()
	hosts[3].Name, hosts[4].Name = "edge-2", "unlike"
	hosts[3].ID, hosts[8].ID = "abcdef0123456789", "abcdef01ffffffff"
	hosts = append(hosts, store.Host{ID: "gone", Name: "old", Retired: four}, store.Host{ID: "came back", Name: "edge-5", Retired: four})
	f := fleetOf(hosts)
	for name, want := range map[string]string{
		"edge-7": hosts[7].ID, hosts[7].ID: hosts[7].ID, "abcdef012": hosts[3].ID, "abcdef0123456789": hosts[3].ID,
		"edge-5": hosts[5].ID, // not the one that was retired
		"old":    "gone",
	} {
		h, err := f.Find(name)
		require.NoError(t, err, name)
		require.Equal(t, want, h.ID, name)
	}
	for name, want := range map[string]string{
		"edge-2":    `2 hosts are called edge-2: give the id, which is one of 00000000000000000000000000000002, abcdef0123456789`,
		"abcdef01":  `2 hosts are called abcdef01: give the id, which is one of abcdef0123456789, abcdef01ffffffff`,
		"unlik":     `unknown host "unlik": the nearest names are unlike`,
		"abcdef":    `unknown host "abcdef": there are 20 hosts, none with a similar name; see adfbot hosts`,
		"":          `unknown host "": there are 20 hosts, none with a similar name; see adfbot hosts`,
		"gone-away": `unknown host "gone-away": there are 20 hosts, none with a similar name; see adfbot hosts`,
	} {
		_, err := f.Find(name)
		require.EqualError(t, err, want, name)
	}
	_, err := fleetOf(twenty()[:2]).Find("x")
	require.EqualError(t, err, `unknown host "x": the hosts are edge-0, edge-1`)
}

func TestFleetProblems(t *testing.T) {
	hosts := twenty()[:3]
	hosts[0].DirError, hosts[1].DirError = "shown from its own directory", "read-only"
	hosts[0].IDShared = four.Add(time.Hour)
	require.Equal(t, []string{"edge-0: " + IDSharedText, "the pause directory of edge-1: read-only"}, fleetOf(hosts).problems())
}
