package postgres_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/internal/yardstick"
)

// A result is compared with a single statement that inserts or updates a row with the key of its project, over the same connections.
func BenchmarkCostOfResultsInPostgreSQL(b *testing.B) {
	yardstick.OnDisk(b, os.TempDir())
	server := testpg.New(b, "fsync=on", "full_page_writes=on")
	s := place{server.URL(), "adfbot"}.open(b)
	testpg.Exec(b, server.URL(), `CREATE TABLE adfbot.yardstick (key TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
	record := func(n, projects int) {
		r := store.Result{
			Project: fmt.Sprint("p", n%projects), Agent: "project-meta", RunID: fmt.Sprint("run-", time.Now().UnixNano(), "-", n), Outcome: store.Success,
			Host: "host-a", Started: time.Now().Add(-time.Minute), Finished: time.Now(),
		}
		if n%10 < 2 {
			r.Outcome, r.ExitCode, r.Output = store.Failure, 1, "planning failed: model quota used up\n"
		}
		_, err := s.Record(ctx, r, store.Limits{Threshold: 1 << 20, Resume: 1 << 20})
		require.NoError(b, err)
	}
	upsert := func(n, projects int) {
		err := s.Upsert(ctx, `INSERT INTO adfbot.yardstick (key, n) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = yardstick.n + 1`, fmt.Sprint("p", n%projects))
		require.NoError(b, err)
	}
	for _, c := range []struct {
		what                    string
		clients, projects, each int
		goal                    float64
	}{
		{"durable results in PostgreSQL, one at a time", 1, 2, 50, 0.4},
		{"durable results in PostgreSQL, 64 clients, one project", 64, 1, 5, 0.45},
		{"durable results in PostgreSQL, 64 clients, 1,000 projects", 64, 1000, 10, 0.35},
	} {
		b.Run(c.what, func(b *testing.B) {
			n := 0
			burst := func(do func(n, projects int)) func() {
				return func() {
					var wg sync.WaitGroup
					for range c.clients {
						from := n
						n += c.each
						wg.Go(func() {
							for k := range c.each {
								do(from+k, c.projects)
							}
						})
					}
					wg.Wait()
				}
			}
			burst(record)()
			burst(upsert)()
			took, bare := yardstick.CompareTimed(b, 15, yardstick.Timed(burst(record)), yardstick.Timed(burst(upsert)))
			rate := func(d time.Duration) float64 { return float64(c.clients*c.each) / d.Seconds() }
			yardstick.Row{
				What: c.what, Measured: fmt.Sprintf("%.0f/s", rate(took)), Yardstick: fmt.Sprintf("a bare upsert, %.0f/s", rate(bare)),
				Value: rate(took) / rate(bare), Unit: "×", Goal: c.goal, AtLeast: true,
			}.Report(b)
		})
	}
}
