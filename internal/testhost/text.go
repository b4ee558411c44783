package testhost

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// Noise gives n bytes of binary.
func Noise(n int) string {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(p)
	return string(p)
}

func RequirePlainText(t testing.TB, s string) {
	t.Helper()
	require.True(t, utf8.ValidString(s))
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\t' || 0x7f <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 ||
			0x200c <= r && r <= 0x200f || r == 0xfeff || r == 0x2028 || r == 0x2029 {
			require.Fail(t, "a control character is left", "%U", r)
		}
	}
}

// Fences reads fenced blocks as CommonMark does, outside of lists and quotes. It gives their contents, and tells
// whether the last one is open at the end.
func Fences(s string) (blocks []string, open bool) {
	var fence byte
	var size int
	var block []string
	for _, line := range strings.Split(s, "\n") {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		n := 0
		for n < len(body) && (body[0] == '`' || body[0] == '~') && body[n] == body[0] {
			n++
		}
		switch {
		case fence == 0 && n >= 3 && indent <= 3 && !(body[0] == '`' && strings.Contains(body[n:], "`")):
			fence, size, block = body[0], n, nil
		case fence != 0 && n >= size && body[0] == fence && indent <= 3 && strings.Trim(body[n:], " \t") == "":
			blocks = append(blocks, strings.Join(block, "\n"))
			fence = 0
		case fence != 0:
			block = append(block, line)
		}
	}
	return blocks, fence != 0
}
