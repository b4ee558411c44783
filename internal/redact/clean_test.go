package redact

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

func TestClean(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain text":                        {"a\tb\nc", "a\tb\nc"},
		"other scripts and emoji":           {"Grüße, мир, 世界 🦀", "Grüße, мир, 世界 🦀"},
		"colours":                           {"\x1b[1;31merror\x1b[0m: x", "error: x"},
		"colours with colons":               {"\x1b[38:2:1:2:3merror\x1b[m", "error"},
		"cursor and erase":                  {"\x1b[2J\x1b[1;1Ha\x1b[K", "a"},
		"a title":                           {"\x1b]0;title\x07a", "a"},
		"a title ended by ST":               {"\x1b]0;title\x1b\\a", "a"},
		"a hyperlink":                       {"\x1b]8;;https://x.example\x1b\\text\x1b]8;;\x1b\\", "text"},
		"a title with a check mark":         {"\x1b]0;\u2714 done\x07a", "a"},
		"device control":                    {"\x1bP1$r0m\x1b\\a", "a"},
		"APC, PM, SOS":                      {"\x1b_x\x1b\\\x1b^y\x1b\\\x1bXz\x1b\\a", "a"},
		"a charset":                         {"\x1b(Ba\x1b)0b", "ab"},
		"keypad mode":                       {"\x1b=a\x1b>b", "ab"},
		"one-rune controls":                 {"a\u009b31mb\u009d0;t\u009cc", "abc"},
		"an open title":                     {"a\x1b]0;all that follows", "a0;all that follows"},
		"an open title in a line":           {"a\x1b]0;b\nc", "a0;b\nc"},
		"an open title, too long":           {"\x1b]" + strings.Repeat("x", 5000) + "\x07", strings.Repeat("x", 5000)},
		"an open colour":                    {"a\x1b[31", "a31"},
		"a lone escape":                     {"a\x1b", "a"},
		"an escape and another":             {"\x1b\x1b[31ma", "a"},
		"an interrupted colour":             {"\x1b[31\nb", "\nb"},
		"NUL, BEL, backspace, DEL":          {"a\x00\x07\b\x7fb", "ab"},
		"C1":                                {"a\u0080\u009ab", "ab"},
		"CRLF":                              {"a\r\nb\r\n", "a\nb\n"},
		"a progress bar":                    {"10%\r55%\r100%\nok", "100%\nok"},
		"a progress bar at the end":         {"10%\r100%\r", "100%"},
		"several CRs":                       {"a\r\r\nb", "a\nb"},
		"a CR and a colour":                 {"abc\r\x1b[31mX\x1b[0m\n", "X\n"},
		"a line erased after a CR":          {"abc\r\x1b[K\n", "abc\n"},
		"other line ends":                   {"a\vb\fc\u0085d\u2028e\u2029f", "a\nb\nc\nd\ne\nf"},
		"bidi":                              {"a\u202eb\u2066c\u2069d\u200fe\u061c", "abcde"},
		"zero width":                        {"a\u200bb\u200dc\ufeffd\u2060e\u00adf", "abcdef"},
		"tags":                              {"a\U000e0041b", "ab"},
		"invalid bytes":                     {"a\xff\xfe\xfdb\xc3", "a\uFFFDb\uFFFD"},
		"half a rune":                       {"a\xe2\x9c b", "a\uFFFD b"},
		"a surrogate":                       {"a\xed\xa0\x80b", "a\uFFFDb"},
		"a byte that is a control in 8 bit": {"a\x9d0;b\x07c", "a\uFFFD0;bc"},
		"nothing":                           {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, Clean(c.in))
			require.Equal(t, c.want, Clean(c.want), "cleaning twice")
		})
	}
}

func TestCleanAgainstAnsi(t *testing.T) {
	for _, s := range []string{
		"\x1b[1mbold\x1b[22m \x1b[38;5;208morange\x1b[39m", "\x1b]2;t\x07x\x1b[?25l\x1b[?1049h", "\x1b7\x1b8\x1b[s\x1b[u\x1b[6n",
		"\x1b]8;id=1;http://a.example\x07link\x1b]8;;\x07", "\x1bPq#0;2;0;0;0\x1b\\after", "\x1b#8\x1b%G\x1bcx",
	} {
		require.Equal(t, ansi.Strip(s), Clean(s), "%q", s)
	}
}

func TestCleanInPieces(t *testing.T) {
	s := "a\x1b[31mü\x1b[0m✔\r\nb\rc\x1b]0;t✔\x07d\xffe\u202ef\u2028🦀\x9b"
	for size := 1; size < len(s); size++ {
		w := window{headMax: len(s) * 3}
		c := cleaner{out: &w}
		for p := []byte(s); len(p) > 0; p = p[min(size, len(p)):] {
			c.write(bytes.Clone(p[:min(size, len(p))]))
		}
		c.finish()
		require.Equal(t, Clean(s), string(w.head), "pieces of %d", size)
	}
}

func TestLine(t *testing.T) {
	require.Equal(t, "a b c", Line(" a\n\tb\r\n  c\u00a0 ", 10))
	require.Equal(t, "äöü", Line("äöü", 6))
	require.Equal(t, "ä…", Line("äöü", 5))
	require.Equal(t, "…", Line("äöü", 4))
	require.Equal(t, "", Line("äöü", 2))
	require.Equal(t, "", Line("äöü", -1))
	require.Equal(t, "abc…", Line("abc defg", 7), "no blank before the dots")
}

func TestCleanIsLinear(t *testing.T) {
	const size = 2 << 20
	random := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(random)
	for _, s := range []string{string(random), strings.Repeat("\x1b]", size/2), strings.Repeat("\u009d", size/2),
		strings.Repeat("\x1b", size), strings.Repeat("\r", size), strings.Repeat("a\r", size/2), strings.Repeat("\xff", size)} {
		requireClean(t, Clean(s))
	}
}

func requireClean(t testing.TB, s string) {
	t.Helper()
	testhost.RequirePlainText(t, s)
	require.NotContains(t, s, "\u200b")
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb", "a\x1b]0;t\x07", "x\r\ny\rz", "\xff\xfe\u202e\u2028", "\x1b\x1b]\x1b\\\x9d\u009d", "\x1bP\x1b\x1b_"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		c := Clean(s)
		requireClean(t, c)
		require.Equal(t, c, Clean(c), "cleaning twice")
		line := Line(s, n)
		require.LessOrEqual(t, len(line), max(n, 0))
		require.NotContains(t, line, "\n")
		require.True(t, utf8.ValidString(line))
	})
}
