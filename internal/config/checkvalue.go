package config

import (
	"errors"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// CheckValue returns what is wrong with a string as the value of a key with a single value, e.g. gitea.url or projects.id, and how to write it.
// It panics if there is no such key.
func CheckValue(key, s string) error {
	r := &reader{lines: map[string]int{}}
	fields := schema(new(Config), new(string))
	var at *field
	for name := range strings.SplitSeq(key, ".") {
		n := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if n < 0 {
			panic("no such key: " + key)
		}
		at, fields = &fields[n], fields[n].fields
	}
	at.read(r, value{node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}, key: key})
	if len(r.problems) == 0 {
		return nil
	}
	p := r.problems[0]
	if p.Fix == "" {
		return errors.New(p.What)
	}
	return errors.New(p.What + ": " + p.Fix)
}

// CheckContent returns what [Load] would return of a file with this content.
func CheckContent(path string, content []byte) error {
	host, _ := os.Hostname()
	_, err := settingsOf(path, content, host, readIncluded)
	return err
}

// CheckSecret returns what is wrong with the content of a file with a secret, which it does not show.
func CheckSecret(s string) (secret string, err error) {
	if secret, err = parseSecret(s); err != nil {
		return "", errors.New(err.Error() + ": it must be the secret alone, on one line")
	}
	return secret, nil
}
