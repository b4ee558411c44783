package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/proc"
)

const defaultAgent = "project-meta"

func (a *app) execCmd() *cobra.Command {
	var q bot.ExecRequest
	cmd := &cobra.Command{
		Use:   "exec --project P [--agent A] [--run-id ID] [--timeout D] -- CMD [ARG...]",
		Short: "Run a command unless the project is paused, and record how it ended",
		Long: `exec goes in front of a command in cron or systemd. It asks the gate, runs the command with
stdin, stdout, stderr and signals passed through, records how it ended, and exits as the
command did: 128+n after signal n, 127 not found, 126 not executable, 124 if it timed out and
then exited with 0.

It exits with 75 if the project is paused, and with 125 if it cannot tell or if it fails itself
before the command starts. A run that ended because adfbot itself got SIGINT, SIGTERM, SIGHUP or
SIGQUIT does not count, unless it had run for --timeout or hung_after. A result that cannot be
recorded is kept beside the state and recorded later.`,
		Example: `  adfbot exec --project odilo -- /usr/local/bin/project-meta --all
  0 * * * *  /usr/local/bin/adfbot exec --project odilo --timeout 50m -- /usr/local/bin/project-meta`,
		Annotations: map[string]string{"usage": strconv.Itoa(bot.ExitNotStarted)},
		Args:        execCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Timeout < 0 {
				return usage("--timeout %s: must not be negative", q.Timeout)
			}
			cfg, warnings, err := config.LoadFor(config.Find(a.configPath, a.getenv), config.ExecKeys(q.Project)...)
			if err != nil {
				return &exit{bot.ExitNotStarted, err}
			}
			for _, w := range warnings {
				a.warnf("warning: %v\n", w)
			}
			if meant := strings.ReplaceAll(strings.ToLower(q.Agent), "_", "-"); breaker.Counts(meant) && !breaker.Counts(q.Agent) {
				a.warnf("warning: runs of the agent %q do not count, those of %q would\n", q.Agent, meant)
			}
			a.hideToken(cfg)
			q.Command, q.Stdin, q.Stdout, q.Stderr = args, a.stdin, a.stdout, a.stderr
			q.Drain = []string{"adfbot", drainName}
			q.Reporter = a.reporter(cfg)
			// exec handles signals itself: they are the command's.
			return quiet(bot.Exec(context.WithoutCancel(cmd.Context()), cfg, a.envWithSpools(cfg), q))
		},
	}
	cmd.Flags().StringVar(&q.Project, "project", "", "project id (required)")
	cmd.Flags().StringVar(&q.Agent, "agent", defaultAgent, "agent that runs; only project-meta and project-meta-<suffix> count")
	cmd.Flags().StringVar(&q.RunID, "run-id", "", "the run's id, unique for the project and agent (default random)")
	cmd.Flags().DurationVar(&q.Timeout, "timeout", 0, "end the command and what it has started after this long, and count a failure (default none)")
	cmd.Flags().SetInterspersed(false)
	_ = cmd.MarkFlagRequired("project")
	a.completeProjectFlag(cmd)
	return cmd
}

// drainName is the command that exec leaves behind for processes in the background; see [proc.Drain].
const drainName = "drain"

func (a *app) drainCmd() *cobra.Command {
	return &cobra.Command{
		Use:    drainName,
		Short:  "Copy stdin to stdout until stdin ends or nobody reads stdout (exec starts it)",
		Hidden: true,
		Args:   noArgs,
		Run:    func(*cobra.Command, []string) { proc.Drain(a.stdin, a.stdout) },
	}
}

// quiet exits with a code and prints nothing.
func quiet(code int) error {
	if code == 0 {
		return nil
	}
	return &exit{code: code}
}
