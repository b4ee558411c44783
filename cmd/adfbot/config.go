package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/config"
)

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config show|schema",
		Short: "Show the configuration in use, or a JSON Schema for editors",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("show or schema? %s", cmd.UseLine())
			}
			return fmt.Errorf("there is no command %q: %s", args[0], cmd.UseLine())
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // Args refuses everything
	}
	cmd.AddCommand(a.configShowCmd(), a.configSchemaCmd())
	return cmd
}

// settingsJSON is the answer of `config show --json`.
type settingsJSON struct {
	Settings []config.Setting `json:"settings"`
}

func (a *app) configShowCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [--json]",
		Short: "Show every key with the value in use, and where that came from",
		Long: `show prints every key of the configuration with the value in use. A comment says where it came from: the
file and line, the key that a project takes it over from, or "default". Projects of included files stand
with the others. What is printed is a configuration of its own, in one file.

Secrets are in files of their own, which show does not read.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := config.ReadSettings(config.Find(a.configPath, a.getenv))
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(settingsJSON{s.List})
			}
			a.printf("%s", s.YAML())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of the keys as JSON")
	return cmd
}

func (a *app) configSchemaCmd() *cobra.Command {
	var included bool
	cmd := &cobra.Command{
		Use:   "schema [--include]",
		Short: "Print a JSON Schema of the configuration, for editors",
		Long: `schema prints a JSON Schema of the configuration, by which an editor completes keys, shows what they mean and
marks mistakes; with --include, that of an included file. It needs no configuration. ` + "`adfbot check`" + ` also finds what a schema cannot say.`,
		Example: `  adfbot config schema | sudo tee /etc/adfbot/config.schema.json >/dev/null

and as the first line of the configuration:

  # yaml-language-server: $schema=/etc/adfbot/config.schema.json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			text := config.JSONSchema
			if included {
				var err error
				if text, err = config.IncludedJSONSchema(); err != nil {
					return err
				}
			}
			a.printf("%s", text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&included, "include", false, "the schema of a file that the configuration includes")
	return cmd
}
