package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// rawText is what the libraries and Go say of what somebody has written wrongly.
var rawText = expression(`accepts .*arg\(s\)|unknown (?:command|flag|shorthand)|flag needs an argument|bad flag syntax|invalid (?:argument|duration|syntax)|` +
	`required flag\(s\)|flags in the group|strconv\.|time: |parsing |yaml: line|cron: |regexp: `)

// A start builds the command that it was called with, and no other.
func TestOnlyTheCommandInUseIsBuilt(t *testing.T) {
	t.Parallel()
	for _, c := range subcommands() {
		a := &app{}
		require.Equal(t, c.name, c.build(a).Name())
		built := a.root(c.name, "--help").Commands()
		require.Len(t, built, 1, c.name)
		require.Equal(t, c.name, built[0].Name())
		require.Len(t, a.root("--verbose", c.name).Commands(), len(subcommands()))
	}
}

// Whatever is wrong in a command line, the message is adfbot's own and says what to do.
func TestUsageIsPlain(t *testing.T) {
	t.Parallel()
	refused := func(args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), args, process{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
			getenv: func(name string) string { return map[string]string{"ADFBOT_CONFIG": t.TempDir() + "/none.yaml"}[name] }})
		require.NotZero(t, code, "%q", args)
		require.NotRegexp(t, rawText(), stderr.String(), "%q", args)
		require.Regexp(t, `^adfbot: .*[^:]\n`, stderr.String(), "%q", args)
	}
	for _, c := range commandsUnder(commandTree()) {
		name := strings.Fields(c.CommandPath())[1:]
		with := func(more ...string) []string { return append(append([]string{}, name...), more...) }
		refused(with("--nosuch")...)
		refused(with("-Z")...)
		refused(with("--=x")...)
		c.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "bool":
				refused(with("--" + f.Name + "=perhaps")...)
			case "duration":
				refused(with("--" + f.Name + "=soon")...)
				refused(with("--" + f.Name + "=10")...)
				refused(with("--" + f.Name + "=3d")...)
				refused(with("--" + f.Name + "=999999999h")...)
			case "int":
				refused(with("--" + f.Name + "=many")...)
				refused(with("--" + f.Name + "=99999999999999999999")...)
			}
			if f.NoOptDefVal == "" {
				refused(with("--" + f.Name)...)
			}
		})
		if c.Name() != "drain" && c.Name() != "help" {
			refused(with("one thing", "another")...)
		}
	}
	refused("nosuch")
	refused("help", "nosuch")
	refused("record", "--project", "odilo")
	refused("record", "--success")
	refused("record", "--project", "odilo", "--success", "--failure")
	refused("runs", "--since", "yesterday")
	refused("runs", "--since", "2026-13-01")
	refused("status", "--watch=10ms")
	refused("status", "--json", "--watch")
}

// Two different values of a flag that takes one are refused, by whatever command; the same one twice says nothing else.
func TestFlagGivenTwice(t *testing.T) {
	t.Parallel()
	values := map[string][2]string{"string": {"a", "b"}, "int": {"1", "2"}, "duration": {"1m", "2m"}}
	for _, c := range commandsUnder(commandTree()) {
		c.Flags().AddFlagSet(c.InheritedFlags())
		c.Flags().VisitAll(func(f *pflag.Flag) {
			v, ok := values[f.Value.Type()]
			if f.Name == "config" {
				require.NoError(t, c.ParseFlags([]string{"--config=a", "--config=b"}))
				require.Equal(t, "b", f.Value.String(), "the last one wins: an alias may name another")
				return
			}
			if !ok {
				require.Contains(t, []string{"bool", "stringArray", "stringSlice"}, f.Value.Type())
				return
			}
			require.NoError(t, c.ParseFlags([]string{"--" + f.Name + "=" + v[0], "--" + f.Name + "=" + v[0]}))
			err := c.ParseFlags([]string{"--" + f.Name + "=" + v[1]})
			require.ErrorContains(t, err, "--"+f.Name)
			require.EqualError(t, flagError(c, err), fmt.Sprintf("--%s: it is given twice, as %q and %q: give it once", f.Name, v[0], v[1]))
			if f.Value.Type() == "string" {
				err := c.ParseFlags([]string{"--" + f.Name + "=postgres://adfbot:Sesame-4711@db/adfbot"})
				require.NotContains(t, flagError(c, err).Error(), "Sesame", "it may be a URL with a password")
			}
		})
	}
}
