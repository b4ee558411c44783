package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	maxBody   = 1 << 20 // bytes
	maxDetail = 200     // bytes of an error in an answer
)

// bodyKind is what body a route takes.
type bodyKind int

const (
	bodyNone bodyKind = iota
	bodyObject
	bodyEvent
	bodyOutput // text of any type
)

// bodyFixes say what to do about another content type, and about a body that is too large.
var bodyFixes = map[bodyKind]struct{ json, small string }{
	bodyObject: {"send the body as JSON, with the header Content-Type: application/json", "send only the end of the output"},
	bodyEvent:  {"set the webhook's content type to application/json in Gitea", "the next sweep finds what the event was about"},
}

// readBody reads a JSON body within the caller's share of memory.
func (s *Server) readBody(w http.ResponseWriter, r *request, rt route) error {
	if rt.body == bodyOutput {
		return s.readOutput(w, r, rt)
	}
	fix := bodyFixes[rt.body]
	size := r.ContentLength
	if size < 0 {
		size = maxBody // not known
	}
	if size > maxBody {
		return tooLarge(maxBody, fix.small)
	}
	give, err := s.take(w, r, s.limitOf(r, rt.class).bodies, int(size)+bodyOverhead)
	if err != nil {
		return err
	}
	r.freeBody = sync.OnceFunc(func() {
		r.body = nil
		give()
	})
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err = b.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	r.body = b.Bytes()
	if err == nil {
		return checkType(r, fix.json)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return tooLarge(maxBody, fix.small)
	}
	return errIncomplete()
}

func errIncomplete() error {
	return refused(http.StatusBadRequest, titleBody, "the body did not arrive complete and in time: send it again")
}

// checkType refuses a body that is not JSON. Where there is none, its type does not matter.
func checkType(r *request, fix string) error {
	if len(r.body) == 0 {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refused(http.StatusUnsupportedMediaType, "Not JSON", "%s", fix)
	}
	if r.Header.Get("Content-Encoding") != "" {
		return refused(http.StatusUnsupportedMediaType, "Encoded body", "send the body as it is, without Content-Encoding")
	}
	return nil
}

func tooLarge(most int, fix string) error {
	return refused(http.StatusRequestEntityTooLarge, "Body too large", "a body has at most %d MiB: %s", most>>20, fix)
}

// object is a JSON object whose fields are not decoded yet.
type object map[string]json.RawMessage

// parseObject reads a JSON object with the given fields. An empty body is an empty object. It is stricter than encoding/json: it
// refuses a field that is repeated, unknown or differs in case.
func parseObject(body []byte, known ...string) (object, error) {
	o := object{}
	if len(bytes.TrimSpace(body)) == 0 {
		return o, nil
	}
	err := json.Unmarshal(body, &o)
	if err != nil {
		return nil, refused(http.StatusBadRequest, titleBody, "the body must be one JSON object: %s", notRead(body, err))
	}
	if o == nil {
		return nil, refused(http.StatusBadRequest, titleBody, "the body must be one JSON object, not null")
	}
	seen := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(body)) // it cannot fail any more
	for _, _ = d.Token(); d.More(); _ = d.Decode(new(json.RawMessage)) {
		t, _ := d.Token()
		name, _ := t.(string)
		if !slices.Contains(known, name) {
			return nil, refused(http.StatusBadRequest, "Unknown field", "there is no field %s here: there are %s", quote(name),
				cmp.Or(strings.Join(known, ", "), "none"))
		}
		if seen[name] {
			return nil, refused(http.StatusBadRequest, titleBody, "the field %s is repeated: send it once", name)
		}
		seen[name] = true
	}
	return o, nil
}

// notRead says in plain words why encoding/json did not read a body.
func notRead(body []byte, err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		if syntax.Offset >= int64(len(body)) {
			return "it ends early"
		}
		return fmt.Sprintf("it is no JSON at byte %d", syntax.Offset)
	}
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return "one of its values cannot be read" // a time, or a number that is too large
	case wrong.Field == "":
		return "it is a JSON " + wrong.Value
	}
	return fmt.Sprintf("%s is a JSON %s", quote(wrong.Field), wrong.Value)
}

// has reports whether a field is there and not null.
func (o object) has(name string) bool {
	v, ok := o[name]
	return ok && string(v) != "null"
}

// field returns a field, or the zero value if it is missing. If it has another type, it adds that to errs.
func field[T any](o object, name, kind string, errs *[]string) (v T) {
	if o.has(name) && json.Unmarshal(o[name], &v) != nil {
		*errs = append(*errs, name+" must be a "+kind)
	}
	return v
}

// integer is [field] for a whole number. Some languages have one type for all numbers and write 1.0.
func integer(o object, name string, errs *[]string) int {
	const kind, most = "whole number", 1 << 53 // above it, a float64 is not exact
	before := len(*errs)
	v := field[float64](o, name, kind, errs)
	if len(*errs) == before && (v != math.Trunc(v) || math.Abs(v) > most) {
		*errs = append(*errs, name+" must be a "+kind)
		return 0
	}
	return int(v)
}

// query returns the parameters of the URL. It refuses one that is repeated or unknown: a misspelt filter would show everything.
func query(r *http.Request, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refused(http.StatusBadRequest, titleQuery, "the query of the URL cannot be read")
	}
	out := map[string]string{}
	for name, v := range values {
		if !slices.Contains(known, name) {
			return nil, refused(http.StatusBadRequest, titleQuery, "there is no parameter %s here: there are %s", quote(name),
				cmp.Or(strings.Join(known, ", "), "none"))
		}
		if len(v) > 1 {
			return nil, refused(http.StatusBadRequest, titleQuery, "the parameter %s is repeated: send it once", name)
		}
		out[name] = v[0]
	}
	return out, nil
}

// quote makes text from a request safe for a message: quoted and short.
func quote(s string) string { return strconv.QuoteToGraphic(cut(s, 80)) }

func cut(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
