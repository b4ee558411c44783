package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/text"
)

// moment is a point in time as the page shows it. The zero moment is unknown.
type moment struct {
	Machine string // for the datetime attribute
	Full    string // e.g. 2026-11-23 06:58 UTC
	Ago     string // e.g. 3m 5s
}

func newMoment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{Machine: t.Format(time.RFC3339), Full: t.Format("2006-01-02 15:04 UTC"), Ago: text.Duration(now.Sub(t).Truncate(time.Second))}
}

// knownClass returns a class, "" for one that says nothing.
func knownClass(name string) string {
	if name == class.Unknown {
		return ""
	}
	return name
}

// words returns the words of a command, between which a line of the page may end: not within one, as in resume --all.
func words(command string) []string { return strings.Split(command, " ") }

// webLink returns an address if it is safe to send a browser to, else "". Addresses come from Gitea's answers, and from anyone who
// can write the state.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.ContainsFunc(u.Host, unsafeInHost) {
		return ""
	}
	return u.String()
}

// unsafeInHost reports whether net/url accepts a character in a host that a browser does not.
func unsafeInHost(r rune) bool {
	return r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:[]", r)
}

// issueName returns the text of a link to an issue: "odilo#3 in terraphim/adf-fleet#17" if the address is one of Gitea's,
// else the incident and the address.
func issueName(incident, address string) string {
	rest, number, _ := strings.Cut(address, "/issues/")
	parts := strings.Split(rest, "/")
	if webLink(address) == "" || number == "" || len(parts) < 5 {
		return incident + ": " + address
	}
	return fmt.Sprintf("%s in %s#%s", incident, strings.Join(parts[len(parts)-2:], "/"), number)
}
