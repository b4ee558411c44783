package redact

import (
	"encoding/base64"
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
