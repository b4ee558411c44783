package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/internal/yardstick"
	"github.com/terraphim/adfbot/pause"
)

// besideEvery is how often the process beside the daemon records: far more often than a cron does.
const besideEvery = 50 * time.Millisecond

func TestMain(m *testing.M) { testpg.Main(m, testhost.Funcs{"beside": recordBeside}) }

// recordBeside records as `adfbot record` does, once for each line that it reads, and prints how many nanoseconds it took. Its
// argument is the configuration.
func recordBeside(testhost.Self) int {
	ctx := context.Background()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		begun := time.Now()
		cfg, err := config.Load(os.Args[1])
		if err != nil {
			panic(err)
		}
		b, err := bot.Open(ctx, cfg, bot.Results, bot.Env{})
		if err != nil {
			panic(err)
		}
		_, err = b.Record(ctx, store.Result{Project: "quiet", Agent: "project-meta", Outcome: store.Success, RunID: pause.NewRandomID()})
		if err := errors.Join(err, b.Close()); err != nil {
			panic(err)
		}
		fmt.Println(time.Since(begun).Nanoseconds())
	}
	return 0
}

// beside is such a process.
type beside struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func newBeside(b *testing.B, file string) *beside {
	b.Helper()
	child := testhost.Command(b, "beside", file)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	require.NoError(b, err)
	out, err := child.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, child.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, child.Wait())
	})
	return &beside{in, bufio.NewScanner(out)}
}

// record has it record once.
func (p *beside) record() (took time.Duration, err error) {
	if _, err := fmt.Fprintln(p.in); err != nil {
		return 0, err
	}
	if !p.out.Scan() {
		return 0, fmt.Errorf("the process beside has ended: %w", p.out.Err())
	}
	_, err = fmt.Sscan(p.out.Text(), &took)
	return took, err
}

// reporter is a client on a connection of its own. It does no more than it must: the machine's cores are the server's too.
type reporter struct {
	conn net.Conn
	in   *bufio.Reader
	id   int
	n    int
}

func (c *reporter) report() error {
	c.n++
	exit := 0
	if c.n%10 == 1 {
		exit = 1
	}
	_, err := c.post(fmt.Sprintf(`{"project":"p%d","exit_code":%d,"run_id":"%d-%d","host":"host-a","started_at":"2026-11-23T07:00:00Z","output":"planning failed\n"}`,
		c.id%50, exit, c.id, c.n))
	return err
}

// post reports a result that is not known yet.
func (c *reporter) post(body string) (v status.ResultView, err error) {
	if _, err := fmt.Fprintf(c.conn, "POST /api/v1/results HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		adminToken, len(body), body); err != nil {
		return v, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return v, err
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v); err != nil || res.StatusCode != http.StatusOK || v.Known {
		return v, fmt.Errorf("%s: %s: %w", res.Status, text, err)
	}
	return v, nil
}

// fleet is a station with fifty projects more, whose bot and server log as the daemon's do.
func fleet(b *testing.B) *station {
	b.Helper()
	var more strings.Builder
	for n := range 50 {
		fmt.Fprintf(&more, "  - id: p%d\n", n)
	}
	s := newStation(b, "  - id: quiet\n", "  - id: quiet\n"+more.String())
	s.reopen()
	return s
}

// reopen begins anew with the state as it is.
func (s *station) reopen() {
	s.Helper()
	s.reopenOver(roundTrip(s.askGitea))
}

// reopenOver is reopen with another way to Gitea; nil is the real network.
func (s *station) reopenOver(network http.RoundTripper) {
	s.Helper()
	_ = s.bot.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(s, err)
	s.Cleanup(func() { _ = null.Close() })
	log := slog.New(slog.NewTextHandler(null, nil))
	b, err := bot.Open(context.Background(), s.cfg, bot.Daemon, bot.Env{Getenv: s.getenv, Transport: network, Log: log})
	require.NoError(s, err)
	s.Cleanup(func() { _ = b.Close() })
	s.bot = b
	s.srv, err = New(Options{Config: s.cfg, Bot: b, Log: log, Now: time.Now, Getenv: s.getenv})
	require.NoError(s, err)
}

func BenchmarkCostOfResultsOverHTTP(b *testing.B) {
	const clients, each, appends = 64, 50, 1500
	s := fleet(b)
	v := s.serve()
	defer func() { require.NoError(b, v.stopped(b)) }()
	addr := s.addr()
	var all []*reporter
	for id := range clients {
		conn, err := net.Dial("tcp", addr)
		require.NoError(b, err)
		defer conn.Close()
		all = append(all, &reporter{conn: conn, in: bufio.NewReader(conn), id: id})
	}
	other := newBeside(b, s.path("config.yaml"))
	var longest atomic.Int64
	beside := 0
	burst := func() {
		var wg sync.WaitGroup
		over := make(chan struct{})
		for _, c := range all {
			wg.Go(func() {
				for range each {
					if err := c.report(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		var bystander sync.WaitGroup
		bystander.Go(func() {
			now := time.NewTicker(besideEvery)
			defer now.Stop()
			for {
				select {
				case <-over:
					return
				case <-now.C:
				}
				took, err := other.record()
				if err != nil {
					b.Error(err)
					return
				}
				beside++
				longest.Store(max(longest.Load(), took.Nanoseconds()))
			}
		})
		wg.Wait()
		close(over)
		bystander.Wait()
	}
	one := yardstick.Append(b, s.dir, 256)
	took, serial := yardstick.CompareTimed(b, 45, yardstick.Timed(burst), yardstick.Timed(func() {
		for range appends {
			one()
		}
	}))
	results, syncs := clients*each/took.Seconds(), appends/serial.Seconds()
	yardstick.Row{
		What: "durable results over HTTP, 64 clients at once", Measured: fmt.Sprintf("%.0f/s", results),
		Yardstick: fmt.Sprintf("an append and fdatasync after the other, %.0f/s", syncs), Value: results / syncs, Unit: "×", Goal: 1.5, AtLeast: true,
	}.Report(b)
	yardstick.Row{
		What: "the longest that another process needs to record beside them", Measured: fmt.Sprintf("%s (of %d)", yardstick.Took(time.Duration(longest.Load())), beside),
		Yardstick: "–", Value: time.Duration(longest.Load()).Seconds(), Unit: "s", Goal: 0.2,
	}.Report(b)
}
