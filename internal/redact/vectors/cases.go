package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// trufflehog reads the table tests of its detectors: composite literals with the fields input and want.
func trufflehog(dir string) ([]testCase, error) {
	var all []testCase
	root := filepath.Join(dir, "pkg", "detectors")
	err := eachFile(root, "_test.go", func(path string) error {
		if strings.Contains(path, "integration") {
			return nil // they need accounts
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		values := map[string]string{}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						values[name.Name], _ = text(n.Values[i], values)
					}
				}
			case *ast.AssignStmt:
				for i, l := range n.Lhs {
					if name, ok := l.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
						values[name.Name], _ = text(n.Rhs[i], values)
					}
				}
			case *ast.CompositeLit:
				if c, ok := row(n, values); ok {
					c.Source, c.Name = "trufflehog", filepath.Base(filepath.Dir(path))
					all = append(all, c)
				}
			}
			return true
		})
		return nil
	})
	return all, err
}

// row makes a case of {input: …, want: []string{…}}.
func row(lit *ast.CompositeLit, values map[string]string) (c testCase, ok bool) {
	for _, e := range lit.Elts {
		kv, isField := e.(*ast.KeyValueExpr)
		if !isField {
			return c, false
		}
		name, isName := kv.Key.(*ast.Ident)
		if !isName {
			return c, false
		}
		switch name.Name {
		case "input":
			c.Text, ok = text(kv.Value, values)
		case "want":
			if list, isList := kv.Value.(*ast.CompositeLit); isList {
				for _, e := range list.Elts {
					if s, ok := text(e, values); ok {
						c.Secrets = append(c.Secrets, s)
					}
				}
			}
		}
	}
	c.Secrets = inText(c)
	return c, ok && len(c.Secrets) > 0
}

// inText returns the secrets that stand in the text as they are.
func inText(c testCase) (in []string) {
	for _, s := range c.Secrets {
		if len(s) >= 8 && strings.Contains(c.Text, s) {
			in = append(in, s)
		}
	}
	return in
}

// text evaluates string constants, names, sums and fmt.Sprintf.
func text(e ast.Expr, values map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		s, ok := values[e.Name]
		return s, ok && s != ""
	case *ast.ParenExpr:
		return text(e.X, values)
	case *ast.BinaryExpr:
		a, okA := text(e.X, values)
		b, okB := text(e.Y, values)
		return a + b, okA && okB && e.Op == token.ADD
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
			args := make([]any, len(e.Args))
			for i, a := range e.Args {
				s, ok := text(a, values)
				if !ok {
					return "", false
				}
				args[i] = s
			}
			return fmt.Sprintf(args[0].(string), args[1:]...), true
		}
	}
	return "", false
}

// secretlint reads the snapshots of its rules: an input, and the ranges that a rule reports in it.
func secretlint(dir string) ([]testCase, error) {
	var all []testCase
	err := eachFile(dir, "output.json", func(path string) error {
		folder := filepath.Dir(path)
		inputs, err := filepath.Glob(filepath.Join(strings.NewReplacer("[", `\[`).Replace(folder), "input*"))
		if err != nil || len(inputs) != 1 {
			return err
		}
		input, err := os.ReadFile(inputs[0])
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var out struct {
			Messages []struct {
				Range [2]int `json:"range"`
			} `json:"messages"`
		}
		if err := json.Unmarshal(data, &out); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		rule := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(folder))))
		c := testCase{Source: "secretlint", Name: strings.TrimPrefix(rule, "secretlint-rule-"), Text: string(input)}
		units := utf16.Encode([]rune(c.Text)) // what the ranges count
		for _, m := range out.Messages {
			if m.Range[1] <= len(units) {
				c.Secrets = append(c.Secrets, string(utf16.Decode(units[m.Range[0]:m.Range[1]])))
			}
		}
		if c.Secrets = inText(c); len(c.Secrets) > 0 {
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

var (
	flagged = regexp.MustCompile(`(?s)(?:\(|\n)\s*r?(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"),?\s*,\s*True`)
	keyword = regexp.MustCompile(`(?m)^    \((?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")\.format\((\w+)\), (\w+)\),`)
	named   = regexp.MustCompile(`(?m)^(\w+_SECRET) = '(.*)'$`)
)

// detectSecrets reads the parameters of its plugins' tests that are to be reported.
func detectSecrets(dir string) ([]testCase, error) {
	var all []testCase
	seen := map[string]bool{}
	err := eachFile(filepath.Join(dir, "tests", "plugins"), "_test.py", func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		add := func(text, secret string) {
			if !seen[text] {
				seen[text] = true
				all = append(all, testCase{"detect-secrets", strings.TrimSuffix(filepath.Base(path), "_test.py"), text, []string{secret}})
			}
		}
		unescape := strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\n`, "\n", `\\`, `\`)
		for _, m := range flagged.FindAllStringSubmatch(string(data), -1) {
			add(unescape.Replace(m[1]+m[2]), unescape.Replace(m[1]+m[2]))
		}
		secrets := map[string]string{}
		for _, m := range named.FindAllStringSubmatch(string(data), -1) {
			secrets[m[1]] = m[2]
		}
		for _, m := range keyword.FindAllStringSubmatch(string(data), -1) {
			if secret := secrets[m[4]]; secret != "" {
				line := strings.NewReplacer("{}", secret, "{{", "{", "}}", "}").Replace(unescape.Replace(m[1] + m[2]))
				add(line, secret)
			}
		}
		return nil
	})
	return all, err
}

func eachFile(dir, suffix string, visit func(path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		return visit(path)
	})
}
