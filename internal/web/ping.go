package web

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// The ping API of Healthchecks (https://healthchecks.io/docs/http_api/), for scripts and tools that speak it. Its answers are plain text.
const pingPath = "/ping/{key}/{id}"

const (
	// pingBodyLimit is the limit that answers name. Clients send the end of a longer output, and much more than is shown: a secret that
	// is cut is harder to mask.
	pingBodyLimit = 100_000

	// maxOutput is what is read of the body of a client that does not know the limit. All but the start and the end is dropped at once.
	maxOutput = 16 << 20

	// outputMemory is what an output that is being read takes at most, with the largest escalation.output_tail.
	outputMemory = 256 << 10
)

// logAgent is the agent of results that are messages. It does not count, so they change nothing.
const logAgent = "log"

// signals are what a path of the ping API may end with, beside exit codes; "" is a success.
const (
	signalStart = "start"
	signalFail  = "fail"
	signalLog   = "log"
)

// errPing is an answer whose text Healthchecks gives, too.
func errPing(status int, text string) error { return refused(status, "Ping", "%s", text) }

func (s *Server) ping(w http.ResponseWriter, r *request) error {
	project, signal := r.PathValue("id"), r.PathValue("signal")
	runID := ""
	if q := r.URL.Query(); q.Has("rid") { // other parameters are ignored, as there
		if runID = canonicalUUID(q.Get("rid")); runID == "" {
			return errPing(http.StatusBadRequest, "invalid uuid format")
		}
	}
	host := remoteHost(r.Request)
	res := store.Result{Project: project, Agent: defaultAgent, RunID: runID, Outcome: store.Success, Host: host, Finished: s.now().Round(0)}
	switch signal {
	case signalStart:
		return s.begin(r, store.Run{Project: project, Agent: defaultAgent, RunID: runID, Host: cmp.Or(host, bot.HostName(r.cfg))})
	case "":
	case signalFail:
		res.Outcome, res.ExitCode = store.Failure, 1
	case signalLog:
		res.Agent, res.RunID, res.Outcome, res.Detail = logAgent, "", store.Ignored, s.firstLine(r)
	default:
		// Windows has codes of 32 bits, which programs show with a sign or without one: a crash is 0xC0000005, and a failure as any other.
		code, err := strconv.ParseInt(signal, 10, 64)
		if errors.Is(err, strconv.ErrSyntax) || signal[0] == '+' {
			return errPing(http.StatusNotFound, "not found")
		}
		if err != nil || code < math.MinInt32 || code > math.MaxUint32 {
			return errPing(http.StatusBadRequest, "invalid url format: an exit code has at most 32 bits")
		}
		p, _ := r.cfg.Project(project)
		res.ExitCode = int(int32(code))
		res.Outcome = bot.OutcomeOf(p, res.ExitCode)
	}
	if res.Outcome == store.Failure {
		res.Output = s.output(r)
	}
	r.freeBody()
	bot.Classify(r.cfg, &res)
	if res.Agent == logAgent {
		_, _, err := s.record(w, r, res)
		return err
	}
	return s.end(w, r, res)
}

// begin records that a run has begun.
func (s *Server) begin(r *request, run store.Run) error {
	r.freeBody()
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	_, err := within(r, s.storeWait, func() (struct{}, error) { return struct{}{}, r.bot.BeginReported(ctx, run) })
	if errors.Is(err, store.ErrTooManyRuns) {
		return refused(http.StatusTooManyRequests, "Too many runs", "%v: report how each run ends, with the rid of its start; hung_after makes failures of those that do not report it, also of these", err)
	}
	if errors.Is(err, errHangs) {
		return refused(http.StatusServiceUnavailable, "No answer", "%v", err)
	}
	return err
}

// end records how a run has ended.
func (s *Server) end(w http.ResponseWriter, r *request, res store.Result) error {
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	begun, err := within(r, s.storeWait, func() (store.Result, error) { return r.bot.Begun(ctx, res) })
	if err != nil {
		s.log.Warn("cannot read when a run began", "project", res.Project, "run_id", res.RunID, "err", err) // what is wrong shows in record, too
		begun = res
		begun.Run = store.ReportedRunID(res.Project, res.Agent, res.RunID)
	}
	_, _, err = s.record(w, r, begun)
	return err
}

// readOutput reads a body of any type within the caller's share of memory. It keeps its start and its end.
func (s *Server) readOutput(w http.ResponseWriter, r *request, rt route) error {
	const fix = "send only the end of the output"
	size := r.ContentLength
	if size == 0 {
		return nil
	}
	if size > maxOutput {
		return tooLarge(maxOutput, fix)
	}
	memory := outputMemory
	if size > 0 {
		memory = min(memory, int(size))
	}
	give, err := s.take(w, r, s.limitOf(r, rt.class).bodies, memory+bodyOverhead)
	if err != nil {
		return err
	}
	r.freeBody = sync.OnceFunc(func() {
		r.output = nil
		give()
	})
	r.output = redact.NewCapture(r.cfg.Escalation.OutputTail, r.bot.Redactor())
	_, err = io.Copy(r.output, http.MaxBytesReader(w, r.Body, maxOutput))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return tooLarge(maxOutput, fix)
	}
	if err != nil {
		return errIncomplete()
	}
	return nil
}

// output returns the output in the body, masked, cleaned and shortened.
func (s *Server) output(r *request) string {
	if r.output == nil {
		return ""
	}
	s.parsing <- struct{}{}
	defer func() { <-s.parsing }()
	return r.output.Text()
}

// firstLine returns the first line of the output that is not blank.
func (s *Server) firstLine(r *request) string {
	for line := range strings.Lines(s.output(r)) {
		if line = r.bot.Redactor().Line(line, 200); line != "" {
			return line
		}
	}
	return ""
}

// answerPing answers a ping.
func (s *Server) answerPing(w http.ResponseWriter, r *request, err error) {
	code, text := http.StatusOK, "OK"
	if err != nil {
		p := s.problemOf(w, r, err)
		code, text = p.Status, p.Detail
	}
	s.metrics.pinged(signalName(r.PathValue("signal")), err == nil)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if code == http.StatusOK {
		h.Set("Ping-Body-Limit", strconv.Itoa(pingBodyLimit))
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // net/http drops the body of an answer to HEAD
}

// signalName returns the label of a signal in metrics.
func signalName(signal string) string {
	switch signal {
	case "":
		return "success"
	case signalStart, signalFail, signalLog:
		return signal
	}
	return "exit_code" // or one that there is not
}

// canonicalUUID returns a UUID in lower case with hyphens, or "" if the text is none.
func canonicalUUID(text string) string {
	hex := strings.ReplaceAll(strings.ToLower(text), "-", "")
	if len(hex) != 32 || strings.Trim(hex, "0123456789abcdef") != "" {
		return ""
	}
	id := strings.Join([]string{hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:]}, "-")
	if lower := strings.ToLower(text); lower != id && lower != hex {
		return ""
	}
	return id
}

// safePath returns the path of a request without the key of the ping API and other known secrets.
func (p *setup) safePath(r *http.Request) string {
	return maskKey(p.bot.Redactor().Redact(r.URL.EscapedPath())) // a key with a slash is more than one part of the path
}

// logPath is safePath for a line of the log, which may not be written at all.
func (p *setup) logPath(r *http.Request) slog.LogValuer { return loggedPath{p, r} }

type loggedPath struct {
	setup   *setup
	request *http.Request
}

func (l loggedPath) LogValue() slog.Value { return slog.StringValue(l.setup.safePath(l.request)) }

// maskKey masks the key in an escaped path of the ping API, also in one that is misspelt or under the path of a proxy.
func maskKey(path string) string {
	parts := strings.Split(path, "/")
	isKey := false
	for n, part := range parts {
		if isKey && part != "" {
			parts[n], isKey = "[masked]", false
		} else if plain, err := url.PathUnescape(part); err == nil && strings.EqualFold(plain, "ping") {
			isKey = true
		}
	}
	return strings.Join(parts, "/")
}
