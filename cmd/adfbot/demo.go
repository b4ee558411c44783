package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

func (a *app) demoCmd() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole story in a few seconds, against a built-in Gitea, in a temporary directory",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.demo(ctx, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the temporary directory")
	return cmd
}

// demoRepo is where the demo's issues go.
const demoRepo = "terraphim/adf-fleet"

const demoConfig = `instance: demo
pause_dir: %[1]s/pause
state: %[1]s/state/adfbot.db
gitea:
  url: %[2]s
  token_file: %[1]s/token
  owner: terraphim
  repo: adf-fleet
projects:
  - id: odilo
`

// cleanup runs what the embedded server has to undo.
type cleanup []func()

func (c *cleanup) Cleanup(f func()) { *c = append(*c, f) }

func (c *cleanup) run() {
	for _, f := range *c {
		f()
	}
}

// demonstration runs the commands that a user types, in this process, against an HTTP server that behaves like Gitea.
type demonstration struct {
	a     *app
	dir   string
	gitea *giteatest.Server
	err   error // the first failure
}

func (a *app) demo(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "adfbot-demo-")
	if err != nil {
		return err
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	var c cleanup
	defer c.run()
	d := &demonstration{a: a, dir: dir, gitea: giteatest.NewServer(&c)}
	if err := d.start(); err != nil {
		return err
	}
	d.story(ctx)
	if keep {
		a.printf("\nEverything is in %s: try `adfbot status --config %s/config.yaml`.\n", dir, dir)
	}
	if err := errors.Join(d.err, ctx.Err()); err != nil {
		return err
	}
	a.printf("\nNext: `adfbot help guide` leads to the first issue in your own Gitea, in ten minutes.\n")
	return nil
}

// start sets up a bot account and a repository, and writes configuration and token.
func (d *demonstration) start() error {
	d.gitea.AddUser("adf-bot", giteatest.UserOptions{})
	d.gitea.AddRepo("terraphim", "adf-fleet")
	d.gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
	d.gitea.AddToken("adf-bot", "demo-token", "write:issue", "read:user")
	return errors.Join(
		os.WriteFile(filepath.Join(d.dir, "token"), []byte("demo-token\n"), 0o600),
		os.WriteFile(filepath.Join(d.dir, "config.yaml"), fmt.Appendf(nil, demoConfig, d.dir, d.gitea.URL()), 0o600),
	)
}

func (d *demonstration) story(ctx context.Context) {
	const failing = `echo "project-meta: planning failed: model quota used up" >&2; exit 1`
	d.a.printf("This is adfbot itself, with a built-in Gitea, in %s.\n", d.dir)

	d.title("odilo's project-meta agent fails three times in a row")
	for range 3 {
		d.run(ctx, 1, "exec", "--project", "odilo", "--", "sh", "-c", failing)
	}

	d.title("The breaker has tripped: the pause flag is on disk")
	flag := filepath.Join(d.dir, "pause", "odilo")
	note, err := os.ReadFile(flag)
	d.must(err)
	d.a.printf("$ cat %s\n%s", flag, note)

	d.title("Gitea has one issue. Its text, as Gitea got it:")
	issues := d.gitea.Issues(demoRepo)
	if len(issues) != 1 {
		d.must(fmt.Errorf("%d issues instead of one", len(issues)))
		return
	}
	d.a.printf("%s  %s\n\n%s\n", issues[0].Title, strings.Join(issues[0].Labels, ", "), indent(issues[0].Body))

	d.title("Nothing more is run for odilo")
	d.run(ctx, 75, "exec", "--project", "odilo", "--", "sh", "-c", "echo this is never printed")

	d.title("An operator has fixed the cause and removes the flag")
	d.a.printf("$ rm %s\n", flag)
	d.must(os.Remove(flag))

	d.title("The sweep notices (the daemon sweeps every minute)")
	d.run(ctx, 0, "sweep")

	d.title("The issue is closed, and odilo may run again")
	closed := d.gitea.Issues(demoRepo)[0]
	d.a.printf("#%d %s: %s\n", closed.Number, closed.Title, closed.State)
	for _, c := range closed.Comments {
		d.a.printf("comment by %s:\n%s\n", c.Author, indent(c.Body))
	}
	if closed.State != "closed" {
		d.must(fmt.Errorf("the issue is %s", closed.State))
	}
	d.run(ctx, 0, "exec", "--project", "odilo", "--", "sh", "-c", "echo working again")
	d.run(ctx, 0, "status")
}

func (d *demonstration) title(s string) { d.a.printf("\n— %s\n", s) }

// run prints a command as a user would type it, runs it, and expects the exit code want.
func (d *demonstration) run(ctx context.Context, want int, args ...string) {
	shown := make([]string, len(args))
	for i, s := range args {
		shown[i] = s
		if strings.ContainsAny(s, ` "'`) {
			shown[i] = "'" + s + "'"
		}
	}
	d.a.printf("$ adfbot %s\n", strings.Join(shown, " "))
	p := d.a.process
	p.stdin = strings.NewReader("")
	p.stderr = d.a.stdout // one stream, so that the story stays in order
	code := run(ctx, append([]string{"--config", filepath.Join(d.dir, "config.yaml")}, args...), p)
	if code != 0 {
		d.a.printf("(exit code %d)\n", code)
	}
	if code != want {
		d.must(fmt.Errorf("adfbot %s: exit code %d instead of %d", args[0], code, want))
	}
}

func (d *demonstration) must(err error) {
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("the demo went wrong: %w", err)
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}
