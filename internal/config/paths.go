package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// serverURL accepts the address of a Gitea server and removes trailing slashes. Other values are not shown: they may
// contain a password.
func serverURL(s string) (string, *fault) {
	fix := "write it like https://git.example.org"
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", faultf(fix, "is not a URL")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.User != nil:
		return "", faultf("remove them; the token belongs in token_file", "contains credentials")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", faultf(fix, "must be an absolute http or https URL")
	case u.Port() != "" && (err != nil || port == 0), strings.HasSuffix(u.Host, ":"):
		return "", faultf("", "has an invalid port")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return "", faultf(fix, "has a query or fragment")
	}
	s = strings.TrimRight(s, "/")
	if strings.HasSuffix(s, "/api/v1") {
		return "", faultf("write the address of the start page, without /api/v1", "is the address of the API")
	}
	return s, nil
}

// absPath accepts an absolute path and cleans it.
func absPath(s string) (string, *fault) {
	switch {
	case !filepath.IsAbs(s):
		return "", faultf("write the full path, starting with /; ~ and variables are not expanded", "must be an absolute path, not %s", quote(s))
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", faultf("remove it", "contains a control character: %s", quote(s))
	}
	return filepath.Clean(s), nil
}

func dirPath(s string) (string, *fault) {
	p, f := absPath(s)
	if p == "/" {
		return "", faultf("use a directory that holds nothing but the flags", "must not be /")
	}
	return p, f
}

func filePath(s string) (string, *fault) {
	p, f := absPath(s)
	if f == nil && strings.HasSuffix(s, "/") {
		return "", faultf("name the file in it", "must be a file, not the directory %s", quote(s))
	}
	return p, f
}

// credentialFile accepts a file that may be in systemd's credentials directory.
func credentialFile(s string) (string, *fault) {
	if _, ok := credential(s); ok {
		return s, nil
	}
	p, f := filePath(s)
	if f != nil && !filepath.IsAbs(s) {
		f.fix = "write the full path, starting with /, or " + credentialsDir + "/name for a systemd credential"
	}
	return p, f
}

// secretFile accepts the path of a file with a secret. Other values are not shown: they may be the secret.
func secretFile(s string) (string, *fault) {
	p, f := credentialFile(s)
	if f != nil {
		f.what = "must be the path of a file that holds the secret"
	}
	return p, f
}

// socketPath accepts the path of a Unix socket, whose length the kernel limits.
func socketPath(s string) (string, *fault) {
	p, f := filePath(s)
	if len(p) > 107 {
		return "", faultf("choose a shorter path, such as /run/adfbot/adfbot.sock", "must have at most 107 bytes, not %d", len(p))
	}
	return p, f
}

// hostPort accepts host:port for a TCP listener.
func hostPort(s string) (string, *fault) {
	const fix = "write it like 127.0.0.1:9753 or [::1]:9753"
	invalid := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("/@,", c) }
	host, port, err := net.SplitHostPort(s)
	_, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || strings.ContainsFunc(host, invalid):
		return "", faultf(fix, "must be host:port, not %s", quote(s))
	case portErr != nil:
		return "", faultf(fix, "must have a port from 0 to 65535, not %s", quote(port))
	}
	return s, nil
}

// hostName accepts the name of a host, as browsers send it: in ASCII, without a port.
func hostName(s string) (string, *fault) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if !isName(name) || len(name) > 253 {
		return "", faultf("write it like adfbot.example.org, without https:// and port, an international name in its xn-- form",
			"must be a host name, not %s", quote(s))
	}
	return name, nil
}

// isLoopback reports whether only this machine can reach a listener at hostport.
func isLoopback(hostport string) bool {
	host, _, _ := net.SplitHostPort(hostport) // an empty host is not loopback
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
