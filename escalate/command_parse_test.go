package escalate_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
)

// verbs are the commands as "verb" or "verb: reason"; one that does not exist is "?said", and one that is not run for its
// place or its characters is "!said".
func verbs(body string) []string {
	out := []string{}
	for _, c := range escalate.ParseCommands(body) {
		s := string(c.Verb)
		switch {
		case c.Misplaced:
			s = "!" + c.Written
		case c.Verb == incident.NoVerb:
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
		"a command alone":                  {"/adf resume", []string{"resume"}},
		"all four":                         {"/adf resume\n/adf pause\n/adf status\n/adf ack", []string{"resume", "pause", "status", "ack"}},
		"a reason":                         {"/adf resume the disk was full", []string{"resume: the disk was full"}},
		"a reason with odd blanks":         {"/adf  \t resume   the\t disk  ", []string{"resume: the disk"}},
		"words below":                      {"/adf resume it was the disk\n\nThanks!", []string{"resume: it was the disk"}},
		"blank lines":                      {"\n \t\n/adf ack\n\n/adf status\n", []string{"ack", "status"}},
		"CRLF, as browsers send it":        {"/adf resume disk\r\n/adf ack\r\ndone\r\n", []string{"resume: disk", "ack"}},
		"old line ends":                    {"/adf resume\rbye", []string{"resume"}},
		"up to three blanks before":        {"   /adf status", []string{"status"}},
		"a phone's capital letter":         {"/Adf Resume", []string{"resume"}},
		"capitals":                         {"/ADF STATUS", []string{"status"}},
		"an unknown command":               {"/adf restart now", []string{"?restart: now"}},
		"no command":                       {"/adf", []string{"?"}},
		"no command, blanks":               {"/adf  ", []string{"?"}},
		"in prose":                         {"to resume it, write /adf resume", []string{}},
		"behind a sentence":                {"I think it is fixed. /adf resume", []string{"!resume"}},
		"behind a word":                    {"Fixed: /ADF resume the disk", []string{"!resume"}},
		"behind a quoted sentence":         {"> Fixed. /adf resume", []string{}},
		"behind a sentence, no command":    {"Fixed, see /srv/adf. /adf is great, /adfbot resume", []string{}},
		"another word":                     {"/adfbot resume\n/adf-resume\n/adf/resume\n/adfresume", []string{}},
		"no slash":                         {"adf resume", []string{}},
		"a list":                           {"- /adf resume\n* /adf resume\n1. /adf resume", []string{}},
		"a heading":                        {"# /adf resume", []string{}},
		"a code span":                      {"`/adf resume`", []string{}},
		"bold":                             {"**/adf resume**", []string{}},
		"a quote":                          {"> /adf resume", []string{}},
		"a quote without a blank":          {">/adf resume", []string{}},
		"an indented quote":                {"   > /adf resume", []string{}},
		"indented code":                    {"    /adf resume", []string{}},
		"indented by a tab":                {"\t/adf resume", []string{}},
		"indented by blanks and tab":       {"  \t/adf resume", []string{}},
		"hidden in one line":               {"<!-- /adf resume -->", []string{}},
		"a zero-width space before":        {"\u200b/adf resume", []string{"!resume"}},
		"other invisible ones before":      {" \u2060\u200e\ufeff/adf resume", []string{"!resume"}},
		"after a mention":                  {"@adf-bot /adf resume disk", []string{"!resume"}},
		"after mentions":                   {"@adf-bot: @ops-day,\u00a0/adf ack", []string{"!ack"}},
		"a mention in the line before":     {"@adf-bot\n/adf resume", []string{"!resume"}},
		"after a command, and a mention":   {"/adf ack\n@adf-bot /adf resume", []string{"ack", "!resume"}},
		"after a mention, in code":         {"    @adf-bot /adf resume", []string{}},
		"after a mention and words":        {"@adf-bot please /adf resume", []string{}},
		"a mention that goes on":           {"@adf-bot/adf resume", []string{}},
		"after a mention, another word":    {"@ops-day /adfbot resume", []string{}},
		"a zero-width space inside":        {"/\u200badf resume", []string{}},
		"a zero-width space in verb":       {"/adf res\u200bume", []string{"?resume"}},
		"a verb with a full stop":          {"/adf resume.", []string{"?resume."}},
		"a wide blank after the verb":      {"/adf resume\u00a0disk", []string{"resume: disk"}},
		"a wide blank before all":          {"\u00a0/adf resume disk", []string{"resume: disk"}},
		"a byte order mark before all":     {"\ufeff/adf resume disk", []string{"resume: disk"}},
		"a line of wide blanks before":     {"\u00a0\n/adf resume disk", []string{"resume: disk"}},
		"a wide blank before the verb":     {"/adf\u00a0resume disk", []string{"resume: disk"}},
		"escapes and controls in a reason": {"/adf resume \x1b[31mred\x1b[0m\x00 \u202etrick", []string{"resume: red trick"}},
		"nothing":                          {"", []string{}},
		"invalid UTF-8":                    {"/adf \xff\xfe", []string{"?\ufffd"}},
		"the bot's own hidden line":        {"/adf status\n\n<!-- adfbot:comment x/y -->", []string{"status"}},

		// The first other line ends the commands, whatever Markdown would make of it and of what follows.
		"below words":               {"I had a look.\n\n/adf resume it was the disk", []string{"!resume"}},
		"once, however many":        {"I had a look.\n/adf ack\n/adf resume", []string{"!ack"}},
		"commands on both sides":    {"/adf ack\nIt was the disk.\n/adf resume", []string{"ack", "!resume"}},
		"fenced":                    {"```\n/adf resume\n```", []string{"!resume"}},
		"a fence that seems closed": {"```\n    ```\n/adf resume\n```", []string{"!resume"}},
		"a fence in a list":         {"- ```\n\n/adf resume\n", []string{"!resume"}},
		"a code span over lines":    {"like `\n/adf resume\n`", []string{"!resume"}},
		"a quote that goes on":      {"- > he wrote\n/adf resume", []string{"!resume"}},
		"hidden":                    {"<!--\n/adf resume\n-->", []string{"!resume"}},
		"indented code, then words": {"    x\n/adf resume", []string{"!resume"}},

		// A line with a backtick or < is none: it may open what the next line is in.
		"a code span in a reason":      {"/adf resume `df` said so", []string{"!resume"}},
		"a code span from a reason on": {"/adf ack `\n/adf resume\n`", []string{"!ack"}},
		"a tag in a reason":            {"/adf resume a <pre was missing", []string{"!resume"}},
		"a comment from a reason on":   {"/adf status <!--\n/adf resume\n-->", []string{"!status"}},

		// What else may go on in the next line ends the commands, too.
		"a bracket in a reason":       {"/adf resume the [nightly] run", []string{"resume: the [nightly] run"}},
		"about, in a reason":          {"/adf resume took ~5 min", []string{"resume: took ~5 min"}},
		"a link's title":              {"/adf status [x](y '\n/adf resume\n')", []string{"status: [x](y '", "!resume"}},
		"an image's text":             {"/adf status ![\n/adf resume\n](y)", []string{"status: ![", "!resume"}},
		"struck out from a reason on": {"/adf status ~~x\n/adf resume y~~", []string{"status: ~~x", "!resume"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, verbs(tt.body)) })
	}
}

// A comment has at most ten commands, and a reason has a maximum length.
func TestCommandLimits(t *testing.T) {
	c := escalate.ParseCommands(strings.Repeat("/adf status\n", 500))
	require.Len(t, c, 11)
	require.False(t, c[9].Misplaced)
	require.True(t, c[10].Misplaced, "somebody has to say that the rest is not run")
	c = escalate.ParseCommands("/adf resume " + strings.Repeat("long ", 1000))
	require.LessOrEqual(t, len(c[0].Reason), 300)
	c = escalate.ParseCommands("/adf " + strings.Repeat("x", 1000))
	require.LessOrEqual(t, len(c[0].Written), 40)
}

// FuzzCommand holds the commands against the Markdown that Gitea renders: every line that is run is shown to all readers as
// plain text.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"/adf resume", "> /adf resume\n\n/adf ack", "```\n/adf resume\n```", "<!-- \n/adf pause", "- ~~~~ \n /adf status now\r\n",
		"/adf ack\n===\n/adf resume", "/adf ack | x\n- | -\n/adf ack", "/adf ack\n: x\n", "/adf ack [^1]\n\n[^1]: x", "/adf ack [a](b 'c\n/adf ack\n')",
		"/adf ack ~a\n/adf ack~", "/adf ack ![a\n/adf ack\n](b)", "/adf ack *a\n\t\n   /adf ack* $$\n/adf status $$", "/adf ack \\\n/adf status",
		"/adf *ack*", "/adf \\ack", "/adf ~~ack~~", "/adf [ack](y)", "/adf a**c**k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		commands := escalate.ParseCommands(body)
		require.LessOrEqual(t, len(commands), 11)
		for n, c := range commands {
			require.True(t, utf8.ValidString(c.Reason) && utf8.ValidString(c.Written))
			require.NotContains(t, c.Reason+c.Written, "\n")
			require.LessOrEqual(t, len(c.Reason), 300)
			if c.Misplaced {
				require.Equal(t, len(commands)-1, n)
				require.Equal(t, incident.NoVerb, c.Verb)
			}
		}
		requireShown(t, body, commands)
	})
}

// Random comments of everything that Markdown has for blocks, links, code and HTML.
func TestCommandsAreShown(t *testing.T) {
	parts := []string{"/adf ack", "/adf status x", "/adf", "\n", "\n", "\n\n", " ", "   ", "    ", "\t", "\r", "\r\n", "`", "```", "~", "~~", "~~~", "<", "<!--", "-->",
		"<pre>", "</pre>", "<a b='", ">", "> ", "- ", "1. ", "# ", "---", "===", "|", "| - |\n", ": ", "[", "]", "](", "][", "![", "[x]: ", "[x](y '", "')", "](y)", "[^1]", "[^1]: ", "(", ")",
		"'", "\"", "*", "**", "_", "$", "$$", "\\", "&lt;", "\x00", "\u00a0", "x", "http://x", "@kim", "#1"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		body := ""
		for range 1 + random.IntN(12) {
			body += parts[random.IntN(len(parts))]
			if random.IntN(3) == 0 {
				body += pick(random, "\n/adf ack ", "\n   /adf status ")
			}
		}
		body = pick(random, "", "/adf ack ") + body
		requireShown(t, body, escalate.ParseCommands(body))
	}
}

func pick(random *rand.Rand, of ...string) string { return of[random.IntN(len(of))] }

// rendered reads Markdown as Gitea does, with these extensions.
var rendered = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.DefinitionList,
	extension.Footnote, extension.Linkify))

// requireShown checks that the commands in a comment are not within a quote, an example or anything hidden, and that each is shown as
// written up to the end of its verb. Its reason, or the line below, may still make it a heading, a term, the head of a table or italic.
func requireShown(t *testing.T, body string, commands []incident.CommandLine) {
	t.Helper()
	source := []byte(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body)) // as Gitea does
	shown := make([]bool, len(source))
	_ = ast.Walk(rendered.Parser().Parse(text.NewReader(source)), func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		switch node.Kind() {
		case ast.KindText:
			for i := node.(*ast.Text).Segment.Start; i < node.(*ast.Text).Segment.Stop; i++ {
				shown[i] = true
			}
		case ast.KindDocument, ast.KindParagraph, ast.KindTextBlock, ast.KindHeading, ast.KindEmphasis, east.KindTable, east.KindTableHeader,
			east.KindTableCell, east.KindDefinitionList, east.KindDefinitionTerm:
		default:
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	from := 0
	for line := range bytes.Lines(source) {
		if blank := len(bytes.Trim(line, " \t\n\u00a0\ufeff")) == 0; !blank && len(commands) > 0 && !commands[0].Misplaced {
			before, after, _ := bytes.Cut(line, []byte("/"))
			end := len(line) - len(after) + len("adf")
			if verb := commands[0].Verb; verb != incident.NoVerb {
				end += bytes.Index(bytes.ToLower(line[end:]), []byte(verb)) + len(verb)
			}
			require.NotContains(t, shown[from+len(before):from+end], false, "%q of %q", line, body)
			commands = commands[1:]
		}
		from += len(line)
	}
	require.True(t, len(commands) == 0 || commands[0].Misplaced)
}
