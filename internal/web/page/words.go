package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// span returns a length of time in its two largest units, e.g. "3 h 12 min".
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 10*time.Minute:
		return units(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < time.Hour:
		return units(int(d.Minutes()), "min", 0, "")
	case d < 48*time.Hour:
		return units(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	case d < 10*24*time.Hour:
		return units(int(d.Hours())/24, "days", int(d.Hours())%24, "h")
	}
	return units(int(d.Hours())/24, "days", 0, "")
}

func units(a int, unitA string, b int, unitB string) string {
	s := fmt.Sprintf("%d %s", a, unitA)
	if b != 0 {
		s += fmt.Sprintf(" %d %s", b, unitB)
	}
	return s
}

// moment is a point in time as the page shows it. The zero moment is not known and not shown.
type moment struct {
	Machine string // for the datetime attribute
	Full    string // e.g. 2026-11-23 06:58 UTC
	Ago     string // e.g. 3 min
}

func newMoment(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{Machine: t.Format(time.RFC3339), Full: t.Format("2006-01-02 15:04 UTC"), Ago: span(now.Sub(t))}
}

// webLink returns an address that a browser may be sent to, else "". Addresses come from Gitea's answers, and from whoever can
// write the state.
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

func projectLink(id string) string { return "/projects/" + url.PathEscape(id) }

// issueName returns what the link to an issue says: "odilo#3 in terraphim/adf-fleet#17" where the address is one of Gitea's,
// else the incident and the address.
func issueName(incident, address string) string {
	rest, number, ok := strings.Cut(address, "/issues/")
	parts := strings.Split(rest, "/")
	if webLink(address) == "" || !ok || number == "" || len(parts) < 5 {
		return incident + ": " + address
	}
	return fmt.Sprintf("%s in %s#%s", incident, strings.Join(parts[len(parts)-2:], "/"), number)
}
