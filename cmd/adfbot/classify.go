package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

type classifyFlags struct {
	project, agent string
	exitCode       int
	output         string
	json           bool
}

// classification is the answer of `classify --json`.
type classification struct {
	Class   string     `json:"class"`   // "" for a run that is no failure
	Outcome string     `json:"outcome"` // success, failure, ignored or trip
	Why     string     `json:"why"`
	Counts  bool       `json:"counts"` // results of the agent move the counter, or trip
	Rules   []ruleView `json:"rules"`  // in their order
}

type ruleView struct {
	Name    string `json:"name"`
	Origin  string `json:"origin"` // file and line, or the tool that a built-in rule is for
	Outcome string `json:"outcome"`
	Matches bool   `json:"matches"`
	Decides bool   `json:"decides"` // it is the first one that matches
	Why     string `json:"why"`
}

func (a *app) classifyCmd() *cobra.Command {
	var f classifyFlags
	cmd := &cobra.Command{
		Use:   "classify [--project P] [--agent A] --exit-code N [--output FILE]",
		Short: "Show which class a failure has, by which rule, and why no other one matches",
		Long: `classify looks at an exit code and an output as record does, and stores nothing. Without a
project, it takes the rules that all projects have.`,
		Example: `  adfbot classify --exit-code 1 --output /var/log/project-meta.log
  some-command 2>&1 | adfbot classify --project odilo --exit-code 75 --output - --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.classify(f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.project, "project", "", "project whose rules come first")
	fl.StringVar(&f.agent, "agent", defaultAgent, "agent that ran")
	fl.IntVar(&f.exitCode, "exit-code", 0, "its exit code (required)")
	fl.StringVar(&f.output, "output", "", "file with its output, - for standard input")
	fl.BoolVar(&f.json, "json", false, "print all rules as JSON")
	_ = cmd.MarkFlagRequired("exit-code")
	a.completeProjectFlag(cmd)
	return cmd
}

func (a *app) classify(f classifyFlags) error {
	cfg, _, err := config.LoadFor(config.Find(a.configPath, a.getenv), "")
	if err != nil {
		return err
	}
	if f.project != "" {
		if err := cfg.CheckProject(f.project); err != nil {
			return &exit{exitUsage, err}
		}
	}
	if f.exitCode < 0 || f.exitCode > 255 {
		return usage("--exit-code %d: must be 0 to 255", f.exitCode)
	}
	output, err := a.readOutput(f.output, cfg.Escalation.OutputTail, bot.RedactorFor(cfg, a.getenv), outputWait)
	if err != nil {
		return err
	}
	c := newClassification(cfg, f, output)
	if f.json {
		return a.printJSON(c)
	}
	a.printClassification(c, f)
	return nil
}

func newClassification(cfg *config.Config, f classifyFlags, output string) classification {
	r := store.Result{Project: f.project, Agent: f.agent, ExitCode: f.exitCode, Output: output}
	project, _ := cfg.Project(f.project)
	r.Outcome = bot.OutcomeOf(project, f.exitCode)
	c := classification{Outcome: r.Outcome, Counts: breaker.Counts(f.agent), Rules: []ruleView{}}
	switch r.Outcome {
	case store.Success:
		c.Why = "exit code 0 is a success, which has no class"
		return c
	case store.Ignored:
		c.Why = fmt.Sprintf("exit code %d is in ignore_exit_codes of %s, which come first", f.exitCode, f.project)
		return c
	}
	bot.Classify(cfg, &r)
	c.Class, c.Outcome, c.Why = r.Class, r.Outcome, "no rule matches"
	if r.Trips {
		c.Outcome = class.Trip
	}
	decided := false
	for _, v := range class.Explain(cfg.ClassRules(f.project), class.Run{Agent: f.agent, ExitCode: f.exitCode, Output: output}) {
		view := ruleView{Name: v.Rule.Name, Origin: v.Rule.Origin, Outcome: v.Rule.Outcome, Matches: v.Matches, Why: v.Why}
		if v.Matches && !decided {
			decided, view.Decides, c.Why = true, true, v.Why
		}
		c.Rules = append(c.Rules, view)
	}
	return c
}

// printClassification prints what was decided, and each rule. Of the built-in ones, which are many, it counts those that do not match.
func (a *app) printClassification(c classification, f classifyFlags) {
	effect := map[string]string{
		class.Failure: "it counts", class.Ignored: "it does not count", class.Trip: "it pauses the project at once", store.Success: "it resets the count",
	}[c.Outcome]
	if !c.Counts {
		effect = fmt.Sprintf("it does not count, because no run of the agent %s does", f.agent)
	}
	if c.Class == "" {
		a.printf("no class, %s: %s\n", effect, c.Why)
		return
	}
	decided := slices.ContainsFunc(c.Rules, func(r ruleView) bool { return r.Decides })
	if decided {
		a.printf("%s, %s\n", c.Class, effect)
	} else {
		a.printf("%s, %s: %s\n", c.Class, effect, c.Why)
	}
	if c.Counts && c.Outcome == class.Ignored && f.exitCode > 128 {
		a.printf("  a run that timed out, hung, or was itself ended by a signal counts all the same\n")
	}
	others := 0
	for _, r := range c.Rules {
		switch {
		case r.Decides:
			a.printf("> %s (%s) decides: %s\n", r.Name, r.Origin, r.Why)
		case r.Matches:
			a.printf("  %s (%s) matches, too late: %s\n", r.Name, r.Origin, r.Why)
		case strings.HasPrefix(r.Origin, class.BuiltinOrigin):
			others++
		default:
			a.printf("  %s (%s): %s\n", r.Name, r.Origin, r.Why)
		}
	}
	if others > 0 {
		a.printf("  %s that do not match: see --json\n", text.Plural(others, "built-in rule"))
	}
}
