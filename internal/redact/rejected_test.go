package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pydantic returns the message of pydantic's ValidationError on a value at a place.
func pydantic(loc, repr string) string {
	return "1 validation error for Settings\n" + loc + "\n  Extra inputs are not permitted [type=extra_forbidden, input_value=" + repr +
		", input_type=str]\n    For further information visit https://errors.pydantic.dev/2.13/v/extra_forbidden"
}

// What programs say of a value that they do not accept.
func TestRejected(t *testing.T) {
	const cut = "'6791ce680ce2b27c8af66662...6666259bbc471fb3be24a'"
	for in, want := range map[string]string{
		// pydantic
		pydantic("gitea_token", "'hunter'"):                                                                pydantic("gitea_token", "'[masked]'"),
		pydantic("gitea_token", cut):                                                                       pydantic("gitea_token", "'[masked]'"),
		pydantic("a.b.gitea_token", `"it's hunter"`):                                                       pydantic("a.b.gitea_token", `"[masked]"`),
		pydantic("password", `'it\'s "hunter", input'`):                                                    pydantic("password", "'[masked]'"),
		pydantic("password", "12345"):                                                                      pydantic("password", "[masked]"),
		pydantic("password", "b'hunter'"):                                                                  pydantic("password", "b'[masked]'"),
		pydantic("b_password", "['a', 'hunter']"):                                                          pydantic("b_password", "[masked]"),
		pydantic("servers.0.password", "'hunter'"):                                                         pydantic("servers.0.password", "'[masked]'"),
		pydantic("tokens.0", "'"+hex40+"'"):                                                                pydantic("tokens.0", "'[masked]'"),
		pydantic("passwords.bob", "'hunter2'"):                                                             pydantic("passwords.bob", "'[masked]'"),
		pydantic("api_token.int", "'hunter'"):                                                              pydantic("api_token.int", "'[masked]'"),
		pydantic("api_token.function-after[a.check(), str]", "'hunter'"):                                   pydantic("api_token.function-after[a.check(), str]", "'[masked]'"),
		pydantic("api_token.constrained-str", "'hunter'"):                                                  pydantic("api_token.constrained-str", "'[masked]'"),
		pydantic("api_key", "'hunter'"):                                                                    pydantic("api_key", "'[masked]'"),
		pydantic("deploy_key", "'"+random+"'"):                                                             pydantic("deploy_key", "'[masked]'"),
		strings.ReplaceAll(pydantic("gitea_token", "'hunter'"), "\n", `\n`):                                strings.ReplaceAll(pydantic("gitea_token", "'[masked]'"), "\n", `\n`),
		"web-1  | " + strings.ReplaceAll(pydantic("a.token", "'hunter'"), "\n", "\nweb-1  | "):             "web-1  | " + strings.ReplaceAll(pydantic("a.token", "'[masked]'"), "\n", "\nweb-1  | "),
		"pw_password\n  Value error, bad\nthing [type=value_error, input_value='hun ter', input_type=str]": "pw_password\n  Value error, bad\nthing [type=value_error, input_value='[masked]', input_type=str]",
		"x_token\n  Bad [type=x, input_value='hunter', input_type=str]\ny\n  Bad [type=x, input_value='z1', input_type=str]": "x_token\n  Bad [type=x, input_value='[masked]', input_type=str]\ny\n  Bad [type=x, input_value='z1', input_type=str]",
		// its values that are cut
		pydantic("x", "{'gitea_token': 'hunter', 'a': 'x'}"):                  pydantic("x", "{'gitea_token': '[masked]', 'a': 'x'}"),
		pydantic("x", "{'gitea_token': '6791ce68...c471fb3be24a', 'a': 'x'}"): pydantic("x", "{'gitea_token': '[masked]', 'a': 'x'}"),
		pydantic("x", "{'a': 'x', 'b': 'yyyyyyyy...f6666259bbc471fb3be24a'}"): pydantic("x", "{'a': 'x', 'b': 'yyyyyyyy...[masked]'}"),
		pydantic("x", "{'a': 'x', 'b': 'yyyyyyyy...p_password': 'hunter'}"):   pydantic("x", "{'a': 'x', 'b': 'yyyyyyyy...p_password': '[masked]'}"),
		pydantic("x", "{'a': 'x', 'b': 'yyyyyyyy...rd': 'hunter2'}"):          pydantic("x", "{'a': 'x', 'b': 'yyyyyyyy...rd': '[masked]'}"),
		pydantic("x", `{'gitea_token': 'Some"quo...token': "it's hunter"}`):   pydantic("x", `{'gitea_token': '[masked]': "[masked]"}`),
		pydantic("x", "{'gitea_token': '6791ce68..., 'b_token': 'hunter'}"):   pydantic("x", "{'gitea_token': '[masked]'b_token': '[masked]'}"),
		// its list of errors
		`[{'type': 'extra_forbidden', 'loc': ('body', 'gitea_token'), 'msg': 'Extra inputs', 'input': 'hunter', 'url': 'x'}]`:            `[{'type': 'extra_forbidden', 'loc': ('body', 'gitea_token'), 'msg': 'Extra inputs', 'input': '[masked]', 'url': 'x'}]`,
		`{'type': 'x', 'loc': ('gitea_token',), 'msg': 'x', 'input': "it's hunter", 'ctx': {'error': ValueError('a')}}`:                  `{'type': 'x', 'loc': ('gitea_token',), 'msg': 'x', 'input': "[masked]", 'ctx': {'error': ValueError('a')}}`,
		`{'loc': ('passwords', 'bob'), 'msg': 'x', 'input': 'hunter2'}`:                                                                  `{'loc': ('passwords', 'bob'), 'msg': 'x', 'input': '[masked]'}`,
		`{'loc': ('tokens', 0), 'msg': 'x', 'input': '` + hex40 + `'}`:                                                                   `{'loc': ('tokens', 0), 'msg': 'x', 'input': '[masked]'}`,
		`{'loc': ('api_token', 'int'), 'msg': 'x', 'input': 'hunter'}`:                                                                   `{'loc': ('api_token', 'int'), 'msg': 'x', 'input': '[masked]'}`,
		`{'loc': ('password',), 'msg': 'Input should be a valid string', 'input': 12345}`:                                                `{'loc': ('password',), 'msg': 'Input should be a valid string', 'input': [masked]}`,
		`{"detail":[{"type":"x","loc":["body","gitea_token"],"msg":"m","input":"hunter","ctx":{"pattern":"^x"}}]}`:                       `{"detail":[{"type":"x","loc":["body","gitea_token"],"msg":"m","input":"[masked]","ctx":{"pattern":"^x"}}]}`,
		`{"input":"hunter","ctx":{"pattern":"^x"},"msg":"m","loc":["body","gitea_token"]}`:                                               `{"input":"[masked]","ctx":{"pattern":"^x"},"msg":"m","loc":["body","gitea_token"]}`,
		"[\n  {\n    \"loc\": [\n      \"body\",\n      \"gitea_token\"\n    ],\n    \"msg\": \"m\",\n    \"input\": \"hunter\"\n  }\n]": "[\n  {\n    \"loc\": [\n      \"body\",\n      \"gitea_token\"\n    ],\n    \"msg\": \"m\",\n    \"input\": \"[masked]\"\n  }\n]",
		`"{\"loc\":[\"body\",\"gitea_token\"],\"input\":\"hunter\"}"`:                                                                    `"{\"loc\":[\"body\",\"gitea_token\"],\"input\":\"[masked]\"}"`,
		`[{"loc":["a_token"],"input":"hunter"},{"loc":["b"],"input":"x1"}]`:                                                              `[{"loc":["a_token"],"input":"[masked]"},{"loc":["b"],"input":"x1"}]`,
		// fields of other lists of errors
		`{"type":"field","value":"hunter","msg":"Invalid value","path":"password","location":"body"}`:                  `{"type":"field","value":"[masked]","msg":"Invalid value","path":"password","location":"body"}`,
		`{"msg":"Invalid value","param":"api_token","location":"body","value":"hunter"}`:                               `{"msg":"Invalid value","param":"api_token","location":"body","value":"[masked]"}`,
		"ValidationError {\n  target: User { a: 'x' },\n  value: 'hunter',\n  property: 'password',\n  children: [] }": "ValidationError {\n  target: User { a: 'x' },\n  value: '[masked]',\n  property: 'password',\n  children: [] }",
		`context: { limit: 50, value: 'hunter', label: 'API_TOKEN', key: 'API_TOKEN' }`:                                `context: { limit: 50, value: '[masked]', label: 'API_TOKEN', key: 'API_TOKEN' }`,
		`{"field":"apiToken","objectName":"x","rejectedValue":"hunter","code":"Size"}`:                                 `{"field":"apiToken","objectName":"x","rejectedValue":"[masked]","code":"Size"}`,
		`{"received":"hunter","code":"invalid_enum_value","options":["a","b"],"path":["token"],"message":"m"}`:         `{"received":"[masked]","code":"invalid_enum_value","options":["a","b"],"path":["token"],"message":"m"}`,
		`[{ path: [ 'password' ], input: 12345, message: 'x' }]`:                                                       `[{ path: [ 'password' ], input: [masked], message: 'x' }]`,
		"loc: [password]\ninput: hunter\n":                                                                             "loc: [password]\ninput: hunter\n",
		"{\n  loc: [password],\n  input: hunter\n}":                                                                    "{\n  loc: [password],\n  input: [masked]\n}",
		`{"received":"object1","code":"invalid_enum_value","path":["token"],"message":"m"}`:                            `{"received":"[masked]","code":"invalid_enum_value","path":["token"],"message":"m"}`,
		`{"instancePath":"/api_token","schemaPath":"#/x","message":"must match","value":"hunter"}`:                     `{"instancePath":"/api_token","schemaPath":"#/x","message":"must match","value":"[masked]"}`,
		// what Joi.assert shows: the object, with the numbers of the errors behind the keys
		"{\n  \"HOME\": \"/x\",\n  \"SMTP_PASSWORD\" [2]: \"hunter\",\n  \"API_TOKEN\" [1, 3]: \"hunter1\"\n}": "{\n  \"HOME\": \"/x\",\n  \"SMTP_PASSWORD\" [2]: \"[masked]\",\n  \"API_TOKEN\" [1, 3]: \"[masked]\"\n}",
		"  \"API_TOKEN\" \x1b[31m[1]\x1b[0m: \"hunter\"":                                                       "  \"API_TOKEN\" \x1b[31m[1]\x1b[0m: \"[masked]\"",
		`{"msg":"{\n  \"API_TOKEN\" \u001b[31m[1]\u001b[0m: \"hunter\"\n}"}`:                                   `{"msg":"{\n  \"API_TOKEN\" \u001b[31m[1]\u001b[0m: \"[masked]\"\n}"}`,
		`Error: '{\n  "API_TOKEN" \x1B[31m[1]\x1B[0m: "hunter",\n  "a" [2]: 1\n}`:                              `Error: '{\n  "API_TOKEN" \x1B[31m[1]\x1B[0m: "[masked]",\n  "a" [2]: 1\n}`,
		`  "password" [1]: 12345`: `  "password" [1]: [masked]`,
		// sentences
		`"API_TOKEN" with value "hunter" fails to match the required pattern: /^x/`: `"API_TOKEN" with value "[masked]" fails to match the required pattern: /^x/`,
		`{"msg":"\"API_TOKEN\" with value \"hunter\" fails to match"}`:              `{"msg":"\"API_TOKEN\" with value \"[masked]\" fails to match"}`,
		"    API_TOKEN: Invalid url input: \"hunter\"":                              "    API_TOKEN: Invalid url input: \"[masked]\"",
		`DB_PASSWORD: Invalid url: "hunter"`:                                        `DB_PASSWORD: Invalid url: "[masked]"`, `A_SECRET: EnvError: Invalid json: "hunter"`: `A_SECRET: EnvError: Invalid json: "[masked]"`, `SMTP_PASSWORD: Invalid email address: "hunter"`: `SMTP_PASSWORD: Invalid email address: "[masked]"`,
		`Unpacked value of 'hunter' for parameter "master_user_password": 'hunter'`:                                                                       `Unpacked value of '[masked]' for parameter "master_user_password": '[masked]'`,
		`api_token: must be of type Int: value was "hunter"`:                                                                                              `api_token: must be of type Int: value was "[masked]"`,
		`spec.dbPassword: Invalid value: "hunter": must be longer`:                                                                                        `spec.dbPassword: Invalid value: "[masked]": must be longer`,
		`Field error in object 'login' on field 'password': rejected value [hun ter]; codes [Size.login.password,x]`:                                      `Field error in object 'login' on field 'password': rejected value [[masked]]; codes [Size.login.password,x]`,
		`env: parse error on field "Token" of type "int": strconv.ParseInt: parsing "hunter": invalid syntax`:                                             `env: parse error on field "Token" of type "int": strconv.ParseInt: parsing "[masked]": invalid syntax`,
		`invalid argument "hunter" for "--api-token" flag: strconv.ParseInt: parsing "hunter": invalid syntax`:                                            `invalid argument "[masked]" for "--api-token" flag: strconv.ParseInt: parsing "[masked]": invalid syntax`,
		`invalid argument "hunter" for "-t, --api-token" flag: x`:                                                                                         `invalid argument "[masked]" for "-t, --api-token" flag: x`,
		`invalid value "hunter" for flag -token: parse error`:                                                                                             `invalid value "[masked]" for flag -token: parse error`,
		"error: invalid value 'it's hunter' for '--api-token <T>': invalid digit found in string":                                                         "error: invalid value '[masked]' for '--api-token <T>': invalid digit found in string",
		"x.py: error: argument --token: invalid int value: 'hunter'":                                                                                      "x.py: error: argument --token: invalid int value: '[masked]'",
		"x.py: error: argument -p/--password: invalid choice: 'hunter' (choose from 'a', 'b')":                                                            "x.py: error: argument -p/--password: invalid choice: '[masked]' (choose from 'a', 'b')",
		"x.py: error: argument --password/-p: invalid int value: 'hunter'":                                                                                "x.py: error: argument --password/-p: invalid int value: '[masked]'",
		"error: option '--token <n>' argument 'hunter' is invalid. Not a number.":                                                                         "error: option '--token <n>' argument '[masked]' is invalid. Not a number.",
		"Error: Invalid value for '--token': 'hunter' is not a valid integer.":                                                                            "Error: Invalid value for '--token': '[masked]' is not a valid integer.",
		"Error: Invalid value for '-t' / '--token': 'hunter' is not a valid integer.":                                                                     "Error: Invalid value for '-t' / '--token': '[masked]' is not a valid integer.",
		"'Token' expected type 'int', got unconvertible type 'string', value: 'hunter'":                                                                   "'Token' expected type 'int', got unconvertible type 'string', value: '[masked]'",
		"envconfig.Process: assigning API_TOKEN to Token: converting 'hunter' to type int. details: strconv.ParseInt: parsing \"hunter\": invalid syntax": "envconfig.Process: assigning API_TOKEN to Token: converting '[masked]' to type int. details: strconv.ParseInt: parsing \"[masked]\": invalid syntax",
		"invalid type: found string \"hunter\", expected u16 for key \"default.token\" in x.toml":                                                         "invalid type: found string \"[masked]\", expected u16 for key \"default.token\" in x.toml",
		"invalid type: string \"hunter\", expected an integer for key `api_token` in x":                                                                   "invalid type: string \"[masked]\", expected an integer for key `api_token` in x",
		`("'token' must be <class 'int'> (got 'hunter' that is a <class 'str'>).", x)`:                                                                    `("'token' must be <class 'int'> (got '[masked]' that is a <class 'str'>).", x)`,
		"1 validation error detected: Value 'hunter' at 'password' failed to satisfy":                                                                     "1 validation error detected: Value '[masked]' at 'password' failed to satisfy",
		`{"msg":"'Token' expected type 'int', got unconvertible type 'string', value: 'hunter'"}`:                                                         `{"msg":"'Token' expected type 'int', got unconvertible type 'string', value: '[masked]'"}`,
		`{"msg":"argument --token: invalid int value: 'hunter'"}`:                                                                                         `{"msg":"argument --token: invalid int value: '[masked]'"}`,
		"ValidationError: 'hunter' is too short\n\nFailed validating 'minLength' in schema['properties']['password']:\n    {'type': 'string', 'minLength': 20}\n\nOn instance['password']:\n    'hunter'": "ValidationError: '[masked]' is too short\n\nFailed validating 'minLength' in schema['properties']['password']:\n    {'type': 'string', 'minLength': 20}\n\nOn instance['password']:\n    '[masked]'",
		`"API_TOKEN" has the invalid value "hunter", which is wrong for some-thing`: `"API_TOKEN" has the invalid value "[masked]", which is wrong for some-thing`,
		`"API_TOKEN" has the invalid value "hunter" for its type`:                   `"API_TOKEN" has the invalid value "[masked]" for its type`,
		// Gitea's answer to a request for a token
		`{"id":1,"name":"ci","sha1":"` + hex40 + `","token_last_eight":"` + hex40[32:] + `","scopes":["all"]}`:         `{"id":1,"name":"ci","sha1":"[masked]","token_last_eight":"` + hex40[32:] + `","scopes":["all"]}`,
		"{\n  \"token_last_eight\": \"" + hex40[32:] + "\",\n  \"sha1\": \"" + hex40 + "\"\n}":                         "{\n  \"token_last_eight\": \"" + hex40[32:] + "\",\n  \"sha1\": \"[masked]\"\n}",
		`{\"sha1\":\"` + hex40 + `\",\"token_last_eight\":\"` + hex40[32:] + `\"}`:                                     `{\"sha1\":\"[masked]\",\"token_last_eight\":\"` + hex40[32:] + `\"}`,
		`[{"token_last_eight":"` + hex40[32:] + `","sha1":"` + hex40 + `"},{"token_last_eight":"abcdefgh","sha1":""}]`: `[{"token_last_eight":"` + hex40[32:] + `","sha1":"[masked]"},{"token_last_eight":"abcdefgh","sha1":""}]`,
		"sha1: " + hex40 + "\ntoken_last_eight: " + hex40[32:]:                                                         "sha1: [masked]\ntoken_last_eight: " + hex40[32:],
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
			requireNoPanic(t, in)
		})
	}
}

func TestRejectedHarmless(t *testing.T) {
	for _, s := range []string{
		pydantic("model", "'gpt-oss'"), pydantic("token_count", "'many'"), pydantic("token.expires_at", "'2026-11-28T07:04:05Z'"), pydantic("n", "'"+hex40[:8]+"'"),
		pydantic("gitea_token", "None"), pydantic("gitea_token", "''"), pydantic("gitea_token", "SecretStr('**********')"), pydantic("gitea_token", "{'model': 'x', 'n': 1}"),
		pydantic("gitea_token", "{'model': 'gpt', 'b': 'yy...yyyyyy', 'date': '2026'}"), pydantic("primary_key", "'"+hex40+"'"), pydantic("primary_key", "'a1'"),
		"1 validation error for Settings\n  Value error, no [type=value_error, input_value={'model': 'x', 'n': 3}, input_type=dict]",
		`{'type': 'x', 'loc': ('body', 'model'), 'msg': 'x', 'input': 'gpt-oss'}`, `{'loc': ('gitea_token',), 'msg': 'Field required', 'input': {'a': 'x'}}`,
		`{'loc': ('gitea_token',), 'msg': 'x', 'input': None}`, `{"type":"tool_use","name":"token","input":{"file_path":"/a/b"}}`,
		`{"path":"/api/v1/auth/token","input":"hello"}`, `{"path":"/oauth/password","method":"POST","value":"abc12"}`, `{"msg":"the password field","value":"abc12"}`,
		`{"password_ok":true,"value":"abc12"}`, `{"field":"name","value":"abc12"}, {"field":"password"}`,
		`"NAME" with value "hunter" fails to match`, `the password is checked with value "hunter"`, `"password" and "name" with value "hunter"`,
		`invalid argument "x1" for "--name" flag: x`, `invalid value "x1" for flag -token-file: x`, "error: invalid value 'abc' for '--name <TOKEN>'",
		"argument --name: invalid int value: 'x1'", `spec.secret.name: Invalid value: "Db_1": must be lower case`, `unexpected token: invalid value: "foo1"`,
		`strconv.ParseInt: parsing "abc": invalid syntax`, `    token_test.go:12: got "abc1", want "abc2"`, ` ✓ password: rejects value "abc1"`, `password: got "abc1", want "abc2"`,
		"Field error in object 'login' on field 'name': rejected value [bob]; codes [Size.login.name]",
		"Field error in object 'login' on field 'password': rejected value [null]; codes [NotNull.login.password]", "Field error on field 'password': rejected value []; codes [x]",
		`"password" with value "[masked]" fails`, `{"loc":["body","token"],"input":""}`, `{"name":"input","type":"password","value":""}`,
		"- `SCALAR_TOKEN` (value: \"foo\")", `{api_token: true, value: "abc1"}`,
		"validation error detected: Value '12' at 'passwordLength' failed, of GetRandomPassword",
		"'hunter' is too short\n\nFailed validating 'minLength' in schema['properties']['name']:\n    {'type': 'string'}\n\nOn instance['name']:\n    'hunter'",
		"Additional properties are not allowed ('password' was unexpected)\n\nFailed validating 'additionalProperties' in schema['properties']['secret']:\n    {}",
		`invalid value "abc" for the token type`, `{"path":"auth_token.py","input":"abc1234"}`, `{"label":"Total token","value":"12.3k"}`,
		`{"error":{"message":"Invalid value: 'gpt-5x'","param":"max_tokens"}}`, "[input_value={'x...y':a, input_type=str:protected]",
		`{"sha1":"` + hex40 + `","path":"a.go"}`, `{"sha1":"","token_last_eight":"` + hex40[32:] + `"}`, "sha1: " + hex40,
		`{"sha1":"` + hex40 + `"}, {"token_last_eight":"abcdefgh"}`,
		`  "API_TOKEN" [1]: -- missing --`, "  \"API_TOKEN\" \x1b[41m[1]: -- missing --\x1b[0m\n}\n\x1b[31m\n[1] \"API_TOKEN\" is required\x1b[0m", `"token" [x]: "hunter"`, `"token" [1] "hunter"`,
		`DB_HOST: Invalid url: "hunter"`, `{"loc":["token"],"url":"https://x.example/v/a"}`, `API_TOKEN: Invalid url: ""`,
		// a type, and a sentence
		`{"path":["API_TOKEN"],"message":"Invalid input: expected string, received undefined"}`, `{ path: [ 'API_TOKEN' ], message: 'Invalid input: expected "a"' }`,
		"- Invalid input: expected string, received null\n  {\"path\": [\"API_TOKEN\"]}", `{"level":"error","msg":"[{\"path\":[\"password\"],\"message\":\"Invalid input: expected string\"}]"}`,
		`{"code":"invalid_type","expected":"string","received":"undefined","path":["API_TOKEN"],"message":"Required"}`,
		`{"received":"boolean","path":["password"]}`, `{ received: 'nan', path: [ 'password' ] }`, `{\"received\":\"array\",\"path\":[\"password\"]}`,
	} {
		require.Equal(t, s, New().Redact(s))
	}
}
