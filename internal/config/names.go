package config

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/terraphim/adfbot/pause"
)

func instanceName(s string) (string, *fault) {
	if s == "" {
		return "", faultf("remove the key to use the host name", "is empty")
	}
	return printable(s, 100)
}

// printable accepts printable text without white space around it.
func printable(s string, maxRunes int) (string, *fault) {
	switch {
	case strings.TrimSpace(s) != s:
		return "", faultf("remove it", "has white space around it: %s", quote(s))
	case strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		return "", faultf("remove it", "contains an unprintable character: %s", quote(s))
	case utf8.RuneCountInString(s) > maxRunes:
		return "", faultf("", "must have at most %d characters, not %d", maxRunes, utf8.RuneCountInString(s))
	}
	return s, nil
}

// issueLabel accepts the names that Gitea accepts, but no comma: Gitea's API separates label names by commas.
func issueLabel(s string) (string, *fault) {
	switch {
	case s == "":
		return "", faultf("remove it, or name a label", "is empty")
	case strings.Contains(s, ","):
		return "", faultf("make each label a list item of its own", "contains a comma: %s", quote(s))
	}
	return printable(s, 50)
}

// labelScope returns the scope of a label, e.g. "priority" of "priority/high", or "".
func labelScope(s string) string {
	if i := strings.LastIndexByte(s, '/'); i > 0 && i < len(s)-1 {
		return s[:i]
	}
	return ""
}

// login accepts a user or organisation of Gitea.
func login(s string) (string, *fault) {
	if !isName(s) || len(s) > 40 || s[0] == '.' || s[0] == '-' {
		fix := "write it without @; a login has at most 40 letters, digits, dots, underscores and hyphens"
		return "", faultf(fix, "must be a Gitea login, not %s", quote(s))
	}
	return s, nil
}

// mention accepts a login, or organisation/team.
func mention(s string) (string, *fault) {
	name, team, isTeam := strings.Cut(s, "/")
	if _, f := login(name); f != nil || isTeam && (!isName(team) || len(team) > 255) {
		return "", faultf("write login or organisation/team, without @", "must be a person or a team, not %s", quote(s))
	}
	return s, nil
}

func projectID(s string) (string, *fault) {
	if err := pause.CheckID(s); err != nil {
		if _, f := parseGlob(s); f == nil {
			return "", faultf("write match: "+quote(s), "is a pattern, and id is one project: %s", quote(s))
		}
		return "", faultf("choose another id; it names the pause flag", "%v", err)
	}
	return s, nil
}

// repository accepts the name of a repository without its owner.
func repository(s string) (string, *fault) {
	fix := "a repository name has at most 100 letters, digits, dots, underscores and hyphens"
	switch ext := path.Ext(s); {
	case strings.Contains(s, "/"):
		fix = "write the name alone; the owner belongs in owner"
	case ext == ".git", ext == ".wiki":
		fix = "write the name without " + ext
	case isName(s) && len(s) <= 100 && s != "." && s != "..":
		return s, nil
	}
	return "", faultf(fix, "must be a repository name, not %s", quote(s))
}

// variable accepts the name of an environment variable. Other values are not shown: they may be the secret.
func variable(s string) (string, *fault) {
	invalid := func(c rune) bool { return c != '_' && !isLetterOrDigit(c) }
	if s == "" || '0' <= s[0] && s[0] <= '9' || strings.ContainsFunc(s, invalid) {
		fix := "write its name, of letters, digits and underscores, without $ and without the value"
		return "", faultf(fix, "must be the name of an environment variable")
	}
	return s, nil
}

// unixUser accepts the name or number of a user.
func unixUser(s string) (string, *fault) {
	invalid := func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) || strings.ContainsRune(":/,", c) }
	if s == "" || len(s) > 256 || s[0] == '-' || strings.ContainsFunc(s, invalid) {
		return "", faultf("write a name that getent passwd lists, or a number", "must be a Unix user, not %s", quote(s))
	}
	if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0123456789") == "" {
		return "", faultf("write it as id -u prints it", "must not begin with 0, since it is a user's number: %s", quote(s))
	}
	return s, nil
}

func isLetterOrDigit(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isName reports whether s is made of the characters of Gitea's names.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !isLetterOrDigit(c) && !strings.ContainsRune("._-", c) })
}
