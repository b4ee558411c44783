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

// call is a request as an endpoint sees it. Endpoints run with Server.mu held.
type call struct {
	s     *Server
	r     *http.Request
	query url.Values
	body  []byte
	args  []string    // the path's values for the {parameters} of the pattern
	doer  *user       // nil: anonymous
	repo  *repository // if the pattern begins with /repos/{owner}/{repo}
}

type endpoint struct {
	method, path string
	scope        string // required category of scope; "": none
	do           func(*call) *response
}

// endpoints returns all endpoints. The first that matches handles the request.
func endpoints() []endpoint {
	const repo, issue, user, org = "repository", "issue", "user", "organization"
	return []endpoint{
		{"GET", "/version", "", version},
		{"GET", "/settings/api", "", apiSettings},
		{"GET", "/user", user, currentUser},
		{"GET", "/users/{username}", user, namedUser},
		{"GET", "/orgs/{org}/labels", org, listOrgLabels},
		{"GET", "/repos/{owner}/{repo}", repo, getRepo},
		{"POST", "/repos/{owner}/{repo}/hooks", repo, createHook},
		{"GET", "/repos/{owner}/{repo}/actions/runs", repo, listRuns},
		{"GET", "/repos/{owner}/{repo}/actions/runs/{run}", repo, getRun},
		{"GET", "/repos/{owner}/{repo}/actions/workflows", repo, listWorkflows},
		{"GET", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}", repo, getWorkflow},
		{"PUT", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/disable", repo, disableWorkflow},
		{"PUT", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/enable", repo, enableWorkflow},
		{"POST", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches", repo, dispatchWorkflow},
		{"GET", "/repos/{owner}/{repo}/labels", issue, listLabels},
		{"POST", "/repos/{owner}/{repo}/labels", issue, createLabel},
		{"DELETE", "/repos/{owner}/{repo}/labels/{id}", issue, deleteLabel},
		{"GET", "/repos/{owner}/{repo}/issues", issue, listIssues},
		{"POST", "/repos/{owner}/{repo}/issues", issue, createIssue},
		{"GET", "/repos/{owner}/{repo}/issues/comments", issue, listRepoComments},
		{"GET", "/repos/{owner}/{repo}/issues/comments/{id}", issue, getComment},
		{"PATCH", "/repos/{owner}/{repo}/issues/comments/{id}", issue, editComment},
		{"GET", "/repos/{owner}/{repo}/issues/{index}", issue, getIssue},
		{"PATCH", "/repos/{owner}/{repo}/issues/{index}", issue, editIssue},
		{"DELETE", "/repos/{owner}/{repo}/issues/{index}", issue, deleteIssue},
		{"GET", "/repos/{owner}/{repo}/issues/{index}/comments", issue, listComments},
		{"POST", "/repos/{owner}/{repo}/issues/{index}/comments", issue, createComment},
		{"GET", "/repos/{owner}/{repo}/issues/{index}/timeline", issue, listTimeline},
		{"GET", "/repos/{owner}/{repo}/issues/{index}/labels", issue, listIssueLabels},
		{"POST", "/repos/{owner}/{repo}/issues/{index}/labels", issue, addIssueLabels},
		{"PUT", "/repos/{owner}/{repo}/issues/{index}/lock", issue, lockIssue},
		{"DELETE", "/repos/{owner}/{repo}/issues/{index}/lock", issue, unlockIssue},
		{"POST", "/repos/{owner}/{repo}/issues/{index}/dependencies", issue, addDependency},
	}
}

// apiRoot is the path of Gitea's API.
const apiRoot = "/api/v1"

// Routes lists the API calls that the server handles, as "METHOD /path". It answers 501 (Not Implemented) to all
// others.
func Routes() []string {
	var routes []string
	for _, e := range endpoints() {
		routes = append(routes, e.method+" "+apiRoot+e.path)
	}
	return routes
}

// handle handles a request. The caller holds s.mu.
func (s *Server) handle(r *http.Request, body []byte) (resp *response, who *user) {
	t, refusal := s.authenticate(r)
	if t != nil {
		who = t.user
	}
	if refusal != nil {
		return refusal, nil
	}
	path := r.URL.EscapedPath()
	for _, e := range endpoints() {
		args, ok := match(apiRoot+e.path, path)
		if !ok || e.method != r.Method {
			continue
		}
		if resp := s.authorize(t, e.method, e.scope); resp != nil {
			return resp, who
		}
		c := &call{s: s, r: r, query: r.URL.Query(), body: body, args: args, doer: who}
		if strings.HasPrefix(e.path, "/repos/") {
			if resp := c.findRepo(); resp != nil {
				return resp, who
			}
		}
		if r.Method != http.MethodGet && who == nil {
			return s.message(http.StatusUnauthorized, "token is required"), nil
		}
		return e.do(c), who
	}
	text := fmt.Sprintf("giteatest does not handle %s %s, see giteatest.Routes", r.Method, path)
	return s.message(http.StatusNotImplemented, text), who
}

// match matches an escaped path with a pattern and returns the values of the pattern's {parameters}.
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
		case strings.HasPrefix(w, "{"):
			args = append(args, g)
		case w != g:
			return nil, false
		}
	}
	return args, true
}

// findRepo finds the repository that the first two arguments name, and removes these. It returns an error response or
// nil.
func (c *call) findRepo() *response {
	owner, name := c.args[0], c.args[1]
	c.args = c.args[2:]
	k := key(owner + "/" + name)
	if c.repo = c.s.repos[k]; c.repo != nil {
		if c.repo.permission(c.doer) == None {
			return c.s.notFound()
		}
		return nil
	}
	// Gitea redirects before it checks any permission: first to the owner's new login, whatever repository is asked for.
	if u := c.s.renamed[strings.ToLower(owner)]; u != nil && c.s.userNamed(owner) == nil {
		return c.movedRepo(owner, name, u.login, name, http.StatusTemporaryRedirect)
	}
	if to := c.s.redirects[k]; to != nil && !to.deleted {
		return c.movedRepo(owner, name, to.owner.login, to.name, http.StatusMovedPermanently)
	}
	return c.s.notFound()
}

// movedRepo redirects to the same in another repository.
func (c *call) movedRepo(owner, name, toOwner, toName string, status int) *response {
	old, to := url.PathEscape(owner)+"/"+url.PathEscape(name), url.PathEscape(toOwner)+"/"+url.PathEscape(toName)
	location := strings.Replace(c.r.URL.EscapedPath(), old, to, 1)
	if c.r.URL.RawQuery != "" {
		location += "?" + c.r.URL.RawQuery
	}
	return redirect(c.r, location, status)
}

// redirect uses net/http, as Gitea does: only a GET gets a body.
func redirect(r *http.Request, location string, status int) *response {
	w := &recorder{header: http.Header{}}
	http.Redirect(w, r, location, status)
	return &response{status: w.status, header: w.header, body: w.Bytes()}
}

type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

func (w *recorder) Header() http.Header { return w.header }
func (w *recorder) WriteHeader(c int)   { w.status = c }

// number returns the id or issue number in the path. Like Gitea, it returns 0 for anything that is not a number.
func (c *call) number() int64 {
	n, _ := strconv.ParseInt(c.args[0], 10, 64)
	return n
}

// may reports whether the doer has at least permission p in the call's repository.
func (c *call) may(p Permission) bool { return c.repo.permission(c.doer) >= p }

// mayWriteIssues reports whether the doer may write the issues unit, which nobody may if it is disabled.
func (c *call) mayWriteIssues() bool { return c.mayOnIssues(Write) }

// mayReadIssues reports whether issues may be read: if they are disabled, not even an administrator may.
func (c *call) mayReadIssues() bool { return c.mayOnIssues(Read) }

func (c *call) mayOnIssues(p Permission) bool {
	if own, ok := c.repo.issuePerms[c.doer]; ok {
		return !c.repo.issuesOff && own >= p
	}
	return !c.repo.issuesOff && c.may(p)
}

func reply(status int, v any) *response {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the types are this package's
	}
	return &response{
		status: status,
		header: http.Header{"Content-Type": {contentJSON}},
		body:   append(b, '\n'),
	}
}

// message returns Gitea's usual error response.
func (s *Server) message(status int, text string) *response {
	return reply(status, struct {
		Message string `json:"message"`
		URL     string `json:"url"`
	}{text, s.baseURL + "/api/swagger"})
}

// notFound returns Gitea's 404, the only error response with a list of errors.
func (s *Server) notFound(details ...string) *response {
	return reply(http.StatusNotFound, struct {
		Errors  []string `json:"errors"`
		Message string   `json:"message"`
		URL     string   `json:"url"`
	}{details, "not found", s.baseURL + "/api/swagger"})
}

func (s *Server) archived(r *repository) *response {
	if r.archivedAt.IsZero() {
		return nil
	}
	return s.message(http.StatusLocked, r.path()+" is archived")
}

// decode decodes the body into form. Fields with the tag binding:"Required" must not be empty. It returns an error
// response or nil.
func (c *call) decode(form any) *response {
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

// decodeError returns the message of the recorded server, which uses another JSON package, for a value of the wrong
// type.
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
