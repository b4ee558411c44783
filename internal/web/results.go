package web

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// defaultAgent ran where the body names none, as for `adfbot record`.
const defaultAgent = "project-meta"

// resultFields are the fields of a result's body.
var resultFields = []string{"project", "agent", "outcome", "exit_code", "signal", "detail", "run_id", "started_at", "finished_at", "host", "output"}

func (s *Server) postResult(w http.ResponseWriter, r *http.Request) error {
	o, err := readObject(w, r, resultFields...)
	if err != nil {
		return err
	}
	b, release := s.use(r)
	defer release()
	res, err := parseResult(o, s.config(r), callerOf(r), r.Header.Get("Idempotency-Key"), s.now())
	if err != nil {
		return err
	}
	cfg := s.config(r)
	clean(&res, b.Redactor(), cfg.Escalation.OutputTail)
	if res.Host == "" {
		res.Host = remoteHost(r)
	}
	ctx, cancel := s.detached(r)
	defer cancel()
	out, err := b.Record(ctx, res)
	if errors.Is(err, store.ErrUnusable) {
		return s.spooled(w, r, cfg, res, err)
	}
	if err != nil {
		return err
	}
	v := out.View()
	if out.Tripped && !out.Known && out.Flag.State != incident.FlagThere {
		v.Problems = append(v.Problems, flagMissing(out.Flag))
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

func flagMissing(f incident.FlagView) string {
	if f.Err != nil {
		return "the pause flag is NOT written: " + f.Err.Error()
	}
	return "the pause flag is NOT written"
}

// spooled spools a result that can't be stored now, as exec and record do: it counts later, and must not be sent again under
// another run id. Where even that fails, the client has to send it again.
func (s *Server) spooled(w http.ResponseWriter, r *http.Request, cfg *config.Config, res store.Result, cause error) error {
	if res.RunID == "" {
		res.RunID = "spooled-" + pause.NewRandomID()
	}
	file, err := hostlocal.Beside(cfg.State).Spool().Add(res)
	if err != nil {
		s.log.Error("a result could be neither recorded nor spooled", "project", res.Project, "agent", res.Agent, "run_id", res.RunID,
			"outcome", res.Outcome, "err", errors.Join(cause, err))
		unavailable(w, r, "Not recorded", fmt.Sprintf("the result is NOT recorded, send it again later: %v", errors.Join(cause, err)))
		return nil
	}
	s.log.Error("a result is spooled", "file", file, "project", res.Project, "err", cause)
	writeJSON(w, http.StatusAccepted, status.SpooledView{Project: res.Project, Agent: res.Agent, Outcome: res.Outcome, RunID: res.RunID, Spooled: true,
		Why: fmt.Sprintf("the state can't be written, the result is kept in %s and counts once it can be; do not send it again: %v", file, cause)})
	return nil
}

// parseResult makes a result of a body, or says everything that is wrong with it. It neither masks nor cleans the texts.
func parseResult(o object, cfg *config.Config, c caller, key string, now time.Time) (store.Result, error) {
	var types, values []string
	r := store.Result{
		Project: o.text("project", &types), Agent: o.text("agent", &types), Outcome: o.text("outcome", &types),
		ExitCode: o.number("exit_code", &types), Signal: o.text("signal", &types), Detail: o.text("detail", &types),
		RunID: o.text("run_id", &types), Host: o.text("host", &types), Output: o.text("output", &types),
	}
	r.Started = o.time("started_at", &types, &values)
	r.Finished = o.time("finished_at", &types, &values)
	if len(types) > 0 {
		return r, refused(http.StatusBadRequest, titleBody, "%s", strings.Join(types, "; "))
	}
	if r.Project == "" {
		return r, refused(http.StatusUnprocessableEntity, titleValue, "project is missing: it is the id of the project that ran")
	}
	if !c.may(r.Project) {
		return r, notAllowed(c)
	}
	if err := cfg.CheckProject(r.Project); err != nil {
		if unknown := new(config.UnknownProjectError); errors.As(err, &unknown) {
			return r, err
		}
		return r, refused(http.StatusUnprocessableEntity, titleValue, "%v", err)
	}
	if r.Agent == "" {
		r.Agent = defaultAgent
	}
	if r.RunID == "" {
		r.RunID = strings.Trim(key, `"`) // the draft of that header has it quoted
	}
	p, _ := cfg.Project(r.Project)
	if problem := setOutcome(&r, p, o.has("exit_code")); problem != "" {
		values = append(values, problem)
	}
	if r.Finished.IsZero() {
		r.Finished = now
	}
	if err := bot.CheckResult(r, now); err != nil {
		values = append(values, err.Error())
	}
	if len(values) > 0 {
		return r, refused(http.StatusUnprocessableEntity, titleValue, "%s", strings.Join(values, "; "))
	}
	return r, nil
}

// setOutcome sets the outcome where only the exit code is given, and returns what does not go together. coded reports whether
// there is an exit code.
func setOutcome(r *store.Result, p config.Project, coded bool) (problem string) {
	if coded && (r.ExitCode < 0 || r.ExitCode > 255) {
		return fmt.Sprintf("exit_code %d: must be 0 to 255", r.ExitCode)
	}
	switch {
	case r.Outcome == "" && r.Signal != "":
		r.Outcome = store.Failure
	case r.Outcome == "" && coded:
		r.Outcome = bot.OutcomeOf(p, r.ExitCode)
	case r.Outcome == "":
		return "give outcome (success, failure or ignored) or exit_code"
	case r.Outcome == store.Success && (r.ExitCode != 0 || r.Signal != ""):
		return "outcome success does not go with an exit_code but 0, or with a signal"
	case r.Outcome == store.Failure && !coded && r.Signal == "":
		r.ExitCode = 1
	case r.Outcome != status.Outcome(r.Outcome):
		return fmt.Sprintf("outcome %s: must be success, failure or ignored", quote(r.Outcome))
	}
	return ""
}

// time is text for a time; an error about its form goes to values.
func (o object) time(name string, types, values *[]string) time.Time {
	s := o.text(name, types)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		*values = append(*values, fmt.Sprintf("%s %s: write it as RFC 3339, e.g. 2026-11-23T07:04:05Z", name, quote(s)))
		return time.Time{}
	}
	return t
}

// clean masks, cleans and shortens the texts of a result.
func clean(r *store.Result, redactor *redact.Redactor, outputTail int) {
	r.Host = redact.Line(redactor.Redact(r.Host), 200)
	r.Signal = redact.Line(redactor.Redact(r.Signal), 40)
	r.Detail = redact.Line(redactor.Redact(r.Detail), 200)
	if r.Outcome != store.Failure {
		r.Output = "" // kept of failures only
		return
	}
	capture := redact.NewCapture(outputTail, redactor)
	_, _ = capture.Write([]byte(r.Output)) // never fails
	r.Output = capture.Text()
}

// remoteHost returns the address that a request came from, "" for this machine.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if addr, err := netip.ParseAddr(host); err != nil || addr.Unmap().IsLoopback() {
		return ""
	}
	return host
}
