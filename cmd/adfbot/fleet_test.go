package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terraphim/adfbot/internal/testpg"
)

// TestFleetScripts runs the stories in testdata/fleet, in which three hosts share a state in PostgreSQL. In $a, $b and $c each has a
// configuration and directories of its own.
func TestFleetScripts(t *testing.T) {
	t.Parallel()
	testpg.Database(t) // skips without a server
	p := scriptParams("testdata/fleet")
	p.Cmds = maps.Clone(p.Cmds)
	// unheard NAME: that host was heard of a minute ago, which nobody has to wait for. Those that run are heard of often enough on any machine.
	p.Cmds["unheard"] = func(ts *testscript.TestScript, neg bool, args []string) {
		need(ts, neg, false, args, 1, "unheard NAME")
		testpg.Exec(t, ts.Getenv("STATE"), `UPDATE adfbot.host SET seen_at = seen_at - interval '1 min' WHERE name = '`+args[0]+`'`)
	}
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		if err := setup(env); err != nil {
			return err
		}
		url := testpg.Database(t)
		env.Setenv("STATE", url)
		settings, err := os.ReadFile(filepath.Join(env.WorkDir, "config.yaml"))
		if err != nil {
			return err
		}
		for name, host := range map[string]string{"a": "edge-1", "b": "edge-7", "c": "edge-9"} {
			dir := filepath.Join(env.WorkDir, name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			text := strings.NewReplacer(
				"pause_dir: "+env.WorkDir+"/pause", "pause_dir: "+dir+"/pause", "state: "+env.WorkDir+"/state/adfbot.db", "state: "+url+"\nlocal_dir: "+dir+"/local",
			).Replace(string(settings)) + "fleet: {host: " + host + ", away_after: 12s}\n"
			if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o644); err != nil {
				return err
			}
			env.Setenv(name, filepath.Join(dir, "config.yaml"))
		}
		env.Setenv("ADFBOT_CONFIG", env.Getenv("a"))
		return nil
	}
	testscript.Run(t, p)
}
