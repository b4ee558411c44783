package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/testpg"
	"github.com/terraphim/adfbot/pause"
)

// The commands of the document bring a backup back while jobs go on, each of which would make a schema where there is none.
func TestDocsRestoreOfTheFleet(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "psql", "pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("no " + program + " here")
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"sudo", "install"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/usr/bin/env bash\n"+standIns[name]+"\n"), 0o755))
	}
	server := testpg.New(t)
	testpg.Exec(t, server.URL(), `CREATE ROLE adfbot LOGIN`)
	testpg.Exec(t, server.URL(), `CREATE DATABASE adfbot OWNER adfbot ENCODING 'UTF8' TEMPLATE template0`)
	url := testpg.InDatabase(t, server.URL(), "adfbot")
	open := func(ctx context.Context) (*postgres.Store, error) {
		return postgres.Open(ctx, testpg.AsRole(t, url, "adfbot"), postgres.Options{Host: pause.NewRandomID()})
	}
	fail := func() {
		s, err := open(t.Context())
		require.NoError(t, err)
		_, err = s.Record(t.Context(), store.Result{Project: "odilo", Agent: "project-meta", Outcome: store.Failure}, store.Limits{Threshold: 3, Resume: 3})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	run := func(block string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", strings.ReplaceAll(block, "/var/backups", dir))
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "PGHOST=" + filepath.Dir(server.Socket()), "PGUSER=postgres"}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	var blocks []string
	for _, b := range blocksIn(document(t, "docs/fleet.md")) {
		if strings.Contains(b.text, "adfbot.dump") {
			blocks = append(blocks, b.text)
		}
	}
	require.Len(t, blocks, 2)
	fail()
	run(blocks[0])
	fail()
	jobs, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for jobs.Err() == nil {
			if s, err := open(jobs); err == nil {
				_ = s.Close()
			}
		}
	}()
	run(blocks[1])
	stop()
	<-ended
	require.Equal(t, "1", testpg.Text(t, url, `SELECT failures FROM adfbot.project`))
	fail()
	require.Equal(t, "2", testpg.Text(t, url, `SELECT failures FROM adfbot.project`))
}
