package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

func (a *app) pauseCmd() *cobra.Command {
	var m bot.Many
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "pause P... | --all [--reason TEXT] [--for D] [--json]",
		Short: "Pause projects by hand, or all at once",
		Long: `pause pauses projects until somebody resumes them. P is a project's id, or a pattern in quotes, such as
'twins-*'. With a pattern, or --all, it is a stop: projects that become known later are paused, too.
What is paused already stays as it is, but a pause that would end by itself before the new one gives way to
it. An incident is ended by no time.`,
		Example: `  adfbot pause odilo --reason "disk swap" --for 2h
  adfbot pause --all --reason "the provider is down"`,
		Args:              func(cmd *cobra.Command, args []string) error { return someProjects(cmd, args, all) },
		ValidArgsFunction: a.completeProjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			m.Names = named(args, all)
			if err := bot.CheckPauseFor(m.For); err != nil {
				return &exit{exitUsage, fmt.Errorf("--for: %w", err)}
			}
			if cmd.Flags().Changed("for") && m.For == 0 {
				return usage("--for: a pause that ends by itself lasts from 1m to 720h; without --for it lasts until somebody resumes")
			}
			for _, name := range m.Names {
				if err := checkName(cfg, name); err != nil {
					return err
				}
			}
			b, err := bot.Open(cmd.Context(), cfg, bot.Results, a.env(nil))
			if err != nil {
				return bot.AdvisePauseMany(cmd.Context(), cfg, m.Names, err)
			}
			defer a.close(b)
			a.warnOf(b)
			// The reason goes into the flag, the state and the log, which agents may read.
			m.Reason, m.By = bot.RedactorFor(cfg, a.getenv).Redact(redact.Clean(m.Reason)), bot.UserName()
			done, err := b.PauseMany(cmd.Context(), m)
			return a.didMany(done, wrongName(err), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.Flags().BoolVar(&all, "all", false, "all projects, also those that become known later")
	cmd.Flags().StringVar(&m.Reason, "reason", "", "why; the gate prints it")
	cmd.Flags().DurationVar(&m.For, "for", 0, "resume by itself after this time, from 1m to 720h")
	return cmd
}

// checkName checks a name before the state is opened.
func checkName(cfg *config.Config, name string) error {
	if config.IsPattern(name) {
		return nil
	}
	if err := cfg.CheckProject(name); err != nil {
		return &exit{exitUsage, err}
	}
	return nil
}

// wrongName makes it wrong usage if a pattern is none, or if no project falls under it.
func wrongName(err error) error {
	var none *config.NoMatchError
	var bad *config.PatternError
	if errors.As(err, &none) || errors.As(err, &bad) {
		return &exit{exitUsage, err}
	}
	return err
}

func named(args []string, all bool) []string {
	if all {
		return []string{incident.EveryProject}
	}
	return args
}

func (a *app) resumeCmd() *cobra.Command {
	var m bot.Many
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "resume P... | --all [--incidents] [--reason TEXT] [--json]",
		Short: "Remove pause flags, end incidents and close their issues; or end a stop",
		Long: `resume resumes projects. P is a project's id, or a pattern in quotes, such as 'twins-*'. What is named by
its id is resumed whatever pauses it. With --all, or a pattern, the projects are resumed that a stop
(adfbot pause --all, or with a pattern) has paused, and no others: those that an incident pauses, or
somebody has paused by hand, stay paused.`,
		Args:              func(cmd *cobra.Command, args []string) error { return someProjects(cmd, args, all) },
		ValidArgsFunction: a.completeProjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			m.Names = named(args, all)
			patterns := false
			for _, name := range m.Names {
				patterns = patterns || config.IsPattern(name)
				if err := a.mayResume(cmd.Context(), cfg, name); err != nil {
					return err
				}
			}
			if m.Incidents && !patterns {
				return usage("--incidents goes with --all or a pattern: a project that is named by its id is resumed whatever pauses it")
			}
			b, err := bot.Open(cmd.Context(), cfg, bot.Operate, a.env(nil))
			if err != nil {
				return bot.AdviseResumeMany(cmd.Context(), cfg, m.Names, err)
			}
			defer a.close(b)
			a.warnOf(b)
			m.Reason = bot.RedactorFor(cfg, a.getenv).Redact(redact.Clean(m.Reason)) // Gitea shows it
			m.By = fmt.Sprintf("%s with adfbot resume on %s", bot.UserName(), bot.HostName(cfg))
			done, err := b.ResumeMany(cmd.Context(), m)
			return a.didMany(done, wrongName(err), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.Flags().BoolVar(&all, "all", false, "what adfbot pause --all has paused")
	cmd.Flags().StringVar(&m.Reason, "reason", "", "why; the issue says it, and adfbot incidents")
	cmd.Flags().BoolVar(&m.Incidents, "incidents", false, "with --all or a pattern: end incidents, too")
	return cmd
}

// mayResume checks a name before the state is opened to write. A project that left the configuration while it was paused can still be
// resumed.
func (a *app) mayResume(ctx context.Context, cfg *config.Config, name string) error {
	if config.IsPattern(name) {
		return nil
	}
	err := cfg.CheckProject(name)
	var unknown *config.UnknownProjectError
	switch {
	case errors.As(err, &unknown):
		if known, err := a.knows(ctx, cfg, name); err != nil || !known {
			return errors.Join(&exit{exitUsage, unknown}, err)
		}
	case err != nil:
		return &exit{exitUsage, err}
	}
	return nil
}

// completeProjects completes the ids of projects that are configured, or known to gate on this host. It needs no state.
func (a *app) completeProjects(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	cfg, _, err := config.LoadFor(config.Find(a.configPath, a.getenv), config.GateKeys...)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	known, _ := pause.New(cfg.PauseDir).KnownProjects() // the others can be completed all the same
	ids := slices.DeleteFunc(cfg.ProjectIDs(known), func(id string) bool { return slices.Contains(args, id) || !strings.HasPrefix(id, begun) })
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeProjectFlag has --project completed as a project's id is as an argument.
func (a *app) completeProjectFlag(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("project", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return a.completeProjects(cmd, nil, begun)
	})
}
