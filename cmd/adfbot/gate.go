package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/pause"
)

// gateJSON is the answer of `gate --json`.
type gateJSON struct {
	MayRun   bool          `json:"may_run"` // all projects may
	Projects []gateProject `json:"projects"`
}

type gateProject struct {
	Project   string `json:"project"`
	Paused    string `json:"is_paused"`        // as in status
	OldPaused string `json:"paused"`           // until the next release
	Reason    string `json:"reason,omitempty"` // why it is paused, or why that is not known
}

func (a *app) gateCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "gate P... [--json]",
		Short: "Report whether a project may run: 0 yes, 75 paused (the reason on stdout), 255 unknown",
		Long: `gate needs the pause directory and nothing else: no database, no network, no token. It fails
closed: if anything cannot be read it exits with 255, and nothing may run. For systemd:

  ExecCondition=/usr/local/bin/adfbot gate odilo

Of several projects, all must be allowed to run: it exits with 75 if one is paused, and with 255 if
that is not known of one. P is a project's id, or a pattern in quotes, such as 'twins-*', which
stands for all projects that are known by now.`,
		Annotations:       map[string]string{"usage": strconv.Itoa(exitUnknown)},
		Args:              func(cmd *cobra.Command, args []string) error { return someProjects(cmd, args, false) },
		ValidArgsFunction: a.completeProjects,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.gate(cmd.Context(), args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// gate prints the reasons of pauses.
func (a *app) gate(ctx context.Context, names []string, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, bot.GateWait)
	defer cancel()
	cfg, warnings, err := bot.LoadForGate(ctx, config.Find(a.configPath, a.getenv))
	if err != nil {
		return &exit{exitUnknown, err}
	}
	for _, w := range warnings {
		a.warnf("warning: %v\n", w)
	}
	projects, err := gated(ctx, cfg, names)
	if err != nil {
		return &exit{exitUnknown, err}
	}
	out := gateJSON{Projects: []gateProject{}}
	advised := map[string]string{} // by the error, which may be the same of all
	code := exitDone
	for _, id := range projects {
		p := a.gateProject(ctx, cfg, id, advised)
		p.OldPaused = p.Paused
		switch out.Projects = append(out.Projects, p); {
		case p.Paused == status.Unknown:
			code = exitUnknown // whatever the others are
		case p.Paused == status.Yes && code == exitDone:
			code = bot.ExitPaused
		}
		if !asJSON && p.Paused == status.Yes {
			a.printf("%s\n", p.Reason)
		}
	}
	if out.MayRun = code == exitDone; asJSON {
		if err := a.printJSON(out); err != nil {
			return &exit{exitUnknown, err}
		}
	}
	if code == exitUnknown {
		return &exit{exitUnknown, notKnown(out.Projects)}
	}
	return quiet(code)
}

// notKnown returns why it is not known of projects whether they are paused, each reason once.
func notKnown(projects []gateProject) error {
	of := map[string][]string{}
	var reasons []string
	for _, p := range projects {
		if p.Paused != status.Unknown {
			continue
		}
		if of[p.Reason] == nil {
			reasons = append(reasons, p.Reason)
		}
		of[p.Reason] = append(of[p.Reason], p.Project)
	}
	var lines []string
	for _, reason := range reasons {
		ids, it, are := of[reason], "it", "is"
		if len(ids) > 1 {
			it, are = "them", "are"
		}
		lines = append(lines, fmt.Sprintf("it is not known whether %s %s paused, do not run %s: %s", strings.Join(ids, ", "), are, it, reason))
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// gated returns the projects that somebody has named.
func gated(ctx context.Context, cfg *config.Config, names []string) ([]string, error) {
	var known []string
	if slices.ContainsFunc(names, config.IsPattern) && cfg.HasPatterns() {
		type answer struct {
			known []string
			err   error
		}
		dir := pause.New(cfg.PauseDir)
		a, ok := bot.InTime(ctx, func() (a answer) { a.known, a.err = dir.KnownProjects(); return a })
		if !ok {
			return nil, fmt.Errorf("pause directory %s did not answer in %s: check whether its file system hangs", dir.Path(), bot.GateWait)
		}
		if a.err != nil {
			return nil, a.err
		}
		known = a.known
	}
	s, err := cfg.Select(names, known)
	if err != nil {
		return nil, err
	}
	ids := s.IDs
	for _, id := range ids {
		if err := cfg.CheckProject(id); err != nil {
			return nil, err
		}
	}
	for _, id := range s.Matched {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// gateProject asks the gate of one project. advised keeps the advice on an error, which costs up to 2 s.
func (a *app) gateProject(ctx context.Context, cfg *config.Config, project string, advised map[string]string) gateProject {
	v := bot.Gate(ctx, cfg, project)
	switch {
	case v.Err != nil:
		said := v.Err.Error()
		if advised[said] == "" {
			// The verdict stands. What the state says only helps the reader.
			advised[said] = bot.AdviseRestore(ctx, cfg, a.env(nil), v.Err, 2*time.Second).Error()
		}
		return gateProject{Project: project, Paused: status.Unknown, Reason: advised[said]}
	case v.Paused:
		reason := strings.TrimRight(v.Reason, "\n")
		if says := project + " is paused"; !strings.HasPrefix(reason, says) {
			reason = says + ": " + reason
		}
		return gateProject{Project: project, Paused: status.Yes, Reason: reason}
	}
	return gateProject{Project: project, Paused: status.No}
}
