package web

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/exposition"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/testpg"
)

var _ bot.Observer = (*Metrics)(nil)

// written returns the lines of a page that are the bot's.
func written(t *testing.T, p *exposition.Page) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, p.Write(&b))
	problems, err := promlint.New(strings.NewReader(b.String())).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		require.False(t, strings.HasPrefix(problem.Metric, "adfbot_"), "%s: %s", problem.Metric, problem.Text)
	}
	return b.String()
}

func TestMetricsOfHosts(t *testing.T) {
	t.Parallel()
	p := exposition.NewPage()
	putFleet(p, &status.Fleet{Shared: true, Hosts: []status.Host{
		{ID: "a", Name: "edge-1", State: status.HostHere, This: true, ClockOffset: -2500},
		{ID: "b", Name: "edge-2", State: status.HostAway, FlagsMissing: 2},
		{ID: "c", Name: "edge-2", State: status.HostHere, FlagsMissing: 1, ClockOffset: 9000},
		{ID: "d", Name: "edge-3", State: status.HostRetired, FlagsMissing: 9},
	}})
	text := written(t, p)
	for _, line := range []string{
		`adfbot_hosts{state="here"} 2`, `adfbot_hosts{state="away"} 1`, `adfbot_flags_missing{host="edge-1"} 0`, `adfbot_flags_missing{host="edge-2"} 3`,
		`adfbot_state_clock_offset_seconds -2.5`,
	} {
		require.Contains(t, text, "\n"+line+"\n")
	}
	require.NotContains(t, text, "edge-3")

	p = exposition.NewPage()
	putFleet(p, nil)
	require.Empty(t, written(t, p))
}

// Only a daemon that shares its state has metrics of that, and only one that listens tells whether it does.
func TestMetricsOfADaemonInAFleet(t *testing.T) {
	t.Parallel()
	m := NewMetrics("", "")
	scrape := func(c config.Config) string {
		p := exposition.NewPage()
		m.put(p, &c, nil)
		return written(t, p)
	}
	shared := config.Config{State: "postgres://adfbot@db/adfbot"}
	require.Contains(t, scrape(shared), "\nadfbot_listen_up 0\n")
	require.Contains(t, scrape(shared), "\nadfbot_claims_lost_total 0\n", "a rate needs a series before its first event")
	m.Listening(true)
	m.ClaimLost("issue/odilo")
	m.FlagConfirmed(700 * time.Millisecond)
	m.FlagConfirmed(-time.Second)
	text := scrape(shared)
	for _, line := range []string{
		`adfbot_listen_up 1`, `adfbot_claims_lost_total 1`, `adfbot_flag_spread_seconds_count 2`,
		`adfbot_flag_spread_seconds_bucket{le="0.5"} 1`, `adfbot_flag_spread_seconds_bucket{le="1"} 2`,
	} {
		require.Contains(t, text, "\n"+line+"\n")
	}
	shared.StateListen = config.ListenOff
	require.NotContains(t, scrape(shared), "adfbot_listen_up")
	for _, name := range []string{"listen_up", "claims_lost", "flag_spread"} {
		require.NotContains(t, scrape(config.Config{State: "/var/lib/adfbot/adfbot.db"}), "adfbot_"+name)
	}
}

// A state that cannot be read is told by a series that is always there.
func TestMetricStateUp(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.Equal(t, "1", d.series()["adfbot_state_up"])
	require.NoError(t, d.bot.Close())
	require.Equal(t, "0", d.series()["adfbot_state_up"])
}

// A project's token says nothing of hosts, and a state in a file has no others.
func TestHosts(t *testing.T) {
	t.Parallel()
	s := newStation(t).described()
	var f status.Fleet
	s.get("/api/v1/hosts", as(adminToken)).json(t, &f)
	require.False(t, f.Shared)
	require.NotNil(t, f.Hosts)
	require.Empty(t, f.Hosts)
	require.Equal(t, s.path("state/adfbot.db"), f.State)
	s.problem(s.get("/api/v1/hosts", as(odiloToken)), 403)
	require.Contains(t, s.problem(s.get("/api/v1/hosts?x=1", as(adminToken)), 400), "there is no parameter")
}

func TestHostsOfAFleet(t *testing.T) {
	t.Parallel()
	url := testpg.Database(t)
	s := newStation(t, "state: DIR/state/adfbot.db", "state: "+url+"\nlocal_dir: DIR/local").described()
	testpg.Exec(t, url, `INSERT INTO adfbot.host (id, name, seen_at, spooled, config, offset_ms) VALUES
		('00000000000000000000000000000007', 'edge-7', now() - interval '1 h', 3, 'x', 2500),
		('00000000000000000000000000000009', 'edge-9', now(), 0, '', 0)`)
	testpg.Exec(t, url, `INSERT INTO adfbot.host (id, name, retired_at) VALUES ('00000000000000000000000000000008', 'edge-8', now())`)
	for range 3 {
		s.fail()
	}
	var f status.Fleet
	s.get("/api/v1/hosts", as(adminToken)).json(t, &f)
	require.True(t, f.Shared)
	require.Len(t, f.Hosts, 4)
	require.True(t, f.Hosts[0].This, "it has never reported, as it has no daemon here")
	require.Equal(t, status.HostAway, f.Hosts[1].State)
	require.Equal(t, 1, f.Hosts[1].FlagsMissing)
	require.Equal(t, status.HostRetired, f.Hosts[3].State)
	p := s.project("odilo")
	require.Equal(t, 1, p.FlagHosts.On)
	require.Equal(t, 3, p.FlagHosts.Of)
	require.Equal(t, []string{"PAUSED on 1 of 3 hosts, not on edge-7 (away), edge-9"}, p.Warnings)
	s.spec = nil // it is of the API alone
	page := s.get("/", as(adminToken)).body
	require.Contains(t, page, "3 hosts, 1 here; edge-7 away since ")
	require.Contains(t, page, "PAUSED on 1 of 3 hosts")
	series := s.get("/metrics", as(adminToken)).body
	require.Contains(t, series, `adfbot_flags_missing{host="edge-7"} 1`)
	require.Contains(t, series, `adfbot_hosts{state="away"} 2`)
}
