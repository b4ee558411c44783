package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
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

// refreshEvery is how many seconds a page stays as it is, where nothing else is wanted.
const refreshEvery = 30

// pageWait bounds how long a page waits for the state, which another process may hold.
const pageWait = 15 * time.Second

// pagePolicy lets a page load the bot's own style sheet and icon and nothing else: no script, no form, no frame. Should
// something from outside ever get through the escaping, it can do nothing.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed templates/*.html
var pageFiles embed.FS

//go:embed style.css
var styleSheet []byte

// pages makes the pages of a server.
type pages struct {
	server    *Server
	templates *template.Template
	style     string // the style sheet's address: it changes with its content
	refresh   int    // how many seconds a page stays as it is
}

func newPages(s *Server) *pages {
	sum := sha256.Sum256(styleSheet)
	return &pages{
		server:    s,
		templates: template.Must(template.ParseFS(pageFiles, "templates/*.html")),
		style:     "/style.css?v=" + hex.EncodeToString(sum[:6]),
		refresh:   refreshEvery,
	}
}

// pageRoutes hangs in the operator's page. It only shows: whoever wants to change something has the command line, the API
// and Gitea.
func (s *Server) pageRoutes(mux *http.ServeMux) {
	p := newPages(s)
	mux.HandleFunc("GET /{$}", s.allow(accessPublic, p.index))
	mux.HandleFunc("GET /projects/{id}", s.allow(accessPublic, p.project))
	mux.HandleFunc("GET /style.css", s.allow(accessPublic, serveStyle))
	mux.HandleFunc("GET /icon/{name}", s.allow(accessPublic, serveIcon))
}

func (p *pages) index(w http.ResponseWriter, r *http.Request) {
	b, release := p.server.use(r)
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), pageWait)
	defer cancel()
	status, err := b.Status(ctx, "")
	if err != nil {
		p.sorry(w, r, err)
		return
	}
	p.showIndex(w, r, status)
}

func (p *pages) showIndex(w http.ResponseWriter, r *http.Request, status status.Status) {
	v := indexOf(status)
	v.frame = p.refreshing(v.frame, r)
	p.page(w, r, http.StatusOK, "index", v)
}

func (p *pages) project(w http.ResponseWriter, r *http.Request) {
	b, release := p.server.use(r)
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), pageWait)
	defer cancel()
	d, err := b.Detail(ctx, r.PathValue("id"))
	if err != nil {
		p.sorry(w, r, err)
		return
	}
	p.showProject(w, r, d)
}

func (p *pages) showProject(w http.ResponseWriter, r *http.Request, d status.Detail) {
	v := detailOf(d)
	v.frame = p.refreshing(v.frame, r)
	p.page(w, r, http.StatusOK, "project", v)
}

// refreshing has the page load itself again, unless its reader stopped that: a page that is read by ear or by keyboard
// must not begin anew in the middle.
func (p *pages) refreshing(f frame, r *http.Request) frame {
	f.Style = p.style
	if r.URL.Query().Get("refresh") == "off" {
		f.Toggle = r.URL.EscapedPath()
		return f
	}
	f.Refresh, f.Toggle = p.refresh, r.URL.EscapedPath()+"?refresh=off"
	return f
}

type sorryView struct {
	frame
	Known []issueView
}

// sorry is the page for what can't be shown.
func (p *pages) sorry(w http.ResponseWriter, r *http.Request, err error) {
	v := sorryView{frame: p.refreshing(frame{Project: true, Tone: toneUnknown, At: momentOf(p.server.now(), p.server.now())}, r)}
	status := http.StatusServiceUnavailable
	v.Headline, v.Sub = "adfbot can't tell how things stand", err.Error()
	if unknown, ok := errors.AsType[*config.UnknownProjectError](err); ok || errors.Is(err, pause.ErrID) {
		status = http.StatusNotFound
		v.Tone, v.Headline, v.Sub, v.Refresh, v.Toggle = toneIdle, "There is no such project", "The address may be mistyped, or the project has another name.", 0, ""
		if ok {
			for _, id := range unknown.Known {
				v.Known = append(v.Known, issueView{Text: id, Link: projectLink(id)})
			}
		}
	}
	v.Title = v.Headline + " · adfbot"
	p.page(w, r, status, "sorry", v)
}

// page sends a page as a whole or, should its template fail, none of it.
func (p *pages) page(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, view); err != nil {
		p.server.log.Error("page", "page", name, "err", err)
		writeProblem(w, r, http.StatusInternalServerError, "The page can't be made", "the log of adfbot serve says why; `adfbot status` shows the same facts")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	doc := bytes.Map(visible, b.Bytes())
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(doc)
	}
}

// visible drops the characters that show nothing and change how other text is shown: most texts were cleaned before they
// were stored, but not a flag's name or what an older version kept.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
		return -1
	}
	return r
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(styleSheet))
}

// icons are what the browser shows in the tab: the banner's sign and colour, so that a glance at the tabs is enough.
var icons = map[string][2]string{
	"ok":      {"#1a6a33", "M6.5 12.6l3.6 3.6 7.4-8"},
	"bad":     {"#a8231b", "M9 7v10M15 7v10"},
	"held":    {"#744b00", "M9 7v10M15 7v10"},
	"unknown": {"#a8231b", "M9 9a3 3 0 1 1 4.2 2.7c-.8.4-1.2.9-1.2 2.1M12 17.6v.1"},
	"warn":    {"#744b00", "M12 6v7.5M12 17.6v.1"},
	"idle":    {"#3d4753", "M7 12h10"},
}

func serveIcon(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("name"), ".svg")
	icon, known := icons[name]
	if !ok || !known {
		writeProblem(w, r, http.StatusNotFound, "Not found", "there is no such icon")
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "private, max-age=86400")
	doc := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="12" fill="` + icon[0] +
		`"/><path d="` + icon[1] + `" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>`
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(doc))
}
