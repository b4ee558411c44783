package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// shells are those that cobra writes completion scripts for.
var shells = []cobra.Completion{"bash", "zsh", "fish", "powershell"}

// completionCmd takes the place of cobra's own command, which has one for each shell.
func (a *app) completionCmd() *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use:   "completion SHELL [--no-descriptions]",
		Short: "Print a script that has bash, zsh, fish or powershell complete commands, flags and projects",
		Long: `completion prints a script for a shell: bash, zsh, fish or powershell. With it, the Tab key completes
commands, flags and the ids of projects. bash needs the package bash-completion.`,
		Example: `  adfbot completion bash | sudo tee /etc/bash_completion.d/adfbot
  adfbot completion zsh >"${fpath[1]}/_adfbot"
  adfbot completion fish >~/.config/fish/completions/adfbot.fish`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return fmt.Errorf("which shell? %s", cmd.UseLine())
			case len(args) > 1:
				return fmt.Errorf("one shell at a time, not %s", quoted(args))
			case a.completionScript(cmd.Root(), args[0], plain) == nil:
				return fmt.Errorf("there is no completion for the shell %q: use bash, zsh, fish or powershell", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.completionScript(cmd.Root(), args[0], plain)() },
	}
	cmd.Flags().BoolVar(&plain, "no-descriptions", false, "complete names without describing them")
	return cmd
}

// completionScript returns what writes the script for a shell; nil if there is none.
func (a *app) completionScript(root *cobra.Command, shell string, plain bool) func() error {
	switch shell {
	case "bash":
		return func() error { return root.GenBashCompletionV2(&a.out, !plain) }
	case "zsh":
		if plain {
			return func() error { return root.GenZshCompletionNoDesc(&a.out) }
		}
		return func() error { return root.GenZshCompletion(&a.out) }
	case "fish":
		return func() error { return root.GenFishCompletion(&a.out, !plain) }
	case "powershell":
		if plain {
			return func() error { return root.GenPowerShellCompletion(&a.out) }
		}
		return func() error { return root.GenPowerShellCompletionWithDesc(&a.out) }
	}
	return nil
}
