package redact

import (
	"encoding/base64"
	encpem "encoding/pem"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A key of several lines, put together so that no scanner reports it.
const (
	beginOfKey = "-----BEGIN RSA PRIVATE " + "KEY-----"
	endOfKey   = "-----END RSA PRIVATE " + "KEY-----"
	keyLine1   = "MIIEowIBAAKCAQEAx3Vq9+0fJ7/dWc2sHn5yKTb8LmR4gUpZo1aXeQi6jDwN0tYv"
	keyLine2   = "r8SkP2hBzC/mF5uJ+eG9qVxLtOy3wAaIn7RdMf4ZsK1bXHcTg6jUoWlE0pQvNiYD"
	keyLast    = "Zk3vB1Qp=="
)

// The end of a key follows a line that is longer than maxLine.
func TestKeyEndAfterLongLine(t *testing.T) {
	for n := range 8 {
		for _, before := range []string{"", "\n", `\n`, "a b\n"} {
			got := New().Redact(before + strings.Repeat("Ab1/", maxLine/4) + "AAAAAAAA"[:n] + endOfKey)
			require.Contains(t, got, masked)
			require.Less(t, len(got), 24, got)
		}
	}
}

func TestKeyBlockEnds(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"no key follows":        {"grep: " + beginOfKey + "\nFAIL TestX\nFAIL\nexit 1", "grep: " + beginOfKey + "\nFAIL TestX\nFAIL\nexit 1"},
		"in an error message":   {`no "` + beginOfKey + `" in key.pem` + "\nFAIL", `no "` + beginOfKey + `" in key.pem` + "\nFAIL"},
		"a test's name":         {beginOfKey + "\nFAIL: TestRedactHarmlessOutputs\nok", beginOfKey + "\nFAIL: TestRedactHarmlessOutputs\nok"},
		"a path":                {beginOfKey + "\n/usr/lib/python3/packages/requests/sessions\nok", beginOfKey + "\n/usr/lib/python3/packages/requests/sessions\nok"},
		"both in one line":      {"sed -n '/" + beginOfKey + "/,/" + endOfKey + "/p' x\nFAIL", "sed -n '/" + beginOfKey + "/,/" + endOfKey + "/p' x\nFAIL"},
		"END alone":             {"--- FAIL: TestReadsPrivateKeys\nno " + endOfKey + "\nFAIL", "--- FAIL: TestReadsPrivateKeys\nno " + endOfKey + "\nFAIL"},
		"END at once":           {beginOfKey + endOfKey + "\nFAIL", beginOfKey + endOfKey + "\nFAIL"},
		"PuTTY":                 {"Private-Lines: 2\n" + keyLine1 + "\n" + keyLast + "\nPrivate-MAC: 12\nFAIL", "Private-Lines: 2\n[masked]\nPrivate-MAC: 12\nFAIL"},
		"two hits":              {"a: " + beginOfKey + "\nx y\nb: " + endOfKey + "\nFAIL", "a: " + beginOfKey + "\nx y\nb: " + endOfKey + "\nFAIL"},
		"cut in a key":          {beginOfKey + "\n" + keyLine1 + "\n" + keyLine2 + "\nFAIL\nok", "[masked]\nFAIL\nok"},
		"cut after its end":     {beginOfKey + "\n" + keyLine1 + "\n" + keyLast + "\nFAIL\nok", "[masked]\nFAIL\nok"},
		"cut in a line":         {beginOfKey + "\n" + keyLine1 + "\n" + keyLine2[:30] + "\nFAIL\nok", "[masked]\nFAIL\nok"},
		"cut with dots":         {beginOfKey + "\n" + keyLine1 + "\n" + keyLine2[:30] + "...\nFAIL\nok", "[masked]...\nFAIL\nok"},
		"cut with an ellipsis":  {"x: " + beginOfKey + "\nx: " + keyLine1[:40] + "… (9 more)\nFAIL", "x: [masked]… (9 more)\nFAIL"},
		"cut and quoted":        {`x = "` + beginOfKey + "\n" + keyLine1 + "\n" + keyLine2[:20] + "...\"\nFAIL", `x = "[masked]..."` + "\nFAIL"},
		"headers":               {beginOfKey + "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123\n\n" + keyLine1 + "\nFAIL", "[masked]\nFAIL"},
		"headers and END":       {beginOfKey + "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123\n\n" + keyLine1 + "\n" + keyLast + "\n" + endOfKey + "\nFAIL", "[masked]\nFAIL"},
		"prefixes":              {"7:04 " + beginOfKey + "\n7:05 " + keyLine1 + "\n7:05 FAIL\n7:06 ok", "7:04 [masked]\n7:05 FAIL\n7:06 ok"},
		"prefixes and END":      {"a | " + beginOfKey + "\na | " + keyLine1 + "\na | " + keyLast + "\na | " + endOfKey + "\na | FAIL", "a | [masked]\na | FAIL"},
		"escaped and cut":       {`{"key": "` + beginOfKey + `\n` + keyLine1 + `\n` + keyLine2 + "\nFAIL", `{"key": "[masked]` + "\nFAIL"},
		"escaped":               {`{"key": "` + beginOfKey + `\n` + keyLine1 + `\n` + endOfKey + `\n", "x": 1}`, `{"key": "[masked]\n", "x": 1}`},
		"in one line":           {"KEY=" + beginOfKey + keyLine1 + endOfKey + " x", "KEY=[masked] x"},
		"with blanks":           {"KEY=" + beginOfKey + " " + keyLine1 + " " + keyLast + " " + endOfKey + " x", "KEY=[masked] x"},
		"in source":             {"k := \"" + beginOfKey + "\\n\" +\n     \"" + keyLine1 + "\\n\" +\n     \"" + endOfKey + "\"\nFAIL", "k := \"[masked]\"\nFAIL"},
		"in a diff":             {"+" + beginOfKey + "\n+" + keyLine1 + "\n+" + keyLast + "\n+" + endOfKey + "\n FAIL", "+[masked]\n FAIL"},
		"a log line in a key":   {beginOfKey + "\n" + keyLine1 + "\n7:04 starting up\n" + keyLine2 + "\n" + endOfKey + "\nFAIL", "[masked]\n7:04 starting up\n[masked]\nFAIL"},
		"a hit, then a key":     {"x: " + beginOfKey + "\nFAIL\n" + beginOfKey + "\n" + keyLine1 + "\n" + endOfKey + "\nok", "x: " + beginOfKey + "\nFAIL\n[masked]\nok"},
		"a key, then a hit":     {beginOfKey + "\n" + keyLine1 + "\n" + endOfKey + "\nx: " + endOfKey + "\nok", "[masked]\nx: " + endOfKey + "\nok"},
		"without its beginning": {keyLine2[9:] + "\n" + keyLast + "\n" + endOfKey + "\nok", "[masked]\nok"},
	} {
		t.Run(name, func(t *testing.T) {
			got := New().Redact(c.in)
			require.Equal(t, c.want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}

// What a job prints after a mention of a key must reach the issue, also where the start of the output was left out.
func TestKeyBlockInCapture(t *testing.T) {
	long := strings.Repeat("7:04 a line of the log\n", 20_000)
	text := capture(9000, New(), long+"no "+beginOfKey+" in key.pem\n7:05 FAIL\n")
	require.True(t, strings.HasSuffix(text, "no "+beginOfKey+" in key.pem\n7:05 FAIL\n"), text[len(text)-100:])
}

// Kubernetes shows keys in base64.
func TestKeyBlockInBase64(t *testing.T) {
	for _, kind := range []string{"RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "} {
		data := base64.StdEncoding.EncodeToString([]byte("-----BEGIN " + kind + "PRIVATE " + "KEY-----\n" + keyLine1 + "\n"))
		require.Equal(t, "tls.key: [masked]\nx", New().Redact("tls.key: "+data+"\nx"), kind)
	}
	data := base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n" + keyLine1 + "\n"))
	require.Equal(t, "tls.crt: "+data, New().Redact("tls.crt: "+data))
}

// Whatever a tool puts before and after the lines of a key, no line of it stands in the output, and what follows does.
func TestKeyBlockInLines(t *testing.T) {
	each := func(format func(n int, line string) string) func(lines []string) string {
		return func(lines []string) string {
			var b strings.Builder
			for n, line := range lines {
				b.WriteString(format(n+1, line) + "\n")
			}
			return b.String()
		}
	}
	grepAfter := func(name, mark string, numbers bool) func(lines []string) string {
		return each(func(n int, line string) string {
			if n > 1 {
				mark = "-"
			}
			if numbers {
				return fmt.Sprintf("%s%s%d%s%s", name, mark, n+97, mark, line)
			}
			return name + mark + line
		})
	}
	forms := map[string]func(lines []string) string{
		"cat":         each(func(_ int, line string) string { return line }),
		"cat -n":      each(func(n int, line string) string { return fmt.Sprintf("%6d\t%s", n, line) }),
		"cat -A":      each(func(_ int, line string) string { return line + "$" }),
		"cat -A CRLF": each(func(_ int, line string) string { return line + "^M$" }),
		"grep -r":     each(func(_ int, line string) string { return "keys/k.pem:" + line }),
		"grep -rn":    each(func(n int, line string) string { return fmt.Sprintf("keys/Ab1/k:%d:%s", n+97, line) }),
		"rg":          each(func(n int, line string) string { return fmt.Sprintf("%d:%s", n, line) }),
		"grep -A":     grepAfter("k.pem", ":", false),
		"grep -nA":    grepAfter("k.pem", ":", true),
		"grep -nA -h": grepAfter("", ":", true),
		"JSON":        each(func(_ int, line string) string { return `{"level":"info","msg":"` + line + `"}` }),
		"JSON, times": each(func(n int, line string) string { return fmt.Sprintf(`{"ts":%d.5,"msg":"%s","n":%d}`, n*97, line, n) }),
		"JSON, PHP": each(func(_ int, line string) string {
			return `{"message":"` + strings.ReplaceAll(line, "/", `\/`) + `","context":{}}`
		}),
		"JSON, ids": each(func(n int, line string) string { return fmt.Sprintf(`{"id":"%x","msg":"%s"}`, n*7919*7919, line) }),
		"logfmt":    each(func(_ int, line string) string { return "level=info msg=" + line + " job=nightly" }),
		"brackets":  each(func(_ int, line string) string { return "out[" + line + "]" }),
		"tilde":     each(func(_ int, line string) string { return "~" + line }),
		"diff":      each(func(_ int, line string) string { return "-" + line }),
		"plus":      each(func(_ int, line string) string { return "+" + line }),
		"set -x":    each(func(_ int, line string) string { return "+ echo '" + line + "'" }),
		"git blame": each(func(n int, line string) string {
			return fmt.Sprintf("^1a2b3c4 (Kim 2026-11-28 07:04:05 +0100 %2d) %s", n, line)
		}),
		"git grep":    each(func(n int, line string) string { return fmt.Sprintf("HEAD:k.pem:%d:%s", n, line) }),
		"journal":     each(func(n int, line string) string { return fmt.Sprintf("Nov 28 07:%02d:05 host-1 job[12]: %s", n, line) }),
		"compose":     each(func(_ int, line string) string { return "web-1  | " + line }),
		"XML":         each(func(_ int, line string) string { return "<l>" + line + "</l>" }),
		"Python list": each(func(_ int, line string) string { return "    '" + line + "'," }),
		"quoted":      each(func(_ int, line string) string { return fmt.Sprintf("%q", line+"\n") }),
		"pytest":      each(func(_ int, line string) string { return "E         - '" + line + "',\nE         + ''," }),
		"ndiff":       each(func(_ int, line string) string { return "- '" + line + "',\n+ ''," }),
		"comment":     each(func(_ int, line string) string { return "/* " + line + " */" }),
		// The line end of each line is escaped, and more follows it.
		"Docker": each(func(n int, line string) string {
			return fmt.Sprintf(`{"log":"%s\n","stream":"stdout","time":"2026-11-28T07:04:05.%d812345Z"}`, line, n+97)
		}),
		"Docker, CRLF": each(func(n int, line string) string {
			return fmt.Sprintf(`{"log":"%s\r\n","stream":"stdout","attrs":{"tag":"Ab1cD2eF3gH4iJ5k"},"time":"2026-11-28T07:04:05.%d812345Z"}`, line, n+97)
		}),
		"Docker, JSON": each(func(n int, line string) string {
			return fmt.Sprintf(`{"log":"{\"msg\":\"%s\\n\",\"level\":\"info\"}\n","stream":"stdout","time":"2026-11-28T07:04:05.%d812345Z"}`, line, n+97)
		}),
		"rg --json": each(func(n int, line string) string {
			return fmt.Sprintf(`{"type":"match","data":{"path":{"text":"k.pem"},"lines":{"text":"%s\n"},"line_number":%d,"absolute_offset":%d,"submatches":[{"match":{"text":"%s"},"start":0,"end":9}]}}`,
				line, n, n*65, line[:1])
		}),
		"JSON, line ends":   each(func(_ int, line string) string { return `{"msg":"` + line + `\n","level":"info"}` }),
		"logfmt, line ends": each(func(n int, line string) string { return fmt.Sprintf(`level=info msg="%s\n" n=%d`, line, n) }),
		"bytes":             each(func(_ int, line string) string { return fmt.Sprintf("b'%s\\n' len=%d", line, len(line)+1) }),
		"bytes, CRLF":       each(func(_ int, line string) string { return fmt.Sprintf("b'%s\\r\\n' len=%d", line, len(line)+2) }),
		"strace": each(func(_ int, line string) string {
			return fmt.Sprintf(`write(1, "%s\n", %d) = %d`, line, len(line)+1, len(line)+1)
		}),
		"readlines":   func(lines []string) string { return "['" + strings.Join(lines, `\n', '`) + `\n'] len=3` + "\n" },
		"one literal": func(lines []string) string { return "b'" + strings.Join(lines, `\n`) + `\n'` + "\n" },
	}
	r := rand.New(rand.NewPCG(3, 4))
	for kind, size := range map[string]int{"RSA ": 1190, "": 48, "EC ": 121, "ENCRYPTED ": 1300, "OPENSSH ": 387} {
		der := make([]byte, size)
		for i := range der {
			der[i] = byte(r.Uint32())
		}
		copy(der, "0\x82\x04\xa3\x02\x01\x00\x02\x82\x01\x01\x00")
		if kind == "OPENSSH " {
			copy(der, "openssh-key-v1\x00\x00\x00\x00\x04none\x00\x00\x00\x04none\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x013\x00\x00\x00\x0bssh-ed25519")
		}
		block := encpem.EncodeToMemory(&encpem.Block{Type: kind + "PRIVATE " + "KEY", Bytes: der})
		lines := strings.Split(strings.TrimSpace(string(block)), "\n")
		for name, form := range forms {
			t.Run(kind+name, func(t *testing.T) {
				requireKeyMasked(t, form(lines), lines[1:len(lines)-1])
				if len(lines) > 4 {
					requireKeyMasked(t, form(lines[:len(lines)-2]), lines[1:len(lines)-2]) // cut before its end
				}
				if len(lines) > 4 && name != "one literal" && name != "readlines" {
					requireKeyMasked(t, form(lines[2:]), lines[2:len(lines)-1]) // its beginning was cut
				}
			})
		}
		for _, width := range []int{64, 76} {
			t.Run(fmt.Sprint(kind, "base64 ", width), func(t *testing.T) {
				encoded := base64.StdEncoding.EncodeToString(block)
				var wrapped []string
				for ; len(encoded) > width; encoded = encoded[width:] {
					wrapped = append(wrapped, encoded[:width])
				}
				wrapped = append(wrapped, encoded)
				for _, name := range []string{"cat", "cat -n", "cat -A", "grep -rn", "JSON", "compose", "quoted", "one literal", "Docker", "bytes, CRLF"} {
					requireKeyMasked(t, forms[name](wrapped), wrapped[:len(wrapped)-1])
				}
			})
		}
	}
}

// A key in the output of several processes, each of which marks its lines.
func TestKeyBlockBetweenOtherLines(t *testing.T) {
	for name, c := range map[string]struct{ mark, other string }{
		"compose":      {"web-1  | ", "db-1   | LOG:  checkpoint complete: wrote 3 buffers"},
		"kubectl":      {"[pod/web-7d4b9/app] ", "[pod/db-0/app] level=info msg=ready id=7"},
		"journal":      {"Nov 28 07:04:05 host job[12]: ", "Nov 28 07:04:06 host sshd[99]: session opened for kim"},
		"pytest":       {"E         - ", "E         + no such key"},
		"ndiff":        {"  - ", "  + no such key"},
		"without mark": {"web-1  | ", "7:04 starting up"},
	} {
		t.Run(name, func(t *testing.T) {
			in, want := "", ""
			for n, line := range []string{beginOfKey, keyLine1, keyLine2, keyLine1, keyLast, endOfKey} {
				in += c.mark + line + "\n" + c.other + "\n"
				if want += c.mark + masked + "\n" + c.other + "\n"; n == 4 {
					require.Equal(t, want+"FAIL\n", New().Redact(in+"FAIL\n"), "cut before its end")
				}
			}
			got := New().Redact(in + "FAIL\n")
			require.Equal(t, want+"FAIL\n", got)
			require.Equal(t, got, New().Redact(got), "masking twice")

			other, block := c.other+"\n", func(lines ...string) string { return c.mark + strings.Join(lines, "\n"+c.mark) + "\n" }
			for _, first := range []string{beginOfKey, keyLine2} { // its beginning may be cut
				got := New().Redact(block(first, keyLine1) + other + other + block(keyLine2, keyLast, endOfKey) + "FAIL\n")
				require.Equal(t, block(masked)+other+other+block(masked)+"FAIL\n", got)
			}
			text := block(beginOfKey) + other + block("TestReadsX509Keys", "ready") // a mention of a key
			require.Equal(t, text, New().Redact(text))
			text = block("ready", "TestReadsPrivateKeys", "TestReadsX509Keys") + other + block(endOfKey)
			require.Equal(t, text, New().Redact(text))

			text = c.mark + beginOfKey + "\n" + c.other + "\n" + c.mark + "ready\n" + c.mark + keyLine1 + "\n"
			require.Equal(t, text, New().Redact(text), "another line of the process ends the block")
		})
	}
}

// requireKeyMasked checks that no part of the lines of a key is in the masked output, and that what follows is.
func requireKeyMasked(t *testing.T, output string, key []string) {
	t.Helper()
	const part, after = 8, "--- FAIL: TestParseX509 (0.01s)\nFAIL\n"
	for _, before := range []string{"", "7:04 starting up\n"} {
		got := New().Redact(Clean(before + output + after))
		require.Equal(t, before, got[:len(before)])
		require.True(t, strings.HasSuffix(got, after), got)
		for _, line := range key {
			for i := 0; i < len(line); i += part {
				piece := line[i:min(i+part, len(line))]
				if len(piece) > 4 && strings.Contains(got, piece) {
					t.Fatalf("%q of the key stands in:\n%s", piece, got)
				}
			}
		}
	}
}

// Ordinary lines that follow a mention of a key stay.
func TestLinesAfterMentionOfKey(t *testing.T) {
	const hash = "h1:Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7cDe0fGh3="
	for _, mention := range []string{"no " + beginOfKey + " in key.pem", beginOfKey, `{"msg":"no ` + beginOfKey + ` in key.pem"}`, `{"log":"no ` + beginOfKey + ` in key.pem\n","stream":"stdout"}`,
		`{"log":"` + beginOfKey + `\n","stream":"stdout"}`, "k_test.go:12:\tconst begin = \"" + beginOfKey + `"`} {
		for _, line := range []string{
			"--- FAIL: TestParseX509KeyFails (0.00s)", "github.com/odilo/atlas v1.2.3 " + hash[:40], "ok x 0.1s", `{"msg":"done in 12ms"}`, `{"log":"read Keys1/readme\n","stream":"stdout","time":"2026-11-28T07:04:05.812345Z"}`, "k_test.go:13:\tconst end = \"x\"",
			"/home/kim/src/odilo/internal/config/testdata/Keys1/readme", "FAIL", "File \"/usr/lib/python3/site/packages/Requests/Sessions.py\", line 12",
		} {
			text := mention + "\n" + line + "\nFAIL\n"
			require.Equal(t, text, New().Redact(text))
			text = mention + "\n" + line + "\nno " + endOfKey + "\nFAIL\n"
			require.Equal(t, text, New().Redact(text))
		}
	}
}
