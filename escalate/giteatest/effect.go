package giteatest

import (
	"net/http"
	"strconv"
	"time"
)

// Effect is what a fault does to a request. "The work" is what a healthy server would have done.
type Effect struct {
	run func(*exchange) *answer // nil answer: the connection breaks
}

// Status answers with this status and body without doing the work. Headers come in pairs of name and value; without a
// Content-Type among them it is JSON.
func Status(code int, body string, header ...string) Effect {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	if body != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentJSON)
	}
	return Effect{func(*exchange) *answer {
		return &answer{status: code, header: h, body: []byte(body)}
	}}
}

// RetryAfter answers with this status and a Retry-After of so many seconds, without doing the work.
func RetryAfter(code int, seconds int) Effect {
	return Status(code, `{"message":"`+http.StatusText(code)+`"}`, "Retry-After", strconv.Itoa(seconds))
}

// Latency lets d pass, then does the work and answers, whether or not the client is still there.
func Latency(d time.Duration) Effect {
	return Effect{func(x *exchange) *answer {
		if !x.s.sleep(d) {
			return nil
		}
		return x.work()
	}}
}

// Reset breaks the connection before any work.
func Reset() Effect {
	return Effect{func(*exchange) *answer { return nil }}
}

// LostAnswer does the work, then breaks the connection.
func LostAnswer() Effect {
	return Effect{func(x *exchange) *answer {
		x.work()
		return nil
	}}
}

// LateWork does the work behind the client's back: it waits until the client has given up, then for d, then does it.
// A client without a timeout waits for ever. Server.Wait waits for the work.
func LateWork(d time.Duration) Effect {
	return Effect{func(x *exchange) *answer {
		select {
		case <-x.r.Context().Done():
		case <-x.s.closing:
			return nil
		}
		x.s.begin() // before the exchange ends, so that Wait sees no gap
		go func() {
			defer x.s.end()
			if x.s.sleep(d) {
				x.work()
			}
		}()
		return nil
	}}
}

// Hang does no work and keeps the client waiting until it gives up.
func Hang() Effect {
	return Effect{func(x *exchange) *answer {
		x.s.end() // nothing will come of this request: Wait need not wait for it
		defer x.s.begin()
		select {
		case <-x.r.Context().Done():
		case <-x.s.closing:
		}
		return nil
	}}
}

// Truncated does the work and answers with the right status, but with half of the body and no Content-Length.
func Truncated() Effect {
	return Effect{func(x *exchange) *answer {
		a := x.work()
		a.body, a.cut = a.body[:len(a.body)/2], true
		return a
	}}
}

const loginPage = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>\n"

func webPage(status int) *answer {
	return &answer{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte(loginPage)}
}

// HTML answers 200 with a web page and does no work, as a proxy that asks for a login does.
func HTML() Effect {
	return Effect{func(*exchange) *answer { return webPage(http.StatusOK) }}
}

// HTMLAfterWork does the work and answers 200 with a web page.
func HTMLAfterWork() Effect {
	return Effect{func(x *exchange) *answer {
		x.work()
		return webPage(http.StatusOK)
	}}
}

// NullBody does the work and answers with the JSON null where it succeeded; a refusal is answered as it is.
func NullBody() Effect { return instead("null\n") }

// EmptyBody does the work and answers with an empty body where it succeeded; a refusal is answered as it is.
func EmptyBody() Effect { return instead("") }

func instead(body string) Effect {
	return Effect{func(x *exchange) *answer {
		a := x.work()
		if a.status/100 == 2 {
			a.body = []byte(body)
		}
		return a
	}}
}

// Meanwhile runs f, which may use the server, and then does the work and answers: something happens between the client's
// last look and this request.
func Meanwhile(f func()) Effect {
	return Effect{func(x *exchange) *answer {
		f()
		return x.work()
	}}
}

// Afterwards does the work, then runs f, which may use the server, and then answers.
func Afterwards(f func()) Effect {
	return Effect{func(x *exchange) *answer {
		a := x.work()
		f()
		return a
	}}
}
