package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/terraphim/adfbot/pause"
)

// instanceName takes the name of this bot: a short line.
func instanceName(s string) (string, *fault) {
	if s == "" {
		return "", faultf("remove the key to get the host's name", "is empty")
	}
	return printable(s, 100)
}

// printable takes printable text without white space around it.
func printable(s string, most int) (string, *fault) {
	switch {
	case strings.TrimSpace(s) != s:
		return "", faultf("remove it", "has white space at its ends: %s", quote(s))
	case strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		return "", faultf("remove it", "has a character that can't be printed: %s", quote(s))
	case utf8.RuneCountInString(s) > most:
		return "", faultf("", "must have at most %d characters, not %d", most, utf8.RuneCountInString(s))
	}
	return s, nil
}

// issueLabel takes the name of a label, as Gitea allows it. A comma would make two of it where names are listed.
func issueLabel(s string) (string, *fault) {
	switch {
	case s == "":
		return "", faultf("remove it, or name a label", "is empty")
	case strings.Contains(s, ","):
		return "", faultf("make each label an item of the list", "has a comma: %s", quote(s))
	}
	return printable(s, 50)
}

// login takes a user or organisation of Gitea.
func login(s string) (string, *fault) {
	switch {
	case s == "":
		return "", faultf("name a Gitea login", "is empty")
	case s[0] == '@':
		return "", faultf("write it without the @", "must be a login, not %s", quote(s))
	case len(s) > 40 || !isName(s) || s[0] == '.' || s[0] == '-':
		fix := "a login has at most 40 letters, digits, dots, underscores and hyphens"
		return "", faultf(fix, "must be a Gitea login, not %s", quote(s))
	}
	return s, nil
}

// mention takes a login, or organisation/team.
func mention(s string) (string, *fault) {
	if org, team, ok := strings.Cut(s, "/"); ok {
		if _, bad := login(org); bad != nil || !isName(team) || len(team) > 255 {
			return "", faultf("write login or organisation/team, without an @", "must name a person or a team, not %s", quote(s))
		}
		return s, nil
	}
	return login(s)
}

// projectID takes what may name a flag.
func projectID(s string) (string, *fault) {
	if err := pause.CheckID(s); err != nil {
		return "", faultf("choose another id; it names the pause flag", "%v", err)
	}
	return s, nil
}

// repository takes the name of a repository without its owner.
func repository(s string) (string, *fault) {
	switch {
	case strings.Contains(s, "/"):
		return "", faultf("write the name alone; what stands before the / belongs to owner", "must be a repository's name, not %s", quote(s))
	case strings.HasSuffix(s, ".git"), strings.HasSuffix(s, ".wiki"):
		return "", faultf("write the name without "+s[strings.LastIndex(s, "."):], "must be a repository's name, not %s", quote(s))
	case s == ".", s == "..", len(s) > 100, !isName(s):
		fix := "a repository has at most 100 letters, digits, dots, underscores and hyphens"
		return "", faultf(fix, "must be a repository's name, not %s", quote(s))
	}
	return s, nil
}

// variable takes the name of an environment variable. What is none may be the secret itself, so it is not shown.
func variable(s string) (string, *fault) {
	if s == "" || isDigits(s[:1]) || strings.ContainsFunc(s, func(c rune) bool { return c != '_' && !isLetterOrDigit(c) }) {
		fix := "write the name alone, without $ and value; it has letters, digits and underscores"
		return "", faultf(fix, "must be the name of an environment variable")
	}
	return s, nil
}

// unixUser takes a user's name or number.
func unixUser(s string) (string, *fault) {
	if s == "" || len(s) > 256 || s[0] == '-' || strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c) || strings.ContainsRune(":/,", c)
	}) {
		return "", faultf("write a name as getent passwd shows it, or a number", "must be a Unix user, not %s", quote(s))
	}
	return s, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isLetterOrDigit(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isName reports whether s has only the characters of Gitea's names.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !isLetterOrDigit(c) && c != '.' && c != '_' && c != '-'
	})
}
