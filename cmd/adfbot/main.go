// Command adfbot is a circuit breaker for scheduled jobs: it pauses a project whose project-meta agent fails several times in
// a row, opens an [ADF] issue in Gitea, and closes the issue when somebody has removed the pause flag.
//
// This package parses flags, prints, and picks exit codes. The work is done in internal/bot.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}))
}

// process is what a command uses of the operating system.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time       // nil: time.Now
	uptime         func() incident.Uptime // nil: see bot.Env
	sleep          func(time.Duration)    // nil: until the time is over, or the context
}

// Exit codes. exec and gate have more, so that shells and systemd do the right thing.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitUnknown = 255 // gate: anything but 0 and 75, as ExecCondition= expects

	exitBrokenOutput = 128 + int(syscall.SIGPIPE) // as if the signal had ended it
)

// exit is an error with the exit code of the process. Without err nothing is printed.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &exit{exitUsage, fmt.Errorf(format, args...)} }

// app is one invocation.
type app struct {
	process
	configPath string
	verbose    bool
	begun      bool // flags and arguments were valid, and the command has begun
	out        output
}

// output is standard output for what a command prints. It remembers the first error.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// run is the whole program. It never ends the process.
func run(ctx context.Context, args []string, p process) int {
	// If nobody reads the output any more, SIGPIPE must not kill a daemon, or a command halfway. Not signal.Ignore, which the
	// command of exec would inherit.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	a := &app{process: p, out: output{w: p.stdout}}
	root := a.root(args...)
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(&a.out)
	root.SetErr(p.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil && a.out.err != nil {
		err = a.notPrinted(cmd)
	}
	if err == nil {
		return exitDone
	}
	if !a.begun {
		err = plainly(cmd, err)
	}
	code := exitFailed
	var e *exit
	var bad *config.Error
	var unknown *config.UnknownProjectError
	switch {
	case errors.As(err, &e):
		code = e.code
	case !a.begun, errors.As(err, &bad), errors.As(err, &unknown):
		code = exitUsage
	}
	// An exit without an error is the exit code of exec's command, which may be 2.
	if own := cmd.Annotations["usage"]; code == exitUsage && own != "" && (e == nil || e.err != nil) {
		_, _ = fmt.Sscan(own, &code)
	}
	if isBrokenOutput(err) {
		return exitBrokenOutput
	}
	if s := text.Once(err.Error()); s != "" {
		fmt.Fprintln(p.stderr, "adfbot: "+strings.ReplaceAll(s, "\n", "\nadfbot: "))
		if !a.begun {
			fmt.Fprintf(p.stderr, "see %s --help\n", cmd.CommandPath())
		}
		if advice := a.runAsOwner(cmd.Context(), cmd.Name(), args, err); advice != "" {
			fmt.Fprintln(p.stderr, "adfbot: "+advice)
		}
	}
	return code
}

// notPrinted returns what becomes of a command that could not print all of its output. One that did something has succeeded: a script
// that took it for failed might do that twice.
func (a *app) notPrinted(cmd *cobra.Command) error {
	err := fmt.Errorf("its output is not complete: %w", a.out.err)
	acts := slices.Contains([]string{"init", "pause", "record", "restore", "resume", "retire", "sweep", "test-issue"}, cmd.Name())
	if dry := cmd.Flags().Lookup("dry-run"); !a.begun || !acts || dry != nil && dry.Changed {
		a.begun = true // it printed help
		return &exit{exitFailed, fmt.Errorf("%s: %w", cmd.Name(), err)}
	}
	if !isBrokenOutput(err) {
		a.warnf("%s has done its work, do not repeat it; %v\n", cmd.Name(), err)
	}
	return nil
}

// isBrokenOutput reports whether a command could not print because nobody reads its output any more.
func isBrokenOutput(err error) bool {
	var e *fs.PathError
	return errors.As(err, &e) && e.Path == os.Stdout.Name() && errors.Is(e, syscall.EPIPE)
}

// runAsOwner returns how a person runs a command that was denied to them, or "". Agents report through the daemon instead; to pause and to
// resume is no user's right but the bot's.
func (a *app) runAsOwner(ctx context.Context, name string, args []string, err error) string {
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, store.ErrDenied) ||
		!slices.Contains([]string{"hosts", "incidents", "migrate", "pause", "resume", "restore", "retire", "runs", "status", "sweep", "test-issue"}, name) {
		return ""
	}
	cfg, err := a.load()
	if err != nil {
		return ""
	}
	if status.Elsewhere(cfg) != nil {
		return "" // the error says where
	}
	if name == "restore" {
		ctx, cancel := context.WithTimeout(ctx, bot.GateWait) // the pause directory may hang
		advice, _ := bot.InTime(ctx, func() string { return status.GiveAndRestore(cfg) })
		if cancel(); advice != "" {
			return advice
		}
	}
	// A member of the bot's group may write the state but may not read the token.
	installation, me := status.Installation(cfg), hostlocal.Me()
	user, other := installation.IsOther()
	owner := hostlocal.BotUser(cfg.OwnPath())
	switch operates := name == "pause" || name == "resume"; {
	case me.UID == 0, me.IsBot(cfg.OwnPath()), !me.IsPerson() && !other && !operates:
		return ""
	case owner.UID == me.UID && !other: // whatever another user wrote there now, the bot could not remove
		of := hostlocal.Owner(cfg.PauseDir)
		if user.KeptFrom(cfg.PauseDir) || of.UID != me.UID && installation.NotCreatable(cfg.PauseDir) != "" {
			return "the pause directory has to belong to the bot's user: " + user.TakeOver(cfg.PauseDir)
		}
		return ""
	case owner.UID != 0 && other: // root's command works, also where the directories are root's by mistake
		owner = user
	}
	if a.configPath == "" {
		args = slices.Concat(cfg.Flag(), args)
	}
	if missing := bot.MissingFile(ctx, cfg); missing != "" {
		return missing // its owner would make a new one
	}
	command := "adfbot"
	for _, arg := range args {
		if text.ShellQuote("x"+arg) != "x"+arg { // a flag needs no quotes
			arg = text.ShellQuote(arg)
		}
		command += " " + arg
	}
	credentials := cfg.Credentials()
	if name == "sweep" || name == "test-issue" {
		credentials = cfg.TokenCredentials()
	}
	advice := status.Advice(owner, credentials, a.getenv("PATH"), command)
	if hostlocal.NoDaemonHere(cfg.HTTP.Socket, cfg.OwnPath()) {
		advice = status.IfInContainer("this") + advice
	}
	return advice
}

// subcommand is a command of the program, which root builds.
type subcommand struct {
	name  string
	build func(*app) *cobra.Command
}

func subcommands() []subcommand {
	return []subcommand{
		{"serve", (*app).serveCmd}, {"exec", (*app).execCmd}, {"record", (*app).recordCmd}, {"classify", (*app).classifyCmd}, {"gate", (*app).gateCmd},
		{"pause", (*app).pauseCmd}, {"resume", (*app).resumeCmd}, {"restore", (*app).restoreCmd}, {"status", (*app).statusCmd}, {"runs", (*app).runsCmd},
		{"incidents", (*app).incidentsCmd}, {"hosts", (*app).hostsCmd}, {"sweep", (*app).sweepCmd}, {"init", (*app).initCmd}, {"check", (*app).checkCmd},
		{"config", (*app).configCmd}, {"test-issue", (*app).testIssueCmd}, {"init-state", (*app).initStateCmd}, {"migrate", (*app).migrateCmd},
		{drainName, (*app).drainCmd}, {"demo", (*app).demoCmd}, {"completion", (*app).completionCmd}, {"version", (*app).versionCmd},
	}
}

// root returns the command for these arguments: with all commands below it, or with the only one that the first argument names. To build
// the others would cost gate a twentieth of its time.
func (a *app) root(args ...string) *cobra.Command {
	build := subcommands()
	if n := slices.IndexFunc(build, func(c subcommand) bool { return len(args) > 0 && c.name == args[0] }); n >= 0 {
		build = build[n : n+1]
	}
	root := &cobra.Command{
		Use:   "adfbot",
		Short: "Pauses a project when its project-meta agent fails too often in a row, and opens an [ADF] issue in Gitea",
		Long: `adfbot counts the consecutive failures of every project's project-meta agent. At the
threshold the project's breaker trips: adfbot writes a pause flag, so that nothing more is
dispatched, and opens an [ADF] issue in Gitea. When somebody has removed the flag, the sweep
closes the issue.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 75 paused; gate exits with 255 if
it cannot tell whether the project is paused; exec with 125 if it cannot tell or fails itself, and
else as its command ended, or with 126 or 127 if that cannot be started.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
	}
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "configuration file (default $ADFBOT_CONFIG, else "+config.DefaultPath+")")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "log every step to stderr")
	takeOne(root.PersistentFlags())
	for _, c := range build {
		root.AddCommand(c.build(a))
	}
	root.CompletionOptions.DisableDefaultCmd = true // there is one already
	root.SetFlagErrorFunc(flagError)
	a.addHelp(root)
	for _, c := range root.Commands() {
		for _, c := range append(c.Commands(), c) {
			c.DisableFlagsInUseLine = true // each names its own
			takeOne(c.Flags())
			a.mark(c)
		}
	}
	return root
}

// mark records that a command has begun. Cobra's own hooks run before it checks for required flags, so with them a missing
// flag would not be wrong usage.
func (a *app) mark(c *cobra.Command) {
	do := c.RunE
	if do == nil {
		if c.Run == nil {
			return
		}
		plain := c.Run
		c.Run = nil
		do = func(c *cobra.Command, args []string) error { plain(c, args); return nil }
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		a.begun = true
		return do(c, args)
	}
}

// time returns the current time.
func (a *app) time() time.Time {
	if a.now == nil {
		return time.Now()
	}
	return a.now()
}

// load reads and checks the whole configuration.
func (a *app) load() (*config.Config, error) {
	cfg, err := config.Load(config.Find(a.configPath, a.getenv))
	if err == nil {
		a.hideToken(cfg)
	}
	return cfg, err
}

// hideToken keeps the token from processes that look at this one's environment.
func (a *app) hideToken(cfg *config.Config) {
	for _, name := range cfg.TokenVars() {
		if err := proc.HideVar(name); err != nil {
			a.env(nil).Log.Warn("other processes of this user can read the token", "err", err)
		}
	}
}

// env returns the bot's environment. Commands print what they did, so they log only with --verbose; the daemon logs from
// level on.
func (a *app) env(level slog.Leveler) bot.Env {
	e := bot.Env{Getenv: a.getenv, Now: a.now, Uptime: a.uptime, Log: slog.New(slog.DiscardHandler)}
	if a.verbose {
		level = slog.LevelDebug
	}
	if level != nil {
		e.Log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	}
	return e
}

// open loads the configuration and opens the bot.
func (a *app) open(ctx context.Context, mode bot.Mode) (*bot.Bot, *config.Config, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	b, err := bot.Open(ctx, cfg, mode, a.env(nil))
	return b, cfg, err
}

// interruptible returns a context that ends with SIGINT or SIGTERM. A second one ends the process, which may hang on a dead mount.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func (a *app) printf(format string, args ...any) { fmt.Fprintf(&a.out, format, args...) }
func (a *app) warnf(format string, args ...any)  { fmt.Fprintf(a.stderr, "adfbot: "+format, args...) }
