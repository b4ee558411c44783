package giteatest

import (
	"net/http"
	"strconv"
	"time"
)

// Effect is what a [Fault] does to a request. "The work" below is what the server does without the fault.
type Effect struct {
	run func(*exchange) *response // a nil response breaks the connection
}

// Status answers with this status and body and does not do the work. header holds pairs of name and value; the default
// Content-Type is JSON.
func Status(code int, body string, header ...string) Effect {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	if body != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentJSON)
	}
	return Effect{func(*exchange) *response {
		return &response{status: code, header: h, body: []byte(body)}
	}}
}

// Refuse answers with this status and reason as Gitea itself does, and does not do the work.
func Refuse(code int, message string) Effect {
	return Effect{func(x *exchange) *response { return x.s.message(code, message) }}
}

// RetryAfter answers with this status and a Retry-After header, and does not do the work.
func RetryAfter(code int, seconds int) Effect {
	return Status(code, `{"message":"`+http.StatusText(code)+`"}`, "Retry-After", strconv.Itoa(seconds))
}

// Latency waits for d, then does the work and answers, whether or not the client is still waiting.
func Latency(d time.Duration) Effect {
	return Effect{func(x *exchange) *response {
		if !x.s.sleep(d) {
			return nil
		}
		return x.work()
	}}
}

// Reset breaks the connection and does not do the work.
func Reset() Effect {
	return Effect{func(*exchange) *response { return nil }}
}

// LostAnswer does the work, then breaks the connection.
func LostAnswer() Effect {
	return Effect{func(x *exchange) *response {
		x.work()
		return nil
	}}
}

// LateWork waits until the client has given up, then for d, then does the work. A client without a timeout waits
// forever. [Server.Wait] waits for the work.
func LateWork(d time.Duration) Effect {
	return Effect{func(x *exchange) *response {
		select {
		case <-x.r.Context().Done():
		case <-x.s.closing:
			return nil
		}
		x.s.begin() // before the exchange ends, so that Wait does not return in between
		go func() {
			defer x.s.end()
			if x.s.sleep(d) {
				x.work()
			}
		}()
		return nil
	}}
}

// Hang keeps the client waiting until it gives up, and does not do the work.
func Hang() Effect {
	return Effect{func(x *exchange) *response {
		x.s.end() // Wait need not wait for this request
		defer x.s.begin()
		select {
		case <-x.r.Context().Done():
		case <-x.s.closing:
		}
		return nil
	}}
}

// Truncated does the work and answers with the right status but half of the body and no Content-Length.
func Truncated() Effect {
	return Effect{func(x *exchange) *response {
		resp := x.work()
		resp.body, resp.cut = resp.body[:len(resp.body)/2], true
		return resp
	}}
}

const loginPage = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>\n"

func webPage(status int) *response {
	return &response{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte(loginPage)}
}

// HTML answers 200 with a web page, as a proxy with a login page does, and does not do the work.
func HTML() Effect {
	return Effect{func(*exchange) *response { return webPage(http.StatusOK) }}
}

// HTMLAfterWork does the work and answers 200 with a web page.
func HTMLAfterWork() Effect {
	return Effect{func(x *exchange) *response {
		x.work()
		return webPage(http.StatusOK)
	}}
}

// NullBody does the work and, if it succeeds, answers with a JSON null. It leaves error responses unchanged.
func NullBody() Effect { return successBody("null\n") }

// EmptyBody does the work and, if it succeeds, answers with an empty body. It leaves error responses unchanged.
func EmptyBody() Effect { return successBody("") }

func successBody(body string) Effect {
	return Effect{func(x *exchange) *response {
		resp := x.work()
		if resp.status/100 == 2 {
			resp.body = []byte(body)
		}
		return resp
	}}
}

// Meanwhile calls f, then does the work and answers. f may use the server, to change something between the client's
// previous request and this one.
func Meanwhile(f func()) Effect {
	return Effect{func(x *exchange) *response {
		f()
		return x.work()
	}}
}

// Afterwards does the work, then calls f, which may use the server, then answers.
func Afterwards(f func()) Effect {
	return Effect{func(x *exchange) *response {
		resp := x.work()
		f()
		return resp
	}}
}
