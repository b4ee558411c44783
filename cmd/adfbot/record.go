package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/client"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

type recordFlags struct {
	project, agent, runID, host string
	success, failure, ignored   bool
	exitCode                    int
	started, finished, output   string
	json                        bool
}

func (a *app) recordCmd() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record --project P [--agent A] --success|--failure|--ignored|--exit-code N [flags]",
		Short: "Record how a run ended that adfbot did not start",
		Long: `record stores a result. A failure that reaches the threshold pauses the project and opens
its issue; the exit code is 0 then too. With a run id it is safe to repeat: the same outcome
again changes nothing and gets the first answer.`,
		Example: `  adfbot record --project odilo --exit-code $? --output /var/log/project-meta.log
  adfbot record --project odilo --failure --run-id 2026-11-23T07:00 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.record(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.project, "project", "", "project id (required)")
	fl.StringVar(&f.agent, "agent", defaultAgent, "agent that ran; only project-meta and project-meta-<suffix> count")
	fl.BoolVar(&f.success, "success", false, "it succeeded")
	fl.BoolVar(&f.failure, "failure", false, "it failed")
	fl.BoolVar(&f.ignored, "ignored", false, "it does not count")
	fl.IntVar(&f.exitCode, "exit-code", 0, "its exit code: 0 success, one of ignore_exit_codes ignored, else failure")
	fl.StringVar(&f.runID, "run-id", "", "the run's id, unique for the project and agent")
	fl.StringVar(&f.started, "started", "", "when it began, RFC 3339; it counts only if that was after the last resume was noticed")
	fl.StringVar(&f.finished, "finished", "", "when it ended, RFC 3339 (default now)")
	fl.StringVar(&f.host, "host", "", "where it ran (default this host)")
	fl.StringVar(&f.output, "output", "", "file with its output, - for standard input")
	fl.BoolVar(&f.json, "json", false, "print the answer as JSON")
	_ = cmd.MarkFlagRequired("project")
	cmd.MarkFlagsOneRequired("success", "failure", "ignored", "exit-code")
	cmd.MarkFlagsMutuallyExclusive("success", "failure", "ignored", "exit-code")
	a.completeProjectFlag(cmd)
	return cmd
}

func (a *app) record(cmd *cobra.Command, f recordFlags) error {
	// A result can wait until the place of the state is corrected.
	cfg, warnings, err := config.LoadFor(config.Find(a.configPath, a.getenv), "", "projects["+f.project+"]")
	if err != nil {
		return err
	}
	a.hideToken(cfg)
	for _, w := range warnings {
		a.warnf("warning: %v\n", w)
	}
	err = cfg.CheckProject(f.project)
	hidden, _ := errors.AsType[*config.HiddenEntryError](err)
	if err != nil && hidden == nil {
		return &exit{exitUsage, err}
	}
	coded := cmd.Flags().Changed("exit-code")
	r, err := f.result(cfg, coded, a.time())
	if err != nil {
		return &exit{exitUsage, err}
	}
	if err := bot.CheckResult(r, a.time()); err != nil {
		return &exit{exitUsage, err}
	}
	redactor := bot.RedactorFor(cfg, a.getenv)
	r.RunID = bot.MaskRunID(redactor, r.RunID)
	if r.Output, err = a.readOutput(f.output, cfg.Escalation.OutputTail, redactor, outputWait); err != nil {
		// A run that died early may have left no log; its result counts all the same.
		a.warnf("the result is recorded without all of its output: %v\n", err)
	}
	r.Host = cmp.Or(redactor.Line(f.host, 200), bot.HostName(cfg))
	ctx := cmd.Context()
	env := a.envWithSpools(cfg)
	if hidden != nil {
		return a.spoolUndecided(ctx, cfg, env, r, coded, hidden)
	}
	bot.Classify(cfg, &r)
	b, err := bot.Open(ctx, cfg, bot.Results, env)
	if err != nil {
		return a.spool(ctx, cfg, env, r, f.json, err)
	}
	defer a.close(b)
	a.warnOf(b)
	if err := b.RecordSpooledBriefly(ctx); err != nil {
		a.warnf("%v\n", err)
	}
	out, err := b.Record(ctx, r)
	if err != nil {
		return a.spool(ctx, cfg, env, r, f.json, err)
	}
	for _, p := range out.Problems {
		a.warnf("left to the next sweep: %s\n", p)
	}
	if out.Flag.State == incident.FlagUnknown && out.Flag.Err != nil {
		a.warnf("it is not known whether %s is paused: %v\n", f.project, out.Flag.Err)
	}
	a.printRecorded(out.View(), f.json)
	return nil
}

// reporter returns a client of the daemon, or nil if no socket is configured.
func (a *app) reporter(cfg *config.Config) bot.Reporter {
	if cfg.HTTP.Socket == "" {
		return nil
	}
	lost := func(r store.Result, err error) string {
		return status.LostText(r, err, bot.EndedFlag(cfg, r), "", cfg.ShellFlag())
	}
	place := func() string { return bot.PlaceOf(cfg.PauseDir) }
	return client.New(cfg.HTTP.Socket, lost, client.SpoolDirs(cfg.Path, a.getenv), place, a.time)
}

// envWithSpools is env for commands that record results: it includes the user's own spools.
func (a *app) envWithSpools(cfg *config.Config) bot.Env {
	e := a.env(nil)
	e.Own = client.SpoolDirs(cfg.Path, a.getenv)
	return e
}

// report records through the daemon, for a user who may not write the state.
func (a *app) report(ctx context.Context, cfg *config.Config, env bot.Env, to bot.Reporter, r store.Result, asJSON bool) error {
	if r.RunID == "" {
		r.RunID = "record-" + pause.NewRandomID() // it may be sent twice
	}
	reported := to.Report(ctx, r)
	for _, m := range reported.Messages {
		a.warnf("%s\n", m)
	}
	if reported.Result == nil {
		if text := bot.PauseKept(ctx, cfg, env.Own, r, a.time); text != "" {
			a.warnf("%s\n", text)
		}
		return &exit{code: exitFailed}
	}
	for _, p := range reported.Result.Problems {
		a.warnf("left to the next sweep: %s\n", p)
	}
	a.printRecorded(*reported.Result, asJSON)
	return nil
}

// spool passes on a result that could not be stored because of cause: to the daemon if only this user is denied the state, otherwise to a
// spool.
func (a *app) spool(ctx context.Context, cfg *config.Config, env bot.Env, r store.Result, asJSON bool, cause error) error {
	to := a.reporter(cfg)
	switch {
	case !errors.Is(cause, store.ErrUnusable):
		return cause
	case errors.Is(cause, store.ErrDenied) && to != nil:
		return a.report(ctx, cfg, env, to, r, asJSON)
	}
	if r.Finished.IsZero() {
		r.Finished = a.time()
	}
	return fmt.Errorf("the result is not recorded: %w\n%s", cause, bot.Spool(ctx, cfg, env.Own, r, a.time))
}

// spoolUndecided spools a result of a project whose settings are not known. Whoever records it decides whether it counts.
func (a *app) spoolUndecided(ctx context.Context, cfg *config.Config, env bot.Env, r store.Result, coded bool, cause error) error {
	switch {
	case coded && r.ExitCode != 0:
		r.Outcome, r.Decide = store.Failure, store.DecideOutcome // an earlier version takes it for a failure
	case r.Outcome == store.Failure:
		r.Decide = store.DecideClass
	}
	return fmt.Errorf("the result is not recorded: %w\n%s", cause, bot.Spool(ctx, cfg, env.Own, r, a.time))
}

// warnOf says what is odd about a state that was opened to write: each command that does so calls it.
func (a *app) warnOf(b *bot.Bot) {
	if w := b.Warning(); w != "" {
		a.warnf("%s\n", w)
	}
}

func (a *app) close(b *bot.Bot) {
	if err := b.Close(); err != nil {
		a.warnf("closing the state: %v\n", err)
	}
}

func (f recordFlags) result(cfg *config.Config, coded bool, now time.Time) (store.Result, error) {
	r := store.Result{Project: f.project, Agent: f.agent, RunID: f.runID}
	p, _ := cfg.Project(f.project)
	switch {
	case f.success:
		r.Outcome = store.Success
	case f.failure:
		r.Outcome, r.ExitCode = store.Failure, 1
	case f.ignored:
		r.Outcome = store.Ignored
	case !coded:
		return r, errors.New("a flag that is set to false does not say how the run ended: give --success, --failure, --ignored or --exit-code N")
	case f.exitCode < 0 || f.exitCode > 255:
		return r, fmt.Errorf("--exit-code %d: must be 0 to 255", f.exitCode)
	default:
		r.Outcome, r.ExitCode = bot.OutcomeOf(p, f.exitCode), f.exitCode
	}
	var err error
	if r.Started, err = bot.ParseTime("--started", f.started); err != nil {
		return r, err
	}
	r.Finished, err = bot.ParseTime("--finished", f.finished)
	if err == nil && f.finished == "" {
		r.Finished = bot.EndOf(r.Started, now)
	}
	return r, err
}

// outputWait is how long to wait for data if the output is a pipe, and outputWaits times as long for its end. The run has ended, so a
// longer wait is pointless.
const (
	outputWait  = 10 * time.Second
	outputWaits = 3
)

// readOutput keeps the first and last part of a file of any size in bounded memory.
func (a *app) readOutput(name string, limit int, redactor *redact.Redactor, wait time.Duration) (string, error) {
	if name == "" {
		return "", nil
	}
	in := a.stdin
	f, _ := in.(*os.File)
	if name != "-" {
		var err error
		if f, err = os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil { // else opening a pipe waits for its writer
			return "", fmt.Errorf("--output: %w", err)
		}
		defer func() { _ = f.Close() }()
		if _, err := f.Seek(0, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) { // past a hole at its start: zeros are not kept
			_, _ = f.Seek(0, io.SeekEnd) // it is nothing else
		}
	}
	if f != nil && !isTerminal(f) { // who types takes their time
		a := awaited{file: f, wait: wait}
		if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() { // e.g. /dev/zero, or the pipe of tail -f
			a.all = outputWaits * wait
			a.end = time.Now().Add(a.all)
		}
		in = a
	}
	capture := redact.NewCapture(limit, redactor)
	if _, err := io.Copy(capture, in); err != nil {
		return capture.Text(), fmt.Errorf("--output: %w", err)
	}
	return capture.Text(), nil
}

// awaited is a reader of a file that returns an error if no data comes for too long, or no end.
type awaited struct {
	file *os.File
	wait time.Duration
	all  time.Duration // 0: its end will come
	end  time.Time     // of all
}

func (a awaited) Read(p []byte) (int, error) {
	if a.all > 0 && time.Now().After(a.end) {
		return 0, fmt.Errorf("read %s: no end of data after %s", a.file.Name(), a.all)
	}
	for {
		switch ready, err := unix.Poll([]unix.PollFd{{Fd: int32(a.file.Fd()), Events: unix.POLLIN}}, int(a.wait.Milliseconds())); {
		case errors.Is(err, unix.EINTR):
		case err == nil && ready == 0:
			return 0, fmt.Errorf("read %s: no data for %s", a.file.Name(), a.wait)
		default:
			return a.file.Read(p)
		}
	}
}

// printRecorded prints what a result did. Failing to print is no failure; see [app.notPrinted].
func (a *app) printRecorded(r status.ResultView, asJSON bool) {
	if asJSON {
		_ = a.printJSON(r)
		return
	}
	switch {
	case r.Known:
		a.printf("%s: this run is already recorded as %s (%d of %d failures)\n", r.Project, r.Outcome, r.Failures, r.Threshold)
	case r.Tripped:
		a.printf("%s\n", r.TripText())
	case !r.Counted:
		a.printf("%s: %s recorded, it does not count: %s\n", r.Project, r.Outcome, r.Why)
	case r.Outcome == store.Success:
		a.printf("%s: success, the count is 0 of %d\n", r.Project, r.Threshold)
	default:
		a.printf("%s: failure %d of %d%s\n", r.Project, r.Failures, r.Threshold, status.ClassNote(r.Class))
	}
	if r.Incident != nil && !r.Tripped {
		a.printf("%s is paused: incident %s\n", r.Project, strings.TrimSpace(fmt.Sprint(r.Incident.Name, " ", r.Incident.Issue)))
	}
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(&a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
