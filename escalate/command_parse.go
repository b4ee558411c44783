package escalate

import (
	"strings"
	"unicode"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/redact"
)

const (
	commandWord = "/adf"
	maxCommands = 10  // in one comment
	maxReason   = 300 // bytes
)

// parseCommands returns the commands in a comment, in their order. A command begins a line, after at most three blanks, and
// stands outside of everything that Markdown shows as a quote or an example, or does not show at all: fenced and indented
// code, quotes with the lines that continue them, HTML comments and blocks. If Markdown is unclear, a line is no command: a
// command that was missed can be repeated, one that nobody meant may do harm. Case does not matter, because phones begin a
// line with a capital letter.
func parseCommands(body string) []incident.CommandLine {
	var out []incident.CommandLine
	b := blocks{}
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), "\n") {
		if !b.plain(line) {
			continue
		}
		if c, ok := parseCommand(line); ok && len(out) < maxCommands {
			out = append(out, c)
		}
	}
	return out
}

func parseCommand(line string) (incident.CommandLine, bool) {
	text := strings.TrimLeft(line, " ")
	if len(line)-len(text) > 3 || len(text) < len(commandWord) || !strings.EqualFold(text[:len(commandWord)], commandWord) {
		return incident.CommandLine{}, false
	}
	rest := text[len(commandWord):]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return incident.CommandLine{}, false // "/adfbot", "/adf/resume", "/adf-fleet"
	}
	rest = strings.TrimLeft(rest, " \t")
	written, reason := rest, ""
	if n := strings.IndexFunc(rest, unicode.IsSpace); n >= 0 {
		written, reason = rest[:n], rest[n:]
	}
	c := incident.CommandLine{Written: redact.Line(written, 40), Reason: redact.Line(reason, maxReason)}
	switch v := incident.Verb(strings.ToLower(written)); v {
	case incident.ResumeVerb, incident.PauseVerb, incident.StatusVerb, incident.AckVerb:
		c.Verb = v
	}
	return c, true
}

// blocks tracks the Markdown block that a line is in.
type blocks struct {
	fence string // ends the fenced block that is open
	until string // ends the HTML block that is open
	quote bool   // a quote began, and no blank line since: what follows continues it
}

// htmlBlocks are the beginnings of HTML whose text is hidden, code or a quote, and their ends.
var htmlBlocks = [][2]string{{"<!--", "-->"}, {"<pre", "</pre>"}, {"<code", "</code>"}, {"<blockquote", "</blockquote>"},
	{"<script", "</script>"}, {"<style", "</style>"}, {"<textarea", "</textarea>"}, {"<template", "</template>"}}

// plain takes the next line and tells whether it is ordinary text.
func (b *blocks) plain(line string) bool {
	text := strings.Trim(line, " \t")
	switch {
	case b.fence != "":
		if strings.HasPrefix(text, b.fence) && strings.Trim(text, b.fence[:1]) == "" {
			b.fence = ""
		}
		return false
	case b.until != "":
		b.html(strings.ToLower(line), b.until)
		return false
	case text == "":
		b.quote = false
		return false
	}
	if f := fence(text); f != "" {
		b.fence, b.quote = f, false
		return false
	}
	low := strings.ToLower(line)
	for _, h := range htmlBlocks {
		n := strings.Index(low, h[0])
		if n >= 0 && (h[0] == "<!--" || strings.HasPrefix(strings.ToLower(text), h[0])) {
			b.html(low[n+len(h[0]):], h[1])
			return false // also where it ends in the same line
		}
	}
	if text[0] == '>' {
		b.quote = true
	}
	return !b.quote && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(strings.TrimLeft(line, " "), "\t")
}

// html looks for the end of an HTML block in s.
func (b *blocks) html(s, end string) {
	b.until = end
	if strings.Contains(s, end) {
		b.until = ""
	}
}

// fence gives the characters of a fence that a line opens, also in the item of a list; "": it opens none.
func fence(text string) string {
	for {
		marker, rest, ok := strings.Cut(text, " ")
		if !ok || !isListMarker(marker) {
			break
		}
		text = strings.TrimLeft(rest, " \t")
	}
	for _, c := range []string{"`", "~"} {
		n := len(text) - len(strings.TrimLeft(text, c))
		if n >= 3 && (c == "~" || !strings.Contains(text[n:], c)) {
			return text[:n]
		}
	}
	return ""
}

func isListMarker(s string) bool {
	if s == "-" || s == "*" || s == "+" {
		return true
	}
	n := len(s) - 1
	return n >= 1 && n <= 9 && (s[n] == '.' || s[n] == ')') && strings.Trim(s[:n], "0123456789") == ""
}
