package gitea

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/tracker"
)

const json404 = `{"errors":null,"message":"not found","url":"http://127.0.0.1:3000/api/swagger"}`

// The advice fits the cause, and the reader can follow it.
func TestAdviceOfAnswer(t *testing.T) {
	const html = "<html><body><form>Please log in</form></body></html>"
	version := func(g *Client) error { _, err := g.Version(context.Background()); return err }
	list := func(g *Client) error {
		_, err := g.List(context.Background(), recordedIssue.Repo, "adf-bot", false)
		return err
	}
	label := func(g *Client) error {
		_, err := g.AddLabel(context.Background(), recordedIssue.Repo, "adf")
		return err
	}
	closing := func(g *Client) error {
		_, err := g.SetOpen(context.Background(), recordedIssue, false)
		return err
	}
	runs := func(g *Client) error {
		_, _, err := g.WorkflowRuns(context.Background(), recordedIssue.Repo, 1)
		return err
	}
	disable := func(g *Client) error {
		return g.EnableWorkflow(context.Background(), recordedIssue.Repo, "none.yaml", false)
	}
	assign := func(g *Client) error { return g.Assign(context.Background(), recordedIssue, []string{"nobody"}) }
	for name, tt := range map[string]struct {
		do       func(*Client) error
		status   int
		kind     string // Content-Type
		body     string
		location string
		want     string
		not      string
	}{
		"a wrong sub-path": {version, 404, "text/html", html, "", "there is no Gitea API at https://git.example.org/api/v1: set gitea.url to the address of " +
			"Gitea's start page, with its sub-path if it has one; if a proxy answers so while Gitea is down, this is retried automatically", "gitea.owner"},
		"a wrong sub-path, plain text":     {list, 404, "text/plain", "404 page not found", "", "there is no Gitea API at https://git.example.org/api/v1", "gitea.owner"},
		"another program's JSON":           {version, 404, "application/json", `{"detail":"Not Found"}`, "", "there is no Gitea API at https://git.example.org/api/v1", "gitea.owner"},
		"a repository that is not there":   {list, 404, "application/json", json404, "", "check gitea.owner and gitea.repo, or the project's own, and the account's access, its two-factor authentication where Gitea enforces that, and that the token is not limited to public repositories", "no Gitea API"},
		"a login page":                     {version, 200, "text/html; charset=utf-8", html, "", "a web page came instead of Gitea's API, as from a login in front of Gitea: let requests to https://git.example.org/api/v1/ pass it", "invalid character"},
		"a login page for a write":         {label, 200, "text/html", html, "", "let requests to https://git.example.org/api/v1/ pass it", ""},
		"a redirect to a login page":       {list, 302, "text/html", html, "https://sso.example.org/login?back=x", "https://git.example.org/api/v1/ is redirected to https://sso.example.org/login, as by a login in front of Gitea: let requests to it pass", "gitea.owner"},
		"a redirect to Gitea's login":      {list, 303, "text/html", html, "/user/login", "is redirected to https://git.example.org/user/login", "gitea.owner"},
		"a redirect to another server":     {version, 301, "text/html", html, "https://code.example.org/api/v1/version", "set gitea.url to https://code.example.org", "gitea.owner"},
		"a redirect to the sub-path":       {list, 308, "text/html", html, "/git/api/v1/repos/terraphim/rec/issues?x=y", "set gitea.url to https://git.example.org/git", "gitea.owner"},
		"a redirect without a target":      {list, 302, "", "", "", "is redirected to nowhere", "gitea.owner"},
		"a renamed repository":             {list, 301, "text/html", html, "/api/v1/repos/terraphim/fleet-2/issues?state=open", "the repository moved to terraphim/fleet-2: set gitea.owner and gitea.repo, or the project's own, to it", "gitea.url"},
		"a renamed repository of runs":     {runs, 301, "text/html", html, "/api/v1/repos/terraphim/fleet-2/actions/runs", "the repository moved to terraphim/fleet-2: set `actions` of the project to it", "gitea.repo"},
		"no repository of runs":            {runs, 404, "application/json", json404, "", "its Actions are disabled, or they are hidden from the token's account: correct `actions` of the project", "gitea.repo"},
		"no such workflow":                 {disable, 404, "application/json", `{"message":"workflow \"none.yaml\" not found","url":""}`, "", "no such workflow on its default branch: correct `actions` of the project", "gitea.repo"},
		"a proxy's own login":              {list, 401, "text/html", html, "", "a proxy in front of Gitea refuses this: let requests to https://git.example.org/api/v1/ pass it", "revoked"},
		"a proxy's own refusal":            {version, 403, "text/html", html, "", "a proxy in front of Gitea refuses this", "write:issue"},
		"a proxy's own login, plain text":  {version, 401, "text/plain", "401 Unauthorized", "", "a proxy in front of Gitea refuses this: let requests to https://git.example.org/api/v1/ pass it", "revoked"},
		"a proxy's own login, no text":     {list, 401, "", "", "", "a proxy in front of Gitea refuses this", "revoked"},
		"a firewall's refusal, plain text": {list, 403, "text/plain", "Forbidden", "", "a proxy in front of Gitea refuses this", "account"},
		"a firewall's refusal, JSON":       {list, 403, "application/problem+json", `{"title":"Error 1020"}`, "", "a proxy in front of Gitea refuses this", "account"},
		"a refusal without text":           {closing, 403, "", "", "", "a proxy in front of Gitea refuses this, or the issue is another account's", "blocked"},
		"no API any more":                  {version, 410, "text/plain", "gone", "", "there is no Gitea API at https://git.example.org/api/v1", "gitea.owner"},
		"a redirect to a slash":            {version, 301, "text/html", html, "/api/v1/version/", "https://git.example.org/api/v1/ is redirected to https://git.example.org/api/v1/version/, by what stands in front of Gitea: let requests to it pass unchanged", "name"},
		"a redirect to itself":             {version, 302, "text/html", html, "/api/v1/version", "let requests to it pass unchanged", "name"},
		"a list redirected to a slash":     {list, 301, "text/html", html, "/api/v1/repos/terraphim/rec/issues/", "let requests to it pass unchanged", "gitea.owner"},
		"a list redirected to lower case":  {list, 307, "text/html", html, "/api/v1/repos/terraphim/rec/ISSUES", "let requests to it pass unchanged", "gitea.owner"},
		"a redirect to a long address":     {list, 302, "text/html", html, "https://sso.example.org/" + strings.Repeat("a", 1000), "let requests to it pass", "gitea.owner"},
		"another program's JSON in a list": {list, 200, "application/json", ")]}',\n[]", "", "this is no answer of Gitea's API", "ends early"},
		"an answer with a byte order mark": {version, 200, "application/json", "\ufeff{\"version\":\"1.26.3\"}", "", "this is no answer of Gitea's API", "ends early"},
		"an answer that is cut to nothing": {list, 200, "application/json", "", "", "the answer ends early", ""},
		"a dropped Authorization header":   {list, 401, "application/json", `{"message":"token is required"}`, "", "Gitea got no token: let the proxy in front of it pass on the header Authorization", "revoked"},
		"sign-in required, no header":      {version, 403, "application/json", `{"message":"Only signed in user is allowed to call APIs."}`, "", "Gitea got no token", "write:issue"},
		"a wrong token":                    {list, 401, "application/json", `{"message":"invalid username, password or token"}`, "", "make a new one in Gitea", ""},
		"a scope that is missing":          {list, 403, "application/json", `{"message":"token does not have at least one of required scope(s), required=[read:issue], token scope=read:user"}`, "", "make a token with the scope write:issue too, and put it where gitea.token_file or gitea.token_env points; restart a daemon that has it from LoadCredential= or the environment", "access"},
		"another scope":                    {version, 403, "application/json", `{"message":"token does not have at least one of required scope(s), required=[read:user], token scope=write:issue"}`, "", "make a token with the scope read:user too", "access"},
		"the account's rights":             {label, 403, "application/json", `{"message":"user should have a permission to write to a repo"}`, "", "give the token's account write access to the repository's issues", "scope"},
		"the account's rights, to label":   {label, 403, "application/json", `{"message":"write permission is required"}`, "", "give the token's account write access to the repository's issues", "blocked"},
		"issues that are disabled":         {list, 403, "application/json", `{"message":"user should have specific read permission or be a repo admin or a site admin"}`, "", "the repository's issues are disabled, or hidden from the token's account: enable them", "scope"},
		"Actions that are disabled":        {runs, 403, "application/json", `{"message":"user should have specific read permission or be a repo admin or a site admin"}`, "", "the repository's Actions are disabled, or hidden from the token's account: enable them", "issues"},
		"the account's rights to Actions":  {disable, 403, "application/json", `{"message":"user should have a permission to write to a repo"}`, "", "give the token's account write access to the repository's Actions", "issues"},
		"a gateway's 403":                  {list, 403, "application/json", `{"message":"Forbidden"}`, "", "a proxy in front of Gitea refuses this", "account"},
		"a 403 of unknown cause":           {list, 403, "application/json", own("no"), "", "the token's account may not do this", ""},
		"an account that is disabled":      {list, 403, "application/json", `{"message":"This account is prohibited from signing in, please contact your site administrator."}`, "", "the token's account is disabled in Gitea: let its administrator activate it and allow it to sign in", "access"},
		"an account with a new password":   {list, 403, "application/json", `{"message":"You must change your password. Change it at: https://git.example.org/user/change_password"}`, "", "sign in to Gitea as the token's account, and change its password; where it can't sign in, as an account of the type bot, run on the server: gitea admin user must-change-password --unset and its login", "access"},
		"a token for public repositories":  {list, 403, "application/json", `{"message":"token scope is limited to public issues"}`, "", "make a token that is not limited to public repositories, and put it where gitea.token_file or gitea.token_env points; restart a daemon that has it from LoadCredential= or the environment", "access"},
		"an open dependency":               {closing, 412, "application/json", `{"message":"cannot close this issue or pull request because it still has open dependencies"}`, "", "close the issues that it depends on, or remove these dependencies in Gitea", ""},
		"a limit for requests":             {label, 413, "text/html", html, "", "a proxy in front of Gitea limits the size of requests: raise the limit", ""},
		"a proxy that takes no writes":     {label, 405, "text/html", html, "", "a proxy in front of Gitea refuses this: let requests to https://git.example.org/api/v1/ pass it", ""},
		"a refusal of the proxy, 406":      {label, 406, "text/plain", "Not Acceptable", "", "what stands in front of Gitea, or another program at this address, refuses this: let requests to https://git.example.org/api/v1/ pass it, or correct gitea.url", ""},
		"405":                              {label, 405, "", "", "", "what stands in front of Gitea, or another program at this address, refuses this", "by itself"},
		"411":                              {label, 411, "text/plain", "Length Required", "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"418":                              {list, 418, "application/json", `{"message":"I am a teapot"}`, "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"421":                              {version, 421, "text/plain", "Misdirected", "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"431":                              {list, 431, "", "", "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"451":                              {version, 451, "text/plain", "blocked", "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"999":                              {version, 999, "text/plain", "denied", "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"a cache's 304":                    {list, 304, "", "", "", "what stands in front of Gitea, or another program at this address, refuses this", "redirected"},
		"409, of a create":                 {label, 409, "application/json", `{"message":"x"}`, "", "Gitea refuses what was sent", ""},
		"423, not of a repository":         {version, 423, "application/json", `{"message":"x"}`, "", "what stands in front of Gitea, or another program at this address, refuses this", "archived"},
		"a network's own login":            {version, 511, "text/html", html, "", "what stands in front of Gitea, or another program at this address, refuses this: let requests to https://git.example.org/api/v1/ pass it", "slow"},
		"a limit, as 403":                  {list, 403, "application/json", `{"message":"API rate limit exceeded"}`, "", "what stands in front of Gitea limits requests: raise the limit for the bot; this is retried automatically", "access"},
		"a null for a list":                {list, 200, "application/json", "null", "", "a proxy or cache in front of Gitea may have answered: let requests to https://git.example.org/api/v1/ through unchanged", ""},
		"an array for a version":           {version, 200, "application/json", "[]", "", "this is no answer of Gitea's API", "struct"},
		"408":                              {list, 408, "text/plain", "timeout", "", "Gitea, or what stands in front of it, fails or is slow", ""},
		"422, not of Gitea":                {label, 422, "text/plain", "no", "", "what stands in front of Gitea, or another program at this address, refuses this", ""},
		"422":                              {label, 422, "application/json", `{"message":"[Name]: Required"}`, "", "Gitea refuses what was sent: where its reason names something of the configuration, correct that; else see Gitea's log", "in front"},
		"400":                              {closing, 400, "application/json", `{"message":""}`, "", "Gitea refuses what was sent", "in front"},
		"another program":                  {version, 200, "text/plain", "OK", "", "this is no answer of Gitea's API: correct gitea.url, or what stands in front of Gitea", "ends early"},
		"another program's object":         {version, 200, "application/json", `{"status":"ok"}`, "", "this is no answer of Gitea's API: correct gitea.url, or what stands in front of Gitea", "ends early"},
		"an object instead of a list":      {list, 200, "application/json", `{"status":"ok"}`, "", "this is no answer of Gitea's API", "ends early"},
		"http at a port for https":         {version, 400, "text/plain", "Client sent an HTTP request to an HTTPS server.\n", "", "the server refuses plain http, or this host name: correct gitea.url", ""},
		"http, refused by a proxy":         {version, 400, "text/html", "<html>Invalid host</html>", "", "the server refuses plain http, or this host name: correct gitea.url", ""},
		"an answer that is cut":            {list, 200, "application/json", `[{"id":1,"number":1,"bo`, "", "the answer ends early, as behind a proxy that limits its size: raise the limit", ""},
		"a web page with a server's fault": {list, 502, "text/html", html, "", "Gitea, or what stands in front of it, fails or is slow: see their logs; this is retried automatically", "form"},
		"a login that can't be assigned":   {assign, 500, "application/json", `{"message":""}`, "", "", "logs"},
	} {
		t.Run(name, func(t *testing.T) {
			base := "https://git.example.org"
			if tt.status == 400 && tt.kind != "application/json" {
				base = "http://git.example.org"
			}
			g := New(Options{URL: base, Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(*http.Request) *http.Response {
				return &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.kind}, "Location": {tt.location}},
					Body: io.NopCloser(strings.NewReader(tt.body))}
			})})
			err := tt.do(g)
			var te *tracker.Error
			require.ErrorAs(t, err, &te)
			require.Contains(t, te.Fix(), tt.want)
			if tt.want == "" {
				require.Empty(t, te.Fix())
			}
			if tt.not != "" {
				require.NotContains(t, err.Error(), tt.not)
			}
			require.NotContains(t, err.Error(), "<html", "a web page is not quoted")
			require.NotContains(t, err.Error(), "unknown API error")
		})
	}
}

// own is how Gitea and Forgejo write an error.
func own(message string) string {
	return `{"message":"` + message + `","url":"http://127.0.0.1:3000/api/swagger"}`
}

// Only what Gitea itself says of the request is final.
func TestRefusalOf(t *testing.T) {
	const json, html, plain = "application/json;charset=utf-8", "text/html", "text/plain"
	scope := `{"message":"token does not have at least one of required scope(s), required=[write:issue], token scope=read:issue"}`
	for name, tt := range map[string]struct {
		status   int
		kind     string
		body     string
		location string
		want     tracker.Refusal
		retry    bool
	}{
		"a locked issue":           {403, json, own("You cannot comment on a locked issue."), "", tracker.OfRequest, false},
		"an archived repository":   {423, json, `{"message":"terraphim/rec is archived"}`, "", tracker.OfRequest, false},
		"somebody who blocks":      {403, json, own("user is blocked"), "", tracker.OfRequest, false},
		"a right":                  {403, json, `{"message":"user should have a permission to write to a repo"}`, "", tracker.OfRequest, false},
		"no reason":                {403, "", "", "", tracker.OfWay, true},
		"a mistake":                {422, json, `{"message":"[Body]: Required"}`, "", tracker.OfRequest, false},
		"a deleted issue":          {404, json, json404, "", tracker.OfRequest, false},
		"a long text":              {413, html, "too large", "", tracker.OfRequest, false},
		"a renamed repository":     {301, "", "", "/api/v1/repos/terraphim/fleet-2/issues/7/comments", tracker.OfRequest, false},
		"a limit":                  {429, html, "slow down", "", tracker.OfRequest, true},
		"a revoked token":          {401, json, `{"message":"invalid username, password or token"}`, "", tracker.OfRequest, true},
		"a scope":                  {403, json, scope, "", tracker.OfToken, true},
		"only public repositories": {403, json, `{"message":"token scope is limited to public issues"}`, "", tracker.OfToken, true},
		"a disabled account":       {403, json, `{"message":"This account is prohibited from signing in, please contact your site administrator."}`, "", tracker.OfToken, true},
		"a new password":           {403, json, `{"message":"You must change your password."}`, "", tracker.OfToken, true},
		"a dropped header":         {403, json, `{"message":"Only signed in user is allowed to call APIs."}`, "", tracker.OfToken, true},
		"a limit, as 403":          {403, json, `{"message":"API rate limit exceeded"}`, "", tracker.OfToken, true},
		"a proxy's web page":       {403, html, "Forbidden", "", tracker.OfWay, true},
		"a firewall's text":        {403, plain, "Forbidden", "", tracker.OfWay, true},
		"a firewall's JSON":        {403, "application/problem+json", `{"title":"Error 1020"}`, "", tracker.OfWay, true},
		"a gateway's JSON":         {403, json, `{"message":"Forbidden"}`, "", tracker.OfWay, true},
		"a gateway with an id":     {403, json, `{"message":"You cannot consume this service","request_id":"64ac"}`, "", tracker.OfWay, true},
		"a gateway's word":         {403, json, `"Forbidden"`, "", tracker.OfWay, true},
		"a new account":            {403, json, `{"message":"This account is not activated."}`, "", tracker.OfToken, true},
		"a firewall's 406":         {406, html, "Blocked", "", tracker.OfWay, true},
		"a firewall's 422":         {422, html, "Blocked", "", tracker.OfWay, true},
		"a proxy's own login":      {401, "", "", "", tracker.OfWay, true},
		"no writes":                {405, html, "Method Not Allowed", "", tracker.OfWay, true},
		"a proxy with a password":  {407, html, "", "", tracker.OfWay, true},
		"a proxy that waits":       {408, plain, "timeout", "", tracker.OfWay, true},
		"plain http":               {400, plain, "Client sent an HTTP request to an HTTPS server.", "", tracker.OfWay, true},
		"a login":                  {302, html, "", "https://sso.example.org/login", tracker.OfWay, true},
		"Gitea's login":            {303, html, "", "/user/login", tracker.OfWay, true},
		"another address":          {301, html, "", "https://code.example.org/api/v1/repos/terraphim/rec/issues/7/comments", tracker.OfWay, true},
		"a slash":                  {308, html, "", "/api/v1/repos/terraphim/rec/issues/7/comments/", tracker.OfWay, true},
		"nowhere":                  {302, "", "", "", tracker.OfWay, true},
		"a cache":                  {304, "", "", "", tracker.OfWay, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(r *http.Request) *http.Response {
				resp := &http.Response{StatusCode: tt.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tt.body))}
				if tt.kind != "" {
					resp.Header.Set("Content-Type", tt.kind)
				}
				if tt.location != "" {
					resp.Header.Set("Location", tt.location)
				}
				return resp
			})})
			_, comment := g.AddComment(t.Context(), recordedIssue, "text")
			edit := g.EditText(t.Context(), recordedIssue, func(t tracker.Text) tracker.Text { return t })
			if tt.status == 403 && tt.kind == "" {
				_, create := g.Create(t.Context(), recordedIssue.Repo, tracker.NewIssue{Title: "title"})
				require.ErrorContains(t, create, "a proxy in front of Gitea refuses this")
				_, label := g.LabelIssue(t.Context(), recordedIssue, []int64{1}) // Forgejo gives no reason here
				require.ErrorContains(t, label, "a proxy in front of Gitea refuses this, or the token's account may not write to the repository")
				require.Equal(t, tracker.OfWay, tracker.RefusalOf(label))
				require.True(t, tracker.IsRetryable(label))
			}
			for _, err := range []error{comment, edit} {
				require.Equal(t, tracker.Refused, tracker.OutcomeOf(err), err)
				require.Equal(t, tt.want, tracker.RefusalOf(err), err)
				require.Equal(t, tt.retry, tracker.IsRetryable(err), err)
				require.Equal(t, !tt.retry, tracker.IsPermanent(err), err)
			}
			_, _, user := g.User(t.Context(), "alex")
			_, nobody := tracker.IsNobody(user, "alex")
			require.Equal(t, tt.status == 404, nobody, user)
		})
	}
}

type fixed func(*http.Request) *http.Response

func (f fixed) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := f(r)
	resp.Request = r
	return resp, nil
}

// An answer whose encoding does not fit, one that unpacks to more than is read, and one to a probe that has to be refused.
func TestAdviceOfContent(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(`[{"id":1}]`))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	var encoding, body string
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if encoding != "" {
			w.Header().Set("Content-Encoding", encoding)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	g := New(Options{URL: s.URL, Tokens: StaticToken("t"), Timeout: 10 * time.Second})
	t.Cleanup(g.CloseIdle)
	repo := tracker.Repo{Server: s.URL, Owner: "terraphim", Name: "rec"}
	version := func() error { _, err := g.Version(t.Context()); return err }
	list := func() error { _, err := g.List(t.Context(), repo, "adf-bot", false); return err }
	const wrongEncoding = "is not what its header Content-Encoding says, or has one that adfbot did not ask for: let what stands in front of Gitea pass it on unchanged"
	for name, tt := range map[string]struct {
		do             func() error
		status         int
		encoding, body string
		want           string
	}{
		"no gzip":      {version, 200, "gzip", `{"version":"1.26.3"}`, wrongEncoding},
		"half of gzip": {list, 200, "gzip", zipped.String()[:10] + strings.Repeat("\xff", 30), wrongEncoding},
		"Brotli":       {version, 200, "br", "\x8b\x03\x80{}\x03", wrongEncoding},
		"a probe for issues": {func() error { return g.MayOpenIssues(t.Context(), repo) }, 201, "", `{"id":1}`,
			"status 201 (what Gitea refuses was accepted): this is no answer of Gitea's API: correct gitea.url, or what stands in front of Gitea"},
		"a probe for labels": {func() error { return g.MayWriteIssues(t.Context(), repo) }, 201, "", `{"id":1}`, "status 201 (what Gitea refuses was accepted): this is no answer"},
		"a probe, 405":       {func() error { return g.MayOpenIssues(t.Context(), repo) }, 405, "", "", "status 405 (Method Not Allowed): what stands in front"},
	} {
		status, encoding, body = tt.status, tt.encoding, tt.body
		require.ErrorContains(t, tt.do(), tt.want, name)
	}
}

// Only an answer that holds what people write may be too large for that reason; it may also unpack to anything.
func TestAdviceOfLargeAnswer(t *testing.T) {
	const base = "https://git.example.org"
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}
	for _, op := range []string{"list issues", "read issue", "list new comments", "comment on", "read the timeline of"} {
		require.Equal(t, "shorten or delete the issue or the comments that are so large; if there are none, correct what stands in front of Gitea",
			adviseAnswer(request{op: op, where: "terraphim/rec"}, base, resp, errTooLarge), op)
	}
	for _, op := range []string{"read version", "read the token's account", "list labels", "try to open an issue"} {
		require.Equal(t, "this is no answer of Gitea's API: correct gitea.url, or what stands in front of Gitea", adviseAnswer(request{op: op}, base, resp, errTooLarge), op)
	}
	require.Contains(t, adviseAnswer(request{op: "list issues"}, base, resp, errTooMany), "no answer of Gitea's API")
}

func TestAdviceOfCutList(t *testing.T) {
	g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(r *http.Request) *http.Response {
		body := "[]"
		if r.URL.Query().Get("page") == "1" {
			body = `[{"id":1,"number":1},{"id":2,"number":2}]`
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}, "X-Total-Count": {"60"}},
			Body: io.NopCloser(strings.NewReader(body))}
	})})
	_, err := g.List(t.Context(), recordedIssue.Repo, "adf-bot", false)
	require.ErrorContains(t, err, "Gitea counts 60 issues, and its pages hold 2")
	require.ErrorContains(t, err, "a proxy or cache in front of Gitea cuts or repeats the pages: let requests to https://git.example.org/api/v1/ through unchanged")
}

// A cache or a proxy that drops the query returns the same page for each number. The list ends at the second page, not after two
// thousand.
func TestAdviceOfRepeatedPage(t *testing.T) {
	asked := 0
	g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: time.Second, Transport: fixed(func(*http.Request) *http.Response {
		asked++
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`[{"id":1,"number":1},{"id":2,"number":2}]`))}
	})})
	for name, list := range map[string]func() error{
		"issues":   func() error { _, err := g.List(t.Context(), recordedIssue.Repo, "adf-bot", false); return err },
		"comments": func() error { _, err := g.CommentsSince(t.Context(), recordedIssue.Repo, time.Now()); return err },
		"labels":   func() error { _, err := g.Labels(t.Context(), recordedIssue.Repo); return err },
	} {
		asked = 0
		err := list()
		require.ErrorContains(t, err, "page 2 repeats page 1", name)
		require.ErrorContains(t, err, "a proxy or cache in front of Gitea cuts or repeats the pages: let requests to https://git.example.org/api/v1/ through unchanged", name)
		require.Equal(t, 2, asked, name)
	}
}

// certificate is self-signed.
func certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	return signed(t, nil, nil, change)
}

// signed returns a certificate of an authority; nil: of its own.
func signed(t *testing.T, by crypto.PrivateKey, authority *x509.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	change(c)
	if authority == nil {
		by, authority = key, c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, by)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestAdviceOfConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*x509.Certificate)
		trusted bool
		want    string
	}{
		"an authority of one's own": {func(*x509.Certificate) {}, false,
			"set gitea.ca_file to the certificate of the authority that signed the server's, in PEM; if it is set to that already, make the server send its whole chain"},
		"a certificate without SAN": {func(c *x509.Certificate) { c.IPAddresses = nil }, true,
			"the server's certificate names no host as a subject alternative name, and its common name does not count: make one that names 127.0.0.1"},
		"a certificate of another host": {func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"git.example.org", "git"} }, true,
			"the server's certificate is for git.example.org, git: use one of these names in gitea.url, or make one that names 127.0.0.1"},
		"a certificate that is over": {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, true,
			"renew the server's certificate, unless this machine's clock is wrong"},
		"a certificate for clients": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, true,
			"incompatible key usage: make another certificate for the server, or for its authority: this one may not be used so"},
	} {
		t.Run(name, func(t *testing.T) {
			cert := certificate(t, tt.change)
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			srv.StartTLS()
			defer srv.Close()
			roots := x509.NewCertPool()
			if tt.trusted {
				parsed, err := x509.ParseCertificate(cert.Certificate[0])
				require.NoError(t, err)
				roots.AddCert(parsed)
			}
			g := New(Options{URL: srv.URL, Tokens: StaticToken("t"), Timeout: 5 * time.Second, Roots: roots})
			_, err := g.Version(t.Context())
			require.Equal(t, tracker.NotSent, tracker.OutcomeOf(err))
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "can't be reached")
		})
	}
	t.Run("an authority's certificate that is over", func(t *testing.T) {
		authority := certificate(t, func(c *x509.Certificate) {
			c.Subject.CommonName, c.NotAfter = "Our Root", time.Now().Add(-time.Minute)
		})
		root, err := x509.ParseCertificate(authority.Certificate[0])
		require.NoError(t, err)
		cert := signed(t, authority.PrivateKey, root, func(c *x509.Certificate) { c.IsCA = false })
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		srv.StartTLS()
		defer srv.Close()
		roots := x509.NewCertPool()
		roots.AddCert(root)
		_, err = New(Options{URL: srv.URL, Tokens: StaticToken("t"), Timeout: 5 * time.Second, Roots: roots}).Version(t.Context())
		require.ErrorContains(t, err, `that is the certificate of the authority "Our Root": renew it, and replace it in gitea.ca_file, or in what the server sends`)
		require.NotContains(t, err.Error(), "renew the server's")
	})
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"no answer in time":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a closed connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a fault of a proxy":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(answer))
			defer srv.Close()
			g := New(Options{URL: srv.URL, Tokens: StaticToken("t"), Timeout: 50 * time.Millisecond})
			_, err := g.Version(t.Context())
			require.ErrorContains(t, err, "Gitea, or what stands in front of it, fails or is slow: see their logs; this is retried automatically")
		})
	}
	t.Run("https at a port for http", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		g := New(Options{URL: strings.Replace(srv.URL, "http:", "https:", 1), Tokens: StaticToken("t"), Timeout: 5 * time.Second})
		_, err := g.Version(t.Context())
		require.ErrorContains(t, err, "the server does not speak TLS at this port: correct gitea.url, or the port in it")
	})
	t.Run("a server that wants a certificate of its clients", func(t *testing.T) {
		cert := certificate(t, func(*x509.Certificate) {})
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}
		srv.StartTLS()
		defer srv.Close()
		parsed, err := x509.ParseCertificate(cert.Certificate[0])
		require.NoError(t, err)
		roots := x509.NewCertPool()
		roots.AddCert(parsed)
		g := New(Options{URL: srv.URL, Tokens: StaticToken("t"), Timeout: 5 * time.Second, Roots: roots})
		_, err = g.Version(t.Context())
		require.ErrorContains(t, err, "the server refuses the TLS connection, perhaps because it wants a client certificate, which adfbot cannot send")
	})
	for name, tt := range map[string]struct {
		tls  *tls.Config
		want string
	}{
		"a server without a certificate for the name": {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }},
			"the server has no certificate for the host 127.0.0.1, or its TLS is broken: correct the host in gitea.url, or see the server's log"},
		"a server with only old TLS": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			"the server does not support TLS 1.2 or later: enable it there"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return tt.tls, nil }}
			srv.StartTLS()
			defer srv.Close()
			_, err := New(Options{URL: srv.URL, Tokens: StaticToken("t"), Timeout: 5 * time.Second}).Version(t.Context())
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "client certificate")
		})
	}
	t.Run("a proxy that refuses", func(t *testing.T) {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
		defer proxy.Close()
		address, err := url.Parse(proxy.URL)
		require.NoError(t, err)
		for _, base := range []string{"https://git.example.org", "http://git.example.org"} {
			g := New(Options{URL: base, Tokens: StaticToken("t"), Timeout: 5 * time.Second})
			g.http.Transport.(*authTransport).next.(*http.Transport).Proxy = http.ProxyURL(address)
			_, err = g.Version(t.Context())
			require.ErrorContains(t, err, "407", base)
			require.ErrorContains(t, err, adviceProxy, base)
			require.NotContains(t, err.Error(), "retried", base)
		}
	})
	t.Run("a proxy that does not work", func(t *testing.T) {
		for _, op := range []string{"proxyconnect", "socks connect"} {
			err := &url.Error{Op: "Get", URL: "https://git.example.org", Err: &net.OpError{Op: op, Net: "tcp", Err: errors.New("connection refused")}}
			require.Equal(t, adviceProxy, adviseConnection("https://git.example.org", err))
		}
	})
	t.Run("a proxy whose address is no URL", func(t *testing.T) {
		missing := &url.Error{Op: "Get", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Name: "git.example.org", IsNotFound: true}}}
		slow := &url.Error{Op: "Get", Err: context.DeadlineExceeded}
		want := "$HTTPS_PROXY is no URL, so no proxy is used: correct it; a % in its password is written as %25"
		t.Setenv("HTTPS_PROXY", "http://bob:100%secret@proxy.example.org:3128")
		t.Setenv("NO_PROXY", "")
		for _, err := range []error{missing, slow} {
			require.Equal(t, want, adviseConnection("https://git.example.org", err))
			require.NotContains(t, adviseConnection("http://git.example.org", err), "PROXY", "it is for https")
			for _, exempt := range []string{"git.example.org", "localhost, .example.org:443", "*.example.org", "example.org", "*"} {
				t.Setenv("NO_PROXY", exempt)
				require.NotContains(t, adviseConnection("https://git.example.org", err), "PROXY", exempt)
			}
			t.Setenv("NO_PROXY", "t.example.org,example")
			require.Equal(t, want, adviseConnection("https://git.example.org", err))
			require.NotContains(t, adviseConnection("https://127.0.0.1:1", err), "PROXY", "no proxy is asked for this machine")
			require.NotContains(t, adviseConnection("https://localhost:1", err), "PROXY")
		}
		for _, usable := range []string{"http://bob:100%25@proxy.example.org:3128", "proxy.example.org:3128", "bob:x@proxy.example.org:3128"} {
			t.Setenv("HTTPS_PROXY", usable)
			require.NotContains(t, adviseConnection("https://git.example.org", missing), "PROXY", usable)
		}
	})
	t.Run("a port at which nothing listens", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		srv.Close()
		_, err := New(Options{URL: srv.URL, Tokens: StaticToken("t"), Timeout: 5 * time.Second}).Version(t.Context())
		require.ErrorContains(t, err, "Gitea can't be reached, because nothing listens there: correct gitea.url if it is wrong; else adfbot goes on by itself when Gitea is back")
	})
	t.Run("a firewall that drops packets", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: TLS gets no answer, as a connection gets none behind a firewall
		require.NoError(t, err)
		defer l.Close()
		g := New(Options{URL: "https://" + l.Addr().String(), Tokens: StaticToken("t"), Timeout: 20 * time.Millisecond})
		_, err = g.Version(t.Context())
		require.Equal(t, tracker.NotSent, tracker.OutcomeOf(err))
		require.ErrorContains(t, err, "no answer in time: Gitea can't be reached, because nothing answers there: correct gitea.url if it is wrong, or let this machine through a firewall")
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond) // of a sweep, say
		defer cancel()
		_, err = New(Options{URL: g.opt.URL, Tokens: StaticToken("t"), Timeout: time.Minute}).Version(short)
		require.NotContains(t, err.Error(), "firewall")
	})
	t.Run("a proxy that drops packets", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: 20 * time.Millisecond})
		g.http.Transport.(*authTransport).next.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})
		_, err = g.Version(t.Context())
		require.ErrorContains(t, err, "no answer in time: "+adviceProxy)
		require.NotContains(t, err.Error(), "firewall")
	})
	t.Run("a name server that does not answer", func(t *testing.T) {
		silent := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		ctx := t.Context()
		g := New(Options{URL: "https://git.example.org", Tokens: StaticToken("t"), Timeout: 20 * time.Millisecond})
		g.http.Transport.(*authTransport).next.(*http.Transport).DialContext = func(dial context.Context, network, address string) (net.Conn, error) {
			dial, cancel := context.WithCancel(dial) // which outlives the request
			defer context.AfterFunc(ctx, cancel)()
			return (&net.Dialer{Resolver: silent}).DialContext(dial, network, address)
		}
		_, err := g.Version(ctx)
		require.Equal(t, tracker.NotSent, tracker.OutcomeOf(err))
		require.ErrorContains(t, err, "the name servers of this machine do not answer: correct its DNS")
		require.NotContains(t, err.Error(), "firewall")
	})
	t.Run("the port of another protocol", func(t *testing.T) {
		const want = "the server does not speak HTTP at this port: correct gitea.url, or the port in it"
		for _, said := range []string{`malformed HTTP response "SSH-2.0-x"`, `malformed HTTP status code "mail.example"`, "readLoopPeekFailLocked: %!w(<nil>)"} {
			require.Equal(t, want, adviseConnection("http://git.example.org:22", errors.New(said)), said)
		}
	})
	t.Run("a name without an address", func(t *testing.T) {
		err := fmt.Errorf("Get: %w", &net.DNSError{Err: "no such host", Name: "gti.example.org", IsNotFound: true})
		require.Equal(t, "there is no host gti.example.org: correct gitea.url, or this machine's DNS", adviseConnection("https://gti.example.org", err))
		require.Empty(t, adviseConnection("https://gti.example.org", errors.New("connection refused")))
	})
}

// What people read names no function of Go and no layer of its network.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Addr: address, Err: err} }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "cannot connect to 127.0.0.1:9: connection refused"},
		{dial(context.DeadlineExceeded), "no answer in time"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "git.example.org", Server: "10.0.0.1:53", IsNotFound: true}}, "no such host: git.example.org"},
		{&net.DNSError{Err: "server misbehaving", Name: "git.example.org"}, "cannot look up git.example.org: server misbehaving"},
		{context.DeadlineExceeded, "no answer in time"},
		{io.EOF, "the server closed the connection without an answer"},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "the connection broke: connection reset by peer"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "the server does not answer with TLS"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "its certificate is refused: certificate signed by unknown authority"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: unrecognized name")}, "the server refuses TLS: unrecognized name"},
		{errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "x"`), "the answer is not HTTP"},
		{errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP status code "mail.example"`), "the answer is not HTTP"}, // 220 mail.example ESMTP
		{errors.New(`readLoopPeekFailLocked: %!w(<nil>)`), "the answer is not HTTP"},
		{errors.New("the token file is empty"), "the token file is empty"},
	} {
		require.Equal(t, tt.want, detail(nil, &url.Error{Op: "Get", URL: "https://git.example.org/api/v1/version", Err: tt.err}))
		require.Equal(t, tt.want, detail(nil, tt.err))
	}
}
