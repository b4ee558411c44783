package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

type runsFlags struct {
	since, until, after string
	output, limit       int
	json                bool
}

// runsJSON is the answer of `runs --json`, as of the API.
type runsJSON struct {
	Runs []status.ListedRun `json:"runs"`
	Next *string            `json:"next"`
}

func (a *app) runsCmd() *cobra.Command {
	var f runsFlags
	var filter store.RunFilter
	cmd := &cobra.Command{
		Use:   "runs [P...] [flags]",
		Short: "List the runs that were recorded, the newest first, with their outputs",
		Long: `runs lists the history of all projects, or of those that are named. P is a project's id, or a pattern in
quotes, such as 'twins-*'. A project that has left the configuration still has its history. The outputs
of a project's last ` + strconv.Itoa(store.KeptOutputs) + ` failures are kept.`,
		Example: `  adfbot runs odilo --output 20
  adfbot runs --outcome failure --since 24h`,
		ValidArgsFunction: a.completeProjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(&filter, a.time()); err != nil {
				return &exit{exitUsage, err}
			}
			return a.listRuns(cmd, args, filter, f)
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.output, "output", 0, "show the last N lines of the output of each failed run")
	fl.StringVar(&filter.Outcome, "outcome", "", "only runs that ended like this: success, failure or ignored")
	fl.StringVar(&filter.Class, "class", "", "only failures of this class")
	fl.StringVar(&filter.Agent, "agent", "", "only runs of this agent")
	fl.StringVar(&f.since, "since", "", "only runs that were recorded since then: how long ago, e.g. 90m or 7d, or a time, RFC 3339")
	fl.StringVar(&f.until, "until", "", "only runs that were recorded before this; as --since")
	fl.IntVar(&f.limit, "limit", defaultListed, "how many at most")
	fl.StringVar(&f.after, "after", "", "the next page: what the one before names")
	fl.BoolVar(&f.json, "json", false, "print everything as JSON")
	_ = cmd.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(outcomes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var outcomes = []string{store.Success, store.Failure, store.Ignored}

// check checks the flags, and sets the filter.
func (f runsFlags) check(filter *store.RunFilter, now time.Time) (err error) {
	switch {
	case filter.Outcome != "" && !slices.Contains(outcomes, filter.Outcome):
		return fmt.Errorf("--outcome %q: must be success, failure or ignored", filter.Outcome)
	case f.output < 0:
		return fmt.Errorf("--output must be a number of lines, not %d", f.output)
	}
	if f.after != "" {
		if filter.Before, err = status.ParseAfter(f.after); err != nil {
			return fmt.Errorf("--after %w", err)
		}
	}
	if filter.Since, err = parseSince("--since", f.since, now); err == nil {
		filter.Until, err = parseSince("--until", f.until, now)
	}
	if err == nil && !filter.Since.IsZero() && !filter.Until.IsZero() && !filter.Since.Before(filter.Until) {
		err = fmt.Errorf("--since %s is not before --until %s: no run can be between them", f.since, f.until)
	}
	if err == nil {
		err = checkLimit(f.limit)
	}
	// Outputs are read for their last lines, too.
	filter.Limit, filter.Output = f.limit, true
	return err
}

// parseSince parses a time, or how long ago that was.
func parseSince(name, s string, now time.Time) (time.Time, error) {
	if ago, ok := text.ParseDuration(s); ok {
		return now.Add(-ago), nil
	}
	t, err := bot.ParseTime(name, s)
	if err != nil {
		return t, fmt.Errorf("%s %q: write how long ago, e.g. 90m or 7d, or a time as in RFC 3339, e.g. 2026-11-23T07:04:05Z", name, s)
	}
	return t, nil
}

func (a *app) listRuns(cmd *cobra.Command, names []string, filter store.RunFilter, f runsFlags) error {
	out := runsJSON{Runs: []status.ListedRun{}}
	err := a.readNamed(cmd, names, func(b *bot.Bot, ids []string) error {
		filter.Projects = ids
		for next := ""; len(out.Runs) < f.limit; {
			filter.Limit = f.limit - len(out.Runs)
			page, more, err := b.Runs(cmd.Context(), filter)
			if err != nil {
				return err
			}
			out.Runs, next = append(out.Runs, page...), more
			if out.Next = &next; next == "" {
				out.Next = nil
				break
			}
			if filter.Before, err = status.ParseAfter(next); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(out.Runs) == 0 && filter.Class != "" {
		if err := a.warnOfClass(filter.Class); err != nil {
			return err
		}
	}
	for n, r := range out.Runs {
		out.Runs[n].Output = lastLines(r.Output, f.output)
	}
	if f.json {
		return a.printJSON(out)
	}
	a.printRuns(out, len(names) == 1 && !config.IsPattern(names[0]))
	if out.Next != nil {
		a.printf("older ones: the same with --after %s\n", *out.Next)
	}
	return nil
}

// warnOfClass says that no rule has the class of this name, if so. The history may still have runs of it.
func (a *app) warnOfClass(name string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	names := class.BuiltinNames()
	rules := slices.Clone(cfg.Classes)
	for _, p := range cfg.Projects {
		rules = append(rules, p.Classes...)
	}
	for _, r := range rules {
		names = append(names, r.Name)
	}
	if !slices.Contains(names, name) {
		slices.Sort(names)
		a.warnf("--class %q: there is no class of this name%s\n", masked(name), meant(similar(name, slices.Compact(names)), ""))
	}
	return nil
}

// readNamed reads from the state what is about the projects that somebody has named; ids is nil if that is all. While there is no state,
// it only checks the names.
func (a *app) readNamed(cmd *cobra.Command, names []string, read func(b *bot.Bot, ids []string) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	b, err := bot.Open(cmd.Context(), cfg, bot.ReadOnly, a.env(nil))
	if store.NoState(err) {
		if missing := bot.MissingState(cmd.Context(), cfg); missing != "" {
			a.warnf("%s\n", missing)
		}
		return checkNames(cfg, names)
	}
	if err != nil {
		return err
	}
	defer a.close(b)
	ids, err := b.Named(cmd.Context(), names)
	if err != nil {
		return wrongName(err)
	}
	return read(b, ids)
}

// checkNames checks names where no state says which projects are known.
func checkNames(cfg *config.Config, names []string) error {
	for _, name := range names {
		err := cfg.CheckProject(name)
		if config.IsPattern(name) {
			_, err = cfg.Select([]string{name}, nil)
		}
		if err != nil {
			return &exit{exitUsage, err}
		}
	}
	return nil
}

// lastLines returns the last n lines of an output.
func lastLines(output string, n int) string {
	lines := strings.SplitAfter(strings.TrimRight(output, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "")
}

func (a *app) printRuns(list runsJSON, one bool) {
	if len(list.Runs) == 0 {
		a.printf("no runs\n")
		return
	}
	head := cells("FINISHED (UTC)", "PROJECT", "AGENT", "OUTCOME", "EXIT", "TOOK", "CLASS", "HOST", "LAST LINE")
	rows := []row{{cells: head}}
	for _, r := range list.Runs {
		took := "-"
		if !r.Started.IsZero() {
			took = text.Duration(r.Finished.Sub(r.Started))
		}
		c := cells(r.Finished.UTC().Format(time.DateTime), r.Project, r.Agent, r.Outcome, cmp.Or(r.Signal, strconv.Itoa(r.ExitCode)), took,
			cmp.Or(r.Class, "-"), cmp.Or(r.Host, "-"), cmp.Or(r.LastLine, r.Detail, "-"))
		c[3].colour = outcomeColours[r.Outcome]
		line := row{cells: c}
		for l := range strings.SplitSeq(r.Output, "\n") {
			if r.Output != "" {
				line.below = append(line.below, "    | "+l)
			}
		}
		rows = append(rows, line)
	}
	for n := range rows {
		if one {
			rows[n].cells[1].text = "" // it was named
		}
	}
	a.printRows(rows)
}

var outcomeColours = map[string]string{store.Failure: red, store.Ignored: yellow}
