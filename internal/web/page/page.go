// Package page renders package status as HTML for operators.
//
//	status.Status ─► indexView   ─► templates/index.html
//	status.Detail ─► projectView ─► templates/project.html
//	error         ─► failureView ─► templates/failure.html
//
// The views hold every text as it is shown, so the templates decide only markup. The page is read-only: it has no script and no
// form. html/template escapes untrusted text, only http and https addresses become links, and the Content-Security-Policy forbids
// everything else. All links within the site are relative, so that a proxy may serve it under any path. The package has no state
// and no locks.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/pause"
)

const refreshEvery = 30 // seconds until the browser reloads a page

// policy lets a page load only the bot's own style sheet and icon: no script, no form, no frame. Untrusted text is harmless even
// if it should ever get through the escaping.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed style.css icon/*.svg
var static embed.FS

// Pages writes pages. It is safe for concurrent use.
type Pages struct {
	now       func() time.Time
	templates *template.Template
	style     string // name of the style sheet, which changes with its content
	refresh   int    // seconds
}

// New parses the templates.
func New(now func() time.Time) *Pages {
	styleSheet, _ := static.ReadFile("style.css")
	sum := sha256.Sum256(styleSheet)
	return &Pages{
		now:       now,
		templates: template.Must(template.ParseFS(templateFiles, "templates/*.html")),
		style:     "style.css?v=" + hex.EncodeToString(sum[:6]),
		refresh:   refreshEvery,
	}
}

// Index writes the front page. On an error it has written nothing; the same holds for the other pages.
func (p *Pages) Index(w http.ResponseWriter, r *http.Request, s status.Status) error {
	v := newIndex(s, newVisit(r))
	p.finish(&v.frame)
	return p.write(w, http.StatusOK, "index", v)
}

// Project writes the page of a project. The outputs that are open stand in its address, so that they stay open when it reloads.
func (p *Pages) Project(w http.ResponseWriter, r *http.Request, d status.Detail) error {
	v := newProject(d, newVisit(r))
	p.finish(&v.frame)
	code := http.StatusOK
	if here := v.folds.query(v.visit); v.chosen || v.folds.anyOpen() {
		v.Again = here
		v.Toggle = v.folds.query(visit{still: !v.still})
		if !v.chosen {
			w.Header().Set("Location", here)
			code = http.StatusSeeOther
		}
	}
	return p.write(w, code, "project", v)
}

type failureView struct {
	frame
	Known []link // the projects with the most similar names
}

// Failure writes the page for an error of package status: 404 for an unknown project, else 503.
func (p *Pages) Failure(w http.ResponseWriter, r *http.Request, err error) error {
	now := p.now()
	v := failureView{frame: frame{visit: newVisit(r), Back: true, At: newMoment(now, now), Tone: toneUnknown, Headline: "adfbot cannot read its state", Sub: err.Error()}}
	unknown, ok := errors.AsType[*config.UnknownProjectError](err)
	if !ok && !errors.Is(err, pause.ErrID) {
		p.finish(&v.frame)
		return p.write(w, http.StatusServiceUnavailable, "failure", v)
	}
	v.Tone, v.Headline, v.Sub = toneIdle, "There is no such project", "The address may be mistyped, or the project has another name."
	if e, ok := errors.AsType[*config.NotKnownError](err); ok {
		v.Sub = e.Error()
	}
	if ok {
		for _, id := range unknown.Nearest() {
			if pause.ValidID(id) { // else it is a pattern
				v.Known = append(v.Known, link{Text: id, Link: v.project(id)})
			}
		}
	}
	p.finish(&v.frame)
	v.Refresh, v.Toggle = 0, ""
	return p.write(w, http.StatusNotFound, "failure", v)
}

// finish adds the title, the style sheet and the reloading. A reader can stop the reloading: it would throw users of screen
// readers and keyboards back to the beginning. The choice goes along on every link.
func (p *Pages) finish(f *frame) {
	f.Title, f.Style = f.Headline+" · adfbot", f.Root+p.style
	if f.still {
		f.Toggle = "?refresh=on"
		return
	}
	f.Refresh, f.Toggle = p.refresh, "?refresh=off"
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

// ServeStatic serves the style sheet and the icons, which are the favicons by tone: colour and sign of the banner, so that a glance
// at the tabs is enough. For any other path it writes nothing and returns false.
func ServeStatic(w http.ResponseWriter, r *http.Request) bool {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if _, err := fs.Stat(static, name); err != nil {
		return false
	}
	w.Header().Set("Cache-Control", "private, max-age=86400")
	if r.URL.Query().Has("v") { // a hash of the content
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	http.ServeFileFS(w, r, static, name)
	return true
}
