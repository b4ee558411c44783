package config

import (
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// parser gives what a scalar means, or what is wrong with it. Rules are pure: none of them looks at the machine.
type parser[T any] func(n *yaml.Node) (T, *fault)

// text takes a string that passes check, which may give a normal form of it.
func text(check func(string) (string, *fault)) parser[string] {
	return func(n *yaml.Node) (string, *fault) {
		if n.Kind != yaml.ScalarNode {
			return "", faultf("write one value", "must be a text, not %s", kind(n))
		}
		if n.ShortTag() != "!!str" {
			return "", faultf(`put the value in "quotes"`, "must be a text, and without quotes this is %s", kind(n))
		}
		return check(n.Value)
	}
}

// number takes a whole number within bounds.
func number(least, most int) parser[int] {
	return func(n *yaml.Node) (int, *fault) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
			fix := "write digits alone, without quotes"
			return 0, faultf(fix, "must be a whole number, not %s", kindOrValue(n, "!!str", "!!float"))
		}
		i, err := strconv.Atoi(n.Value)
		if digits := strings.TrimLeft(n.Value, "+-"); err != nil || len(digits) > 1 && digits[0] == '0' {
			return 0, faultf("write decimal digits, without a leading 0", "must be a plain whole number, not %s", clip(n.Value))
		}
		if i < least || i > most {
			return 0, faultf("", "must be from %d to %d, not %s", least, most, clip(n.Value))
		}
		return i, nil
	}
}

// duration takes a Go duration within bounds.
func duration(least, most time.Duration) parser[time.Duration] {
	return func(n *yaml.Node) (time.Duration, *fault) {
		if n.Kind != yaml.ScalarNode {
			return 0, faultf("write it as 90s, 10m or 720h", "must be a duration, not %s", kind(n))
		}
		d, err := time.ParseDuration(n.Value)
		switch {
		case err != nil && isDigits(strings.TrimLeft(n.Value, "+-")):
			return 0, faultf("write "+clip(n.Value)+"s for seconds", "%s has no unit", clip(n.Value))
		case err != nil:
			fix := "write it as Go does: 90s, 10m, 1h30m, 720h"
			if days, err := strconv.Atoi(strings.TrimSuffix(n.Value, "d")); err == nil && 0 < days && days < 1e5 {
				fix = "Go durations have no days: write " + strconv.Itoa(24*days) + "h"
			}
			return 0, faultf(fix, "must be a duration, not %s", quote(n.Value))
		case d < 0 && least >= 0:
			return 0, faultf("", "must not be negative, and is %s", d)
		case d < least && least == 1:
			return 0, faultf("", "must be more than 0s")
		case d < least:
			return 0, faultf("", "must be at least %s, not %s", least, d)
		case d > most:
			return 0, faultf("", "must be at most %s, not %s", most, d)
		}
		return d, nil
	}
}

// optional lets "" through: nothing is wanted.
func optional(check func(string) (string, *fault)) func(string) (string, *fault) {
	return func(s string) (string, *fault) {
		if s == "" {
			return "", nil
		}
		return check(s)
	}
}

// oneOf takes one of a few words.
func oneOf(words ...string) func(string) (string, *fault) {
	return func(s string) (string, *fault) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		return "", faultf("", "must be %s, not %s", strings.Join(words, " or "), quote(s))
	}
}

// clip shows a number from the file.
func clip(s string) string {
	if len(s) > shown {
		return s[:shown] + "…"
	}
	return s
}

// kindOrValue shows the value where it is of one of these tags, else what it is.
func kindOrValue(n *yaml.Node, tags ...string) string {
	for _, t := range tags {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == t {
			return quote(n.Value)
		}
	}
	return kind(n)
}
