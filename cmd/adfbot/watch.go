package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/text"
)

const (
	watchEvery = 2 * time.Second
	watchLeast = time.Second
)

// watchStatus shows the status again and again until it is interrupted. Each time it is read from the start, as by a new process. An error
// ends it the first time only: later it may pass, as when a database restarts.
func (a *app) watchStatus(ctx context.Context, names []string, f statusFlags) error {
	if f.watch < watchLeast {
		return usage("--watch %s: must be at least %s", f.watch, watchLeast)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	to := a.out.w
	defer func() { a.out.w = to }()
	for shown := false; a.out.err == nil; shown = true {
		var page bytes.Buffer
		a.out.w = &page
		fmt.Fprintf(&page, "%s, every %s\n", a.time().UTC().Format("2006-01-02 15:04:05 UTC"), text.Duration(f.watch))
		err := a.status(ctx, names, f)
		a.out.w = to
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !shown:
			return err
		case err != nil:
			fmt.Fprintf(&page, "adfbot: %v\n", err)
		}
		a.showPage(page.String(), shown)
		if !a.wait(ctx, f.watch) {
			return nil
		}
	}
	return nil
}

// showPage shows a page in place of the last one. What does not fit on the screen of a terminal is left out; elsewhere pages follow each
// other.
func (a *app) showPage(page string, again bool) {
	screen := a.screen()
	if !screen.terminal {
		if again {
			a.printf("\n")
		}
		a.printf("%s", page)
		return
	}
	lines := strings.SplitAfter(page, "\n")
	if more := len(lines) - screen.height; screen.height > 1 && more > 0 {
		lines = append(lines[:screen.height-2], fmt.Sprintf("… and %s", text.Plural(more+1, "more line")))
	}
	a.printf("\x1b[H\x1b[J%s", strings.Join(lines, ""))
}

// wait waits, and reports whether ctx goes on.
func (a *app) wait(ctx context.Context, d time.Duration) bool {
	if a.sleep != nil {
		a.sleep(d)
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
