package giteatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

const contentJSON = "application/json;charset=utf-8"

// call is one request as the endpoints see it. They run under Server.mu.
type call struct {
	s     *Server
	r     *http.Request
	query url.Values
	body  []byte
	args  []string    // what the path has in the pattern's {}
	doer  *user       // nil: anonymous
	repo  *repository // where the pattern begins with /repos/{}/{}
}

type endpoint struct {
	method, path string
	scope        string // category; "" asks for none
	do           func(*call) *answer
}

// endpoints are tried in this order.
func endpoints() []endpoint {
	const repo, issue, user, org = "repository", "issue", "user", "organization"
	return []endpoint{
		{"GET", "/version", "", version},
		{"GET", "/settings/api", "", apiSettings},
		{"GET", "/user", user, currentUser},
		{"GET", "/users/{}", user, namedUser},
		{"GET", "/orgs/{}/labels", org, listOrgLabels},
		{"GET", "/repos/{}/{}", repo, getRepo},
		{"POST", "/repos/{}/{}/hooks", repo, createHook},
		{"GET", "/repos/{}/{}/labels", issue, listLabels},
		{"POST", "/repos/{}/{}/labels", issue, createLabel},
		{"GET", "/repos/{}/{}/issues", issue, listIssues},
		{"POST", "/repos/{}/{}/issues", issue, createIssue},
		{"GET", "/repos/{}/{}/issues/comments", issue, listRepoComments},
		{"GET", "/repos/{}/{}/issues/comments/{}", issue, getComment},
		{"PATCH", "/repos/{}/{}/issues/comments/{}", issue, editComment},
		{"GET", "/repos/{}/{}/issues/{}", issue, getIssue},
		{"PATCH", "/repos/{}/{}/issues/{}", issue, editIssue},
		{"DELETE", "/repos/{}/{}/issues/{}", issue, deleteIssue},
		{"GET", "/repos/{}/{}/issues/{}/comments", issue, listComments},
		{"POST", "/repos/{}/{}/issues/{}/comments", issue, createComment},
		{"GET", "/repos/{}/{}/issues/{}/timeline", issue, listTimeline},
		{"GET", "/repos/{}/{}/issues/{}/labels", issue, listIssueLabels},
		{"POST", "/repos/{}/{}/issues/{}/labels", issue, addIssueLabels},
		{"PUT", "/repos/{}/{}/issues/{}/lock", issue, lockIssue},
		{"DELETE", "/repos/{}/{}/issues/{}/lock", issue, unlockIssue},
		{"POST", "/repos/{}/{}/issues/{}/dependencies", issue, addDependency},
	}
}

// handle does the work of a request. The lock is held.
func (s *Server) handle(r *http.Request, body []byte) (a *answer, who *user) {
	t, refusal := s.authenticate(r)
	if t != nil {
		who = t.user
	}
	if refusal != nil {
		return refusal, nil
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v1")
	if !ok {
		return s.notFound(), who
	}
	otherMethod := false
	for _, e := range endpoints() {
		args, ok := match(e.path, path)
		if !ok {
			continue
		}
		if e.method != r.Method {
			otherMethod = true
			continue
		}
		if a := s.authorize(t, e.method, e.scope); a != nil {
			return a, who
		}
		c := &call{s: s, r: r, query: r.URL.Query(), body: body, args: args, doer: who}
		if strings.HasPrefix(e.path, "/repos/") {
			if a := c.findRepo(); a != nil {
				return a, who
			}
		}
		if r.Method != http.MethodGet && who == nil {
			return s.message(http.StatusUnauthorized, "token is required"), nil
		}
		return e.do(c), who
	}
	if otherMethod {
		return &answer{status: http.StatusMethodNotAllowed}, who
	}
	return s.notFound(), who
}

// match compares an escaped path with a pattern and returns what stands in the place of each {}.
func match(pattern, path string) (args []string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	for i, w := range want {
		g, err := url.PathUnescape(got[i])
		switch {
		case err != nil:
			return nil, false
		case w == "{}":
			args = append(args, g)
		case w != g:
			return nil, false
		}
	}
	return args, true
}

// findRepo takes the first two arguments off the call and finds the repository, or says why not.
func (c *call) findRepo() *answer {
	owner, name := c.args[0], c.args[1]
	c.args = c.args[2:]
	k := key(owner + "/" + name)
	if c.repo = c.s.repos[k]; c.repo != nil {
		if c.repo.permission(c.doer) == None {
			return c.s.notFound()
		}
		return nil
	}
	if moved := c.s.redirects[k]; moved != nil && !moved.deleted {
		// Whoever asks is told, before any permission is looked at.
		old := url.PathEscape(owner) + "/" + url.PathEscape(name)
		to := url.PathEscape(moved.owner.login) + "/" + url.PathEscape(moved.name)
		location := strings.Replace(c.r.URL.EscapedPath(), old, to, 1)
		if c.r.URL.RawQuery != "" {
			location += "?" + c.r.URL.RawQuery
		}
		return redirect(c.r, location)
	}
	return c.s.notFound()
}

// redirect is net/http's own, which is what Gitea uses: only a GET gets a body.
func redirect(r *http.Request, location string) *answer {
	w := &recorder{header: http.Header{}}
	http.Redirect(w, r, location, http.StatusMovedPermanently)
	return &answer{status: w.status, header: w.header, body: w.Bytes()}
}

type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

func (w *recorder) Header() http.Header { return w.header }
func (w *recorder) WriteHeader(c int)   { w.status = c }

// number is the id or issue number at the end of the path. Like Gitea, it takes what is no number for 0.
func (c *call) number() int64 {
	n, _ := strconv.ParseInt(c.args[0], 10, 64)
	return n
}

// may says whether the doer has at least this permission in the call's repository.
func (c *call) may(p Permission) bool { return c.repo.permission(c.doer) >= p }

// mayWriteIssues is what Gitea calls write access to the unit: it is gone with the unit.
func (c *call) mayWriteIssues() bool { return !c.repo.issuesOff && c.may(Write) }

// mayReadIssues is likewise gone with the unit, also for administrators.
func (c *call) mayReadIssues() bool { return !c.repo.issuesOff }

func reply(status int, v any) *answer {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the package's own types
	}
	return &answer{
		status: status,
		header: http.Header{"Content-Type": {contentJSON}},
		body:   append(b, '\n'),
	}
}

// message is the usual refusal.
func (s *Server) message(status int, text string) *answer {
	return reply(status, struct {
		Message string `json:"message"`
		URL     string `json:"url"`
	}{text, s.baseURL + "/api/swagger"})
}

// notFound is Gitea's 404, which alone has a list of errors.
func (s *Server) notFound(details ...string) *answer {
	return reply(http.StatusNotFound, struct {
		Errors  []string `json:"errors"`
		Message string   `json:"message"`
		URL     string   `json:"url"`
	}{details, "not found", s.baseURL + "/api/swagger"})
}

func (s *Server) archived(r *repository) *answer {
	if r.archivedAt.IsZero() {
		return nil
	}
	return s.message(http.StatusLocked, r.path()+" is archived")
}

// decode reads the body into a form. Fields with the tag required must not be empty.
func (c *call) decode(form any) *answer {
	if err := json.Unmarshal(c.body, form); err != nil {
		return c.s.message(http.StatusUnprocessableEntity, "[]: "+decodeError(err))
	}
	v := reflect.ValueOf(form).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("binding") == "Required" && v.Field(i).IsZero() {
			return c.s.message(http.StatusUnprocessableEntity, fmt.Sprintf("[%s]: Required", f.Name))
		}
	}
	return nil
}

// decodeError words a wrong type as the recorded server does, whose JSON package is another one.
func decodeError(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) || wrong.Field == "" || wrong.Struct == "" {
		return err.Error()
	}
	value := wrong.Value
	if value == "string" && wrong.Type.Kind() == reflect.Int64 {
		value = `number "`
	}
	capital := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	return fmt.Sprintf("json: cannot unmarshal %s into Go struct field %s.%s of type %s",
		value, capital(wrong.Struct), capital(wrong.Field), wrong.Type)
}
