package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

func (a *app) demoCmd() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole story on an embedded Gitea, in a temporary directory, in a few seconds",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.demo(ctx, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the temporary directory, to look at")
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

// demonstration is one demo: the same commands that a user types, run in this process against a real HTTP server that
// behaves like Gitea.
type demonstration struct {
	a     *app
	dir   string
	gitea *giteatest.Server
	err   error // the first thing that did not go as it must
}

func (a *app) demo(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "adfbot-demo-")
	if err != nil {
		return err
	}
	d := &demonstration{a: a, dir: dir, gitea: giteatest.New(nil)}
	defer d.gitea.Close()
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	stop, err := d.start()
	if err != nil {
		return err
	}
	defer stop()
	d.story(ctx)
	if keep {
		a.printf("\nEverything is in %s: try `adfbot status --config %s/config.yaml`.\n", dir, dir)
	}
	return errors.Join(d.err, ctx.Err())
}

// start brings up the embedded Gitea with a bot account and a repository, and writes configuration and token.
func (d *demonstration) start() (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	url := "http://" + l.Addr().String()
	d.gitea.SetBaseURL(url)
	d.gitea.AddUser("adf-bot", giteatest.UserOptions{})
	d.gitea.AddRepo("terraphim", "adf-fleet")
	d.gitea.SetPermission("terraphim", "adf-fleet", "adf-bot", giteatest.Write)
	d.gitea.AddToken("adf-bot", "demo-token", "write:issue", "read:user")
	server := &http.Server{Handler: d.gitea, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends with Close
	}()
	stop = func() {
		_ = server.Close()
		<-served
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(d.dir, "token"), []byte("demo-token\n"), 0o600),
		os.WriteFile(filepath.Join(d.dir, "config.yaml"), fmt.Appendf(nil, demoConfig, d.dir, url), 0o600),
	)
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func (d *demonstration) story(ctx context.Context) {
	const failing = `echo "project-meta: planning failed: model quota used up" >&2; exit 1`
	d.a.printf("This is adfbot itself, with a small Gitea of its own, in %s.\n", d.dir)

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

	d.title("An operator has mended the cause and removes the flag")
	d.a.printf("$ rm %s\n", flag)
	d.must(os.Remove(flag))

	d.title("The sweep notices it (the daemon does that every minute)")
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

// run shows a command as a user would type it, runs it, and holds it to the exit code that the story needs.
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
