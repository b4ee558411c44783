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

	copiedBlanks = "\u00a0\ufeff" // a no-break space and a byte order mark, which a copied line may begin with
)

// parseCommands returns the commands in a comment, in their order. Commands are the leading lines of a comment that are not
// blank: each begins with /adf after at most three blanks, and the first other line ends them. No quote, code block or hidden
// part can be open before them, so no Markdown has to be understood. Case does not matter, because phones begin a line with
// a capital letter.
//
// Of the lines that look like commands further down, or behind a mention or a sentence, the first is returned as misplaced: the reply says how to
// repeat it.
func parseCommands(body string) []incident.CommandLine {
	var out []incident.CommandLine
	leading := true
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), "\n") {
		if strings.Trim(line, " \t"+copiedBlanks) == "" {
			continue
		}
		c, ok := parseCommand(line)
		leading = leading && ok && len(out) < maxCommands && !strings.ContainsAny(line, opensHidden)
		if !ok {
			c, ok = meantCommand(line)
		}
		switch {
		case ok && leading:
			out = append(out, c)
		case ok:
			return append(out, incident.CommandLine{Written: c.Written, Misplaced: true})
		}
		leading = leading && !strings.ContainsAny(line, opensInline)
	}
	return out
}

// What a line holds of these may go on in the next line. A code span or HTML may make an example of the whole line, so such
// a line is no command. A link, a picture or a struck out part cannot reach back to the line's beginning: the line is the
// last command.
const (
	opensHidden = "`<"
	opensInline = "[~"
)

// meantCommand returns the command in a line that is none because of what stands before it and may seem to be part of it: who is
// mentioned, as other bots want it, characters that nobody sees, or a sentence.
func meantCommand(line string) (incident.CommandLine, bool) {
	text := strings.TrimLeft(line, " ")
	if len(line)-len(text) > 3 {
		return incident.CommandLine{}, false // code
	}
	for {
		text = strings.TrimLeftFunc(text, func(r rune) bool { return unicode.Is(unicode.Cf, r) })
		n := strings.IndexFunc(text, unicode.IsSpace)
		if n < 0 || text[0] != '@' {
			break
		}
		text = strings.TrimLeftFunc(text[n:], unicode.IsSpace)
	}
	if c, ok := parseCommand(text); ok {
		return c, true
	}
	return commandBehind(text)
}

// commandBehind returns the command that a line has behind a sentence or a part of one: Fixed. /adf resume. In one, it may be spoken of.
func commandBehind(text string) (incident.CommandLine, bool) {
	if strings.HasPrefix(text, ">") {
		return incident.CommandLine{}, false // somebody is quoted
	}
	for i := 3; i < len(text); i++ {
		isNumber := text[i-3] >= '0' && text[i-3] <= '9' // of a list
		if text[i] == '/' && text[i-1] == ' ' && strings.IndexByte(".,:;!?)", text[i-2]) >= 0 && !isNumber {
			if c, ok := parseCommand(text[i:]); ok && c.Verb != incident.NoVerb {
				return c, true
			}
		}
	}
	return incident.CommandLine{}, false
}

func parseCommand(line string) (incident.CommandLine, bool) {
	text := strings.TrimLeft(line, " ")
	indent := len(line) - len(text)
	text = strings.TrimLeft(text, copiedBlanks)
	if indent > 3 || len(text) < len(commandWord) || !strings.EqualFold(text[:len(commandWord)], commandWord) {
		return incident.CommandLine{}, false
	}
	after := text[len(commandWord):]
	rest := strings.TrimLeftFunc(after, unicode.IsSpace) // also the no-break space of a copied line
	if rest != "" && rest == after {
		return incident.CommandLine{}, false // "/adfbot", "/adf/resume", "/adf-fleet"
	}
	written, reason := rest, ""
	if n := strings.IndexFunc(rest, unicode.IsSpace); n >= 0 {
		written, reason = rest[:n], rest[n:]
	}
	c := incident.CommandLine{Written: redact.Line(written, 40), Reason: redact.Line(reason, maxReason)}
	switch v := incident.Verb(strings.ToLower(written)); v {
	case incident.ResumeVerb, incident.PauseVerb, incident.StatusVerb, incident.AckVerb, incident.SnoozeVerb:
		c.Verb = v
	}
	return c, true
}
