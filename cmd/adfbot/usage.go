package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Messages about wrong usage. Cobra's own ("accepts 1 arg(s), received 0") name neither what is missing nor what was meant.

// oneProject takes the one argument of gate.
func oneProject(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("which project? %s", cmd.UseLine())
	case len(args) > 1:
		return fmt.Errorf("one project at a time, not %q", args)
	}
	return nil
}

// someProjects takes the arguments of pause and resume.
func someProjects(cmd *cobra.Command, args []string, all bool) error {
	switch {
	case all && len(args) > 0:
		return fmt.Errorf("--all or the names of projects, not both: %q", args)
	case !all && len(args) == 0:
		return fmt.Errorf("which project? %s", cmd.UseLine())
	}
	return nil
}

// oneProjectAtMost takes the argument of status.
func oneProjectAtMost(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return oneProject(cmd, args)
}

// oneURL takes the argument of migrate. It shows none, since there may be a password in it.
func oneURL(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("where to? %s", cmd.UseLine())
	case len(args) > 1:
		return fmt.Errorf("one URL at a time, in quotes: %s", cmd.UseLine())
	}
	return nil
}

// oneURLAtMost takes the argument of init-state.
func oneURLAtMost(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return oneURL(cmd, args)
}

// noArgs takes no argument at all.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, not %q", cmd.CommandPath(), args)
	}
	return nil
}

// execCommand takes the command of exec. It insists on the --, so that a misplaced word is not taken for the program.
func execCommand(cmd *cobra.Command, args []string) error {
	switch {
	case cmd.ArgsLenAtDash() == 0 && len(args) > 0:
		return nil
	case cmd.ArgsLenAtDash() < 0 && len(args) > 0:
		return fmt.Errorf("write -- before the command: adfbot exec --project P -- %s", strings.Join(args, " "))
	}
	return errors.New("which command? adfbot exec --project P -- CMD [ARG...]")
}

// knownCommand is called if no command has this name.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2
	return fmt.Errorf("there is no command %q%s", args[0], meant(root.SuggestionsFor(args[0]), ""))
}

// flagValues says what the values of flags must be, by their type.
var flagValues = map[string]string{
	"bool":     "true or false",
	"duration": "a number with a unit, e.g. 90s or 50m",
	"int":      "a number; after a signal that is 128 and the signal's number, e.g. 137 after KILL",
}

// flagError adds to the error for an unknown flag which one may have been meant, and to that for a bad value what would be right.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) && flagValues[bad.GetFlag().Value.Type()] != "" {
		return fmt.Errorf("--%s %q: must be %s", bad.GetFlag().Name, bad.GetValue(), flagValues[bad.GetFlag().Value.Type()])
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	flagNames := regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`) // in the help text about flags
	var names []string
	for _, m := range flagNames.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages()+cmd.InheritedFlags().FlagUsages(), -1) {
		names = append(names, m[1])
	}
	return fmt.Errorf("%w%s", err, meant(similar(unknown.GetSpecifiedName(), names), "--"))
}

// similar returns the names that may have been meant. Cobra knows how to find them among commands.
func similar(name string, names []string) []string {
	root := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, n := range names {
		root.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	return root.SuggestionsFor(name)
}

func meant(names []string, prefix string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + prefix + strings.Join(names, " or "+prefix) + "?"
}
