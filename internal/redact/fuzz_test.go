package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzRedact(f *testing.F) {
	for _, s := range []string{"password=", "Authorization: Bearer ", "https://a:", "x", "[masked", "\"token\": \"", "-----BEGIN PRIVATE KEY-----\n", "eyJ", "\\", "'", "a\r"} {
		f.Add(s, " "+s, uint16(len(s)))
	}
	const secret = "Sup3r+S3cret/V4lue"
	r := New(secret, "ed] x", "[mas")
	f.Fuzz(func(t *testing.T, before, after string, limit uint16) {
		s := before + secret + after
		got := r.Redact(s)
		require.NotContains(t, got, secret)
		require.Equal(t, got, r.Redact(got), "masking twice")
		require.LessOrEqual(t, len(got), 3*len(s)+len(masked), "a mask is no longer than what it replaces allows")
		text := capture(int(limit%2000), r, s)
		require.LessOrEqual(t, len(text), int(limit%2000))
		requireClean(t, text)
		require.NotContains(t, text, secret)
	})
}

func FuzzCapture(f *testing.F) {
	f.Add("x", "y\n", uint32(overlap), uint32(3), uint16(300))
	f.Add("password=", "\r", uint32(overlap+slack), uint32(overlap), uint16(0))
	f.Add("\x1b[31m", "\x1b", uint32(2*overlap), uint32(7), uint16(1000))
	const secret = "Sup3r+S3cret/V4lue"
	r := New(secret)
	f.Fuzz(func(t *testing.T, before, after string, lead, trail uint32, limit uint16) {
		// Nothing of the secret may show, wherever it is.
		if strings.ContainsAny(before+after, "Sup3r+S3cret/V4lue") {
			t.Skip()
		}
		s := strings.Repeat("z\n", int(lead%(2*overlap))/2) + before + secret + after + strings.Repeat("-z", int(trail%(2*overlap))/2)
		text := capture(int(limit), r, s)
		require.LessOrEqual(t, len(text), int(limit))
		requireClean(t, text)
		for _, c := range "S3V4" {
			require.NotContains(t, withoutGap(text), string(c))
		}
	})
}

// FuzzCaptureInPieces writes the secret in pieces of any size, with colours and other invisible things inside it.
func FuzzCaptureInPieces(f *testing.F) {
	for _, inside := range []string{"", "\x1b[0m", "\x1b[38;5;208m\x1b[1m", "\x1b]0;t\x07", "\u200b", "\ufeff\u202e", "\x00", "\b", "\x1b(B"} {
		f.Add(inside, []byte{1, 3}, uint16(5), uint32(0), uint16(1000))
		f.Add(inside, []byte{0, 255, 9}, uint16(1), uint32(overlap-9), uint16(300))
	}
	f.Add("y\x1b", []byte{1, 3}, uint16(8), uint32(0), uint16(1000)) // shows a letter, and removes the next one
	const secret = "Sup3r+S3cret/V4lue"
	r := New(secret)
	f.Fuzz(func(t *testing.T, inside string, sizes []byte, at uint16, lead uint32, limit uint16) {
		cut := int(at) % len(secret)
		if cut == 0 {
			cut = 1
		}
		if Clean(secret[:cut]+inside+secret[cut:]) != secret || strings.ContainsAny(inside, "S3V4\r") {
			t.Skip() // it is visible, or removes what is beside it
		}
		in := []byte(strings.Repeat("z\n", int(lead%(2*overlap))/2) + "begin " + secret[:cut] + inside + secret[cut:] + " end\n")
		c := NewCapture(int(limit), r)
		for n := 0; len(in) > 0; n++ {
			size := len(in)
			if len(sizes) > 0 && len(in) < 2000 {
				size = min(int(sizes[n%len(sizes)])+1, len(in))
			} else if len(in) >= 2000 {
				size = len(in) - 1000
			}
			_, _ = c.Write(in[:size])
			in = in[size:]
		}
		text := c.Text()
		require.LessOrEqual(t, len(text), int(limit))
		requireClean(t, text)
		for _, c := range "S3V4" {
			require.NotContains(t, withoutGap(text), string(c))
		}
	})
}

func withoutGap(s string) string {
	if head, _, tail, ok := splitGap(s); ok {
		return head + tail
	}
	return s
}

// FuzzRedactFragments joins what the finders look for in ways that nobody writes. It must not panic, and masking twice must
// change nothing.
func FuzzRedactFragments(f *testing.F) {
	fragments := []string{
		"token", "password", "key", "value", "name", "cookie", "Authorization", "Bearer ", "curl -u ", "--token", "https://", "bob:", "x", "T", "1", "_", "$", "-", ".",
		"=", ":", "==", ":=", " ", "\n", `\n`, `"`, "'", ",", ";", "&", "@", "|", "/", "\\", "(", ")", "[", "]", "{", "}", "<", ">", "<token>", "</token>", "%3D", " string ",
		masked, random, "hunter2", " ghp_" + alnum + " ", "sk-", "eyJ", ":AA", "8Q~", beginOfKey, endOfKey, keyLine1, keyLast,
		strings.Repeat("A1b/", 250), strings.Repeat("a ", 600), "&quot;", "%22", "**", "Some(", "echo ", "|chpasswd", "insert into t (", " values (", "@tcp(", " for ", "user: ", "pass",
		`invalid port ":`, "login ",
		"kind: Secret\n", "data:\n", "  ", "- ", "</name><value>", "auth", "tokens", "PASSWORD", "#define ", "!!str ", "requirepass ", "password 7 ", "[]", "is ", "unseal key 1", "0x",
		"-p", "-P", "mysql bcp ", "→ ", "smbclient ", " //h/s ", `" a1="`, `, "PASS `, `\r\n"`, "mc alias set ", "select ", "_pat", "Hunter22",
		"-u", "<<<", "printf",
		"[input_value=", ", input_type=", "...", "input", `{"loc":["body","token"]`, "  ", "invalid value: ", "rejected value [", "];", " for ", "argument ", "(got ", `"token" [1]: `, "token(value=", "TOKEN: ", "token: Token { value: ", "Some(Token(", "Token { id: 5, ", "#<Token ", "object(Secret)#2 {", " Object\n(", "bless( {", "password: ", "Basic Ym9iOng=", "passwords:map[", `"a":"`, `\n  `, "web-1  | ", "  1\t", "E   ", "│ ", " │\n", "a.go:12:", "parameters: (", "?", "$2", " (default: ", "-c ", "\n└ ", "│ ", "map[string]T{", "{a: ", "sha1", hex40, `token_last_eight":"` + hex40[32:],
	}
	f.Add([]byte{0, 19, 47, 21, 10, 47})
	f.Add([]byte{54, 55, 56, 57, 54, 23, 56, 55})
	r := New("Sup3r+S3cret/V4lue")
	f.Fuzz(func(t *testing.T, picks []byte) {
		var b strings.Builder
		for _, p := range picks[:min(len(picks), 40)] {
			b.WriteString(fragments[int(p)%len(fragments)])
		}
		once, _ := r.maskAll(b.String(), 0, &foundValues{}) // which may not panic
		require.Equal(t, once, r.Redact(once), "masking twice")
		require.NotContains(t, once, " ghp_"+alnum)
	})
}
