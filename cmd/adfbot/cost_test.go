package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlite"
	"github.com/terraphim/adfbot/internal/yardstick"
	"github.com/terraphim/adfbot/pause"
)

// What a start of the program costs, as cron and systemd pay for it: the real command, built as the topic install says, from exec
// to exit. Most of it is the price of what is linked, so only the comparison with an earlier release has a goal.

// beforeVar names the program of an earlier release, which must not be faster than this one by more than a tenth.
const beforeVar = "ADFBOT_BENCH_BEFORE"

// copied copies a program. What the linker and cp write lies in the page cache in pages of other sizes, which alone is worth a sixth of a
// start, so programs that are compared are copied alike.
func copied(b *testing.B, program string) string {
	b.Helper()
	data, err := os.ReadFile(program)
	require.NoError(b, err)
	path := filepath.Join(b.TempDir(), filepath.Base(program))
	require.NoError(b, os.WriteFile(path, data, 0o700))
	return path
}

// goBuild makes a program of the package in dir, static as that topic recommends for copying to other machines.
func goBuild(b *testing.B, dir, name string) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), name)
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
	return copied(b, program)
}

// oneLine builds the yardstick: a program that prints one line.
func oneLine(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module hello\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n",
	} {
		require.NoError(b, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return goBuild(b, dir, "hello")
}

// projectsOf writes a configuration with that many projects, and returns its path. more is added to it.
func projectsOf(b *testing.B, dir, giteaURL string, n int, more string) string {
	b.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "pause_dir: %[1]s/pause\nstate: %[1]s/state/adfbot.db\ngitea:\n  url: %[2]s\n  token_file: %[1]s/token\n  owner: terraphim\n  repo: adf-fleet\n%[3]sprojects:\n",
		dir, giteaURL, more)
	for i := range n {
		fmt.Fprintf(&s, "  - id: project-%d\n", i)
	}
	file := filepath.Join(dir, "config.yaml")
	require.NoError(b, os.WriteFile(file, []byte(s.String()), 0o600))
	require.NoError(b, os.WriteFile(filepath.Join(dir, "token"), []byte(botToken+"\n"), 0o600))
	return file
}

// startCost compares a command, on an installation with fifty projects, with the yardstick.
func startCost(b *testing.B, what string, args ...string) {
	b.Helper()
	dir := b.TempDir()
	config := projectsOf(b, dir, "http://127.0.0.1:9", 50, "") // nobody is there, and nobody is asked
	adfbot, hello := goBuild(b, ".", "adfbot"), oneLine(b)
	runProgram(b, adfbot, config, "record", "--project", "project-7", "--success") // makes state and pause directory
	b.Run("now", func(b *testing.B) {                                              // a benchmark has one loop
		s, y := yardstick.Compare(b, func() { runProgram(b, adfbot, config, args...) }, func() { runProgram(b, hello, config) })
		yardstick.Row{
			What: what, Measured: yardstick.Took(s), Yardstick: "a Go program that prints one line: " + yardstick.Took(y),
			Value: float64(s) / float64(y), Unit: "×", NoGoal: true,
		}.Report(b)
	})
	before := os.Getenv(beforeVar)
	if before == "" {
		return
	}
	before = copied(b, before)
	b.Run("before", func(b *testing.B) {
		itsConfig := projectsOf(b, b.TempDir(), "http://127.0.0.1:9", 50, "") // it may not know the state of a newer program
		runProgram(b, before, itsConfig, "record", "--project", "project-7", "--success")
		s, y := yardstick.Compare(b, func() { runProgram(b, adfbot, config, args...) }, func() { runProgram(b, before, itsConfig, args...) })
		yardstick.Row{
			What: what + ", and before", Measured: yardstick.Took(s), Yardstick: "the earlier release: " + yardstick.Took(y),
			Value: float64(s) / float64(y), Unit: "×", Goal: 1.1,
		}.Report(b)
	})
}

func BenchmarkCostOfGateAsAProcess(b *testing.B) {
	startCost(b, "`adfbot gate` as a process, 50 projects", "gate", "project-7")
}

// manyKnown is how many projects one pattern has in the rows about patterns.
const manyKnown = 10_000

// known writes a configuration with one pattern, and makes many projects known that fall under it.
func known(b *testing.B, dir, adfbot string) (config string) {
	b.Helper()
	config = projectsOf(b, dir, "http://127.0.0.1:9", 0, "")
	text, err := os.ReadFile(config)
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(config, append(text, "  - match: project-*\n"...), 0o600))
	ids := make([]string, manyKnown)
	for n := range ids {
		ids[n] = fmt.Sprintf("project-%d", n)
	}
	runProgram(b, adfbot, config, "record", "--project", "project-7", "--success") // makes state and pause directory
	s, err := sqlite.Open(b.Context(), filepath.Join(dir, "state", "adfbot.db"), sqlite.Options{})
	require.NoError(b, err)
	var g errgroup.Group
	g.SetLimit(64) // they share the waits for the disk
	for _, id := range ids {
		g.Go(func() error {
			_, err := s.Record(b.Context(), store.Result{Project: id, Agent: "project-meta", Outcome: store.Success}, store.Limits{Threshold: 3, Resume: 3})
			return err
		})
	}
	require.NoError(b, g.Wait())
	require.NoError(b, s.Close())
	require.NoError(b, pause.New(filepath.Join(dir, "pause")).MakeKnown(ids...))
	return config
}

func runProgram(b *testing.B, program, config string, args ...string) {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"ADFBOT_CONFIG=" + config}
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(b, cmd.Run(), out.String())
}

// The yardstick of a pattern is a configuration that lists ten projects.
func BenchmarkCostOfManyProjects(b *testing.B) {
	b.Run("gate", func(b *testing.B) {
		adfbot := goBuild(b, ".", "adfbot")
		many, dir := known(b, b.TempDir(), adfbot), b.TempDir()
		ten := projectsOf(b, dir, "http://127.0.0.1:9", 10, "")
		runProgram(b, adfbot, ten, "record", "--project", "project-7", "--success")
		s, y := yardstick.Compare(b, func() { runProgram(b, adfbot, many, "gate", "project-777") }, func() { runProgram(b, adfbot, ten, "gate", "project-7") })
		yardstick.Row{
			What: "`adfbot gate` as a process, 10,000 projects behind one pattern", Measured: yardstick.Took(s), Yardstick: "with ten entries: " + yardstick.Took(y),
			Value: float64(s) / float64(y), Unit: "×", Goal: 1.1,
		}.Report(b)
	})
	b.Run("status", func(b *testing.B) {
		adfbot := goBuild(b, ".", "adfbot")
		many := known(b, b.TempDir(), adfbot)
		began := time.Now()
		runs := 0
		for b.Loop() {
			runProgram(b, adfbot, many, "status", "--json")
			runs++
		}
		took := time.Since(began) / time.Duration(runs)
		yardstick.Row{
			What: "`adfbot status --json`, 10,000 projects behind one pattern", Measured: yardstick.Took(took), Yardstick: "–",
			Value: took.Seconds(), Unit: "s", NoGoal: true,
		}.Report(b)
	})
}

func BenchmarkCostOfRecordAsAProcess(b *testing.B) {
	startCost(b, "`adfbot record` as a process, 50 projects", "record", "--project", "project-7", "--success")
}
