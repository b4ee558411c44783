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
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// defaultAgent is who ran where the body does not say, as for `adfbot record`.
const defaultAgent = "project-meta"

// resultFields are the fields of a result's body.
var resultFields = []string{"project", "agent", "outcome", "exit_code", "signal", "detail", "run_id", "started_at", "finished_at", "host", "output"}

// spooledJSON is the answer for a result that the state could not take, and that is on disk beside it.
type spooledJSON struct {
	Project string `json:"project"`
	Agent   string `json:"agent"`
	Outcome string `json:"outcome"`
	RunID   string `json:"run_id"`
	Spooled bool   `json:"spooled"`
	Why     string `json:"why"`
}

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
	// The client may leave; a result that was taken is followed through.
	ctx, cancel := s.lasting(r)
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

// spooled keeps a result that can't be stored now, as exec and record do: it is on disk, counts later, and must not be sent
// again under another run id. Where even that fails, the client is told to come again.
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
	writeJSON(w, http.StatusAccepted, spooledJSON{Project: res.Project, Agent: res.Agent, Outcome: res.Outcome, RunID: res.RunID, Spooled: true,
		Why: fmt.Sprintf("the state can't be written, the result is kept in %s and counts once it can be; do not send it again: %v", file, cause)})
	return nil
}

// parseResult makes a result of a body, or says everything that is wrong with it. What came from outside is not cleaned
// yet.
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
		return r, notYours(c)
	}
	if err := bot.CheckProject(cfg, r.Project); err != nil {
		if unknown := new(bot.UnknownProjectError); errors.As(err, &unknown) {
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
	values = append(values, decide(&r, p, o.given("exit_code"))...)
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

// decide fills in the outcome where only the exit code is given, and says what does not go together.
func decide(r *store.Result, p config.Project, coded bool) (wrong []string) {
	if coded && (r.ExitCode < 0 || r.ExitCode > 255) {
		return []string{fmt.Sprintf("exit_code %d: must be 0 to 255", r.ExitCode)}
	}
	switch r.Outcome {
	case "":
		switch {
		case r.Signal != "":
			r.Outcome = store.Failure
		case !coded:
			return []string{"give outcome (success, failure or ignored) or exit_code"}
		default:
			r.Outcome = bot.OutcomeOf(p, r.ExitCode)
		}
	case store.Success:
		if r.ExitCode != 0 || r.Signal != "" {
			return []string{"outcome success does not go with an exit_code but 0, or with a signal"}
		}
	case store.Failure:
		if !coded && r.Signal == "" {
			r.ExitCode = 1
		}
	case store.Ignored:
	default:
		return []string{fmt.Sprintf("outcome %s: must be success, failure or ignored", shown(r.Outcome))}
	}
	return nil
}

// time reads a time.
func (o object) time(name string, types, values *[]string) time.Time {
	s := o.text(name, types)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		*values = append(*values, fmt.Sprintf("%s %s: write it as RFC 3339, e.g. 2026-11-23T07:04:05Z", name, shown(s)))
		return time.Time{}
	}
	return t
}

// clean masks, cleans and cuts what came from outside, before anything of it is stored.
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

// remoteHost is where a result came from over the network, "" for this machine.
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
