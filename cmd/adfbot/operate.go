package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/postgres"
	"github.com/terraphim/adfbot/internal/text"
)

// knows reports whether state or flags know a project that is not configured. It writes nothing: the id may be a typo.
func (a *app) knows(ctx context.Context, cfg *config.Config, project string) (bool, error) {
	b, err := bot.Open(ctx, cfg, bot.ReadOnly, a.env(nil))
	if store.NoState(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer a.close(b)
	return b.HasUnfinished(ctx, project)
}

func (a *app) restoreCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore [--json]",
		Short: "Write the flags of all paused projects again, after the pause directory was emptied or moved",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, _, err := a.open(cmd.Context(), bot.Restore)
			if err != nil {
				return err
			}
			defer a.close(b)
			a.warnOf(b)
			done, err := b.Restore(cmd.Context())
			if asJSON && err == nil {
				return a.printJSON(doneJSON{done.Text, append([]string{}, done.Problems...)})
			}
			return a.did(done, err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// doneJSON is the answer of `restore --json` and `hosts retire --json`.
type doneJSON struct {
	Text     string   `json:"text"`
	Problems []string `json:"problems"` // what is left to the next sweep
}

// doneManyJSON is the answer of `pause --json` and `resume --json`, as of the API.
type doneManyJSON struct {
	Stop     string   `json:"stop,omitempty"` // id of the stop that was made
	Projects []string `json:"projects"`       // that were paused or resumed
	Others   []string `json:"others"`         // that are paused, as they were before
	doneJSON
}

// didMany prints what was done to several projects. Some of it may be done in spite of an error.
func (a *app) didMany(d bot.DoneMany, err error, asJSON bool) error {
	if !asJSON || err != nil && len(d.Projects) == 0 {
		return a.did(d.Done, err)
	}
	return errors.Join(a.printJSON(doneManyJSON{d.Stop, append([]string{}, d.Projects...), append([]string{}, d.Others...),
		doneJSON{d.Text, append([]string{}, d.Problems...)}}), err)
}

func (a *app) did(d bot.Done, err error) error {
	if d.Text != "" {
		a.printf("%s\n", d.Text)
	}
	for _, p := range d.Problems {
		a.warnf("left to the next sweep: %s\n", p)
	}
	return err
}

func (a *app) sweepCmd() *cobra.Command {
	var opt escalate.SweepOptions
	var asJSON, confirm bool
	var projects []string
	cmd := &cobra.Command{
		Use:   "sweep [--project P]... [--dry-run] [--json] [--confirm-gitea-url]",
		Short: "Compare state, flags and issues once, and do what is due",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			for _, name := range projects {
				if err := checkSpelling(name); err != nil {
					return &exit{exitUsage, err}
				}
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			opt.Force = true
			bar := a.progress("projects")
			opt.Progress = bar.show
			rep, err := a.sweep(ctx, cfg, projects, opt, confirm)
			bar.clear()
			if asJSON {
				if err != nil && len(rep.Errors) == 0 { // no sweep took place
					rep.Errors = append(rep.Errors, err.Error())
				}
				if rep.At.IsZero() {
					rep.At = a.time().UTC()
				}
				return errors.Join(a.printJSON(rep), err)
			}
			if err == nil || !rep.At.IsZero() { // a sweep took place
				a.printSweep(rep)
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&projects, "project", nil, "only this project, or those under a pattern in quotes; may be repeated")
	cmd.Flags().BoolVar(&opt.DryRun, "dry-run", false, "print the plan and write nothing at all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().BoolVar(&confirm, "confirm-gitea-url", false, "accept a changed gitea.url while incidents are unfinished")
	a.completeProjectFlag(cmd)
	return cmd
}

func (a *app) sweep(ctx context.Context, cfg *config.Config, projects []string, opt escalate.SweepOptions, confirm bool) (status.SweepReport, error) {
	if opt.DryRun {
		rep, err := bot.DryRun(ctx, cfg, a.env(nil), projects...)
		return rep, wrongName(err)
	}
	b, err := bot.Open(ctx, cfg, bot.Operate, a.envWithSpools(cfg))
	if err != nil {
		return status.SweepReport{}, err
	}
	defer a.close(b)
	a.warnOf(b)
	if confirm {
		if err := b.ConfirmURL(ctx); err != nil {
			return status.SweepReport{}, err
		}
	}
	rep, err := b.SweepNamed(ctx, projects, opt)
	return rep, wrongName(err)
}

func (a *app) printSweep(rep status.SweepReport) {
	for _, x := range rep.Actions {
		name := x.Name
		if name == "" {
			name = x.Project
		}
		a.printf("%-16s %-16s %s\n", x.Kind, name, x.Why)
	}
	if rep.TakenIn > 0 {
		a.printf("%s recorded from the spool\n", text.Plural(rep.TakenIn, "result"))
	}
	if rep.LostRuns > 0 {
		a.printf("%s without a result, recorded as failed or ignored\n", text.Plural(rep.LostRuns, "run"))
	}
	if rep.Runs > 0 {
		a.printf("%s read from Gitea Actions\n", text.Plural(rep.Runs, "result"))
	}
	for _, x := range rep.Waiting {
		a.printf("%-16s %-16s until %s: %s\n", "waiting", x.Name, x.Until.Format("2006-01-02 15:04:05 UTC"), x.Why)
	}
	verb, steps := "done", "nothing"
	if rep.DryRun {
		verb = "to do"
	}
	if len(rep.Actions) > 0 {
		steps = text.Plural(len(rep.Actions), "step")
	}
	summary := fmt.Sprintf("%s, %s %s", text.Plural(rep.Projects, "project"), steps, verb)
	if n := len(rep.Waiting); n > 0 {
		summary += fmt.Sprintf(", %d waiting", n)
	}
	a.printf("%s\n", summary)
}

func (a *app) checkCmd() *cobra.Command {
	var offline, asJSON bool
	cmd := &cobra.Command{
		Use:   "check [--offline] [--json]",
		Short: "Check the setup: configuration, directories, Gitea, token, permissions. Each FAIL line says how to fix it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.check(cmd.Context(), offline, asJSON)
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask Gitea")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

// checkJSON is the answer of `check --json` and `test-issue --json`.
type checkJSON struct {
	OK       bool      `json:"ok"` // nothing fails
	Findings []finding `json:"findings"`
}

type finding struct {
	Level string `json:"level"` // ok, warn or fail
	What  string `json:"what"`
	Text  string `json:"text"`
}

func (a *app) initStateCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init-state [URL]",
		Short: "Print what the administrator of PostgreSQL runs before hosts share a state there",
		Long: `init-state prints statements for psql that make the role, the database and the schema of a state in
PostgreSQL, and say what the role may do. URL names it; without URL, it is the configured state. The
command connects to nothing. The statements may be run again; what is there already stays.

The role's password is set by hand, with \password in psql, and pg_hba.conf must let the role in
from each host.`,
		Example: `  adfbot init-state | sudo -u postgres psql -v ON_ERROR_STOP=1`,
		Args:    oneURLAtMost,
		RunE: func(_ *cobra.Command, args []string) error {
			url, err := a.stateURL(args)
			if err == nil {
				a.printf("%s", postgres.Grants(config.StateNames(url)))
			}
			return err
		},
	}
}

// stateURL returns the URL that is the argument of a command or, without one, the configured state.
func (a *app) stateURL(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], checkStateURL(args[0], "state_password_file")
	}
	cfg, _, err := config.LoadFor(config.Find(a.configPath, a.getenv), "state")
	switch {
	case err != nil:
		return "", err
	case cfg.StateErr != nil:
		return "", &exit{exitUsage, cfg.StateErr}
	case !cfg.Shared():
		return "", usage("the state is the file %s, which needs no preparation; for a database that it is to be moved to, give its URL: "+
			"adfbot init-state postgres://…", cfg.State)
	}
	return cfg.State, nil
}

// checkStateURL checks an argument that is the URL of a state. passwordFile is what should name the file with its password.
func checkStateURL(url, passwordFile string) error {
	if err := config.CheckStateURL(url, passwordFile); err != nil {
		return &exit{exitUsage, err}
	}
	return nil
}
