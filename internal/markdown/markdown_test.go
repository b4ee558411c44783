package markdown

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain, text. (1)": "plain, text. (1)", " two\nlines ": "two lines", "a|b*c": `a\|b\*c`, "<b>&": "&lt;b&gt;&amp;",
		"# head": "\\#\u200b head", "- item": `\- item`, "12. item": `12\. item`, "1) item": `1\) item`, ".5": ".5", "a-b": "a-b",
		"@kim #12 !3":         "@\u200bkim #\u200b12 !\u200b3",
		"http://x/a/issues/1": "http://x/a/issues/\u200b1",
	} {
		require.Equal(t, want, Text(in), in)
	}
}

func TestCodeSpan(t *testing.T) {
	for in, want := range map[string]string{
		"": "–", "odilo": "`odilo`", "a`b": "``a`b``", "`a": "`` `a ``", "a|b": "<code>a&#124;b</code>", "<!-- x": "`<\u200b!-- x`",
	} {
		require.Equal(t, want, CodeSpan(in), in)
	}
}

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
