package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/terraphim/adfbot/internal/bot"
)

// maxLooks is how many looks at the pause directory may be under way. One that hangs, as on a dead network mount, holds a
// thread until the file system comes back; without a limit, those who ask each minute would use all threads up in hours.
const maxLooks = 64

// look asks the gate, and says unknown where the directory does not answer. release is called when the look is over, which
// may be after the answer.
func (s *Server) look(r *http.Request, b *bot.Bot, release func(), project string) bot.Verdict {
	select {
	case s.looks <- struct{}{}:
	default:
		release()
		return bot.Verdict{Err: errors.New("the pause directory has not answered earlier questions yet: look whether its file system hangs")}
	}
	ctx, cancel := context.WithTimeout(r.Context(), gateWait)
	defer cancel()
	answer := make(chan bot.Verdict, 1)
	go func() {
		defer release()
		defer func() { <-s.looks }()
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
