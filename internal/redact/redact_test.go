package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// Tokens are concatenated, so that no scanner reports them as leaked.
const (
	hex40  = "0123456789abcdef" + "0123456789abcdef01234567"
	pem    = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEowIBAAKCAQEA\nabcdEFGH0123+/==\n-----END RSA PRIVATE " + "KEY-----"
	jwt    = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	random = "k7Qm2xW9pL4z" + "R8vN"
	alnum  = "abcdEFGH0123abcdEFGH0123abcdEFGH0123"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		// headers
		"Authorization: Bearer x":                                        "Authorization: Bearer [masked]",
		"> authorization: token x\n< 401":                                "> authorization: token [masked]\n< 401",
		"Authorization: Basic Ym9iOmh1bnRlcjI=":                          "Authorization: Basic [masked]",
		"Authorization: abc def":                                         "Authorization: [masked]",
		"Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=c\nx": "Authorization: [masked]\nx",
		"Authorization: Digest username=\"bob\", response=\"abc\"\nx":    "Authorization: [masked]\nx",
		"Proxy-Authorization: Basic abc":                                 "Proxy-Authorization: Basic [masked]",
		`{"Authorization": "Bearer abc", "x": 1}`:                        `{"Authorization": "Bearer [masked]", "x": 1}`,
		`{"Authorization":["token abc"],"x":1}`:                          `{"Authorization":["token [masked]"],"x":1}`,
		`{\"Authorization\": \"Bearer abc\", \"x\": 1}`:                  `{\"Authorization\": \"Bearer [masked]\", \"x\": 1}`,
		`curl -H 'Authorization: Bearer abc' https://x.example`:          `curl -H 'Authorization: Bearer [masked]' https://x.example`,
		`curl -H "Authorization: custom a b" https://x.example`:          `curl -H "Authorization: [masked]" https://x.example`,
		"map[Accept:[*/*] Authorization:[Bearer abc] Host:[x]]":          "map[Accept:[*/*] Authorization:[Bearer [masked]] Host:[x]]",
		`req.Header.Set("Authorization", "Bearer abc")`:                  `req.Header.Set("Authorization", "Bearer [masked]")`,
		"Cookie: session=abc; other=def\nx":                              "Cookie: [masked]\nx",
		"X-Api-Key: abc-def":                                             "X-Api-Key: [masked]",
		"PRIVATE-TOKEN: a1b2c3":                                          "PRIVATE-TOKEN: [masked]",
		"sent Bearer " + alnum + " to x":                                 "sent Bearer [masked] to x",
		// URLs
		"https://user:pass@host/path":                    "https://[masked]@host/path",
		"https://user:p@ss@host/path":                    "https://[masked]@host/path",
		"postgres://user:pa/ss@host:5432/db x":           "postgres://[masked]@host:5432/db x",
		"redis://:pass@host:6379":                        "redis://[masked]@host:6379",
		"fatal: 'https://bob:x@y.example/r.git/' failed": "fatal: 'https://[masked]@y.example/r.git/' failed",
		`https:\/\/bob:x@y.example\/r`:                   `https:\/\/[masked]@y.example\/r`,
		"https://x.example/?token=abc&n=1":               "https://x.example/?token=[masked]&n=1",
		"https://x.example/?access_token=abc#f":          "https://x.example/?access_token=[masked]",
		"https://x.example/a?n=1&sig=ab%2Bcd&x=y":        "https://x.example/a?n=1&sig=[masked]&x=y",
		"next=%2Fx%3Ftoken%3Dabc":                        "next=%2Fx%3Ftoken%3D[masked]",
		// private keys
		"a\n" + pem + "\nb":                                   "a\n[masked]\nb",
		strings.ReplaceAll(pem, "\n", `\n`):                   "[masked]",
		strings.ReplaceAll(pem, "RSA ", "OPENSSH "):           "[masked]",
		strings.ReplaceAll(pem, "RSA PRIVATE", "PRIVATE"):     "[masked]",
		strings.ReplaceAll(pem, "KEY-----", "KEY BLOCK-----"): "[masked]",
		"a\n" + pem[:60]:                                      "a\n[masked]",
		pem[44:] + "\nb":                                      "[masked]\nb", "log line\n" + pem[32:] + "\nb": "log line\n[masked]\nb",
		"07:04 " + strings.ReplaceAll(pem, "\n", "\n07:04 "):           "07:04 [masked]",
		"x y\n07:04 " + strings.ReplaceAll(pem[32:], "\n", "\n07:04 "): "x y\n07:04 [masked]",
		// token shapes
		"ghp_" + alnum + ".": "[masked].", "id abc8Q~" + alnum[:34] + ".": "id [masked].", "x=gho_" + alnum: "x=[masked]", "ghs_" + alnum: "[masked]", "ghu_" + alnum: "[masked]", "ghr_" + alnum: "[masked]",
		"github_pat_" + alnum + "_" + alnum: "[masked]", "(glpat-" + alnum + ")": "([masked])", "xox" + "b-123456789012-abcdef": "[masked]",
		"key AKIA" + "ABCDEFGHIJKLMNOP,": "key [masked],", "ASIA" + "ABCDEFGHIJKLMNOP": "[masked]", "AIza" + alnum: "[masked]",
		"sk-" + alnum: "[masked]", "sk-proj-" + alnum + "_x": "[masked]", "'sk-ant-" + "api03-" + alnum + "-AA'": "'[masked]'", `\nsk-ant-` + alnum: `\n[masked]`,
		"npm_" + alnum: "[masked]", "pypi-AgEIcHlwaS5vcmc" + alnum: "[masked]", "sk_live_" + alnum: "[masked]", "jwt " + jwt + " x": "jwt [masked] x",
		"https://hooks.slack.com/services/T000/B000/abcdef": "https://[masked]", `\nghp_` + alnum: `\n[masked]`,
		"https://hc-ping.com/123e4567-e89b-12d3-a456-426614174000/fail":        "https://[masked]/fail",
		`Post "http://127.0.0.1:9753/ping/` + hex40 + `/odilo/1?rid=2": EOF`:   `Post "http://127.0.0.1:9753[masked]/odilo/1?rid=2": EOF`,
		"GET https://hc.example.org/ping/123e4567-e89b-12d3-a456-426614174000": "GET https://hc.example.org[masked]",
		// Gitea's tokens
		"token " + hex40: "token [masked]", "TOKEN=" + hex40: "TOKEN=[masked]", "?access_token=" + hex40: "?access_token=[masked]", "token: " + hex40: "token: [masked]",
		"using Token  " + hex40 + " now": "using Token  [masked] now",
		// assignments
		"password=hunter2":                      "password=[masked]",
		"DB_PASSWORD2=hunter2 x":                "DB_PASSWORD2=[masked] x",
		"export GITEA_TOKEN='a b c'":            "export GITEA_TOKEN='[masked]'",
		"SECRET_KEY=abc":                        "SECRET_KEY=[masked]",
		"SECRET_KEY_BASE = abc":                 "SECRET_KEY_BASE = [masked]",
		"aws_secret_access_key = abc/def+ghi":   "aws_secret_access_key = [masked]",
		"AWS_SECRET_ACCESS_KEY=wJalr/K7MDENG":   "AWS_SECRET_ACCESS_KEY=[masked]",
		"api_key: abc123":                       "api_key: [masked]",
		"apiKey := \"abc\"":                     "apiKey := \"[masked]\"",
		`"token": "abc"`:                        `"token": "[masked]"`,
		`"token" : "a\"b", "n": 1`:              `"token" : "[masked]", "n": 1`,
		`{"clientSecret":"abc","n":1}`:          `{"clientSecret":"[masked]","n":1}`,
		`{\"password\":\"abc\",\"n\":1}`:        `{\"password\":\"[masked]\",\"n\":1}`,
		`{'passwd': 'a', 'x': 'b'}`:             `{'passwd': '[masked]', 'x': 'b'}`,
		`:password => "a"`:                      `:password => "[masked]"`,
		`config["password"] = "a"`:              `config["password"] = "[masked]"`,
		"{User:bob Password:hunter2 Host:x}":    "{User:bob Password:[masked] Host:x}",
		"password=a&b,c;d x":                    "password=[masked] x",
		"password=a,user=b":                     "password=[masked],user=b",
		"password='never closed\nx":             "password='[masked]\nx",
		"//registry.npmjs.org/:_authToken=abc":  "//registry.npmjs.org/:_authToken=[masked]",
		`"auth": "Ym9iOmh1bnRlcjI="`:            `"auth": "[masked]"`,
		"tool --token abc --verbose":            "tool --token [masked] --verbose",
		"tool --api-key='a b'":                  "tool --api-key='[masked]'",
		"curl -u bob:hunter2 https://x.example": "curl -u [masked] https://x.example",
		"AccountName=a;AccountKey=abc==;End=x":  "AccountName=a;AccountKey=[masked];End=x",
		"passphrase: correct horse":             "passphrase: [masked] horse",
		"dbpass=a":                              "dbpass=[masked]", "dbPass: a": "dbPass: [masked]", "user=bob pass=hunter2": "user=bob pass=[masked]",
		"DB_PWD=hunter2":       "DB_PWD=[masked]",
		`\npassword=x\ny`:      `\npassword=[masked]\ny`,
		"password=[masked]abc": "password=[masked]",
	} {
		t.Run(in, func(t *testing.T) {
			got := (*Redactor)(nil).Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, want, New().Redact(got), "masking twice")
		})
	}
}

func TestRedactHarmless(t *testing.T) {
	for _, s := range []string{
		"", "an ordinary line", "commit " + hex40, "HEAD is now at 0123456 fix", "Merge " + hex40 + " into main",
		"sha256:" + strings.Repeat("0123456789abcdef", 4), "id 123e4567-e89b-12d3-a456-426614174000",
		`"integrity": "sha512-` + alnum + alnum + `=="`, "h1:" + alnum + "=", "https://host/path?x=1#y", "http://[::1]:80/x",
		"https://proxy.golang.org/github.com/x/y/@v/v1.2.3.info", "ssh://git@git.example.org/a/b.git", "git@git.example.org:a/b.git",
		"mail bob@x.example, see https://x.example", "max_tokens=4096 total_tokens: 1234", "used 512 tokens", "token_count: 5", "max_token: 4096",
		"tokenizer=bert", "TOKEN_FILE=/etc/adfbot/token", "SECRET_NAME=foo", "unexpected token: foo", "syntax error: unexpected token: }",
		"Invalid token: expected a string", "token=", `"token": ""`, `"token": null`, "password: null", "GITEA_TOKEN=${GITEA_TOKEN}",
		"GITEA_TOKEN=$GITEA_TOKEN", "password: ******", "token: <none>", "password={{ .Password }}", "--- PASS: TestFoo (0.00s)", "pass: 12 fail: 0",
		"tests_pass=12", "PWD=/home/adf", "OLDPWD=/", "bypass: yes", "compass=north", "authorization failed", "authentication: ok",
		"primary_key=id", "public_key: abc", "monkey=1", "keyboard: us", "task-0123456789abcdefghijkl", "sk-learn-model-version-2", "desk-" + alnum[:20],
		"pypi-mirror-server-config-files", "npm_config_registry=https://registry.npmjs.org", "npm_lifecycle_event=build", "AKIAFOO", "eyJhbGciOiJIUzI1NiJ9",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "the private key was not found",
		"docker run -u 1000:1000 x", "error[E0308]: mismatched types\n  --> src/main.rs:14:5", "token limit exceeded: 8192", "bearer token missing",
		"signature=abc", "gpg: Good signature: x", "auth: none", "auth: true", "cookies: 3", "[masked]", "Authorization: [masked]", "https://[masked]@host",
		"2026-11-23T07:04:05Z INFO starting", "secret/data/foo", "secrets: inherit",
	} {
		require.Equal(t, s, (*Redactor)(nil).Redact(s))
	}
}

func TestKnownValue(t *testing.T) {
	const v = `pa$s/w+rd"<&>` + "\tü\\x"
	r := New(" "+v+"\n", "abc", "", "mask")
	quoted, err := json.Marshal(v)
	require.NoError(t, err)
	var plain strings.Builder
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(v))
	for _, in := range []string{v, url.QueryEscape(v), url.PathEscape(v), html.EscapeString(v), strings.ToLower(url.QueryEscape(v)), string(quoted), plain.String()} {
		require.NotContains(t, r.Redact("x "+in+" y"), "w+rd", in)
		require.Contains(t, r.Redact("x "+in+" y"), masked, in)
	}
	require.Equal(t, `x='[masked]'`, New("it's a secret").Redact(`x='it'\''s a secret'`))
	require.Equal(t, "x [masked] [masked] y", r.Redact(fmt.Sprintf("x %x %[1]X y", v)))
	for n := range 7 {
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			in := enc.EncodeToString([]byte("bob:xyz"[:n] + v + "."))
			out := r.Redact(in)
			require.Contains(t, out, masked, in)
			require.Less(t, len(strings.ReplaceAll(out, masked, "")), 16, in)
		}
	}
	require.Equal(t, " is shown", capture(99, New("a-secret-value"), "\x1b[0;0a-secret-value is shown")[len(masked):],
		"a value that lost its start to a broken escape sequence")
	require.Equal(t, "abc mask", r.Redact("abc mask"), "values that are too short, or part of [masked]")
	require.Equal(t, "s3cret x [masked]", New("s3cretlong").Redact("s3cret x s3cretlong"))
	require.Equal(t, "[masked]!", New("abcd1234", "1234wxyz").Redact("abcd1234wxyz!"), "two that overlap")
	require.Equal(t, "[masked]!", New("abcd", "abcdefgh").Redact("abcdefgh!"), "one in another")
}

func TestKnownLines(t *testing.T) {
	r := New("first-line-of-it\r\nsecond-line-of-it\r\nx\r\n")
	require.Equal(t, "[masked]", r.Redact("first-line-of-it\nsecond-line-of-it\nx"))
	require.Equal(t, "07:04 [masked]\n07:05 [masked]\n07:06 x", r.Redact("07:04 first-line-of-it\n07:05 second-line-of-it\n07:06 x"))
}

func TestLearnConcurrent(t *testing.T) {
	r := New("secret-value")
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			r.Learn(fmt.Sprintf("rotated-value-%d", n))
			require.Equal(t, "[masked] and [masked]", r.Redact(fmt.Sprintf("secret-value and rotated-value-%d", n)))
		})
	}
	wg.Wait()
	for n := range 8 {
		require.Equal(t, "[masked]", r.Redact(fmt.Sprintf("rotated-value-%d", n)))
	}
	(*Redactor)(nil).Learn("a nil one learns nothing")
}

func TestRedactIsLinear(t *testing.T) {
	size, most := linear(20 * time.Second)
	r := New("hunter2-and-more", "another value of it")
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, in := range map[string]string{
		"binary": testhost.Noise(20 * size), "log": strings.Repeat(fill("2026-11-23T07:04:05Z INFO step=12 path=/a/b/c took 12ms url=https://x.example/a\n"), 20),
		"equals": fill("="), "colons": fill("://"), "userinfo": fill("://a:"), "keys": fill("password"), "assignments": fill("password="),
		"quotes": fill("password=\""), "begins": fill("-----BEGIN PRIVATE KEY-----"), "ends": fill("-----END PRIVATE KEY-----\n"),
		"ends in one line": fill("-----END PRIVATE KEY-----"), "a key of escapes": "-----BEGIN PRIVATE KEY-----" + fill(`\n`),
		"one word": fill("a"), "base64": fill("eyJ"), "blanks": fill("token  "), "masked": fill("[masked]"), "curl": fill("curl -u "),
		"lines and an end": fill("abcdefghijklmnopqrst\n") + "-----END PRIVATE KEY-----", "headers": fill("authorization:["), "dashes": fill("sk-"), "dots": fill("AZDO"), "colons and digits": fill("1:AA"), "equal signs": fill("==:"),
		"arguments": fill("htpasswd -b '"), "lists": fill("'htpasswd', '-b', "), "terms": fill(`{password, "\`), "maps": fill(`"tokens":{"a":"b",`), "blocks": fill(" tokens:\n"), "ports": fill("5432:"),
		"asterisks": fill("*:"), "cells": fill("<td>token</td>"), "here": fill("passwd <<<"), "logins": fill("vault login "), "users": fill("-u a -p "),
		"here-documents": fill("token<<EOT\n"), "runner commands": fill("::add-mask::{"), "clauses": fill("IDENTIFIED WITH x BY '"), "codes": fill("?code="),
		"headings": fill("a  password\n"), "columns": strings.Repeat("password  ", 19) + "\n" + fill(strings.Repeat("a  ", 19)+"\n"), "many columns": fill("password\t\n"),
		"seeds": fill("seed: abc "), "seed words": "seed: " + fill("abcd "), "cookies": fill("\tTRUE\t/\tTRUE\t1\ta\t"), "duplicates": fill("Duplicate entry 'a"),
		"inputs": fill(`<input type="password" a `), "IMAP": fill("a1 LOGIN 'a "), "printf": fill("printf 'a"), "slashes": fill("credentials a / "),
		"shares": fill("smbclient '"), "arrows": fill("token → "), "applied": fill("password("), "audit": fill(`"--token" a1=`),
		"elements": fill("<token>"), "names": fill("token name value "), "calls": fill(`token("`), "types": fill("token a "), "lines": fill("token:\n"), "escapes": fill(`\"password\":\"`),
	} {
		took := testhost.CPUTime(func() { _ = r.Redact(in) })
		t.Log(name, took.Round(time.Millisecond))
		require.Less(t, took, most, name)
	}
}

// git quotes an exclamation mark apart, in its own trace.
func TestValueThatGitQuotes(t *testing.T) {
	const trace = `trace: run_command: MYPW='hunter'\!'two three' sh -c 'echo x'`
	require.Equal(t, `trace: run_command: MYPW='[masked]' sh -c 'echo x'`, New("hunter!two three").Redact(trace))
}
