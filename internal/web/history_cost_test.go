package web

import (
	"context"
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/yardstick"
	"github.com/terraphim/adfbot/pause"
)

// historyEnv sets how many results a long history has, for a short run. 10,000,000 take about 2 GB in $TMPDIR.
const historyEnv = "ADFBOT_BENCH_HISTORY"

// fillHistory adds results of the fleet's projects to a state that nobody uses, as exec and record would have left them over
// the years: run ids are random, one result in ten failed and has its output.
func fillHistory(b *testing.B, path string, results int) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(b, err)
	db.SetMaxOpenConns(1)
	defer db.Close()
	run := func(query string, args ...any) {
		b.Helper()
		_, err := db.Exec(query, args...)
		require.NoError(b, err, query)
	}
	indexes := map[string]string{}
	rows, err := db.Query(`SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'result'`)
	require.NoError(b, err)
	for rows.Next() {
		var name, s string
		require.NoError(b, rows.Scan(&name, &s))
		indexes[name] = s
	}
	require.NoError(b, rows.Err())
	require.NotEmpty(b, indexes)
	// A state that is being made needs no protection, and an index of random keys is made from a sorted list.
	run(`PRAGMA journal_mode = OFF`)
	run(`PRAGMA synchronous = OFF`)
	run(`PRAGMA cache_size = -200000`)
	for name := range indexes {
		run(`DROP INDEX ` + name)
	}
	const minute = 60_000
	run(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
		INSERT INTO result (project, agent, run_id, outcome, counted, exit_code, signal, detail, host, started_at, finished_at, recorded_at,
			failures, threshold, incident, tripped, output)
		SELECT 'p' || (i % 50), 'project-meta', lower(hex(randomblob(16))), iif(i / 50 % 10, 'success', 'failure'), 1, i / 50 % 10 = 0, '', '', 'host-a',
			?2 + i * 500, ?2 + i * 500 + ?3, ?2 + i * 500 + ?3, i / 50 % 10 = 0, 3, NULL, 0,
			iif(i / 50 % 10, NULL, 'project-meta: planning failed: model quota used up' || char(10))
		FROM n`, results, time.Now().UnixMilli()-500*int64(results), minute)
	for _, s := range indexes {
		run(s)
	}
}

// pastFleet is a fleet whose state has a history.
func pastFleet(b *testing.B, results int) *station {
	b.Helper()
	s := fleet(b)
	require.NoError(b, s.bot.Close())
	fillHistory(b, s.cfg.State, results)
	s.reopen()
	return s
}

func BenchmarkCostOfALongHistory(b *testing.B) {
	results := 10_000_000
	if v := os.Getenv(historyEnv); v != "" {
		var err error
		results, err = strconv.Atoi(v)
		require.NoError(b, err)
	}
	long, short := pastFleet(b, results), pastFleet(b, 1000)
	ctx := context.Background()
	for _, c := range []struct {
		what string
		do   func(*station)
	}{
		{"record", func(s *station) {
			for n := range 250 { // enough for a checkpoint
				r := store.Result{Project: fmt.Sprint("p", n%50), Agent: "project-meta", Outcome: store.Success, RunID: pause.NewRandomID()}
				if _, err := s.bot.Record(ctx, r); err != nil {
					b.Fatal(err)
				}
			}
		}},
		{"status", func(s *station) {
			if st, err := s.bot.Status(ctx, ""); err != nil || len(st.Projects) != 53 {
				b.Fatal(err)
			}
		}},
		{"the page and a project's", func(s *station) {
			for _, path := range []string{"/", "/projects/p7"} {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", path, nil)
				r.Host = "localhost"
				if s.srv.handler.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
		}},
	} {
		b.Run(c.what, func(b *testing.B) {
			took, than := yardstick.Compare(b, func() { c.do(long) }, func() { c.do(short) })
			yardstick.Row{
				What: fmt.Sprintf("%s, with a history of %d results", c.what, results), Measured: yardstick.Took(took),
				Yardstick: "with 1,000, " + yardstick.Took(than), Value: float64(took) / float64(than), Unit: "×", Goal: 1.5,
			}.Report(b)
		})
	}
}
