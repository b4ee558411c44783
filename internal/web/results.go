package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// defaultAgent is the agent of a result that names none, as for `adfbot record`.
const defaultAgent = "project-meta"

const (
	// tripWait is how long a result that trips its breaker waits for Gitea. What is left is done by the next sweep. Our client waits 30 s.
	tripWait = 25 * time.Second

	// storeWait is how long a result waits to be stored, and then to be spooled. A state that another process has locked, or a pause
	// directory that does not answer, ends the waiting earlier, except if it has just answered.
	storeWait = 12 * time.Second
)

var errHangs = errors.New("the pause directory or the state does not answer")

// whatHangs says what to check when the pause directory or the state does not answer.
func whatHangs(cfg *config.Config) string {
	if cfg.Shared() {
		return "check whether the database of the state or a file system hangs"
	}
	return "check whether a file system hangs"
}

var resultFields = []string{"project", "agent", "outcome", "exit_code", "signal", "detail", "run_id", "started", "finished", "host", "output", "started_at", "finished_at"}

func (s *Server) postResult(w http.ResponseWriter, r *request) error {
	if err := s.limitResults(w, r); err != nil {
		return err
	}
	res, err := s.readResult(r)
	if err != nil {
		return err
	}
	if res.Host == "" {
		res.Host = remoteHost(r.Request)
	}
	status, view, err := s.record(w, r, res)
	if err != nil {
		return err
	}
	return writeJSON(w, status, view)
}

// record records a result, and escalates a trip. It returns what to answer: 200 and a [status.ResultView], or 202 and a
// [status.SpooledView]. Without an error the result is on disk.
func (s *Server) record(w http.ResponseWriter, r *request, res store.Result) (code int, view any, err error) {
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	counting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	out, err := within(r, s.storeWait, func() (bot.Recorded, error) { return r.bot.Count(counting, res) })
	if errors.Is(err, errHangs) {
		giveUp() // what is spooled now is not stored as well once the directory answers
	}
	if errors.Is(err, errHangs) || errors.Is(err, store.ErrUnusable) {
		return s.keep(ctx, w, r, res, err)
	}
	if err != nil {
		return 0, nil, err
	}
	r.freePlace()                  // a project trips once, but Gitea may hang: nobody else's result waits for that
	if out.Answer.Incident != "" { // else nothing follows
		out = s.follow(ctx, r, out)
	}
	v := out.View()
	if out.Tripped && !out.Known && out.Flag.State != incident.FlagThere {
		problem := "the pause flag is NOT written"
		if out.Flag.Err != nil {
			problem += ": " + out.Flag.Err.Error()
		}
		v.Problems = append(v.Problems, problem)
	}
	if out.Tripped && !out.Known {
		if other, err := within(r, s.storeWait, func() (bool, error) { return r.otherPlace(), nil }); err == nil && other {
			w.Header().Set(status.PlaceHeader, "other")
		}
	}
	return http.StatusOK, v, nil
}

// follow does what follows from a stored result, and returns without the rest of it when that takes too long.
func (s *Server) follow(ctx context.Context, r *request, out bot.Recorded) bot.Recorded {
	ctx, end := context.WithTimeout(ctx, s.tripWait)
	defer end()
	followed := out
	_, err := within(r, s.tripWait+time.Second, func() (struct{}, error) {
		r.bot.Follow(ctx, &followed)
		return struct{}{}, nil
	})
	if err == nil {
		return followed
	}
	out.Incident, out.Problems = out.Opened, append(slices.Clone(out.Problems), err.Error())
	return out
}

// within calls f, and returns [errHangs] if that takes longer than wait. f goes on then, since nothing ends a system call on a file
// system that hangs.
func within[T any](r *request, wait time.Duration, f func() (T, error)) (v T, err error) {
	type end struct {
		v        T
		err      error
		panicked any
	}
	ended := make(chan end, 1)
	r.uses.Add(1)
	go func() {
		defer r.uses.Done()
		var e end
		defer func() {
			e.panicked = recover()
			ended <- e
		}()
		e.v, e.err = f()
	}()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case e := <-ended:
		if e.panicked != nil {
			panic(e.panicked) // here, where it is answered
		}
		return e.v, e.err
	case <-timeout.C:
		return v, fmt.Errorf("%w: %s", errHangs, whatHangs(r.cfg))
	}
}

// readResult parses and masks the result in the body, of which little is left then.
func (s *Server) readResult(r *request) (store.Result, error) {
	s.parsing <- struct{}{}
	defer func() { <-s.parsing }()
	defer r.freeBody()
	o, err := parseObject(r.body, resultFields...)
	if err != nil {
		return store.Result{}, err
	}
	res, err := parseResult(o, r.cfg, r.caller, r.Header.Get("Idempotency-Key"), s.now())
	if err == nil {
		clean(&res, r.bot.Redactor(), r.cfg.Escalation.OutputTail)
		bot.Classify(r.cfg, &res)
	}
	return res, err
}

// keep spools a result that cannot be stored now, as exec and record do: it counts later, and must not be sent again under
// another run id. If even that fails, the client has to send it again.
func (s *Server) keep(ctx context.Context, w http.ResponseWriter, r *request, res store.Result, cause error) (code int, view any, err error) {
	kept, err := within(r, s.storeWait, func() (bot.Kept, error) { return bot.Keep(ctx, r.cfg, nil, res, s.now) })
	if err != nil {
		err = errors.Join(cause, err)
		s.log.Error("a result could be neither recorded nor spooled", "project", res.Project, "agent", res.Agent, "run_id", kept.RunID,
			"outcome", res.Outcome, "err", err)
		return 0, nil, unavailable(w, "Not recorded", "the result is NOT recorded%s: %v", status.SendAgain, err)
	}
	s.log.Error("a result is spooled", "file", kept.File, "project", res.Project, "err", cause)
	v := status.SpooledView{Project: res.Project, Agent: res.Agent, Outcome: res.Outcome, Class: res.Class, RunID: kept.RunID, Spooled: true, Paused: status.Unknown,
		Why: fmt.Sprintf("the result cannot be stored now; it is kept in %s and counts once it can; do not send it again: %v", kept.File, cause)}
	if kept.Paused {
		v.Paused = status.Yes
	}
	if text := kept.PauseText(); text != "" {
		s.log.Error(text)
		v.Why = text + "; " + v.Why
	}
	return http.StatusAccepted, v, nil
}

// parseResult returns the result in a body, or everything that is wrong with it. It neither masks nor cleans the texts.
func parseResult(o object, cfg *config.Config, c caller, key string, now time.Time) (store.Result, error) {
	var types, values []string
	text := func(name string) string { return field[string](o, name, "string", &types) }
	moment := func(name, old string) time.Time { // old: until the next release
		if !o.has(name) && o.has(old) {
			name = old
		}
		t, err := bot.ParseTime(name, text(name))
		if err != nil {
			values = append(values, err.Error())
		}
		return t
	}
	r := store.Result{
		Project: text("project"), Agent: text("agent"), Outcome: text("outcome"), ExitCode: integer(o, "exit_code", &types),
		Signal: text("signal"), Detail: text("detail"), RunID: text("run_id"), Started: moment("started", "started_at"), Finished: moment("finished", "finished_at"),
		Host: text("host"), Output: text("output"),
	}
	if len(types) > 0 {
		return r, refused(http.StatusBadRequest, titleBody, "%s", strings.Join(types, "; "))
	}
	if r.Project == "" {
		return r, refused(http.StatusUnprocessableEntity, titleValue, "project is missing: give the id of the project that ran")
	}
	if !c.may(r.Project) {
		return r, c.notAllowed("")
	}
	if err := cfg.CheckProject(r.Project); errors.Is(err, pause.ErrID) {
		return r, refused(http.StatusUnprocessableEntity, titleValue, "%v", err)
	} else if err != nil {
		return r, err
	}
	r.Agent = cmp.Or(r.Agent, defaultAgent)
	r.RunID = cmp.Or(r.RunID, strings.Trim(key, `"`)) // the draft of that header has it quoted
	p, _ := cfg.Project(r.Project)
	if problem := setOutcome(&r, p, o.has("exit_code")); problem != "" {
		values = append(values, problem)
	}
	if r.Finished.IsZero() {
		r.Finished = bot.EndOf(r.Started, now)
	}
	if c.local { // it may have been kept while the daemon was stopped
		r.Age = max(now.Sub(r.Finished), 0)
	}
	if err := bot.CheckResult(r, now); err != nil {
		values = append(values, err.Error())
	}
	if len(values) > 0 {
		return r, refused(http.StatusUnprocessableEntity, titleValue, "%s", strings.Join(values, "; "))
	}
	return r, nil
}

// setOutcome sets the outcome if only the exit code or the signal is given. It returns what is contradictory or missing.
func setOutcome(r *store.Result, p config.Project, hasCode bool) (problem string) {
	if hasCode && (r.ExitCode < 0 || r.ExitCode > 255) {
		return fmt.Sprintf("exit_code %d: must be 0 to 255", r.ExitCode)
	}
	switch {
	case r.Outcome == "" && r.Signal != "":
		r.Outcome = store.Failure
	case r.Outcome == "" && hasCode:
		r.Outcome = bot.OutcomeOf(p, r.ExitCode)
	case r.Outcome == "":
		return "give outcome (success, failure or ignored) or exit_code"
	case r.Outcome == store.Success && (r.ExitCode != 0 || r.Signal != ""):
		return "outcome success contradicts an exit_code other than 0, or a signal"
	case r.Outcome == store.Failure && !hasCode && r.Signal == "":
		r.ExitCode = 1
	case r.Outcome != status.Outcome(r.Outcome):
		return fmt.Sprintf("outcome %s: must be success, failure or ignored", quote(r.Outcome))
	}
	return ""
}

// clean masks, cleans and shortens the texts of a result.
func clean(r *store.Result, redactor *redact.Redactor, outputTail int) {
	r.RunID = bot.MaskRunID(redactor, r.RunID)
	r.Host, r.Signal, r.Detail = redactor.Line(r.Host, 200), redactor.Line(r.Signal, 40), redactor.Line(r.Detail, 200)
	if r.Outcome != store.Failure {
		r.Output = "" // kept for failures only
		return
	}
	capture := redact.NewCapture(outputTail, redactor)
	_, _ = capture.Write([]byte(r.Output)) // never fails
	r.Output = capture.Text()
}

// remoteHost returns the address of the machine that sent a request, "" for this one. A proxy names it in X-Forwarded-For. That may be
// made up, but whoever reports a result may name any host.
func remoteHost(r *http.Request) string {
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",") {
		name = strings.TrimSpace(name)
		if a, err := netip.ParseAddr(name); err == nil {
			return otherHost(a)
		}
		if a, err := netip.ParseAddrPort(name); err == nil { // as some proxies write it
			return otherHost(a.Addr())
		}
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return otherHost(a.Addr())
}

func otherHost(a netip.Addr) string {
	if a = a.Unmap().WithZone(""); a.IsLoopback() {
		return ""
	}
	return a.String()
}
