// Package page renders package status as HTML for operators.
//
//	status.Status ─► indexView   ─► templates/index.html
//	status.Detail ─► projectView ─► templates/project.html
//	error         ─► failureView ─► templates/failure.html
//
// The views hold every text as it is shown, so the templates decide only markup. The page is read-only: it has no script and no
// form. html/template escapes untrusted text, only http and https addresses become links, and the Content-Security-Policy forbids
// everything else. The package has no state and no locks.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/pause"
)

// refreshEvery is the number of seconds after which the browser reloads a page.
const refreshEvery = 30

// policy lets a page load only the bot's own style sheet and icon: no script, no form, no frame. Untrusted text is harmless even
// if it should ever get through the escaping.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed style.css
var styleSheet []byte

// Pages writes pages. It is safe for concurrent use.
type Pages struct {
	now       func() time.Time
	templates *template.Template
	style     string // address of the style sheet, which changes with its content
	refresh   int    // seconds
}

// New parses the templates.
func New(now func() time.Time) *Pages {
	sum := sha256.Sum256(styleSheet)
	return &Pages{
		now:       now,
		templates: template.Must(template.ParseFS(templateFiles, "templates/*.html")),
		style:     "/style.css?v=" + hex.EncodeToString(sum[:6]),
		refresh:   refreshEvery,
	}
}

// Index writes the front page. On an error it has written nothing; the same holds for the other pages.
func (p *Pages) Index(w http.ResponseWriter, r *http.Request, s status.Status) error {
	v := newIndex(s)
	p.finish(&v.frame, r)
	return p.write(w, http.StatusOK, "index", v)
}

// Project writes the page of a project.
func (p *Pages) Project(w http.ResponseWriter, r *http.Request, d status.Detail) error {
	v := newProject(d)
	p.finish(&v.frame, r)
	return p.write(w, http.StatusOK, "project", v)
}

type failureView struct {
	frame
	Known []link // the existing projects
}

// Failure writes the page for an error of package status: 404 for an unknown project, else 503.
func (p *Pages) Failure(w http.ResponseWriter, r *http.Request, err error) error {
	now := p.now()
	v := failureView{frame: frame{Back: true, At: newMoment(now, now)}}
	unknown, ok := errors.AsType[*config.UnknownProjectError](err)
	if !ok && !errors.Is(err, pause.ErrID) {
		v.Tone, v.Headline, v.Sub = toneUnknown, "adfbot cannot read its state", err.Error()
		p.finish(&v.frame, r)
		return p.write(w, http.StatusServiceUnavailable, "failure", v)
	}
	v.Tone, v.Headline, v.Sub = toneIdle, "There is no such project", "The address may be mistyped, or the project has another name."
	if ok {
		for _, id := range unknown.Known {
			v.Known = append(v.Known, link{Text: id, Link: projectLink(id)})
		}
	}
	p.finish(&v.frame, r)
	v.Refresh, v.Toggle = 0, ""
	return p.write(w, http.StatusNotFound, "failure", v)
}

// finish adds the title, the style sheet and the reloading. A reader can stop the reloading: it would throw users of screen
// readers and keyboards back to the beginning.
func (p *Pages) finish(f *frame, r *http.Request) {
	f.Title, f.Style = f.Headline+" · adfbot", p.style
	if r.URL.Query().Get("refresh") == "off" {
		f.Toggle = r.URL.EscapedPath()
		return
	}
	f.Refresh, f.Toggle = p.refresh, r.URL.EscapedPath()+"?refresh=off"
}

func (p *Pages) write(w http.ResponseWriter, code int, name string, view any) error {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, view); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	doc := bytes.Map(visible, b.Bytes())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	w.WriteHeader(code)
	_, _ = w.Write(doc)
	return nil
}

// visible drops invisible characters, which can change how other text is shown. Most texts are cleaned before they are stored, but
// not the name of a flag, nor what an older version has stored.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
		return -1
	}
	return r
}

// ServeStyle serves the style sheet.
func ServeStyle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(styleSheet))
}

// icons are the favicons by tone: colour and sign of the banner, so that a glance at the tabs is enough.
var icons = map[tone]struct{ colour, path string }{
	toneOK:      {"#1a6a33", "M6.5 12.6l3.6 3.6 7.4-8"},
	toneBad:     {"#a8231b", "M9 7v10M15 7v10"},
	toneHeld:    {"#744b00", "M9 7v10M15 7v10"},
	toneUnknown: {"#a8231b", "M9 9a3 3 0 1 1 4.2 2.7c-.8.4-1.2.9-1.2 2.1M12 17.6v.1"},
	toneWarn:    {"#744b00", "M12 6v7.5M12 17.6v.1"},
	toneIdle:    {"#3d4753", "M7 12h10"},
}

// ServeIcon serves an icon by its file name. If there is no such icon, it writes nothing and returns false.
func ServeIcon(w http.ResponseWriter, r *http.Request, file string) bool {
	name, ok := strings.CutSuffix(file, ".svg")
	icon, known := icons[tone(name)]
	if !ok || !known {
		return false
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "private, max-age=86400")
	doc := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="12" fill="` + icon.colour +
		`"/><path d="` + icon.path + `" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>`
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(doc))
	return true
}
