package bot_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/yardstick"
)

// resultSize is about what a result takes as one line of JSON, in bytes.
const resultSize = 256

// aResult is the n-th result of a fleet: one in five fails, and none trips.
func aResult(n int) store.Result {
	at := time.Now()
	r := store.Result{
		Project: []string{"odilo", "atlas"}[n%2], Agent: "project-meta", RunID: fmt.Sprint("run-", at.UnixNano(), "-", n), Outcome: store.Success,
		Host: "host-a", Started: at.Add(-time.Minute), Finished: at,
	}
	if n%10 < 2 {
		r.Outcome, r.ExitCode, r.Output = store.Failure, 1, "planning failed: model quota used up\n"
	}
	return r
}

func BenchmarkCostOfADurableResult(b *testing.B) {
	w := newWorld(b)
	w.runs = true
	w.Logged = nil
	env := w.env()
	env.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	bt, err := bot.Open(ctx, w.cfg, bot.Daemon, env)
	require.NoError(b, err)
	defer func() { require.NoError(b, bt.Close()) }()
	ctx, cancel := context.WithCancel(ctx) // as a request or a signal has it
	defer cancel()
	n := 0
	record := func() {
		n++
		if _, err := bt.Record(ctx, aResult(n)); err != nil {
			b.Fatal(err)
		}
	}
	for range 100 {
		record()
	}
	// In the first second of the spool's directory, its time does not tell that it is empty.
	require.NoError(b, os.Chtimes(w.cfg.State+".d/spool", time.Time{}, time.Now().Add(-time.Minute)))
	took, sync := yardstick.Compare(b, record, yardstick.Append(b, w.Dir, resultSize))
	yardstick.Row{
		What: "durable result in process, one at a time", Measured: yardstick.Took(took), Yardstick: "an append and fdatasync, " + yardstick.Took(sync),
		Value: float64(took) / float64(sync), Unit: "×", Goal: 1.5,
	}.Report(b)
}

func BenchmarkStoreRecord(b *testing.B) {
	w := newWorld(b)
	st, err := sqlite.Open(ctx, w.cfg.State, sqlite.Options{})
	require.NoError(b, err)
	defer st.Close()
	n := 0
	record := func() {
		n++
		if _, err := st.Record(ctx, aResult(n), store.Limits{Threshold: 3, Resume: 3}); err != nil {
			b.Fatal(err)
		}
	}
	for range 100 {
		record()
	}
	took, sync := yardstick.Compare(b, record, yardstick.Append(b, w.Dir, resultSize))
	yardstick.Row{
		What: "store.Record", Value: float64(took) / float64(sync), Unit: "×", Goal: 1.5,
	}.Report(b)
}
