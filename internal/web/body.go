package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxBody = 1 << 20 // bytes

// refusal is a problem as an error.
type refusal struct {
	status int
	title  string
	detail string
}

func (e *refusal) Error() string { return e.title + ": " + e.detail }

func refused(status int, title, format string, args ...any) *refusal {
	return &refusal{status, title, fmt.Sprintf(format, args...)}
}

// Titles that are used more than once.
const (
	titleBody    = "Unreadable body"
	titleValue   = "Impossible value"
	titleQuery   = "Wrong query"
	titleUnknown = "Unknown project"
)

// readObject reads a JSON object with the given fields from the body. An empty body is an empty object.
func readObject(w http.ResponseWriter, r *http.Request, known ...string) (object, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, refused(http.StatusUnsupportedMediaType, "Not JSON", "send the body as JSON, with the header Content-Type: application/json")
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, refused(http.StatusUnsupportedMediaType, "Encoded body", "send the body as it is, without Content-Encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refused(http.StatusRequestEntityTooLarge, "Body too large", "a body has at most 1 MiB: send the last part of the output only")
	case err != nil:
		return nil, refused(http.StatusBadRequest, titleBody, "the body did not arrive whole and in time: send it again")
	}
	return parseObject(body, known...)
}

// object is a JSON object whose fields are not decoded yet.
type object map[string]json.RawMessage

// parseObject is stricter than encoding/json: it refuses a field that is repeated, unknown or differs in case.
func parseObject(body []byte, known ...string) (object, error) {
	o := object{}
	if len(bytes.TrimSpace(body)) == 0 {
		return o, nil
	}
	bad := func(err error) error {
		return refused(http.StatusBadRequest, titleBody, "the body must be one JSON object: %s", clip(err.Error()))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil {
		return nil, bad(err)
	} else if t != json.Delim('{') {
		return nil, bad(errors.New("it begins with something else than {"))
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, bad(err)
		}
		name, _ := t.(string)
		if !slices.Contains(known, name) {
			return nil, refused(http.StatusBadRequest, "Unknown field", "%s is no field here: there are %s", quote(name), strings.Join(known, ", "))
		}
		if _, twice := o[name]; twice {
			return nil, refused(http.StatusBadRequest, titleBody, "the field %s stands twice: send it once", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, bad(err)
		}
		o[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, bad(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, bad(errors.New("something follows it"))
	}
	return o, nil
}

// clip shortens what encoding/json says about a body.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// has reports whether a field is there and not null.
func (o object) has(name string) bool {
	v, ok := o[name]
	return ok && string(v) != "null"
}

// text returns a string, "" where the object has none, and adds an error where it is something else.
func (o object) text(name string, errs *[]string) string {
	var s string
	if o.has(name) && json.Unmarshal(o[name], &s) != nil {
		*errs = append(*errs, name+" must be a string")
	}
	return s
}

// number is text for a whole number.
func (o object) number(name string, errs *[]string) int {
	var n int
	if o.has(name) && json.Unmarshal(o[name], &n) != nil {
		*errs = append(*errs, name+" must be a whole number")
	}
	return n
}

// query returns the parameters of the URL. It refuses one that is repeated or unknown: a misspelt filter would show everything.
func query(r *http.Request, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refused(http.StatusBadRequest, titleQuery, "the part of the URL after ? can't be read")
	}
	out := map[string]string{}
	for name, v := range values {
		switch {
		case len(known) == 0:
			return nil, refused(http.StatusBadRequest, titleQuery, "%s is no parameter here: there are none", quote(name))
		case !slices.Contains(known, name):
			return nil, refused(http.StatusBadRequest, titleQuery, "%s is no parameter here: there are %s", quote(name), strings.Join(known, ", "))
		case len(v) > 1:
			return nil, refused(http.StatusBadRequest, titleQuery, "the parameter %s stands twice", name)
		}
		out[name] = v[0]
	}
	return out, nil
}
