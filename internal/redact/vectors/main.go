// Command vectors reads the rules and tests of secret scanners, for the measurements in package redact.
//
// The rule files of gitleaks and betterleaks become facts: what a secret looks like, and the name of its service. They
// are committed as ../testdata/rules.txt, and TestVectors makes secrets of them:
//
//	go run . rules gitleaks=DIR betterleaks=DIR >../testdata/rules.txt
//
// The cases in the tests of trufflehog, secretlint and detect-secrets are texts that look like secrets, so they are not
// committed. In ../testdata/cases.txt, each has a hash and whether it is masked:
//
//	go run . cases trufflehog=DIR secretlint=DIR detect-secrets=DIR >/tmp/cases.jsonl
//	go test .. -run Cases -cases /tmp/cases.jsonl
//
// DIR is a copy of the scanner's repository. This is a module of its own, so that it is built only on request.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// testCase is a text and the secrets in it, if a scanner reports any.
type testCase struct {
	Source  string   `json:"source"`
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Secrets []string `json:"secrets"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

const header = `# What secrets look like, for TestVectors: source, rule, kind (bare: known by a distinctive text in it; named: only
# after the name of its service), expression. Made by the program in ../vectors from the rules of gitleaks
# (Copyright (c) 2019 Zachary Rice) and betterleaks (Copyright (c) 2026 Zachary Rice), both under the MIT license.
`

func run(args []string) error {
	if len(args) < 2 || args[0] != "rules" && args[0] != "cases" {
		return fmt.Errorf("usage: vectors rules|cases NAME=DIR [NAME=DIR…]")
	}
	if args[0] == "rules" {
		fmt.Print(header)
	}
	out := json.NewEncoder(os.Stdout)
	for _, arg := range args[1:] {
		name, dir, _ := strings.Cut(arg, "=")
		if args[0] == "rules" {
			if err := printRules(name, dir); err != nil {
				return err
			}
			continue
		}
		read := map[string]func(string) ([]testCase, error){
			"trufflehog": trufflehog, "secretlint": secretlint, "detect-secrets": detectSecrets,
		}[name]
		if read == nil {
			return fmt.Errorf("no cases of %q are known", name)
		}
		cases, err := read(dir)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, c := range cases {
			if err := out.Encode(c); err != nil {
				return err
			}
		}
	}
	return nil
}
