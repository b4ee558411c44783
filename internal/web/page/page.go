// Package page renders package status as HTML for operators.
//
//	status.Status ─► indexView   ─► templates/index.html
//	status.Detail ─► projectView ─► templates/project.html
//	error         ─► failureView ─► templates/failure.html
//	a problem     ─► problemView ─► templates/failure.html
//
// The views hold every text as it is shown, so the templates decide only markup. What the reader chooses stands in the address, see
// visit.go: links and one form of the front page are all that the page needs. Its script only renews the page in place instead of
// loading it again. The page is read-only: the form asks for another page, nothing else. html/template escapes untrusted text, only http
// and https addresses become links, and the Content-Security-Policy forbids everything else. All links within the site are relative,
// so that a proxy may serve it under any path. The package has no state and no locks.
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

const refreshEvery = 30 // seconds until a page is loaded again

// policy lets a page load only the bot's own style sheet, script, icons and pages: nothing from elsewhere, nothing that stands in the
// page itself, no frame. Untrusted text is harmless even if it should ever get through the escaping.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed style.css page.js icon/*.svg
var static embed.FS

// Pages writes pages. It is safe for concurrent use.
type Pages struct {
	now       func() time.Time
	version   string
	templates *template.Template
	style     string // name of the style sheet, which changes with its content
	script    string // likewise
	refresh   int    // seconds
}

// New parses the templates. The pages name the version of the bot.
func New(now func() time.Time, version string) *Pages {
	return &Pages{
		now: now, version: version,
		templates: template.Must(template.New("").Funcs(template.FuncMap{"words": words}).ParseFS(templateFiles, "templates/*.html")),
		style:     versioned("style.css"),
		script:    versioned("page.js"),
		refresh:   refreshEvery,
	}
}

// versioned returns the address of a file, which changes with its content.
func versioned(name string) string {
	content, _ := static.ReadFile(name)
	sum := sha256.Sum256(content)
	return name + "?v=" + hex.EncodeToString(sum[:6])
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

// Problem writes the page for a request that was refused: a wrong address, for example.
func (p *Pages) Problem(w http.ResponseWriter, r *http.Request, code int, title, detail string) error {
	v := failureView{frame: frame{visit: newVisit(r), Back: true, Tone: toneIdle, Headline: title, Sub: detail}}
	if code >= http.StatusInternalServerError {
		v.Tone = toneUnknown
	}
	p.finish(&v.frame)
	if v.Toggle = ""; code < http.StatusInternalServerError { // it will not come by itself
		v.Refresh = 0
	}
	return p.write(w, code, "failure", v)
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
	f.Title, f.Style, f.Script, f.Version = f.Headline+" · adfbot", f.Root+p.style, f.Root+p.script, p.version
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
	h.Set("ETag", tagOf(doc))
	w.WriteHeader(code)
	_, _ = w.Write(doc)
	return nil
}

// tagOf returns a tag for all that a page says but for the time at which it says so: how long ago something was does not count, nor does
// the foot of the page. Whoever has a page of the same tag needs no other one, and can tell how long ago something was by itself.
// Browsers do not keep pages, so only the script asks with a tag.
func tagOf(doc []byte) string {
	sum := sha256.New()
	if n := bytes.LastIndex(doc, []byte("<footer>")); n >= 0 {
		doc = doc[:n]
	}
	for {
		before, after, found := bytes.Cut(doc, []byte("</time>"))
		if found {
			before = before[:bytes.LastIndexByte(before, '>')+1]
		}
		sum.Write(before)
		if doc = after; !found {
			return `W/"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
		}
	}
}

// visible drops invisible characters, which can change how other text is shown. Most texts are cleaned before they are stored, but
// not the name of a flag, nor what an older version has stored.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
		return -1
	}
	return r
}

// ServeStatic serves the style sheet, the script and the icons, which are the favicons by tone: colour and sign of the banner, so that a glance
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
