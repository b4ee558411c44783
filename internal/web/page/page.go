// Package page is the operator's page: HTML for package status, to be read at seven in the morning.
//
//	status.Status ─► indexView   ─► templates/index.html
//	status.Detail ─► projectView ─► templates/project.html
//	error         ─► failureView ─► templates/failure.html
//
// The views hold every text as it is shown, so the templates decide nothing but markup. The page only shows: it has no script
// and no form. html/template escapes what comes from outside, only addresses of the web become links, and the policy of its
// header forbids everything else. It keeps nothing and locks nothing.
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

// refreshEvery is how many seconds a page stands before the browser loads it again.
const refreshEvery = 30

// policy lets a page load the bot's own style sheet and icon and nothing else: no script, no form, no frame. Should something
// from outside ever get through the escaping, it can do nothing.
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

// Index writes the front page. On an error nothing was written; the same holds for the other pages.
func (p *Pages) Index(w http.ResponseWriter, r *http.Request, s status.Status) error {
	v := newIndex(s)
	p.finish(&v.frame, r)
	return p.write(w, r, http.StatusOK, "index", v)
}

// Project writes the page of a project.
func (p *Pages) Project(w http.ResponseWriter, r *http.Request, d status.Detail) error {
	v := newProject(d)
	p.finish(&v.frame, r)
	return p.write(w, r, http.StatusOK, "project", v)
}

type failureView struct {
	frame
	Known []link // the projects that there are
}

// Failure writes the page for an error of package status: 404 for a project that there is not, else 503.
func (p *Pages) Failure(w http.ResponseWriter, r *http.Request, err error) error {
	now := p.now()
	v := failureView{frame: frame{Project: true, At: newMoment(now, now)}}
	unknown, ok := errors.AsType[*config.UnknownProjectError](err)
	if !ok && !errors.Is(err, pause.ErrID) {
		v.Tone, v.Headline, v.Sub = toneUnknown, "adfbot can't tell how things stand", err.Error()
		p.finish(&v.frame, r)
		return p.write(w, r, http.StatusServiceUnavailable, "failure", v)
	}
	v.Tone, v.Headline, v.Sub = toneIdle, "There is no such project", "The address may be mistyped, or the project has another name."
	if ok {
		for _, id := range unknown.Known {
			v.Known = append(v.Known, link{Text: id, Link: projectLink(id)})
		}
	}
	p.finish(&v.frame, r)
	v.Refresh, v.Toggle = 0, ""
	return p.write(w, r, http.StatusNotFound, "failure", v)
}

// finish adds the title and what is not about the bot. The page loads itself again, unless its reader has stopped that: one who
// reads by ear or by keyboard must not be thrown back to the beginning.
func (p *Pages) finish(f *frame, r *http.Request) {
	f.Title, f.Style = f.Headline+" · adfbot", p.style
	if r.URL.Query().Get("refresh") == "off" {
		f.Toggle = r.URL.EscapedPath()
		return
	}
	f.Refresh, f.Toggle = p.refresh, r.URL.EscapedPath()+"?refresh=off"
}

func (p *Pages) write(w http.ResponseWriter, r *http.Request, code int, name string, view any) error {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, view); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	doc := bytes.Map(visible, b.Bytes())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(doc)
	}
	return nil
}

// visible drops the characters that show nothing and change how other text is shown. Most texts were cleaned before they were
// stored, but not the name of a flag, or what an older version stored.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
		return -1
	}
	return r
}

// ServeStyle serves the style sheet.
func ServeStyle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(styleSheet))
}

// icons are what the browser shows in the tab, by tone: colour and sign of the banner, so that a glance at the tabs is enough.
var icons = map[tone]struct{ colour, path string }{
	toneOK:      {"#1a6a33", "M6.5 12.6l3.6 3.6 7.4-8"},
	toneBad:     {"#a8231b", "M9 7v10M15 7v10"},
	toneHeld:    {"#744b00", "M9 7v10M15 7v10"},
	toneUnknown: {"#a8231b", "M9 9a3 3 0 1 1 4.2 2.7c-.8.4-1.2.9-1.2 2.1M12 17.6v.1"},
	toneWarn:    {"#744b00", "M12 6v7.5M12 17.6v.1"},
	toneIdle:    {"#3d4753", "M7 12h10"},
}

// ServeIcon serves an icon by the name of its file. It reports whether there is one; if not, nothing was written.
func ServeIcon(w http.ResponseWriter, r *http.Request, file string) bool {
	name, ok := strings.CutSuffix(file, ".svg")
	icon, known := icons[tone(name)]
	if !ok || !known {
		return false
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "private, max-age=86400")
	doc := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="12" fill="` + icon.colour +
		`"/><path d="` + icon.path + `" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>`
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(doc))
	return true
}
