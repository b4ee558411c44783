package gitea

import (
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/redact"
)

// The functions below return what a person can do about an error whose cause shows in more than its status, or "".

const (
	adviceFault   = "Gitea, or what stands in front of it, fails or is slow: see their logs; this is retried automatically"
	adviceSilence = "Gitea can't be reached, because nothing answers there: correct gitea.url if it is wrong, or let this machine through a firewall that " +
		"drops what it sends; else adfbot goes on by itself when Gitea is back"
	adviceNoDNS = "the name servers of this machine do not answer: correct its DNS; else adfbot goes on by itself when they are back"
	adviceProxy = "the proxy in $HTTPS_PROXY or $HTTP_PROXY does not work, or does not reach Gitea: correct it, or name Gitea's host in $NO_PROXY"
)

// adviseConnection is for a request without an answer.
func adviseConnection(base string, err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var noTLS tls.RecordHeaderError
	var dns *net.DNSError
	var network *net.OpError
	if isUnconnected(err) {
		if advice := adviseProxyAddress(base); advice != "" {
			return advice
		}
	}
	switch {
	case errors.As(err, &network) && (network.Op == "proxyconnect" || network.Op == "socks connect"):
		return adviceProxy
	case errors.As(err, &authority):
		return "set gitea.ca_file to the certificate of the authority that signed the server's, in PEM; if it is set to that already, make the server send its whole chain"
	case errors.As(err, &name):
		return adviseName(name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return adviseExpired(err, invalid.Cert)
	case errors.As(err, &invalid):
		return "make another certificate for the server, or for its authority: this one may not be used so"
	case errors.As(err, &noTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS at this port: correct gitea.url, or the port in it"
	case errors.As(err, &network) && network.Op == "remote error": // an alert of TLS, whose type is not exported
		return adviseAlert(base, network.Err.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Gitea can't be reached, because nothing listens there: correct gitea.url if it is wrong; else adfbot goes on by itself when Gitea is back"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host %s: correct gitea.url, or this machine's DNS", dns.Name)
	case strings.HasPrefix(base, "http:") && strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`): // an alert of TLS
		return "the server wants https: correct gitea.url"
	case isOtherProtocol(err):
		return "the server does not speak HTTP at this port: correct gitea.url, or the port in it"
	}
	return ""
}

// adviseSilence is for a request that was not sent in time. lookup: the name servers had not answered by then.
func (g *Client) adviseSilence(lookup bool) string {
	switch {
	case lookup:
		return adviceNoDNS
	case g.usesProxy():
		return adviceProxy
	}
	return adviceSilence
}

// usesProxy reports whether requests go to a proxy.
func (g *Client) usesProxy() bool {
	t, ok := g.http.Transport.(*authTransport).next.(*http.Transport)
	base, err := url.Parse(g.opt.URL)
	if !ok || err != nil {
		return false
	}
	proxy, err := t.Proxy(&http.Request{URL: base})
	return err == nil && proxy != nil
}

// isOtherProtocol reports whether a server of another protocol answered: SSH-2.0-x, 220 mail.example ESMTP. One that speaks first may
// do so before the request is sent, for which net/http has no message.
func isOtherProtocol(err error) bool {
	return strings.Contains(err.Error(), "malformed HTTP ") || strings.Contains(err.Error(), "readLoopPeekFailLocked: %!w(<nil>)")
}

// isUnconnected reports whether a request may have failed because no proxy was asked.
func isUnconnected(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial" || isTimeout(err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// adviseProxyAddress is for a variable with the address of a proxy that is no URL: Go ignores it, and says nothing.
func adviseProxyAddress(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	upper := strings.ToUpper(u.Scheme) + "_PROXY"
	for _, name := range [...]string{upper, strings.ToLower(upper)} {
		address := os.Getenv(name)
		if address == "" {
			continue
		}
		_, err := url.Parse(address)
		_, errShort := url.Parse("http://" + address)
		if err == nil || errShort == nil || needsNoProxy(u.Hostname()) {
			return ""
		}
		return fmt.Sprintf("$%s is no URL, so no proxy is used: correct it; a %% in its password is written as %%25", name)
	}
	return ""
}

// needsNoProxy reports whether a host is reached without the proxy of the environment. It knows no networks in $NO_PROXY.
func needsNoProxy(host string) bool {
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	for entry := range strings.SplitSeq(cmp.Or(os.Getenv("NO_PROXY"), os.Getenv("no_proxy")), ",") {
		entry, _, _ = strings.Cut(strings.TrimSpace(entry), ":")
		name := strings.TrimPrefix(strings.TrimPrefix(entry, "*"), ".")
		if entry == "*" || name != "" && (host == name || strings.HasSuffix(host, "."+name)) {
			return true
		}
	}
	return false
}

func adviseAlert(base, alert string) string {
	switch {
	case strings.Contains(alert, "unrecognized name"), strings.Contains(alert, "internal error"):
		u, _ := url.Parse(base)
		return fmt.Sprintf("the server has no certificate for the host %s, or its TLS is broken: correct the host in gitea.url, or see the server's log", u.Hostname())
	case strings.Contains(alert, "protocol version"):
		return "the server does not support TLS 1.2 or later: enable it there"
	}
	return "the server refuses the TLS connection, perhaps because it wants a client certificate, which adfbot cannot send: let it accept connections without one"
}

// adviseExpired is for a certificate that is over, which may be the server's or that of an authority.
func adviseExpired(err error, over *x509.Certificate) string {
	var chain *tls.CertificateVerificationError
	if errors.As(err, &chain) && len(chain.UnverifiedCertificates) > 0 && !over.Equal(chain.UnverifiedCertificates[0]) {
		return fmt.Sprintf("that is the certificate of the authority %q: renew it, and replace it in gitea.ca_file, or in what the server sends, unless this machine's clock is wrong",
			cmp.Or(over.Subject.CommonName, over.Subject.String()))
	}
	return "renew the server's certificate, unless this machine's clock is wrong"
}

func adviseName(e x509.HostnameError) string {
	names := append([]string{}, e.Certificate.DNSNames...)
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("the server's certificate names no host as a subject alternative name, and its common name does not count: make one that names %s", e.Host)
	}
	return fmt.Sprintf("the server's certificate is for %s: use one of these names in gitea.url, or make one that names %s", strings.Join(names, ", "), e.Host)
}

// adviseAnswer is for an answer that is an error, or that cannot be read for the reason err.
func adviseAnswer(r request, base string, resp *http.Response, err error) string {
	api, ours := base+"/api/v1/", isJSON(resp)
	switch status := resp.StatusCode; {
	case status/100 == 3 && (resp.Header.Get("Location") != "" || slices.Contains(redirects, status)):
		return adviseRedirect(r, base, resp)
	case status/100 == 2 && isWebPage(resp):
		return "a web page came instead of Gitea's API, as from a login in front of Gitea: let requests to " + api + " pass it, or correct gitea.url"
	case status/100 == 2 && isEncoded(resp, err):
		return "the answer is not what its header Content-Encoding says, or has one that adfbot did not ask for: let what stands in front of Gitea pass it on unchanged"
	case status/100 == 2 && (errors.Is(err, io.ErrUnexpectedEOF) || ours && isCut(err)):
		return "the answer ends early, as behind a proxy that limits its size: raise the limit"
	case errors.Is(err, errTooLarge) && mayBeLarge(r.op):
		return "shorten or delete the issue or the comments that are so large; if there are none, correct what stands in front of Gitea"
	case status/100 == 2 && (isSyntaxError(err) || isTypeError(err) || r.where == base && errors.Is(err, errAnswer)),
		errors.Is(err, errTooLarge), errors.Is(err, errTooMany), errors.Is(err, errAccepted):
		return "this is no answer of Gitea's API: correct gitea.url, or what stands in front of Gitea"
	case errors.Is(err, context.DeadlineExceeded):
		return "see whether Gitea, or the way to it, is slow, or raise gitea.timeout"
	case (status == http.StatusNotFound || status == http.StatusGone) && (!ours || r.where == base && r.op != opUser):
		return "there is no Gitea API at " + strings.TrimSuffix(api, "/") + ": set gitea.url to the address of Gitea's start page, with its sub-path if it has one; " +
			"if a proxy answers so while Gitea is down, this is retried automatically"
	case status == http.StatusNotFound && aboutWorkflow(r):
		return adviseNoWorkflow(err.Error())
	case status == http.StatusBadRequest && !ours && strings.HasPrefix(base, "http:"):
		return "the server refuses plain http, or this host name: correct gitea.url"
	case status == http.StatusProxyAuthRequired:
		return adviceProxy
	case status == http.StatusRequestEntityTooLarge:
		return "a proxy in front of Gitea limits the size of requests: raise the limit"
	case status == http.StatusRequestTimeout:
		return adviceFault
	case isForeign(resp, err) && resp.Header.Get("Content-Type") == "" && resp.Request.Method == http.MethodPatch:
		return "a proxy in front of Gitea refuses this, or the issue is another account's and this one may not write to the repository: " +
			"let requests to " + api + " pass it, or give the token's account access"
	case isForeign(resp, err) && resp.Header.Get("Content-Type") == "" && resp.Request.Method == http.MethodPost && strings.HasSuffix(resp.Request.URL.Path, "/labels"):
		return "a proxy in front of Gitea refuses this, or the token's account may not write to the repository, for which Forgejo gives no reason: " +
			"let requests to " + api + " pass it, or give the account write access to the repository's issues"
	case status/100 == 4 && status != http.StatusTooManyRequests && isWebPage(resp),
		isForeign(resp, err),
		status == http.StatusUnauthorized && !ours, // Gitea's own has a text in JSON
		status == http.StatusForbidden && !ours && resp.Header.Get("Content-Type") != "": // or none at all
		return "a proxy in front of Gitea refuses this: let requests to " + api + " pass it"
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPreconditionFailed:
		return adviseRefusal(r, err.Error())
	case errors.Is(err, errAnswer):
		return "a proxy or cache in front of Gitea may have answered: let requests to " + api + " through unchanged"
	case status/100 == 5 && status != http.StatusNetworkAuthenticationRequired:
		return adviceFault
	case ours && (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity || status == http.StatusConflict):
		return "Gitea refuses what was sent: where its reason names something of the configuration, correct that; else see Gitea's log"
	case status/100 != 2 && !slices.Contains(ownRefusals, status), status == http.StatusBadRequest, status == http.StatusUnprocessableEntity,
		status == http.StatusLocked && r.where == base:
		return "what stands in front of Gitea, or another program at this address, refuses this: let requests to " + api + " pass it, or correct gitea.url"
	}
	return ""
}

var redirects = []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}

// ownRefusals are statuses that Gitea's API itself answers with.
var ownRefusals = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusPreconditionFailed,
	http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusLocked, http.StatusTooManyRequests,
}

// mayBeLarge reports whether an answer of Gitea to this operation holds what people write.
func mayBeLarge(op string) bool {
	return strings.Contains(op, "issue") && !strings.HasPrefix(op, "try ") || strings.Contains(op, "comment") || strings.Contains(op, "text") || strings.Contains(op, "timeline")
}

// isEncoded reports whether an answer cannot be read because its encoding is unknown or another one.
func isEncoded(resp *http.Response, err error) bool {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return true
	}
	encoding := resp.Header.Get("Content-Encoding") // without one that was decoded
	return encoding != "" && encoding != "identity" && (isSyntaxError(err) || isTypeError(err))
}

// putToken says what to do with a new token. What systemd has given to a daemon stays the same until that is restarted.
const putToken = "put it where gitea.token_file or gitea.token_env points; restart a daemon that has it from LoadCredential= or the environment"

// refusalOf returns what an answer with a status of 3xx or 4xx refuses.
func refusalOf(base string, resp *http.Response, err error) tracker.Refusal {
	kind, status := resp.Header.Get("Content-Type"), resp.StatusCode
	switch {
	case status/100 == 3 && isRenamed(base, resp):
		return tracker.OfRequest
	case status == http.StatusRequestEntityTooLarge, status == http.StatusTooManyRequests: // these are about the request, whoever answers
		return tracker.OfRequest
	case !slices.Contains(ownRefusals, status), kind != "" && !isJSON(resp), isForeign(resp, err), status == http.StatusUnauthorized && kind == "":
		return tracker.OfWay
	case status == http.StatusForbidden:
		return ownWords(err.Error()).of
	}
	return tracker.OfRequest
}

var requiredScope = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`required=\[([a-z:]+)`) })

// adviseRefusal is for Gitea's own words about a token or a right.
func adviseRefusal(r request, message string) string {
	unit := "issues"
	if aboutWorkflow(r) {
		unit = "Actions"
	}
	if m := requiredScope().FindStringSubmatch(message); m != nil {
		scope := strings.Replace(m[1], "read:issue", "write:issue", 1)
		return "make a token with the scope " + scope + " too, and " + putToken
	}
	return strings.ReplaceAll(ownWords(message).advice, "UNIT", unit)
}

// refusal is what is known of Gitea's own words.
type refusal struct {
	words  string
	of     tracker.Refusal
	advice string // UNIT stands for what the request is about
}

var refusals = []refusal{
	{"required scope", tracker.OfToken, ""},
	{"rate limit", tracker.OfToken, "what stands in front of Gitea limits requests: raise the limit for the bot; this is retried automatically"},
	{"token is required", tracker.OfToken, "Gitea got no token: let the proxy in front of it pass on the header Authorization"},
	{"Only signed in user", tracker.OfToken, "Gitea got no token: let the proxy in front of it pass on the header Authorization"},
	{"is limited to public", tracker.OfToken, "make a token that is not limited to public repositories, and " + putToken},
	{"prohibited from signing in", tracker.OfToken,
		"the token's account is disabled in Gitea: let its administrator activate it and allow it to sign in"},
	{"account is not activated", tracker.OfToken, "the token's account is not activated in Gitea: let its administrator activate it"},
	{"must change your password", tracker.OfToken,
		"sign in to Gitea as the token's account, and change its password; where it can't sign in, as an account of the type bot, " +
			"run on the server: gitea admin user must-change-password --unset and its login"},
	{"open dependencies", tracker.OfRequest, "close the issues that it depends on, or remove these dependencies in Gitea"},
	{"should have a permission to write", tracker.OfRequest, "give the token's account write access to the repository's UNIT"},
	{"write permission is required", tracker.OfRequest, "give the token's account write access to the repository's UNIT"},
	{"should have specific read permission", tracker.OfRequest,
		"the repository's UNIT are disabled, or hidden from the token's account: enable them in its settings, or give the account access to them"},
}

func ownWords(message string) refusal {
	for _, r := range refusals {
		if strings.Contains(message, r.words) {
			return r
		}
	}
	return refusal{}
}

// aboutWorkflow reports whether a request is for a project's `actions`, whose repository need not be that of its issues.
func aboutWorkflow(r request) bool { return strings.Contains(r.op, "workflow") }

// adviseNoWorkflow is for Gitea's own words.
func adviseNoWorkflow(message string) string {
	if strings.Contains(message, "workflow \"") {
		return "the repository has no such workflow on its default branch: correct `actions` of the project, or bring the file back"
	}
	return "the repository is missing, its Actions are disabled, or they are hidden from the token's account: correct `actions` of the project, " +
		"or give the account access to them"
}

// redirection is where a request is redirected to.
type redirection struct {
	to     *url.URL
	base   string   // of Gitea's API, if isAPI
	parts  []string // of the path below that
	isAPI  bool
	isSame bool // what was asked for, see isSamePlace
}

func redirectionOf(resp *http.Response) redirection {
	to, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		to = &url.URL{Path: "nowhere"}
	}
	to.RawQuery, to.Fragment, to.User = "", "", nil
	base, path, isAPI := strings.Cut(to.String(), "/api/v1/")
	_, asked, _ := strings.Cut(resp.Request.URL.Path, "/api/v1/")
	parts := strings.Split(path, "/")
	return redirection{to, base, parts, isAPI, isSamePlace(parts, strings.Split(asked, "/"))}
}

// isRenamed reports whether an answer is Gitea's own for what has another name now. Any other redirect is of a login, of a Gitea with another
// address, or of a proxy.
func isRenamed(base string, resp *http.Response) bool {
	d := redirectionOf(resp)
	return d.isAPI && d.base == base && !d.isSame
}

// adviseRedirect tells a Gitea with another address, which redirects its API, from a renamed repository and from a login.
func adviseRedirect(r request, base string, resp *http.Response) string {
	switch d := redirectionOf(resp); {
	case !d.isAPI:
		return fmt.Sprintf("%s/api/v1/ is redirected to %s, as by a login in front of Gitea: let requests to it pass, or correct gitea.url", base, redact.Line(d.to.String(), 100))
	case d.base != base:
		return "set gitea.url to " + d.base
	case d.isSame:
		return fmt.Sprintf("%s/api/v1/ is redirected to %s, by what stands in front of Gitea: let requests to it pass unchanged", base, redact.Line(d.to.String(), 100))
	case len(d.parts) > 2 && d.parts[0] == "repos" && aboutWorkflow(r):
		return fmt.Sprintf("the repository moved to %s/%s: set `actions` of the project to it", d.parts[1], d.parts[2])
	case len(d.parts) > 2 && d.parts[0] == "repos":
		return fmt.Sprintf("the repository moved to %s/%s: set gitea.owner and gitea.repo, or the project's own, to it", d.parts[1], d.parts[2])
	default:
		return fmt.Sprintf("this moved to %s: correct its name in the configuration", d.to)
	}
}

// isSamePlace reports whether a redirect is to the same repository, or to the same other thing of Gitea's API: to a slash at the end,
// or to what was asked for. Gitea itself redirects only to another name.
func isSamePlace(to, asked []string) bool {
	if asked[0] == "repos" && len(asked) > 2 {
		return len(to) > 2 && slices.Equal(to[:3], asked[:3])
	}
	return strings.TrimSuffix(strings.Join(to, "/"), "/") == strings.Join(asked, "/")
}

// webPage is the detail of an answer that is one.
const webPage = "a web page"

// detail is what is shown of an error of the SDK, which quotes whole answers.
func detail(resp *http.Response, err error) string {
	if resp != nil && isWebPage(resp) {
		return webPage
	}
	if errors.Is(err, context.DeadlineExceeded) && resp != nil {
		return "the answer did not end in time"
	}
	if resp == nil {
		return noAnswer(err)
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return "the JSON holds another type than expected: " + wrong.Value
	}
	s := err.Error()
	if _, body, ok := strings.Cut(s, "' method and '"); ok && strings.HasPrefix(s, "unknown API error") {
		return strings.TrimSuffix(body, "' body")
	}
	return s
}

// noAnswer says in plain words why a request has no answer. The errors of Go name each layer that they have passed.
func noAnswer(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var dns *net.DNSError
	var network *net.OpError
	var noTLS tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host: " + dns.Name
	case errors.As(err, &dns):
		return fmt.Sprintf("cannot look up %s: %s", dns.Name, dns.Err)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "no answer in time"
	case errors.As(err, &noTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the server does not answer with TLS"
	case errors.As(err, &certificate):
		return "its certificate is refused: " + strings.TrimPrefix(certificate.Err.Error(), "x509: ")
	case errors.As(err, &network) && network.Op == "remote error":
		return "the server refuses TLS: " + strings.TrimPrefix(network.Err.Error(), "tls: ")
	case errors.As(err, &network) && network.Op == "dial" && network.Addr != nil:
		return fmt.Sprintf("cannot connect to %s: %s", network.Addr, cause(network.Err))
	case errors.As(err, &network) && (network.Op == "read" || network.Op == "write"):
		return "the connection broke: " + cause(network.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection without an answer"
	case isOtherProtocol(err):
		return "the answer is not HTTP"
	}
	return err.Error()
}

// cause returns what the system says, without the name of its call.
func cause(err error) string {
	var system syscall.Errno
	if errors.As(err, &system) {
		return system.Error()
	}
	return err.Error()
}

func isJSON(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
}

func isWebPage(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}

func isTypeError(err error) bool {
	var wrong *json.UnmarshalTypeError
	return errors.As(err, &wrong)
}

// isCut reports whether a text in JSON has no end.
func isCut(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) && syntax.Error() == "unexpected end of JSON input"
}

func isSyntaxError(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax)
}
