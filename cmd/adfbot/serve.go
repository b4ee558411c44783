package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/web"
)

func (a *app) serveCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: sweep at once and then on a schedule, and serve HTTP",
		Long: `serve sweeps when it starts and then on sweep.schedule until it gets SIGTERM or SIGINT, and
accepts results over http.listen and http.socket if these are set. On SIGHUP it reads the
configuration and the token files again; a bad one changes nothing and is reported.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			return a.serve(ctx, notices(ctx, hup))
		},
	}
}

// serve runs sweeps and HTTP side by side until ctx ends. HTTP ends first: requests that it has accepted still need the bot.
func (a *app) serve(ctx context.Context, reload <-chan struct{}) error {
	env := a.env(slog.LevelInfo)
	notify, pulse, metrics := newNotifier(a.getenv, env.Log), bot.NewPulse(), web.NewMetrics(build())
	env.Observe = []bot.Observer{pulse, metrics}
	env.Version, _ = build()
	cfg, err := a.load()
	if err != nil {
		return err
	}
	b, err := bot.Open(ctx, cfg, bot.Daemon, env)
	if err != nil {
		return a.namesCheck(cfg, err)
	}
	defer a.close(b)
	server, err := web.New(web.Options{Config: cfg, Bot: b, Log: env.Log, Now: a.time, Getenv: a.getenv,
		Metrics: metrics, Listened: notify.Ready})
	if err != nil {
		return err
	}
	reopen := func(ctx context.Context, cfg *config.Config) (_ *bot.Bot, err error) {
		notify.Reloading()
		defer notify.Ready() // also with the old configuration
		if cfg == nil {
			if cfg, err = a.load(); err != nil {
				return nil, err
			}
		}
		b, err := bot.Open(ctx, cfg, bot.Daemon, env)
		if err != nil {
			return nil, err
		}
		if err := server.Replace(cfg, b); err != nil {
			a.close(b)
			return nil, err
		}
		return b, nil
	}
	go notify.Watchdog(ctx, pulse.Alive)
	context.AfterFunc(ctx, notify.Stopping)
	listen, stop := context.WithCancel(ctx)
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(listen)
		end()
	}()
	err = bot.Serve(work, b, reload, reopen)
	stop() // also if the sweeps failed
	return errors.Join(<-served, err)
}

// namesCheck adds to an error about rights that the daemon's user lacks the check as that user. Root, who reads this in the journal, lacks none,
// and where the directories have the ids of another machine, does not see whose daemon it is.
func (a *app) namesCheck(cfg *config.Config, err error) error {
	me := hostlocal.Me()
	if bot := status.Installation(cfg).Bot(); bot.UID == me.UID {
		me = bot
	}
	as := me.RunAs(a.getenv("PATH"))
	if !errors.Is(err, store.ErrDenied) && !errors.Is(err, fs.ErrPermission) || me.UID == 0 || !me.IsListed() || as == "" {
		return err
	}
	return fmt.Errorf("%w\nto see what this user lacks, run: %sadfbot check%s", err, as, cfg.ShellFlag())
}

// notices converts signals to empty values.
func notices(ctx context.Context, in <-chan os.Signal) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-in:
			}
			select {
			case <-ctx.Done():
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out
}
