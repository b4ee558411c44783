package escalate_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
)

// verbs are the commands as "verb" or "verb: reason"; one that does not exist is "?said".
func verbs(body string) []string {
	out := []string{}
	for _, c := range escalate.ParseCommands(body) {
		s := string(c.Verb)
		if c.Verb == incident.NoVerb {
			s = "?" + c.Written
		}
		if c.Reason != "" {
			s += ": " + c.Reason
		}
		out = append(out, s)
	}
	return out
}

func TestParseCommands(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"a command alone":           {"/adf resume", []string{"resume"}},
		"all four":                  {"/adf resume\n/adf pause\n/adf status\n/adf ack", []string{"resume", "pause", "status", "ack"}},
		"a reason":                  {"/adf resume the disk was full", []string{"resume: the disk was full"}},
		"a reason with odd blanks":  {"/adf  \t resume   the\t disk  ", []string{"resume: the disk"}},
		"words around it":           {"I had a look.\n\n/adf resume it was the disk\n\nThanks!", []string{"resume: it was the disk"}},
		"CRLF, as browsers send it": {"done\r\n/adf resume disk\r\n", []string{"resume: disk"}},
		"old line ends":             {"done\r/adf resume\rbye", []string{"resume"}},
		"up to three blanks before": {"   /adf status", []string{"status"}},
		"a phone's capital letter":  {"/Adf Resume", []string{"resume"}},
		"capitals":                  {"/ADF STATUS", []string{"status"}},
		"an unknown command":        {"/adf restart now", []string{"?restart: now"}},
		"no command":                {"/adf", []string{"?"}},
		"no command, blanks":        {"/adf  ", []string{"?"}},
		"in prose":                  {"to resume it, write /adf resume", []string{}},
		"another word":              {"/adfbot resume\n/adf-resume\n/adf/resume\n/adfresume", []string{}},
		"no slash":                  {"adf resume", []string{}},
		"a list":                    {"- /adf resume\n* /adf resume\n1. /adf resume", []string{}},
		"a heading":                 {"# /adf resume", []string{}},
		"a code span":               {"`/adf resume`", []string{}},
		"bold":                      {"**/adf resume**", []string{}},
		"a quote":                   {"> /adf resume", []string{}},
		"a quote without a blank":   {">/adf resume", []string{}},
		"an indented quote":         {"   > /adf resume", []string{}},
		"below a quote, still shown as part of it":   {"> he wrote\n/adf resume", []string{}},
		"below a quote and an empty line":            {"> /adf pause\n\n/adf status", []string{"status"}},
		"below a quote and a line of blanks":         {"> /adf pause\n \t\n/adf status", []string{"status"}},
		"fenced":                                     {"```\n/adf resume\n```", []string{}},
		"fenced, with a language":                    {"```sh\n/adf resume\n```\n/adf status", []string{"status"}},
		"fenced by tildes":                           {"~~~\n/adf resume\n~~~\n/adf status", []string{"status"}},
		"a longer fence holds a shorter one":         {"````\n```\n/adf resume\n```\n````\n/adf status", []string{"status"}},
		"a fence of the other kind does not end it":  {"```\n~~~\n/adf resume", []string{}},
		"a fence with words does not end it":         {"```\n``` go\n/adf resume", []string{}},
		"a fence that is never closed":               {"```\n/adf resume", []string{}},
		"a fence in a list":                          {"- ```\n  /adf resume\n  ```\n\n/adf status", []string{"status"}},
		"a fence below a quote":                      {"> q\n```\n/adf resume\n```\n\n/adf status", []string{"status"}},
		"two backticks are no fence":                 {"``\n/adf status", []string{"status"}},
		"a code span of three backticks is no fence": {"```/adf resume``` is how\n/adf status", []string{"status"}},
		"indented code":                              {"    /adf resume", []string{}},
		"indented by a tab":                          {"\t/adf resume", []string{}},
		"indented by blanks and a tab":               {"  \t/adf resume", []string{}},
		"hidden":                                     {"<!--\n/adf resume\n-->\n/adf status", []string{"status"}},
		"hidden in one line":                         {"<!-- x -->\n/adf status", []string{"status"}},
		"hidden from the middle of a line":           {"see <!-- here\n/adf resume\n--> there\n/adf status", []string{"status"}},
		"HTML code":                                  {"<pre>\n/adf resume\n</pre>\n/adf status", []string{"status"}},
		"an HTML quote":                              {"<blockquote>\n\n/adf resume\n\n</blockquote>\n\n/adf status", []string{"status"}},
		"a word like a tag in a reason":              {"/adf resume a <pre was missing", []string{"resume: a <pre was missing"}},
		"a zero-width space before":                  {"\u200b/adf resume", []string{}},
		"a zero-width space inside":                  {"/\u200badf resume", []string{}},
		"a zero-width space in the verb":             {"/adf res\u200bume", []string{"?resume"}},
		"a verb with a full stop":                    {"/adf resume.", []string{"?resume."}},
		"a wide blank after the verb":                {"/adf resume\u00a0disk", []string{"resume: disk"}},
		"escapes and controls in a reason":           {"/adf resume \x1b[31mred\x1b[0m\x00 \u202etrick", []string{"resume: red trick"}},
		"nothing":                                    {"", []string{}},
		"invalid UTF-8":                              {"/adf \xff\xfe", []string{"?\ufffd"}},
		"the bot's own hidden line":                  {"/adf status\n\n<!-- adfbot:comment x/y -->", []string{"status"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, verbs(tt.body)) })
	}
}

// A comment has at most ten commands, and a reason has a maximum length.
func TestCommandLimits(t *testing.T) {
	require.Len(t, escalate.ParseCommands(strings.Repeat("/adf status\n", 500)), 10)
	c := escalate.ParseCommands("/adf resume " + strings.Repeat("long ", 1000))
	require.LessOrEqual(t, len(c[0].Reason), 300)
	c = escalate.ParseCommands("/adf " + strings.Repeat("x", 1000))
	require.LessOrEqual(t, len(c[0].Written), 40)
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"/adf resume", "> /adf resume\n\n/adf ack", "```\n/adf resume\n```", "<!-- \n/adf pause", "- ~~~~ \n /adf status now\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		commands := escalate.ParseCommands(body)
		require.LessOrEqual(t, len(commands), 10)
		for _, c := range commands {
			require.True(t, utf8.ValidString(c.Reason) && utf8.ValidString(c.Written))
			require.NotContains(t, c.Reason+c.Written, "\n")
			require.LessOrEqual(t, len(c.Reason), 300)
		}
		if len(commands) > 0 {
			require.Contains(t, strings.ToLower(body), "/adf")
		}
		// Whatever is quoted, fenced or hidden gives no order.
		var quoted strings.Builder
		for _, line := range strings.FieldsFunc(body, func(r rune) bool { return r == '\n' || r == '\r' }) {
			quoted.WriteString("> " + line + "\n")
		}
		require.Empty(t, escalate.ParseCommands(quoted.String()))
		require.Empty(t, escalate.ParseCommands("    "+strings.NewReplacer("\n", "\n    ", "\r", "\r    ").Replace(body)))
		if !strings.Contains(body, "```") {
			require.Empty(t, escalate.ParseCommands("```\n"+body+"\n"))
		}
	})
}
