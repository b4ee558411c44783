package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/testhost"
)

// served is a world with a daemon, which is asked through its socket as the user who runs the tests.
type served struct {
	*world
	client http.Client
}

func serve(t *testing.T, w *world) *served {
	t.Helper()
	// Not in the world's directory, whose path may be too long for a socket.
	run, err := os.MkdirTemp("", "adfbot-run-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(run)) })
	socket := filepath.Join(run, "s")
	b, err := os.ReadFile(w.path("config.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(w.path("config.yaml"), append(b, "http:\n  socket: "+socket+"\n"...), 0o644))
	var log bytes.Buffer
	daemon := w.child([]string{"serve"})
	daemon.Stderr = io.MultiWriter(&log, w.changes)
	startDaemon(t, daemon)
	t.Cleanup(func() {
		require.NoError(t, daemon.Process.Signal(syscall.SIGTERM))
		require.NoError(t, daemon.Wait())
		if t.Failed() {
			t.Log(log.String())
		}
	})
	s := &served{world: w, client: http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}}
	s.await("the daemon is ready", func() bool { return s.get("/readyz").code == 200 })
	return s
}

type answer struct {
	code int
	body string
}

func (s *served) ask(r *http.Request, err error) answer {
	s.t.Helper()
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	require.NoError(s.t, err)
	return answer{resp.StatusCode, body.String()}
}

func (s *served) get(path string) answer {
	s.t.Helper()
	return s.ask(http.NewRequest("GET", "http://adfbot"+path, nil))
}

// failed reports a failed run with a long output.
func (s *served) failed(project, run string) answer {
	s.t.Helper()
	doc, err := json.Marshal(map[string]any{"project": project, "run_id": run, "exit_code": 1, "output": strings.Repeat(run+" went wrong\n", 700)})
	require.NoError(s.t, err)
	return s.ask(http.NewRequest("POST", "http://adfbot/api/v1/results", bytes.NewReader(doc)))
}

// await asks again whenever the daemon has asked Gitea, which each of its sweeps does, or has logged something.
func (s *served) await(what string, f func() bool) {
	s.t.Helper()
	require.NoError(s.t, s.changes.Await(func() string {
		if f() {
			return ""
		}
		return what
	}))
}

// awaitRoom waits until room is kept for results on a full disk.
func (s *served) awaitRoom() {
	s.t.Helper()
	spool := s.path("state/adfbot.db.d/spool")
	stop, err := s.changes.Watch(spool)
	require.NoError(s.t, err)
	defer stop()
	s.await("room is kept", func() bool { files, _ := filepath.Glob(spool + "/*.ready"); return len(files) == 64 })
}

// failures is a project's count.
func (w *world) failures(project string) int {
	w.t.Helper()
	for _, p := range w.status().Projects {
		if p.ID == project {
			return p.Failures
		}
	}
	return -1
}

func needMount(t *testing.T) {
	t.Helper()
	if !mayMount() {
		t.Skip("this user may not mount a file system")
	}
}

// The page is not green, and tells the cause, before the first result is lost in it.
func TestFullDiskOnThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"state", "pause"} {
		testhost.Disk(t, w.path(name), "size=8m")
	}
	s := serve(t, w)
	require.NotContains(t, s.get("/").body, "adfbot itself")
	for name, problem := range map[string]string{"state": "no result can be stored in ", "pause": "no flag can be written in "} {
		empty := testhost.Fill(t, w.path(name))
		for _, page := range []string{"/", "/projects/odilo"} {
			require.Contains(t, s.get(page).body, problem+w.path(name)+": the disk is full: make room (0 bytes are free)")
		}
		if name == "state" { // what fills the other one is a flag
			require.Contains(t, s.get("/").body, "<h1>adfbot itself needs attention</h1>")
		}
		require.Contains(t, s.get("/projects/odilo").body, "<p>Something needs attention.</p>")
		empty()
	}
	s.await("all is well", func() bool { return !strings.Contains(s.get("/").body, "adfbot itself") }) // a sweep may have failed meanwhile
}

// The disk gets full in the middle of a series of results. What the daemon took counts once there is room, whatever it
// answered, and what it did not take it has said so.
func TestDaemonFullStateDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	testhost.Disk(t, w.path("state"), "size=8m")
	s := serve(t, w)
	require.Equal(t, 200, s.failed("odilo", "run-0").code)
	s.awaitRoom()

	empty := testhost.Fill(t, w.path("state"))
	took, refused := 1, 0
	for n := 1; refused == 0; n++ {
		switch a := s.failed("odilo", fmt.Sprint("run-", n)); a.code {
		case 200, 202:
			took++
			if a.code == 202 {
				require.Contains(t, a.body, "the disk is full: make room")
				require.Contains(t, a.body, "do not send it again")
			}
		case 503:
			refused++
			require.Contains(t, a.body, "is NOT recorded, send it again later")
		default:
			require.Fail(t, "unexpected", "%+v", a)
		}
	}
	require.GreaterOrEqual(t, took, 16)
	ready := s.get("/readyz")
	require.Equal(t, 503, ready.code)
	require.Contains(t, ready.body, "the disk is full: make room")
	require.Contains(t, s.get("/metrics").body, `adfbot_ready{check="state"} 0`)
	require.Equal(t, 423, s.get("/api/v1/projects/odilo/gate").code)
	require.Equal(t, 200, s.get("/healthz").code)

	empty()
	s.await("all are taken in", func() bool { return s.failures("odilo") == took })
	s.await("the project is paused", func() bool { return s.count(theRepo, "open") == 1 })
	require.FileExists(t, w.path("pause/odilo"))
	require.Equal(t, 423, s.get("/api/v1/projects/odilo/gate").code)
	require.Contains(t, s.Issues(theRepo)[0].Body, "went wrong")
	s.await("it is ready", func() bool { return s.get("/readyz").code == 200 })
}

// With both disks full the daemon pauses a project once there is room.
func TestDaemonBothDisksFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	testhost.Disk(t, w.path("state"), "size=8m")
	testhost.Disk(t, w.path("pause"), "size=64k")
	s := serve(t, w)
	require.Equal(t, 200, s.failed("odilo", "run-0").code)
	s.awaitRoom()
	state, pause := testhost.Fill(t, w.path("state")), testhost.Fill(t, w.path("pause"))
	for n := 1; n < 12; n++ { // the log's last pages may have room for some
		require.Contains(t, []int{200, 202}, s.failed("odilo", fmt.Sprint("run-", n)).code)
	}
	out, code := w.run("exec", "--project", "odilo", "--", "echo", "ran")
	require.Contains(t, []int{0, 75}, code)
	require.Equal(t, code == 0, out == "ran\n", "refused or run, and nothing between")
	pause()
	state()
	s.await("it is paused, with a note", func() bool {
		b, _ := os.ReadFile(w.path("pause/odilo"))
		return len(b) > 0 || fileExists(w.path("pause/odilo")) && s.count(theRepo, "open") == 1
	})
	s.await("its issue is open", func() bool { return s.count(theRepo, "open") == 1 })
	w.settle()
	require.Equal(t, 1, s.count(theRepo, "all"))
	_, code = w.run("gate", "odilo")
	require.Equal(t, 75, code)
}

func fileExists(path string) bool { _, err := os.Lstat(path); return err == nil }

// The pause directory goes away under a daemon. It says that it does not know, counts on, resumes nobody and closes nothing;
// and once the directory is back it goes on as if nothing had been.
func TestDaemonMissingPauseDirectory(t *testing.T) {
	t.Parallel()
	for what, f := range map[string]struct {
		put  func(w *world) error // in its place
		take func(w *world) error
		says string
	}{
		"nothing is there": {
			put: func(*world) error { return nil }, take: func(*world) error { return nil }, says: "does not exist",
		},
		"a file": {
			put:  func(w *world) error { return os.WriteFile(w.path("pause"), nil, 0o644) },
			take: func(w *world) error { return os.Remove(w.path("pause")) }, says: "not a directory",
		},
		"a link that leads nowhere": {
			put:  func(w *world) error { return os.Symlink("nowhere", w.path("pause")) },
			take: func(w *world) error { return os.Remove(w.path("pause")) }, says: "does not exist",
		},
		"an empty file system": {
			put: func(w *world) error {
				needMount(w.t)
				if err := os.Mkdir(w.path("pause"), 0o755); err != nil {
					return err
				}
				return unix.Mount("tmpfs", w.path("pause"), "tmpfs", 0, "size=64k,mode=755")
			},
			take: func(w *world) error {
				if err := unix.Unmount(w.path("pause"), 0); err != nil {
					return err
				}
				return os.Remove(w.path("pause"))
			},
			says: "has no sentinel",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := serve(t, w)
			require.Equal(t, 200, s.failed("quick", "run").code)
			w.ok("pause", "digital-twins")
			s.await("quick is paused", func() bool { return s.count(theRepo, "open") == 1 })

			require.NoError(t, os.Rename(w.path("pause"), w.path("away")))
			require.NoError(t, f.put(w))
			for _, project := range []string{"odilo", "quick", "digital-twins"} {
				a := s.get("/api/v1/projects/" + project + "/gate")
				require.Equal(t, 503, a.code)
				require.Contains(t, a.body, "do not run it")
				require.Contains(t, a.body, f.says)
				_, code := w.run("exec", "--project", project, "--", "touch", w.path("ran"))
				require.Equal(t, 125, code)
			}
			require.NoFileExists(t, w.path("ran"))
			ready := s.get("/readyz")
			require.Equal(t, 503, ready.code)
			require.Contains(t, ready.body, f.says)
			for n := range 3 { // it trips meanwhile
				require.Equal(t, 200, s.failed("odilo", fmt.Sprint(n)).code)
			}
			s.await("its issue says that it is not paused", func() bool { return s.count(theRepo, "open") == 2 })
			last := s.Issues(theRepo)[1]
			require.Contains(t, last.Body, "NOT PAUSED")
			sweeps := s.status().LastSweep.At
			s.await("it sweeps on", func() bool { return s.status().LastSweep.At.After(sweeps) })
			require.Equal(t, 2, s.count(theRepo, "open"), "and closes nothing")

			require.NoError(t, f.take(w))
			require.NoError(t, os.Rename(w.path("away"), w.path("pause")))
			s.await("odilo has its flag", func() bool { return fileExists(w.path("pause/odilo")) })
			for _, project := range []string{"odilo", "quick", "digital-twins"} {
				require.Equal(t, 423, s.get("/api/v1/projects/"+project+"/gate").code)
			}
			s.await("the issue tells", func() bool { i, _ := s.Issue(theRepo, last.Number); return len(i.Comments) == 1 })
			require.Equal(t, 2, s.count(theRepo, "open"))
			require.Equal(t, 200, s.get("/readyz").code)
		})
	}
}
