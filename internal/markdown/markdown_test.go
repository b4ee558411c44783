package markdown

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb", "@kim #12", "```\n~~~", "<!-- adfbot:v1 -->", "a|b`c``d", "\xff\xfe\u202e\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{CodeSpan(s), Text(s)} {
			testhost.RequirePlainText(t, out)
			require.NotContains(t, out, "\n")
			require.NotContains(t, out, "<!--")
		}
		blocks, open := testhost.Fences(Fence(s))
		require.False(t, open)
		require.Len(t, blocks, 1, "nothing in the block ends it")
	})
}
