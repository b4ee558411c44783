package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
)

func (a *app) testIssueCmd() *cobra.Command {
	var project string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test-issue [--project P] [--json]",
		Short: "Open, label, comment on and close one issue that says it is a test: proves what the token may do",
		Long: `test-issue opens an issue that says it is a test, labels it as those of the project are labelled, comments
on it and closes it. ` + "`adfbot check`" + ` leaves no trace in Gitea, so it cannot prove all of that. Each FAIL line
says what to do. Who watches the repository is notified.

If it is interrupted, the next test closes the issue. Nothing else ever touches it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if project != "" && !slices.Contains(cfg.Patterns(), project) {
				if err := cfg.CheckProject(project); err != nil {
					return err
				}
			}
			b, err := bot.Open(ctx, cfg, bot.Operate, a.env(nil))
			if err != nil {
				return err
			}
			defer a.close(b)
			a.warnOf(b)
			return a.findings(asJSON, func(report func(bot.Finding)) { b.TestIssue(ctx, project, report) })
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "test the repository of this project, not that of the first one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON, when all is done")
	_ = cmd.RegisterFlagCompletionFunc("project", a.completeProjects) // the flag is there
	return cmd
}

func (a *app) printFinding(f bot.Finding) { a.printf("%-5s %-10s %s\n", f.Level, f.What, f.Text) }
