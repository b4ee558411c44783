package bot

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/issuetext"
	"github.com/terraphim/adfbot/internal/config"
)

func TestThePulseStopsWhenTheSweepsHangOrStayAway(t *testing.T) {
	t.Run("it hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPulse()
			p.Sweeping()
			time.Sleep(pulseStuck - time.Second)
			require.True(t, p.Alive(), "a sweep may take long")
			time.Sleep(2 * time.Second)
			require.False(t, p.Alive())
			p.Swept(SweepReport{}, nil, time.Minute)
			require.True(t, p.Alive(), "it went on after all")
		})
	})
	t.Run("they stay away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPulse()
			p.Sweeping()
			p.Swept(SweepReport{}, errors.New("Gitea is down"), 6*time.Hour)
			time.Sleep(6*time.Hour + pulseGrace - time.Second)
			require.True(t, p.Alive(), "the schedule wants it so, and that it failed is no reason")
			time.Sleep(2 * time.Second)
			require.False(t, p.Alive())
		})
	})
	t.Run("the first one never begins", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewPulse()
			p.Requested("list issues", 200, time.Second)
			time.Sleep(pulseGrace - time.Second)
			require.True(t, p.Alive())
			time.Sleep(2 * time.Second)
			require.False(t, p.Alive())
		})
	})
}

func TestASweepIsLateAfterTwoOfTheScheduleAndSomeMinutes(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for schedule, until := range map[string]time.Duration{
		"@every 1m":   2*time.Minute + sweepGrace,
		"@every 6h":   12*time.Hour + sweepGrace,
		"*/5 * * * *": 10*time.Minute + sweepGrace,
		"0 7 * * *":   (7+12+24)*time.Hour + sweepGrace, // tomorrow's and the day after's
	} {
		b := &Bot{cfg: &config.Config{Sweep: config.Sweep{Schedule: schedule, TimeZone: "UTC"}}}
		require.Empty(t, b.overdue(noon, noon), schedule)
		require.Empty(t, b.overdue(noon, noon.Add(until-time.Second)), schedule)
		require.Contains(t, b.overdue(noon, noon.Add(until)), schedule)
		require.Empty(t, b.overdue(noon, noon.Add(-24*time.Hour)), "a clock that was set back makes nothing late")
	}
	b := &Bot{cfg: &config.Config{Sweep: config.Sweep{Schedule: "nonsense", TimeZone: "UTC"}}}
	require.NotEmpty(t, b.overdue(noon, noon))
	require.Zero(t, b.untilNext(noon))
}

func TestWhatAFlagSaysToPeopleIsShownWithoutWhatTheBotWritesForItself(t *testing.T) {
	opened := time.Date(2026, 11, 23, 3, 48, 0, 0, time.UTC)
	i := incident.Incident{ID: strings.Repeat("ab", 16), Project: "odilo", Seq: 3, Agent: "project-meta", Failures: 3, Opened: opened}
	note := issuetext.FlagNote(i)
	info, ok := issuetext.ParseFlagNote(note)
	require.True(t, ok)
	require.Equal(t, "odilo is paused: project-meta failed 3 times in a row (2026-11-23 03:48 UTC).\n", sayings(incident.FlagView{Note: note, Info: info}))
	require.Equal(t, "moving the database\n\nback on Monday\n", sayings(incident.FlagView{Note: "moving the database\n\nback on Monday\n"}), "a person's note stays whole")
	require.Equal(t, "odilo is paused by alice (bigbox, now).\nReason: disk\n",
		sayings(incident.FlagView{Note: "odilo is paused by alice (bigbox, now).\nReason: disk\nTo resume, remove this file or run: adfbot resume odilo\n"}))
}
