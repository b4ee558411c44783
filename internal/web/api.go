package web

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
)

// openAPI describes the API. A test compares it with the handlers.
//
//go:embed openapi.yaml
var openAPI []byte

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI)
	return nil
}

// project returns the project in the path, if the caller may see it. With former, a project that has left the configuration is
// accepted as long as something of it is unfinished.
func (r *request) project(former bool) (string, error) {
	id := r.PathValue("id")
	switch {
	case r.caller.known && !r.caller.may(id):
		return id, r.caller.notAllowed("")
	case former:
		return id, r.bot.CheckKnown(r.Context(), id)
	}
	return id, r.cfg.CheckProject(id)
}

func (s *Server) getProjects(w http.ResponseWriter, r *request) error {
	if _, err := query(r.Request); err != nil {
		return err
	}
	st, err := r.bot.Status(r.Context(), "")
	if err != nil {
		return err
	}
	seen := slices.DeleteFunc(st.Projects, func(p status.Project) bool { return !r.caller.may(p.ID) })
	return writeJSON(w, http.StatusOK, map[string]any{"projects": append([]status.Project{}, seen...)})
}

func (s *Server) getProject(w http.ResponseWriter, r *request) error {
	if _, err := query(r.Request); err != nil {
		return err
	}
	id, err := r.project(true)
	if err != nil {
		return err
	}
	st, err := r.bot.Status(r.Context(), id)
	if err != nil {
		return err
	}
	if len(st.Projects) == 0 {
		return cmp.Or(r.cfg.CheckKnown(id, false), error(&config.UnknownProjectError{ID: id, Known: r.cfg.EntryNames()}))
	}
	return writeJSON(w, http.StatusOK, st.Projects[0])
}

// getHosts returns the hosts that share the state. Where they are and what is wrong there is not for those who report for a project.
func (s *Server) getHosts(w http.ResponseWriter, r *request) error {
	if _, err := query(r.Request); err != nil {
		return err
	}
	f, err := r.bot.Fleet(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, f)
}

type doneJSON struct {
	Project   string   `json:"project"`
	Paused    string   `json:"is_paused"` // as in status
	OldPaused bool     `json:"paused"`    // until the next release
	Text      string   `json:"text"`
	Problems  []string `json:"problems"` // what is left to the next sweep
}

func newDoneJSON(project string, paused bool, done bot.Done) doneJSON {
	return doneJSON{Project: project, Paused: status.YesOrNo(paused), OldPaused: paused, Text: done.Text, Problems: append([]string{}, done.Problems...)}
}

func (s *Server) postPause(w http.ResponseWriter, r *request) error {
	id, err := r.project(false)
	if err != nil {
		return err
	}
	o, err := parseObject(r.body, "reason", "for")
	if err != nil {
		return err
	}
	var wrong []string
	reason, lasts := field[string](o, "reason", "string", &wrong), o.pauseFor(&wrong)
	if len(wrong) > 0 {
		return refused(http.StatusBadRequest, titleBody, "%s", wrong[0])
	}
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	done, err := within(r, s.operateWait, func() (bot.Done, error) {
		return r.bot.PauseFor(ctx, id, r.bot.Redactor().Redact(redact.Clean(reason)), r.caller.name+" over HTTP", lasts)
	})
	if err != nil {
		return notDone("Not paused", id, err)
	}
	return writeJSON(w, http.StatusOK, newDoneJSON(id, true, done))
}

func (s *Server) postResume(w http.ResponseWriter, r *request) error {
	id, err := r.project(true)
	if err != nil {
		return err
	}
	o, err := parseObject(r.body, "reason")
	if err != nil {
		return err
	}
	var wrong []string
	reason := r.bot.Redactor().Redact(redact.Clean(field[string](o, "reason", "string", &wrong)))
	if len(wrong) > 0 {
		return refused(http.StatusBadRequest, titleBody, "%s", wrong[0])
	}
	host := cmp.Or(bot.HostName(r.cfg), "this machine")
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	ctx, end := context.WithTimeout(ctx, s.operateWait) // for Gitea, which says so; what does not answer after that is something else
	defer end()
	done, err := within(r, s.operateWait+time.Second, func() (bot.Done, error) {
		return r.bot.ResumeBy(ctx, id, bot.Because(r.caller.name+" over HTTP on "+host, reason))
	})
	if err != nil {
		return notDone("Not resumed", id, err)
	}
	return writeJSON(w, http.StatusOK, newDoneJSON(id, false, done))
}

// operateWait is how long a pause or a resume may take. A resume also closes the issue, which waits for Gitea.
const operateWait = 2 * time.Minute

func notDone(title, project string, err error) error {
	if errors.Is(err, errHangs) {
		return refused(http.StatusServiceUnavailable, "No answer", "it is not known whether %s is paused, ask its gate later: %v", project, err)
	}
	return refused(http.StatusServiceUnavailable, title, "%v", err)
}

const (
	gateWait = 5 * time.Second

	// maxFlagReads limits concurrent reads of the pause directory. On a dead network mount each holds a thread until the file
	// system comes back: without a limit, callers that ask every minute would use up all threads within hours.
	maxFlagReads = 64

	maxHolding = 16 // new projects under a stop that are made known at once
)

// getGate answers 200 if the project may run, 423 with the reason if it is paused, and 503 if that is unknown.
func (s *Server) getGate(w http.ResponseWriter, r *request) error {
	if _, err := query(r.Request); err != nil {
		return err
	}
	id, err := r.project(false)
	if err != nil {
		return err
	}
	v := s.mayRun(r, id)
	if e, ok := errors.AsType[*config.NotKnownError](v.Err); ok {
		return e
	}
	switch {
	case v.Err != nil:
		w.Header().Set("Retry-After", strconv.Itoa(int(gateWait/time.Second)))
		title, more := "Unknown", ""
		if status.OtherPauseDir(v.Err) {
			title = status.TitleOtherPauseDir
		}
		if _, moved := errors.AsType[status.MovedDirError](v.Err); moved {
			more = "; the daemon goes on within a minute after that"
		}
		return refused(http.StatusServiceUnavailable, title, "it is not known whether %s is paused, do not run it: %v%s", id, v.Err, more)
	case v.Paused:
		return refused(http.StatusLocked, "Paused", "%s", strings.TrimSpace(v.Reason))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"project": id, "is_paused": status.No, "paused": false}) // paused: until the next release
}

// mayRun reports unknown if the pause directory or the state does not answer in time. The read may go on after that.
func (s *Server) mayRun(r *request, project string) bot.Verdict {
	select {
	case s.flagReads <- struct{}{}:
	default:
		return bot.Verdict{Err: fmt.Errorf("the pause directory or the state has not answered earlier reads yet: %s", whatHangs(r.cfg))}
	}
	ctx, cancel := context.WithTimeout(r.Context(), gateWait)
	defer cancel()
	r.uses.Add(1)
	answer := make(chan bot.Verdict, 1)
	go func() {
		defer r.uses.Done()
		v := func() bot.Verdict {
			defer func() { <-s.flagReads }()
			if r.otherPlace() {
				return bot.Verdict{Err: status.ErrOtherPlace}
			}
			return r.bot.MayRun(ctx, project)
		}()
		answer <- v
		// The names that anybody can ask for are as many as they like; those of whoever may report for a project are not.
		if v.New && r.caller.known {
			s.holdNew(context.WithoutCancel(ctx), r, project)
		}
	}()
	select {
	case v := <-answer:
		return v
	case <-ctx.Done():
		return bot.Verdict{Err: fmt.Errorf("the pause directory or the state did not answer in %s: %s", gateWait, whatHangs(r.cfg))}
	}
}

// otherPlace reports whether a client on this machine has told that its pause directory is not the daemon's. It reads the directory.
func (r *request) otherPlace() bool {
	said := r.Header.Get(status.PlaceHeader)
	return said != "" && r.caller.local && hostlocal.OtherPlace(said, hostlocal.Place(r.cfg.PauseDir))
}

// holdNew makes a project known that a stop is about, unless too many are on their way already, or the caller has made more known than it may report
// results: the next question tries again. It waits for the state and for writes, so it must not keep a place of flagReads.
func (s *Server) holdNew(ctx context.Context, r *request, project string) {
	select {
	case s.holding <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.holding }()
	if !r.caller.admin && s.holdRates.wait(r.caller.name, s.now()) > 0 {
		return
	}
	if err := r.bot.HoldNew(ctx, project); err != nil {
		s.log.Warn("cannot hold a new project under a stop, the next question tries again", "project", project, "err", err)
	}
}
