package web

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// plural is a number with its noun, e.g. "1 project" and "3 projects".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// span is a length of time in the two units that matter, e.g. "3 h 12 min".
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s", d < 10*time.Minute)
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min", true)
	case d < 10*24*time.Hour:
		return two(int(d.Hours())/24, "days", int(d.Hours())%24, "h", true)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

func two(a int, unitA string, b int, unitB string, both bool) string {
	if b == 0 || !both {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// moment is a point in time as the page shows it. The zero value is not known and not shown.
type moment struct {
	Machine string // for the datetime attribute
	Full    string // e.g. 2026-11-23 06:58 UTC
	Ago     string // e.g. 3 min
}

func momentOf(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{Machine: t.Format(time.RFC3339), Full: t.Format("2006-01-02 15:04 UTC"), Ago: span(now.Sub(t))}
}

// webLink is an address if a browser may be sent there, else "". Addresses come from Gitea's answers, and from whoever can
// write the state.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.ContainsFunc(u.Host, strangeInHost) {
		return ""
	}
	return u.String()
}

// strangeInHost are characters that net/url takes in a host, and that would stand in a link in a form that no browser
// knows there.
func strangeInHost(r rune) bool {
	return r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:[]", r)
}

func projectLink(id string) string { return "/projects/" + url.PathEscape(id) }

// issueName is what a link to an incident's issue says: "odilo#3 in terraphim/adf-fleet#17" where the address is one of
// Gitea's, else the incident and the address as it is.
func issueName(incident, address string) string {
	rest, number, ok := strings.Cut(address, "/issues/")
	parts := strings.Split(rest, "/")
	if webLink(address) == "" || !ok || number == "" || len(parts) < 5 {
		return incident + ": " + address
	}
	return fmt.Sprintf("%s in %s#%s", incident, strings.Join(parts[len(parts)-2:], "/"), number)
}
