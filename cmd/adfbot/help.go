package main

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot"
	"github.com/terraphim/adfbot/escalate/issuetext"
)

// docs holds the help topics: one Markdown file each, whose heading is the topic's title.
//
//go:embed docs/*.md
var docs embed.FS

// These are files that topics refer to. `help` prints each by its name as it is.
var (
	//go:embed adfbot.service
	unit string
	//go:embed alerts.yaml
	alerts string
	//go:embed dashboard.json
	dashboard string
)

var helpFiles = map[string]string{
	"adfbot.service": unit, "alerts.yaml": alerts, "dashboard.json": dashboard, "config.example.yaml": adfbot.ExampleConfig,
	"issue.md.tmpl": issuetext.BuiltinTemplate(),
}

// addHelp gives the root command `help` with its topics, and --version.
func (a *app) addHelp(root *cobra.Command) {
	version := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *version {
			a.printVersion()
			return nil
		}
		return cmd.Help()
	}
	help := &cobra.Command{
		Use:   "help [COMMAND|TOPIC]",
		Short: "Show help on a command or topic",
		Long:  "Show help on a command or topic. Without an argument, list them.",
		Args: func(cmd *cobra.Command, args []string) error {
			if found, topic := lookUp(root, args); len(args) > 0 && found == nil && topic == "" {
				what := strings.Join(args, " ")
				return fmt.Errorf("there is no command or topic %q%s", what, meant(similar(what, helpNames(root)), ""))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return helpNames(root), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			found, topic := lookUp(root, args)
			if len(args) == 0 {
				found = root
			}
			if found != nil {
				found.InitDefaultHelpFlag()
				if err := found.Help(); err != nil {
					return err
				}
			}
			if found != nil && topic != "" {
				a.printf("\n")
			}
			if len(args) == 0 || helpFiles[args[0]] == "" {
				topic = forTerminal(topic)
			}
			a.printf("%s", topic)
			return nil
		},
	}
	root.SetHelpCommand(help)
	plain := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		plain(cmd, args)
		if cmd != root && cmd != help {
			return
		}
		a.printf("\nTopics:\n")
		for _, name := range topicNames() {
			title, _, _ := strings.Cut(topicText(name), "\n")
			a.printf("  help %-15s %s\n", name, strings.TrimPrefix(title, "# "))
		}
	})
}

// lookUp finds what help is asked for: a command, a topic, both or neither.
func lookUp(root *cobra.Command, args []string) (found *cobra.Command, topic string) {
	if len(args) == 1 {
		topic = topicText(args[0])
	}
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root || len(rest) > 0 {
		return nil, topic
	}
	return cmd, topic
}

func topicNames() []string {
	entries, _ := docs.ReadDir("docs") // embedded: it never fails
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".md")
	}
	return names
}

// topicText is empty where there is no such topic.
func topicText(name string) string {
	if file, ok := helpFiles[name]; ok {
		return file
	}
	text, _ := docs.ReadFile("docs/" + name + ".md")
	return string(text)
}

// forTerminal replaces links to other topics by the commands that show them.
func forTerminal(topic string) string {
	return regexp.MustCompile(`\[([^\]]*)\]\((\w+)\.md[^)]*\)`).ReplaceAllString(topic, "$1 (`adfbot help $2`)")
}

// helpNames lists every command, topic and file, each once.
func helpNames(root *cobra.Command) []string {
	names := slices.AppendSeq(topicNames(), maps.Keys(helpFiles))
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
