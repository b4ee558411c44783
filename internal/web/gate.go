package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/terraphim/adfbot/internal/bot"
)

// maxFlagLooks is how many looks at the pause directory may be under way. On a dead network mount each holds a thread until the
// file system comes back: without a limit, callers that ask every minute would use up all threads within hours.
const maxFlagLooks = 64

// askGate reports unknown where the pause directory does not answer in time. It calls release when the look has ended, which may
// be after it has returned.
func (s *Server) askGate(r *http.Request, b *bot.Bot, release func(), project string) bot.Verdict {
	select {
	case s.flagLooks <- struct{}{}:
	default:
		release()
		return bot.Verdict{Err: errors.New("the pause directory has not answered earlier questions yet: look whether its file system hangs")}
	}
	ctx, cancel := context.WithTimeout(r.Context(), gateWait)
	defer cancel()
	answer := make(chan bot.Verdict, 1)
	go func() {
		defer release()
		defer func() { <-s.flagLooks }()
		answer <- b.MayRun(ctx, project)
	}()
	select {
	case v := <-answer:
		return v
	case <-ctx.Done():
		return bot.Verdict{Err: fmt.Errorf("the pause directory did not answer in %s: look whether its file system hangs", gateWait)}
	}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "this machine"
	}
	return name
}
