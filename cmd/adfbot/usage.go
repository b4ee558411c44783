package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/terraphim/adfbot/internal/redact"
)

// Messages about wrong usage. Cobra's own ("accepts 1 arg(s), received 0") name neither what is missing nor what was meant.

// someProjects takes the arguments of gate, pause and resume.
func someProjects(cmd *cobra.Command, args []string, all bool) error {
	switch {
	case all && len(args) > 0:
		return fmt.Errorf("--all or the names of projects, not both: %s", quoted(args))
	case !all && len(args) == 0:
		return fmt.Errorf("which project? %s", cmd.UseLine())
	}
	return nil
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
		hint := ""
		switch {
		case cmd.Flags().Lookup("project") != nil:
			hint = ": a project is named by --project P"
		case cmd.HasSubCommands():
			hint = meant(likely(cmd, args[0]), cmd.Name()+" ")
		}
		return fmt.Errorf("%s takes no arguments, not %s%s", cmd.CommandPath(), quoted(args), hint)
	}
	return nil
}

// execCommand takes the command of exec. It insists on the --, so that a misplaced word is not taken for the program.
func execCommand(cmd *cobra.Command, args []string) error {
	switch {
	case cmd.ArgsLenAtDash() == 0 && len(args) > 0:
		return nil
	case slices.Contains(args, "--") && !cmd.Flags().Changed("project"):
		return fmt.Errorf("the project is named by --project: adfbot exec --project P %s", masked(strings.Join(args[slices.Index(args, "--"):], " ")))
	case cmd.ArgsLenAtDash() < 0 && len(args) > 0:
		return fmt.Errorf("write -- before the command: adfbot exec --project P -- %s", masked(strings.Join(args, " ")))
	}
	return errors.New("which command? adfbot exec --project P -- CMD [ARG...]")
}

// knownCommand is called if no command has this name.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("there is no command %q%s", masked(args[0]), meant(likely(root, args[0]), ""))
}

// likely returns the commands below one that may have been meant by a name.
func likely(parent *cobra.Command, name string) []string {
	parent.SuggestionsMinimumDistance = 2
	return parent.SuggestionsFor(name)
}

// quoted lists arguments for a message.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = strconv.Quote(masked(arg))
	}
	return strings.Join(out, " ")
}

// once is the value of a flag that takes one. Of several, the last would win, and nothing would say so.
type once struct {
	pflag.Value
	given *string
}

func (o *once) Set(s string) error {
	if o.given != nil && *o.given != s {
		return &twiceError{*o.given, s}
	}
	o.given = &s
	if o.Type() == "int" { // which package flag reads like a number in Go: 010 would be 8
		n, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		s = strconv.Itoa(n)
	}
	return o.Value.Set(s)
}

// masked returns what somebody has written, for a message, without the password of a URL, or a token.
func masked(arg string) string {
	var patterns *redact.Redactor
	return patterns.Redact(arg)
}

// twiceError means that two values were given to a flag that takes one.
type twiceError struct{ first, second string }

func (e *twiceError) Error() string {
	return fmt.Sprintf("it is given twice, as %q and %q: give it once", masked(e.first), masked(e.second))
}

// takeOne makes the flags refuse a second value, but for lists and switches, and the configuration: an alias that names one is overridden.
func takeOne(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if _, list := f.Value.(pflag.SliceValue); list || f.Value.Type() == "bool" || f.Name == "config" {
			return
		}
		f.Value = &once{Value: f.Value}
		if f.DefValue == "0s" {
			f.DefValue = "" // the help text knows only this as the zero value of any type
		}
	})
}

// flagValues says what the values of flags must be, by their type.
var flagValues = map[string]string{
	"bool":     "true or false",
	"duration": "a number with the unit s, m or h, e.g. 90s or 50m",
	"int":      "a number",
}

// maxDuration is the longest duration, in whole hours.
const maxDuration = "2562047h"

// longDuration matches a duration, which is refused if it is longer than that.
var longDuration = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-+]?([0-9.]+(h|m|s|ms|us|µs|ns))+$`) })

// flagError says in plain words what is wrong with a flag: which one may have been meant, and which value would be right.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	var twice *twiceError
	var empty *pflag.ValueRequiredError
	var none *pflag.InvalidSyntaxError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &bad) && errors.As(err, &twice):
		return fmt.Errorf("--%s: %w", bad.GetFlag().Name, twice)
	case errors.As(err, &bad):
		must := cmp.Or(flagValues[bad.GetFlag().Value.Type()], "something else: see the help text")
		if bad.GetFlag().Value.Type() == "duration" && longDuration().MatchString(bad.GetValue()) {
			must = "at most " + maxDuration
		}
		if bad.GetFlag().Name == "exit-code" {
			must += "; after a signal that is 128 and the signal's number, e.g. 137 after KILL"
		}
		return fmt.Errorf("--%s %q: must be %s", bad.GetFlag().Name, masked(bad.GetValue()), must)
	case errors.As(err, &empty):
		return fmt.Errorf("the flag --%s needs an argument", empty.GetFlag().Name)
	case errors.As(err, &none):
		return fmt.Errorf("%q is no flag: write --name or --name=value", none.GetSpecifiedFlag())
	case !errors.As(err, &unknown):
		return err
	}
	if args := cmd.Flags().Args(); !cmd.HasParent() && len(args) > 0 { // a misspelt command, with flags that it would have
		return knownCommand(cmd, args)
	}
	name := unknown.GetSpecifiedName()
	if name == "project" && strings.Contains(cmd.Use, "P...") {
		return fmt.Errorf("there is no flag --project: name the projects without it, %s P", cmd.CommandPath())
	}
	if len(name) < 2 {
		return fmt.Errorf("there is no flag -%s", name)
	}
	flagNames := regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`) // in the help text about flags
	var names []string
	for _, m := range flagNames.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages()+cmd.InheritedFlags().FlagUsages(), -1) {
		names = append(names, m[1])
	}
	return fmt.Errorf("there is no flag --%s%s", name, meant(similar(name, names), "--"))
}

// flagRules are the messages of cobra's checks of several flags, which have no types, and what is said in their place. The names in them are
// those of our own flags.
var flagRules = []struct {
	cobra string // an expression
	plain func(cmd *cobra.Command, named []string) string
}{
	{`^required flag\(s\) (.*) not set$`, func(cmd *cobra.Command, named []string) string {
		verb := "is"
		if len(named) > 1 {
			verb = "are"
		}
		return fmt.Sprintf("%s %s missing: %s", strings.Join(named, " and "), verb, cmd.UseLine())
	}},
	{`^at least one of the flags in the group \[(.*)\] is required$`, func(_ *cobra.Command, named []string) string {
		return "give one of " + strings.Join(named, ", ")
	}},
	{`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`, func(_ *cobra.Command, named []string) string {
		return "give one only of " + strings.Join(named, " and ")
	}},
}

// plainly says in plain words what cobra found wrong before a command began.
func plainly(cmd *cobra.Command, err error) error {
	for _, rule := range flagRules {
		m := regexp.MustCompile(rule.cobra).FindStringSubmatch(err.Error())
		if m == nil {
			continue
		}
		var named []string
		for _, name := range strings.FieldsFunc(m[1], func(c rune) bool { return c == ' ' || c == ',' || c == '"' }) {
			named = append(named, "--"+name)
		}
		return errors.New(rule.plain(cmd, named))
	}
	return err
}

// similar returns the names that may have been meant. Cobra knows how to find them among commands.
func similar(name string, names []string) []string {
	root := &cobra.Command{}
	for _, n := range names {
		root.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	return likely(root, name)
}

func meant(names []string, prefix string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + prefix + strings.Join(names, " or "+prefix) + "?"
}
