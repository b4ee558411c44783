package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp/syntax"
	"strconv"
	"strings"
)

// printRules prints a line for each rule in the rule file of gitleaks or betterleaks: source, rule, kind, and what its
// secret looks like. The kind is "bare" if the secret is known by a distinctive text in it, and "named" if a rule needs
// the name of a service before it.
func printRules(source, dir string) error {
	file, err := os.ReadFile(filepath.Join(dir, "config", source+".toml"))
	if err != nil {
		return err
	}
	for _, block := range strings.Split(string(file), "\n[[rules]]\n")[1:] {
		id, expr := field(block, "id = \"", "\""), field(block, "regex = '''", "'''")
		if expr == "" || notToken(id) {
			continue
		}
		re, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			return fmt.Errorf("rule %s: %w", id, err)
		}
		group, err := strconv.Atoi(field(block, "secretGroup = ", "\n"))
		if err != nil {
			group = 1
		}
		secret := capture(re, group)
		if secret.Op == syntax.OpLiteral {
			continue // it would be committed as it is
		}
		kind := "named"
		if !strings.Contains(expr, `(?:=|>|:{1,3}=|`) && isDistinctive(secret) {
			kind = "bare"
		}
		plain(secret, expr)
		fmt.Printf("%s\t%s\t%s\t%s\n", source, id, kind, secret)
	}
	return nil
}

// notToken reports whether a rule is about something else than one token: a whole file, a command, or a name or host that
// only goes with a secret.
func notToken(id string) bool {
	for _, part := range []string{"-url", "-host", "-name", "tenant-id", "curl-", "private-key", "kubernetes-secret", "-string", "nuget-config", "gcp-application",
		"gcp-service", "generic-api-key", "webhook"} {
		if strings.Contains(id, part) {
			return true
		}
	}
	return false
}

func field(block, before, after string) string {
	_, rest, ok := strings.Cut("\n"+block, "\n"+before)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, after)
	return value
}

// capture returns the n-th group, or the whole expression if there is none.
func capture(re *syntax.Regexp, n int) *syntax.Regexp {
	var found *syntax.Regexp
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		if re.Op == syntax.OpCapture && re.Cap == n {
			found = re.Sub[0]
		}
		for _, sub := range re.Sub {
			walk(sub)
		}
	}
	walk(re)
	if found == nil {
		return re
	}
	return found
}

// isDistinctive reports whether every form of the secret begins with three known characters, or has four of them in a row.
func isDistinctive(re *syntax.Regexp) bool { return prefix(re) >= 3 || inner(re) >= 4 }

// prefix returns how many characters at the start of the text are known.
func prefix(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCapture:
		return prefix(re.Sub[0])
	case syntax.OpCharClass:
		if len(re.Rune) <= 12 {
			return 1
		}
	case syntax.OpConcat:
		n := 0
		for _, sub := range re.Sub {
			if sub.Op == syntax.OpWordBoundary || sub.Op == syntax.OpNoWordBoundary {
				continue
			}
			k := prefix(sub)
			n += k
			if k == 0 || sub.Op != syntax.OpLiteral && sub.Op != syntax.OpAlternate && sub.Op != syntax.OpCapture {
				break
			}
		}
		return n
	case syntax.OpAlternate:
		n := prefix(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			n = min(n, prefix(sub))
		}
		return n
	}
	return 0
}

// inner returns the length of the longest known part.
func inner(re *syntax.Regexp) int {
	if re.Op == syntax.OpLiteral {
		return len(re.Rune)
	}
	n := 0
	if re.Op == syntax.OpConcat || re.Op == syntax.OpCapture {
		for _, sub := range re.Sub {
			n = max(n, inner(sub))
		}
	}
	return n
}

// plain rewrites a secret's expression for the tests, which need one form: literals have the case in which the rule spells
// them, and classes are ASCII.
func plain(re *syntax.Regexp, expr string) {
	switch re.Op {
	case syntax.OpLiteral:
		if i := strings.Index(strings.ToLower(expr), strings.ToLower(string(re.Rune))); i >= 0 {
			re.Rune = []rune(expr[i : i+len(re.Rune)])
		}
		re.Flags &^= syntax.FoldCase
	case syntax.OpCharClass:
		for len(re.Rune) > 2 && re.Rune[len(re.Rune)-2] > 0x7f {
			re.Rune = re.Rune[:len(re.Rune)-2]
		}
	}
	for _, sub := range re.Sub {
		plain(sub, expr)
	}
}
