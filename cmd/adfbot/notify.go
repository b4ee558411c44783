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

// notifier tells systemd how the daemon is, as sd_notify(3) has it: a datagram to the socket in $NOTIFY_SOCKET. Without
// one, everything does nothing.
type notifier struct {
	socket string
	every  time.Duration // half of what the watchdog allows; 0: there is none
	log    *slog.Logger
}

func newNotifier(getenv func(string) string, log *slog.Logger) *notifier {
	n := &notifier{socket: getenv("NOTIFY_SOCKET"), log: log}
	if n.socket == "" {
		return n
	}
	// The watchdog waits for the process that it names, not for one that has only inherited the variables.
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n
	}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		n.every = time.Duration(usec) * time.Microsecond / 2
	}
	return n
}

// send never fails for the caller: a daemon that can't tell how it is goes on. systemd then takes it for hung, and the log
// says why.
func (n *notifier) send(state string) {
	if n.socket == "" {
		return
	}
	// A name that begins with @ is in the abstract name space; the net package knows that too.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		_ = c.Close()
	}
	if err != nil {
		n.log.Warn("systemd can't be told", "state", state, "err", err)
	}
}

// Ready says that the daemon serves, at its start and after a reload.
func (n *notifier) Ready() { n.send("READY=1\nSTATUS=Serving") }

// Reloading says that the configuration is read again; [notifier.Ready] ends it.
func (n *notifier) Reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		n.log.Warn("no monotonic clock", "err", err)
	}
	n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=Reading the configuration again", now.Nano()/1000))
}

// Stopping says that the daemon ends; it may take a minute.
func (n *notifier) Stopping() { n.send("STOPPING=1\nSTATUS=Finishing what was accepted") }

// Watchdog tells the watchdog until ctx ends that the daemon works, as long as alive says so. Then it is silent, and
// systemd restarts the daemon.
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
			n.log.Error("the sweeps hang or stay away, the watchdog is left to restart the daemon")
			silent = true
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
