package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/store/migrate"
	"github.com/terraphim/adfbot/internal/text"
)

func (a *app) migrateCmd() *cobra.Command {
	var passwordFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "migrate URL [--password-file FILE] [--json]",
		Short: "Move the state from its file into a PostgreSQL database, which several hosts can share",
		Long: `migrate copies the state from its SQLite file into an empty PostgreSQL database, in one
transaction, and then marks the file as moved, so that no process stores anything in it any more.
Stop the daemon first. If migrate is interrupted, run it again: it goes on where it was. It changes
no configuration, and prints what to change.`,
		Args: oneURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if err := checkStateURL(args[0], "--password-file"); err != nil {
				return err
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			return a.migrate(ctx, cfg, args[0], passwordFile, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON, without what to change")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with the password of the role in URL")
	return cmd
}

func (a *app) migrate(ctx context.Context, cfg *config.Config, url, passwordFile string, asJSON bool) error {
	if cfg.Shared() {
		const already = "`state` is a database already: to move a file into it, set `state` to the path of the file, and run this again"
		if cfg.State != url {
			return errors.New(already)
		}
		if asJSON {
			return a.printJSON(movedJSON{State: cfg.State, Earlier: true})
		}
		a.printf("nothing to do: %s\n", already)
		return nil
	}
	r := migrate.Request{File: cfg.State, Missing: bot.MissingFile(ctx, cfg), Local: hostlocal.At(cfg.LocalDir), URL: url, Now: a.now}
	r.Database.PasswordKey = "--password-file"
	if passwordFile != "" {
		if !strings.HasPrefix(passwordFile, "$") { // a systemd credential
			path, err := filepath.Abs(passwordFile)
			if err != nil {
				return err
			}
			passwordFile = path
		}
		r.Database.Password = func() (string, error) {
			password, err := config.ReadSecret(passwordFile, a.getenv)
			if err != nil {
				err = fmt.Errorf("--password-file: %w", err)
			}
			return password, err
		}
	}
	bar := a.progress("rows copied and compared")
	r.Progress = bar.show
	done, err := migrate.Move(ctx, r)
	bar.clear()
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: run it again")
	}
	if err == nil && asJSON {
		return a.printJSON(movedJSON{r.File, r.URL, done.Earlier || done.Already, done.Projects, done.Results, done.Incidents})
	}
	if err == nil {
		a.printMove(cfg, r, done, passwordFile)
	}
	return err
}

// movedJSON is the answer of `migrate --json`.
type movedJSON struct {
	File      string `json:"file,omitempty"`
	State     string `json:"state"`
	Earlier   bool   `json:"earlier"` // an earlier call had moved or copied it; the numbers are 0
	Projects  int    `json:"projects"`
	Results   int    `json:"results"`
	Incidents int    `json:"incidents"`
}

// printMove prints what was moved, and what to change in the configuration. local_dir stays where it is: in it are the spool and the
// host's id.
func (a *app) printMove(cfg *config.Config, r migrate.Request, done migrate.Done, passwordFile string) {
	switch {
	case done.Earlier:
		a.printf("nothing to do: %s was moved to %s at %s\n", r.File, r.URL, done.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	case done.Already:
		a.printf("%s had been copied to %s before; it is marked as moved now\n", r.File, r.URL)
	default:
		a.printf("%s is moved to %s: %s, %s, %s\n", r.File, r.URL,
			text.Plural(done.Projects, "project"), text.Plural(done.Results, "result"), text.Plural(done.Incidents, "incident"))
	}
	a.printf("\nChange the configuration of this host, then start the daemon and run `adfbot check`:\n\nstate: %q\n", r.URL)
	if passwordFile != "" {
		a.printf("state_password_file: %q\n", passwordFile)
	}
	a.printf("local_dir: %q\n\n", cfg.LocalDir)
	// From now on, this directory tells whose the bot is.
	if bot, owner := hostlocal.BotUser(r.File), hostlocal.Owner(cfg.LocalDir); owner.UID != bot.UID {
		a.printf("%s belongs to %s, who has recorded the first result: %s\n\n", cfg.LocalDir, owner.Name, bot.TakeOver(cfg.LocalDir))
	}
	if passwordFile != "" && cfg.HTTP.Socket == "" {
		a.printf("Users who may not read the password, such as agents, report through the daemon: set http.socket and projects[].users,\n" +
			"see `adfbot help fleet`.\n\n")
	}
	a.printf("Other hosts join with the same configuration, a local_dir of their own, and an empty pause_dir; see `adfbot help migrate`.\n")
}
