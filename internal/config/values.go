package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// parser returns the value of a node, or what is wrong with it. Parsers and rules do not look at the machine.
type parser[T any] func(n *yaml.Node) (T, *fault)

// rule returns a string in its normal form, or what is wrong with it.
type rule func(s string) (string, *fault)

// str accepts a string that passes the rule.
func str(check rule) parser[string] {
	return func(n *yaml.Node) (string, *fault) {
		switch {
		case n.Kind != yaml.ScalarNode:
			return "", faultf("write a single value", "must be a string, not %s", describe(n))
		case n.ShortTag() != "!!str":
			return "", faultf(`put the value in "quotes"`, "must be a string, not %s", describe(n))
		}
		return check(n.Value)
	}
}

// number accepts a decimal number from low to high.
func number(low, high int) parser[int] {
	return func(n *yaml.Node) (int, *fault) {
		i, err := strconv.Atoi(n.Value)
		digits := strings.TrimLeft(n.Value, "+-")
		octal := len(digits) > 1 && digits[0] == '0' // as YAML 1.1 reads it
		switch {
		case n.ShortTag() != "!!int" || err != nil || octal:
			return 0, faultf("write decimal digits, without quotes or a leading 0", "must be a whole number, not %s", valueOf(n))
		case i < low || i > high:
			return 0, faultf("", "must be from %d to %d, not %d", low, high, i)
		}
		return i, nil
	}
}

// boolean accepts true or false.
func boolean(n *yaml.Node) (bool, *fault) {
	if n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
		return false, faultf("", "must be true or false, not %s", valueOf(n))
	}
	return n.Value == "true", nil
}

// duration accepts a Go duration from low to high.
func duration(low, high time.Duration) parser[time.Duration] {
	return func(n *yaml.Node) (time.Duration, *fault) {
		d, err := time.ParseDuration(n.Value)
		switch {
		case err != nil:
			fix := "write it like 90s, 10m, 1h30m or 720h; a day is 24h"
			return 0, faultf(fix, "must be a duration with a unit, not %s", valueOf(n))
		case d < low:
			return 0, faultf("", "must be at least %s, not %s", written(low), written(d))
		case d > high:
			return 0, faultf("", "must be at most %s, not %s", written(high), written(d))
		}
		return d, nil
	}
}

// written returns a duration as people write it: 720h, not 720h0m0s.
func written(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// optional accepts "", too.
func optional(check rule) rule {
	return func(s string) (string, *fault) {
		if s == "" {
			return "", nil
		}
		return check(s)
	}
}

func oneOf(words ...string) rule {
	return func(s string) (string, *fault) {
		if !slices.Contains(words, s) {
			return "", faultf("", "must be %s, not %s", strings.Join(words, " or "), quote(s))
		}
		return s, nil
	}
}

// valueOf shows the value of a scalar, and the kind of any other node.
func valueOf(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return quote(n.Value)
	}
	return describe(n)
}

// describe names the kind of a node.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "a string"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	}
	return "a value tagged " + quote(n.Tag)
}
