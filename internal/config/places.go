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

// serverURL takes the address of a Gitea server and removes slashes at its end. A bad one is not shown: it may hold a
// password.
func serverURL(s string) (string, *fault) {
	const fix = "write it as https://git.example.org"
	if s == "" {
		return "", faultf(fix, "is empty")
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", faultf(fix, "is no URL")
	}
	port, err := strconv.Atoi(u.Port())
	switch {
	case u.User != nil:
		return "", faultf("write it without; the token belongs to token_file", "holds credentials")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", faultf(fix, "must be an absolute http or https URL")
	case u.Port() != "" && (err != nil || port < 1 || port > 65535), strings.HasSuffix(u.Host, ":"):
		return "", faultf("", "has a port that can't be one")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return "", faultf(fix, "has a query or fragment")
	}
	s = strings.TrimRight(s, "/")
	if strings.HasSuffix(s, "/api/v1") {
		return "", faultf("write it without /api/v1, as a browser shows the start page", "is the address of the API")
	}
	return s, nil
}

// absPath takes an absolute path and gives it without detours.
func absPath(s string) (string, *fault) {
	switch {
	case s == "":
		return "", faultf("write an absolute path", "is empty")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", faultf("remove it", "has a control character in it: %s", quote(s))
	case s[0] == '~' || s[0] == '$':
		return "", faultf("write the whole path, beginning with /", "neither ~ nor variables are replaced here: %s", quote(s))
	case !filepath.IsAbs(s):
		return "", faultf("write the whole path, beginning with /", "must be absolute, not %s", quote(s))
	}
	return filepath.Clean(s), nil
}

// dirPath takes the path of a directory of its own.
func dirPath(s string) (string, *fault) {
	p, f := absPath(s)
	if f == nil && p == "/" {
		return "", faultf("give the flags a directory of their own", "must not be /")
	}
	return p, f
}

// filePath takes the path of a file.
func filePath(s string) (string, *fault) {
	p, f := absPath(s)
	if f == nil && strings.HasSuffix(s, "/") {
		return "", faultf("name the file in it", "must be a file, and %s is a directory", quote(s))
	}
	return p, f
}

// templateFile takes the path of a file, and tells who wrote the template itself here.
func templateFile(s string) (string, *fault) {
	if strings.Contains(s, "{{") || strings.Contains(s, "\n") {
		return "", faultf("put the template in a file and write its absolute path", "must be the path of a file")
	}
	return filePath(s)
}

// credentialFile takes the path of a file, which may lie in systemd's credentials directory.
func credentialFile(s string) (string, *fault) {
	if _, ok := credential(s); ok {
		return s, nil
	}
	p, f := filePath(s)
	if f != nil && strings.HasPrefix(s, "$") {
		f.fix = "write " + credentialsDir + "/name for a credential of systemd, else the whole path, beginning with /"
	}
	return p, f
}

// secretFile is credentialFile for a secret. What is no path may be the secret itself, so it is not shown.
func secretFile(s string) (string, *fault) {
	p, f := credentialFile(s)
	if f != nil {
		return "", faultf("write the whole path of the file that holds it, beginning with / or "+credentialsDir+"/", "must be the path of a file")
	}
	return p, nil
}

// socketPath takes the path of a Unix socket, which the kernel limits.
func socketPath(s string) (string, *fault) {
	p, f := filePath(s)
	if f == nil && len(p) > 107 {
		return "", faultf("choose a shorter one, as /run/adfbot/adfbot.sock", "must have at most 107 bytes, not %d", len(p))
	}
	return p, f
}

// hostPort takes host:port for a TCP listener.
func hostPort(s string) (string, *fault) {
	const fix = "write it as 127.0.0.1:9753 or [::1]:9753"
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.Atoi(port)
	switch {
	case err != nil || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("/@,", c) }):
		return "", faultf(fix, "must be host:port, not %s", quote(s))
	case bad != nil || !isDigits(port) || n > 65535:
		return "", faultf(fix, "must have a port from 0 to 65535, not %s", quote(port))
	}
	return s, nil
}

// loopback reports whether only this machine can reach what listens there.
func loopback(hostport string) bool {
	host, _, _ := net.SplitHostPort(hostport) // no host: not loopback
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
