package redact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// linear returns a size of texts, and the processor time that none of them takes: generous, as quadratic time would be minutes. A sample finds
// the quadratic times that take 32 times the limit for a text of full size.
func linear(limit time.Duration) (size int, most time.Duration) {
	if testhost.Full() {
		return 1 << 20, limit
	}
	return 64 << 10, limit / 8
}

// A text in which each key is followed by a value that reaches far and is no secret, or by one of which only the start is.
func TestNestedValuesAreLinear(t *testing.T) {
	size, most := linear(8 * time.Second)
	alike := strings.Repeat("a1", 1000)
	var values strings.Builder
	for n := range 16 {
		fmt.Fprintf(&values, "password=%s%dx\n", alike, n)
	}
	texts := map[string]string{"values with the same start": values.String() + strings.Repeat("a1", size/2)}
	for _, unit := range []string{
		"+ echo a1b2c3\n+ chpasswd\n", "printf % a|chpasswd ", "/v token /d ",
		"authorization: bearer ", "Authorization: Bearer [masked]", "cookie: ${ ", "token=${", "token={{", "key=/", "pwd=/", "token=/a",
		"https://a:b", "password = ", "token(", "Authorization: x [masked]",
		"value=", `"name": "token", "a":1,`, "<a:token b=", `token='{{ '\''`, "ENV token ", "'--token',", "create user password '", "cookie: ok ",
		"&quot;token&quot;:&quot;{{ ", "token%22%3A%22", "a:b@tcp(", "echo a | chpasswd", "password for a: ", "password is generated for a1:\n", "| token | a1", "> PASS ",
		"(token, values (", "insert into (token,", `'http://a:`, `invalid port ":x`, "login \n password ",
		"**token** ", "token: Some(\n", "user: pass: ", "missing token: a ", "$6$", "auth plain ",
		"kind: Secret data:\n", "kind: Secret\n", "data: {\"a\":", "token:\n  a: b\n", "<name>token</name>", "tokens: [a1b2c3, ", "- tokens:\n- a1b2c3\n", "PRIVATE%20KEY", "/token", "auth=(\"a\", \"", "password 7 ", "\"name=\"token\">", "[\"token\",", "get token: a ", "TOKEN=a \"",
		strings.Repeat("Ab1/", 20) + "-----END PRIVATE " + "KEY-----\n", "x:" + strings.Repeat("Ab1/", 20) + "\n-----END PRIVATE " + "KEY-----\n", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpN\n", "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpN", `-----BEGIN PRIVATE ` + `KEY-----\n"`, "-----BEGIN PRIVATE " + "KEY-----Ab1 ",
		"token (a): a1b2c3 ", "token is a1b2c3 ", `Private-Lines: \n"`, "Version: Private-Lines: \n", "web | -----BEGIN PRIVATE " + "KEY-----\ndb | x\ndb | y\n",
		"%40", "https%3A%2F%2Fa%40", "sed ", "sed s/", "s/TOKEN/", "UGFzc3dvcmQ6 ", "UGFzc3dvcmQ6\n", "://:x", `:\/\/a:`, "token: bearer ", "(token,", "(token -> ",
		"-u=:", "curl:-u=${", "curl:-b:", "mongo:-p=${", "<", "chpasswd<<<${", "printf:|chpasswd|", "{token,$", "password=" + strings.Repeat("a1", 35) + "b\n", `kind: Secret` + "\n" + strings.Repeat(`,"data":`, 1000),
		"token\n  [input_value='a', input_type=", "[input_value={'a...', input_type=x ", `{"value":"a",`, `"input":"a",`, "input:", "sha1:", "sha1:token_last_eight:", "{loc:token,input:", "value:\"input:", "{a:b,input:", "value:'\\", `"value":"a",{`, "'token' value \"a\" ", "value 'a' for ", `value \"a `, "rejected value [a ", "(got 'a", "'a'\n\nFailed validating token ", `"sha1":"a",`, "sha1: a token_last_eight ", `"token" [1`, `"token" [1]: "`, `"token" [1]: {{ `, `: invalid url: "a" `, `token=(a="x`, `token=(a='`, "token={a: ", "token: Token { a: ", "token={a: 'x ", `token=a_token="x`, `token=A_TOKEN: "`, "token=a_token: ", `token=(a_token=\"`, "token: Some(", "token:{a:", "token: {a {", "password {", "token: [", "token=#<a ", "token=>object(a){", "token=>A Object\n(", "token: { value: ", "basic Ym9iOng", "passwords:map[", "passwords={a: ", "tokens:[]a{", "tokens: {a: {", "passwords: [", " token:\n- a\n+ b\n", "1: token\n2-  a\n", "[a] token:\n", "#1 0.1 token:\n", `"\n`, `"token\": \"a`, "a | token: {\n", "  1\ttoken:\n", "a:1: token\n", "a-1-", strings.Repeat("a-", 2000) + "1-x\n", "-1-2-3-:", "a.b:  token:\na.b-    x\n", `["-a","+b",`, `[["- `, `["-a","+token:\n",`, "-token:\n+\n\n", "│ token ", "E   token:\n", `"\\\n`, "password=? ", "a (password) values (?) parameters: (", "  --token (default: {{ ", "--token default ", "token\n└ {{ ", "│└ ", "token=>Array\n(", "token: (a) {", "passwords=([a]", `'TOKEN='\''x`, ",a,token\n", "token: {:a", "[ ", "Basic Ym9i:",
		"web | Private-Lines: \nx\n", "web | " + strings.Repeat("Ab1/", 20) + "\nx\nweb | -----END PRIVATE " + "KEY-----\nx\n",
	} {
		texts[unit] = strings.Repeat(unit, size/len(unit))
	}
	for name, text := range texts {
		took := testhost.CPUTime(func() { _ = New().Redact(text) })
		t.Log(name, took.Round(time.Millisecond))
		require.Less(t, took, most, name)
	}
}
