package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// notifier reports the daemon's state to systemd as in sd_notify(3): a datagram to the socket in $NOTIFY_SOCKET. Without
// that variable it does nothing.
type notifier struct {
	socket string
	every  time.Duration // half the watchdog's interval; 0: no watchdog
	log    *slog.Logger
}

func newNotifier(getenv func(string) string, log *slog.Logger) *notifier {
	n := &notifier{socket: getenv("NOTIFY_SOCKET"), log: log}
	if n.socket == "" {
		return n
	}
	// The watchdog is for the process that it names, not for one that inherited the variables.
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n
	}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		n.every = time.Duration(usec) * time.Microsecond / 2
	}
	return n
}

// send only logs a failure: the daemon goes on. If it is the watchdog that hears nothing, systemd restarts the daemon, and
// the log says why.
func (n *notifier) send(state string) {
	if n.socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		_ = c.Close()
	}
	if err != nil {
		n.log.Warn("cannot notify systemd", "state", state, "err", err)
	}
}

// Ready reports that the daemon serves, at its start and after a reload.
func (n *notifier) Ready() { n.send("READY=1\nSTATUS=Serving") }

// Reloading reports that the configuration is being read again; [notifier.Ready] ends it.
func (n *notifier) Reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		n.log.Warn("no monotonic clock", "err", err)
	}
	n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=Reading the configuration again", now.Nano()/1000))
}

// Stopping reports that the daemon is ending, which may take a minute.
func (n *notifier) Stopping() { n.send("STOPPING=1\nSTATUS=Finishing what was accepted") }

// Watchdog feeds systemd's watchdog until ctx ends, for as long as alive returns true. When it stops, systemd restarts the
// daemon.
func (n *notifier) Watchdog(ctx context.Context, alive func() bool) {
	if n.every <= 0 {
		return
	}
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	silent := false
	for {
		if alive() {
			n.send("WATCHDOG=1")
			silent = false
		} else if !silent {
			n.log.Error("sweeps hang or do not come: leaving it to the watchdog to restart the daemon")
			silent = true
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
