package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/yardstick"
)

// What a start of the program costs, as cron and systemd pay for it: the real command, built as the topic install says, from exec
// to exit. Most of it is the price of what is linked, so only the comparison with an earlier release has a goal.

// beforeVar names the program of an earlier release, which must not be faster than this one by more than a tenth.
const beforeVar = "ADFBOT_BENCH_BEFORE"

// goBuild makes a program of the package in dir, static as that topic recommends for copying to other machines.
func goBuild(b *testing.B, dir, name string) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), name)
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
	return program
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
	process := func(program string, args ...string) {
		var out bytes.Buffer
		cmd := exec.Command(program, args...)
		cmd.Env = []string{"ADFBOT_CONFIG=" + config}
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(b, cmd.Run(), out.String())
	}
	process(adfbot, "record", "--project", "project-7", "--success") // makes state and pause directory
	s, y := yardstick.Compare(b, func() { process(adfbot, args...) }, func() { process(hello) })
	yardstick.Row{
		What: what, Measured: yardstick.Took(s), Yardstick: "a Go program that prints one line: " + yardstick.Took(y),
		Value: float64(s) / float64(y), Unit: "×", NoGoal: true,
	}.Report(b)
	before := os.Getenv(beforeVar)
	if before == "" {
		return
	}
	s, y = yardstick.Compare(b, func() { process(adfbot, args...) }, func() { process(before, args...) })
	yardstick.Row{
		What: what + ", and before", Measured: yardstick.Took(s), Yardstick: "the earlier release: " + yardstick.Took(y),
		Value: float64(s) / float64(y), Unit: "×", Goal: 1.1,
	}.Report(b)
}

func BenchmarkCostOfGateAsAProcess(b *testing.B) {
	startCost(b, "`adfbot gate` as a process, 50 projects", "gate", "project-7")
}

func BenchmarkCostOfRecordAsAProcess(b *testing.B) {
	startCost(b, "`adfbot record` as a process, 50 projects", "record", "--project", "project-7", "--success")
}
