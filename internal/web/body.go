package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxBody   = 1 << 20 // bytes
	maxDetail = 200     // bytes of an error in an answer
)

// readBody reads a JSON body. json and small are the fixes for another content type and for a body that is too large.
func readBody(w http.ResponseWriter, r *http.Request, json, small string) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, refused(http.StatusUnsupportedMediaType, "Not JSON", "%s", json)
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, refused(http.StatusUnsupportedMediaType, "Encoded body", "send the body as it is, without Content-Encoding")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refused(http.StatusRequestEntityTooLarge, "Body too large", "a body has at most 1 MiB: %s", small)
	}
	if err != nil {
		return nil, refused(http.StatusBadRequest, titleBody, "the body did not arrive complete and in time: send it again")
	}
	return body, nil
}

// readObject reads a JSON object with the given fields from the body. An empty body is an empty object.
func readObject(w http.ResponseWriter, r *http.Request, known ...string) (object, error) {
	body, err := readBody(w, r, "send the body as JSON, with the header Content-Type: application/json", "send only the end of the output")
	if err != nil {
		return nil, err
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
	err := json.Unmarshal(body, &o)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, refused(http.StatusBadRequest, titleBody, "the body must be one JSON object: %s", cut(syntax.Error(), maxDetail))
	}
	if err != nil || o == nil {
		return nil, refused(http.StatusBadRequest, titleBody, "the body must be one JSON object")
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
