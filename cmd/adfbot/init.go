package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/setup"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/text"
)

// initOptions are the flags of init.
type initOptions struct {
	url, repo, project, tokenFile string
	agents                        []string
	state, pauseDir, user, unit   string
	print                         bool
}

const noUnit = "none"

func (a *app) initCmd() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [flags]",
		Short: "Set adfbot up: write configuration, directories and systemd unit, then check them",
		Long: `init asks for what a configuration cannot do without, or takes it from flags. It then makes what is missing:

  as root   the user adfbot, its directories, /etc/adfbot/config.yaml, the file of the token, a systemd unit
  else      the same below ~/.config and ~/.local/share, for this user alone

and ends with ` + "`adfbot check`" + `. It overwrites nothing and starts nothing: what is there already stays, and an init
that was interrupted can be repeated. The token is read from a file, or typed.`,
		Example: `  sudo adfbot init
  sudo adfbot init --url https://git.example.org --repo terraphim/adf-fleet --project odilo --token-file token
  adfbot init --print`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.init(ctx, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "Gitea's start page, e.g. https://git.example.org")
	f.StringVar(&o.repo, "repo", "", "the repository for the issues: owner/name")
	f.StringVar(&o.project, "project", "", "the id of the first project")
	f.StringVar(&o.tokenFile, "token-file", "", "take the bot's token from this file, - for standard input")
	f.StringSliceVar(&o.agents, "agents", nil, "as root: Unix users of the jobs, who join the bot's group")
	f.StringVar(&o.state, "state", "", "the file of the state")
	f.StringVar(&o.pauseDir, "pause-dir", "", "the directory of the pause flags")
	f.StringVar(&o.user, "user", "", `as root: the service's user, made if missing (default "adfbot")`)
	f.StringVar(&o.unit, "unit", "", `the file of the systemd unit, or "none" (default: adfbot.service where systemd is)`)
	f.BoolVar(&o.print, "print", false, "show what would be done, as commands, and do nothing")
	return cmd
}

func (a *app) init(ctx context.Context, o initOptions) error {
	p, err := a.places(o)
	if err != nil {
		return err
	}
	if why := unreachable(p); why != "" && !o.print {
		return usage("the service cannot run %s: %s: run `install -m 755 %[1]s /usr/local/bin/adfbot`, and then this again", p.Program, why)
	}
	q := newQuestions(ctx, a)
	files, err := a.initFiles(o, &p, q)
	if err != nil {
		return err
	}
	for _, name := range o.agents {
		if err := checkUser(name); err != nil && !o.print {
			return usage("--agents %s", err)
		}
	}
	if len(o.agents) == 0 && p.User != "" && files.Config != "" && q.terminal() {
		agents, err := q.ask("Unix user that the jobs run as, to report results without root; empty: none", "", func(s string) error {
			if s == "" {
				return nil
			}
			return checkUser(s)
		})
		if err != nil {
			return err
		}
		if agents != "" {
			o.agents = []string{agents}
		}
	}
	members := slices.DeleteFunc(o.agents, func(s string) bool { return s == p.User })
	steps := setup.Steps(p, files, members...)
	if o.print {
		for _, s := range steps {
			a.printf("%s", s.Shell)
		}
		return nil
	}
	_, noState := os.Lstat(p.State)
	shares := p.Unit != "" && p.UnitIsOthers() && noState == nil // with the configuration of that unit, which init does not know
	_, noConfig := os.Lstat(p.Config)
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return errors.New("interrupted: run it again to go on")
		}
		changed, err := s.Do(ctx)
		if err != nil {
			fix := "run it again to go on"
			if errors.Is(err, fs.ErrPermission) {
				fix = "run it again as root, or with a place that this user may write"
			}
			return fmt.Errorf("init: %s: %w; what is done stays, %s", s.What, err, fix)
		}
		word := "kept"
		if changed {
			word = "made"
		}
		a.printf("%-5s %s\n", word, s.What)
	}
	if len(members) > 0 && p.User != "" {
		who := strings.Join(members, ", ")
		for _, dir := range []string{p.OwnDir(), p.PauseDir} {
			if info, err := os.Stat(dir); err == nil && info.Mode()&0o020 == 0 { // it was there, e.g. as a package makes it
				fix := "chmod g+rwxs " + text.ShellQuote(dir) + "; of a package, see \"Packages\" in adfbot help install"
				if hostlocal.Owner(dir).Name != p.User { // e.g. a disk of its own: its group is another one
					made := slices.IndexFunc(steps, func(s setup.Step) bool { return s.What == "directory "+dir })
					fix = strings.TrimSpace(steps[made].Shell)
				}
				a.printf("warn  %s is closed to its group (%s), so %s may not report, pause or resume: run %s\n", dir, info.Mode(), who, fix)
			}
		}
	}
	if shares && noConfig != nil {
		a.printf("warn  %s is there already, and %s is for another configuration: unless the two are to share it, set `state` and `pause_dir` in %s "+
			"to other places, and run this again\n", p.State, p.Unit, p.Config)
	}
	a.printf("\n")
	checked := a.checkAs(ctx, p)
	a.printNext(p, checked)
	return checked
}

func checkUser(name string) error {
	if _, err := user.Lookup(name); err != nil {
		return fmt.Errorf("must be a user of this machine, not %q: make that user first, or leave it out", name)
	}
	return nil
}

// places returns where the installation is to be, for the user who runs this.
func (a *app) places(o initOptions) (p setup.Places, err error) {
	path := a.configPath
	if path == "" {
		path = a.getenv("ADFBOT_CONFIG")
	}
	if path != "" {
		if path, err = filepath.Abs(path); err != nil {
			return p, err
		}
	}
	program, err := programPath()
	if err != nil {
		return p, err
	}
	if os.Geteuid() == 0 {
		if path == "" {
			path = config.DefaultPath
		}
		p = setup.System(cmp.Or(o.user, "adfbot"), path, program)
	} else if p, err = setup.Own(path, program, a.getenv); err != nil {
		return p, err
	}
	for _, x := range []struct {
		flag, value, key string
		to               *string
	}{{"--state", o.state, "state", &p.State}, {"--pause-dir", o.pauseDir, "pause_dir", &p.PauseDir}} {
		if x.value == "" {
			continue
		}
		if err := config.CheckValue(x.key, x.value); err != nil {
			return p, usage("%s %s", x.flag, err)
		}
		*x.to = x.value
	}
	switch {
	case o.unit == noUnit:
		p.Unit = ""
	case o.unit != "" && !filepath.IsAbs(o.unit):
		return p, usage("--unit must be an absolute path, or %s, not %q", noUnit, o.unit)
	case o.unit != "":
		p.Unit = o.unit
	}
	return p, nil
}

// programPath returns where the unit finds this program: an installed one is preferred.
func programPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot tell where this program is: %w", err)
	}
	for _, path := range []string{"/usr/local/bin/adfbot", "/usr/bin/adfbot"} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return self, nil
}

// unreachable returns what keeps the service from starting this program, which is outside of its own directories, or "".
func unreachable(p setup.Places) string {
	if p.Unit == "" || p.UserUnit || p.User == hostlocal.Me().Name {
		return ""
	}
	for _, dir := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(p.Program, dir) {
			return "the unit keeps it out of " + strings.TrimSuffix(dir, "/")
		}
	}
	for path := p.Program; path != "/"; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return err.Error()
		}
		if info.Mode()&0o001 == 0 {
			return path + " is closed to other users"
		}
	}
	return ""
}

// initFiles returns the files that are to be written. If there is a configuration, that says where all else is, and nothing is asked but
// for a missing token.
func (a *app) initFiles(o initOptions, p *setup.Places, q *questions) (f setup.Files, err error) {
	var url string
	if _, err := os.Lstat(p.Config); err == nil || !errors.Is(err, fs.ErrNotExist) {
		cfg, err := config.Load(p.Config)
		if err != nil {
			return f, fmt.Errorf("%w\nthis configuration is there already, and init overwrites nothing: correct it, or name another file with --config", err)
		}
		if err := a.followConfig(o, p, cfg); err != nil {
			return f, err
		}
		url = cfg.Gitea.URL
	} else {
		answers, err := a.answers(o, p, q)
		if err != nil {
			return f, err
		}
		url = answers.URL
		f.Config = answers.Content(*p)
		if err := config.CheckContent(p.Config, []byte(f.Config)); err != nil {
			return f, &exit{exitUsage, fmt.Errorf("the configuration would have a mistake: %w", err)}
		}
	}
	if p.Token == "" {
		return f, nil // its file is somebody else's matter
	}
	if _, err := os.Lstat(p.Token); err == nil || !errors.Is(err, fs.ErrNotExist) && !o.print {
		if o.tokenFile != "" && o.tokenFile != p.Token && err == nil {
			a.warnf("%s is there already and stays: to replace the token, write the new one to that file\n", p.Token)
		}
		return f, err
	}
	f.Token, err = a.token(o, url, q)
	f.Token += "\n"
	return f, err
}

// followConfig takes the places from a configuration that is there. Flags must not say anything else.
func (a *app) followConfig(o initOptions, p *setup.Places, cfg *config.Config) error {
	repo := cfg.Gitea.Owner + "/" + cfg.Gitea.Repo
	valueOf := func(key string) func(string) error {
		return func(value string) error { return config.CheckValue(key, value) }
	}
	for _, x := range []struct {
		flag, want, is string
		check          func(string) error // its error does not show a password
	}{
		{"--url", strings.TrimRight(o.url, "/"), cfg.Gitea.URL, valueOf("gitea.url")}, {"--repo", o.repo, repo, checkRepo},
		{"--state", o.state, cfg.State, valueOf("state")}, {"--pause-dir", o.pauseDir, cfg.PauseDir, valueOf("pause_dir")},
	} {
		if x.want != "" && x.want != x.is {
			if err := x.check(x.want); err != nil {
				return usage("%s %s", x.flag, err)
			}
			return usage("%s %s: %s is there already and says %s; init overwrites nothing: edit that file, or leave %[1]s out", x.flag, x.want, p.Config, x.is)
		}
	}
	if _, ok := cfg.Project(o.project); o.project != "" && !ok {
		return usage("--project %s: %s is there already and has no such project; init overwrites nothing: add `- id: %[1]s` to its projects", o.project, p.Config)
	}
	p.State, p.PauseDir, p.Token = cfg.State, cfg.PauseDir, cfg.Gitea.TokenFile
	if cfg.Shared() {
		p.Local = cfg.LocalDir
	}
	if os.Geteuid() == 0 {
		p.Credentials, p.CredentialNames = cfg.TokenCredentials(), cfg.CredentialNames()
	}
	if !filepath.IsAbs(p.Token) { // a variable, or a credential of systemd
		p.Token = ""
	}
	if err := containersOwn(cfg, *p); err != nil {
		return err
	}
	// The configuration does not name the service's user. Another one could do nothing with what is there.
	owner, err := user.LookupId(strconv.Itoa(hostlocal.Owner(p.OwnDir()).UID))
	_, missing := os.Stat(p.OwnDir())
	agents := cfg.Shared() && hostlocal.Owner(p.OwnDir()).IsPerson() // a directory that was beside a file may belong to a member of the group
	if p.User != "" && err == nil && missing == nil && owner.Uid != "0" && !agents {
		if made, err := user.Lookup(p.User); err == nil && made.Uid != owner.Uid && made.HomeDir == p.OwnDir() {
			dirs := hostlocal.Tree(p.OwnDir()) + " " + hostlocal.Tree(p.PauseDir)
			return usage("%s belongs to %s, and is the home of %s: if it came from another machine, where that user had another id, run chown -R %[3]s: %s; "+
				"if %[2]s is to run adfbot, give %[3]s another home", p.OwnDir(), owner.Username, p.User, dirs)
		}
		if o.user != "" && o.user != owner.Username {
			return usage("--user %s: %s is there already and belongs to %s; init gives nothing away: leave --user out", o.user, p.OwnDir(), owner.Username)
		}
		p.User = owner.Username
	}
	return nil
}

// containersOwn returns an error if the daemon of a configuration seems to run in a container. A second one beside it would begin anew, and its
// user take the token, the socket and the pause directory away from the first one.
func containersOwn(cfg *config.Config, p setup.Places) error {
	if err := status.Elsewhere(cfg); err != nil {
		return err
	}
	_, stateErr := os.Lstat(cfg.OwnPath())
	_, tokenErr := os.Stat(p.Token)
	owner := hostlocal.Owner(p.Token)
	if p.Token == "" || tokenErr != nil || !errors.Is(stateErr, fs.ErrNotExist) || owner.UID == 0 || owner.IsListed() {
		return nil
	}
	return usage("%s belongs to user %d, whom this machine does not have, and there is no %s: if the daemon runs in a container, init is not for it, see "+
		"`adfbot help install`; if not, run chown root: %[1]s, and then init again", p.Token, owner.UID, cfg.OwnPath())
}

// answers takes what is needed from flags, and asks for what is missing.
func (a *app) answers(o initOptions, p *setup.Places, q *questions) (out setup.Answers, err error) {
	var repo string
	needed := []struct {
		flag, value, question, preset string
		check                         func(string) error
		to                            *string
	}{
		{"--url", o.url, "Address of Gitea, e.g. https://git.example.org", "", checkURL, &out.URL},
		{"--repo", o.repo, "Repository for the issues: owner/name", "", checkRepo, &repo},
		{"--project", o.project, "First project: the name of a job or of a group of jobs", "", func(s string) error { return config.CheckValue("projects.id", s) }, &out.Project},
	}
	var missing []string
	for _, n := range needed {
		if n.value == "" {
			missing = append(missing, n.flag)
		}
	}
	_, err = os.Lstat(p.Token)
	if o.tokenFile == "" && err != nil && !o.print {
		missing = append(missing, "--token-file")
	}
	if len(missing) > 0 && !q.terminal() {
		return out, usage("init needs %s, because there is no terminal to ask on: see adfbot init --help", strings.Join(missing, ", "))
	}
	for _, n := range needed {
		if n.value != "" {
			if err := n.check(n.value); err != nil {
				return out, usage("%s %s", n.flag, err)
			}
			*n.to = n.value
			continue
		}
		if *n.to, err = q.ask(n.question, n.preset, n.check); err != nil {
			return out, err
		}
	}
	out.URL = strings.TrimRight(out.URL, "/")
	out.Owner, out.Repo, _ = strings.Cut(repo, "/")
	return out, nil
}

func checkURL(s string) error {
	if s == "" {
		return errors.New("must be the address of a server: write it like https://git.example.org")
	}
	return config.CheckValue("gitea.url", s)
}

func checkRepo(s string) error {
	owner, name, ok := strings.Cut(s, "/")
	if !ok || owner == "" || name == "" {
		return fmt.Errorf("must be owner/name, such as terraphim/adf-fleet, not %q", s)
	}
	if strings.Contains(name, "/") { // an address, in which there may be a password
		return errors.New("must be owner/name, such as terraphim/adf-fleet, without the address of Gitea")
	}
	if err := config.CheckValue("gitea.owner", owner); err != nil {
		return err
	}
	return config.CheckValue("gitea.repo", name)
}

// token returns the bot's token, "" if it is only shown what would be done.
func (a *app) token(o initOptions, url string, q *questions) (string, error) {
	switch {
	case o.print:
		return "not shown", nil
	case o.tokenFile != "":
		return q.tokenFrom(o.tokenFile)
	case !q.terminal():
		return "", usage("init needs --token-file, because there is no terminal to ask on: the file with the bot's token, or - for standard input")
	}
	a.printf("A token of the bot's account in Gitea: %s/user/settings/applications, with the scopes write:issue and read:user\n", url)
	return q.askToken()
}

// checkAs checks the installation as the user whose service it is, or as root with what systemd hands to the service.
func (a *app) checkAs(ctx context.Context, p setup.Places) error {
	service := hostlocal.Account{UID: p.UID()}
	if p.User == "" || service.UID == os.Geteuid() {
		a.configPath = p.Config
		return a.check(ctx, false, false)
	}
	home := p.OwnDir()
	cmd := checkCommand(ctx, p.Config, home, service.Credential(home))
	if p.Credentials != "" {
		cmd = checkCommand(ctx, p.Config, home, nil)
		cmd.Env = append(cmd.Env, "CREDENTIALS_DIRECTORY="+p.Credentials)
	}
	cmd.Stdout, cmd.Stderr = &a.out, a.stderr
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return &exit{code: ended.ExitCode()}
	case err != nil:
		return fmt.Errorf("init: all is done, but check cannot run as %s: %w: run %s", p.User, err, a.asService(p, "check", false))
	}
	return nil
}

// checkCommand returns the command that checks the installation of a configuration as another user.
func checkCommand(ctx context.Context, path, home string, as *syscall.Credential, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"--config", path, "check"}, args...)...)
	cmd.Args[0] = "adfbot"
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd
}

// asService returns a command line for people who want the service's user to run a command. exported says that they have set $ADFBOT_CONFIG,
// which sudo does not pass on.
func (a *app) asService(p setup.Places, command string, exported bool) string {
	s := "adfbot " + command
	if p.Config != config.DefaultPath && (!exported || p.User != "") {
		s = "adfbot --config " + text.ShellQuote(p.Config) + " " + command
	}
	if p.User == "" {
		return s
	}
	sudo := hostlocal.Owner("/").RunAs(a.getenv("PATH"))
	switch {
	case p.Credentials != "" && command != "serve":
		return sudo + "CREDENTIALS_DIRECTORY=" + text.ShellQuote(p.Credentials) + " " + s
	case sudo != "" && hostlocal.BotUser(p.OwnDir()).UID == 0: // it is to become that user's
		return sudo + s
	case sudo != "":
		return sudo + "-u " + text.ShellQuote(p.User) + " " + s
	case p.User != hostlocal.Me().Name: // as in a container
		return "runuser -u " + text.ShellQuote(p.User) + " -- " + s
	}
	return s
}

// printNext says how to go on.
func (a *app) printNext(p setup.Places, err error) {
	a.printf("\n")
	if err != nil {
		a.printf("Do what the FAIL lines say, then run %s\n", a.asService(p, "check", false))
		return
	}
	a.printf("Next:\n")
	line := func(command string) { a.printf("  %s\n", command) }
	unit := text.ShellQuote(p.UnitName())
	if p.Config != config.DefaultPath {
		line("export ADFBOT_CONFIG=" + text.ShellQuote(p.Config) + "   # so that all commands find it; in a crontab, without export and this comment")
	}
	line(a.asService(p, "test-issue", true) + "   # proves what the token may do")
	switch {
	case p.Unit != "" && p.UnitIsOthers():
		sudo := ""
		if p.User != "" {
			sudo = hostlocal.Owner("/").RunAs(a.getenv("PATH"))
		}
		other := filepath.Join(filepath.Dir(p.Unit), "adfbot-2.service")
		line(fmt.Sprintf("%sadfbot --config %s init --unit %s   # %s is for another configuration", sudo, text.ShellQuote(p.Config), text.ShellQuote(other), p.Unit))
	case p.Unit != "" && p.UserUnit:
		line("systemctl --user daemon-reload")
		line("systemctl --user enable --now " + unit + "   # starts the daemon")
		line("loginctl enable-linger   # it goes on when you log out, and starts at boot")
	case p.Unit != "":
		sudo := hostlocal.Owner("/").RunAs(a.getenv("PATH"))
		line(sudo + "systemctl daemon-reload")
		line(sudo + "systemctl enable --now " + unit + "   # starts the daemon")
	default:
		line(a.asService(p, "serve", true) + "   # the daemon")
	}
	a.printf("Then put adfbot exec in front of the job: see adfbot help guide\n")
}

// check prints what check finds, and returns an error without a text if something fails.
func (a *app) check(ctx context.Context, offline, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	return a.findings(asJSON, func(report func(bot.Finding)) {
		for _, f := range a.addBots(ctx, cfg, bot.Check(ctx, cfg, offline, a.env(nil))) {
			report(f)
		}
	})
}

// addBots adds to the findings of root, who checks with what systemd hands to the daemon, what is wrong for the bot's user alone: the daemon
// gets no more than that from root, and reads and writes everything else itself.
func (a *app) addBots(ctx context.Context, cfg *config.Config, found []bot.Finding) []bot.Finding {
	if os.Geteuid() != 0 || cfg.TokenCredentials() == "" || a.getenv("CREDENTIALS_DIRECTORY") == "" {
		return found
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return append(found, bot.Finding{Level: bot.Warn, What: "user", Text: err.Error()})
	}
	owner := status.Installation(cfg).Bot()
	if owner.UID == 0 {
		return found
	}
	cmd := checkCommand(ctx, path, cfg.OwnDir(), owner.Credential(cfg.OwnDir()), "--offline", "--json")
	cmd.Env = append(cmd.Env, "CREDENTIALS_DIRECTORY=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	doc, err := cmd.Output()
	var its checkJSON
	if json.Unmarshal(doc, &its) != nil {
		why := cmp.Or(strings.TrimPrefix(strings.TrimSpace(stderr.String()), "adfbot: "), fmt.Sprint(err))
		f := bot.Finding{Level: bot.Fail, What: "user", Text: "as " + owner.Name + ": " + why}
		if _, ran := errors.AsType[*exec.ExitError](err); !ran {
			f = bot.Finding{Level: bot.Warn, What: "user", Text: fmt.Sprintf("root may read and write what %s may not, as whom check cannot run: %v", owner.Name, err)}
		}
		return append(found, f)
	}
	for _, f := range its.Findings {
		ofBot := bot.Finding{Level: bot.Fail, What: f.What, Text: f.Text}
		switch {
		case f.Level != strings.ToLower(string(bot.Fail)), slices.Contains(found, ofBot), strings.Contains(f.Text, config.ErrNoCredentials.Error()):
		case strings.HasSuffix(f.Text, bot.PortAdvice): // the unit may give the right to it
		case f.What == "pause_dir" && slices.ContainsFunc(found, func(of bot.Finding) bool { return of.Level == bot.Fail && of.What == f.What }): // root can see more
		default:
			found = slices.DeleteFunc(found, func(of bot.Finding) bool { return of.Level == bot.OK && of.What == f.What })
			found = append(found, ofBot)
		}
	}
	return found
}

// findings prints what is reported by find: each finding at once, or all as JSON. It fails if one of them fails.
func (a *app) findings(asJSON bool, find func(report func(bot.Finding))) error {
	out := checkJSON{OK: true, Findings: []finding{}}
	find(func(f bot.Finding) {
		if !asJSON {
			a.printFinding(f)
		}
		out.OK = out.OK && f.Level != bot.Fail
		out.Findings = append(out.Findings, finding{strings.ToLower(string(f.Level)), f.What, f.Text})
	})
	if asJSON {
		if err := a.printJSON(out); err != nil {
			return err
		}
	}
	if !out.OK {
		return &exit{code: exitFailed}
	}
	return nil
}
