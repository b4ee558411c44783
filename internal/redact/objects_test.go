package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A secret in an object of its own, as programs of many languages show it.
func TestObjects(t *testing.T) {
	for name, shown := range map[string]string{
		"Rust, of one value":               `Config { gitea_token: Some(Token("hunter")), password: Password("hunter") }`,
		"Rust, over lines":                 "password: Some(\n    Password(\n        \"hunter\",\n    ),\n)",
		"Rust, with fields":                "token: Token {\n    id: 5,\n    value: \"hunter\",\n}",
		"Rust, with a field in a field":    `api_key: ApiKey { id: 1, meta: Meta { value: "no", x: [1, 2] }, value: "hunter" }`,
		"Rust, of an enum":                 `auth: Basic { username: "bob", password: Password("hunter") }`,
		"Rust, by its type":                `Password { value: "hunter" }`,
		"node":                             `{ token: { value: 'hunter' }, password: { id: 5, value: 'hunter' } }`,
		"node, over lines":                 "{\n  token: Token {\n    id: 5,\n    value: 'hunter'\n  }\n}",
		"node, in a list":                  `token: [ Token { value: 'hunter' }, Token { value: 'hunter' } ]`,
		"Python":                           `Config(password=Secret('hunter'), token=Token(id=5, value='hunter'))`,
		"Python, bytes":                    `password=Secret(b'hunter') token=bytearray(b'hunter')`,
		"Go":                               `main.C{Token:main.Token{ID:5, Value:"hunter"}, Auth:&main.Cred{User:"bob", Password:"hunter"}}`,
		"Go, without quotes":               `{Password:{ID:5 Value:hunter} Token:{Value:hunter ID:5} Host:x}`,
		"Ruby":                             `#<Config @host="x", @token=#<Token @id=5, @value="hunter">>`,
		"Java":                             `Config[host=x, token=Token[id=5, value=hunter], password=Secret[value=hunter]]`,
		"Kotlin":                           `Config(host=x, password=Password(id=5, value=hunter))`,
		"C#":                               `Credentials { Username = bob, Password = Secret { Value = hunter } }`,
		"Elixir":                           `token: %Token{id: 5, value: "hunter"}`,
		"Haskell":                          `Config {password = Password {getPassword = "hunter"}, token = Token "hunter"}`,
		"Perl":                             `'password' => bless( { 'id' => 5, 'value' => 'hunter' }, 'Secret' )`,
		"PHP":                              "[token] => Token Object\n    (\n        [id] => 5\n        [value:protected] => hunter\n    )",
		"PHP, dumped":                      "  [\"password\"]=>\n  object(Secret)#2 (1) {\n    [\"value\":protected]=>\n    string(6) \"hunter\"\n  }",
		"in JSON":                          `{"log":"password: Secret {\n    inner: \"hunter\"\n}"}`,
		"a call for a value with a prefix": `pw = Password("hunter")`,
		"Ruby, symbols":                    `{:token=>{:value=>"hunter"}, :passwords=>{:bob=>"hunter2"}} {:token => {:value => "hunter"}} {:credentials=>{:api_key=>"hunter", :id=>5}}`,
		"PHP, arrays":                      "[token] => Array\n        (\n            [value] => hunter\n        )\n[password] => stdClass Object\n  (\n    [value] => hunter\n  )",
		"PHP, dumped arrays":               "[\"token\"]=>\n  array(1) {\n    [\"value\"]=>\n    string(13) \"hunter\"\n  }",
		"PHP, exported":                    "'token' => \n  array (\n    'value' => 'hunter',\n  ),\n 'password' => \n  \\Token::__set_state(array(\n     'id' => 5,\n     'value' => 'hunter',\n  )),",
		"Go, dumped by spew":               " Token: (main.Token) {\n  ID: (int) 5,\n-  Value: (string) (len=6) \"hunter\"\n+  Value: (string) (len=6) \"hunter\"\n },\n Secret: (*main.Token)(0xc000010000)({\n  Value: (string) (len=6) \"hunter\"\n })",
		"Go, of interfaces":                `map[string]interface {}{"token":map[string]interface {}{"value":"hunter"}}`,
		"a difference":                     "  \"token\": Token {\n    \"id\": 1,\n-   \"value\": \"hunter\",\n+   \"value\": \"hunter\",\n  }",
		"Go, by cmp":                       "Config{\n  Token: main.Token{\n-   Value: \"hunter\",\n+   Value: \"hunter\",\n  },\n- Password: &\"hunter\",\n}",
		"terraform":                        "  + token     = {\n      + id = 5\n      + value = \"hunter\"\n    }\n  ~ password = {\n      ~ value = \"hunter\" -> \"hunter\"\n    }\n",
		"terraform, maps":                  "  + passwords = {\n      + bob = \"hunter2\"\n    }\n  + passwords = [\n      + \"hunter2\",\n    ]\ntokens = tomap({\n  \"ci\" = \"hunter2\"\n})\n",
		"PHP, lists":                       "[X-Api-Key] => Array\n        (\n            [0] => hunter2\n        )",
		"PHP, dumped lists":                "[\"X-Api-Key\"]=>\n  array(1) {\n    [0]=>\n    string(7) \"hunter2\"\n  }",
		"jest":                             "  \"passwords\": Array [\n-   \"hunter2\",\n+   \"hunter2\",\n  ],\n  \"token\": Object {\n    \"scopes\": Array [\n      \"a\",\n    ],\n-   \"value\": \"hunter\",\n  }",
		"pydantic's root":                  `password=Password(root='hunter')`,
		"bash":                             `declare -A passwords=([bob]="hunter2" [amy]="hunter2" )`,
		"a map in node":                    `{ secrets: { db: 'hunter2', api: 'hunter2' }, passwords: { bob: 'hunter2' } }`,
		"a map in Go":                      `{Passwords:map[amy:hunter2 bob:hunter2]} {Passwords:map[string]string{"amy":"hunter2"}, Secret:map[string]string{"value":"hunter"}}`,
		"a list in Go":                     `Tokens:[]main.Token{main.Token{Value:"hunter2"}, main.Token{Value:"hunter2"}}`,
		"a map in Python":                  `Config(passwords={'amy': 'hunter2', 'bob': 'hunter2'})`,
		"a map in Java":                    `Config[passwords={amy=hunter2, bob=hunter2}]`,
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.NewReplacer("hunter2", masked, "hunter", masked).Replace(shown)
			got := New().Redact(shown)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
			requireNoPanic(t, shown)
		})
	}
}

// What a call, an error, a parser or a form says beside a secret's name is none.
func TestObjectsWithoutSecret(t *testing.T) {
	for _, text := range []string{
		// errors
		`cannot fetch token: AxiosError { message: 'no answer', code: 'ECONNREFUSED' }`, `cannot get token: &url.Error{Op:"Get", URL:"https://git.example.org"}`,
		`cannot fetch token: Error("no answer", line: 1, column: 5)`, `token: Err(ParseError("bad thing1"))`, `cannot verify the password: WeakPassword("too short1")`,
		`cannot read token: Custom { kind: InvalidData, error: "stream did not contain valid UTF-8" }`, `invalid token: Error { inner: "bad thing" }`,
		`invalid token: access_token: has no scope`,
		`{'password': ['Ensure this field has at least 8 characters.']}`, `{"password":"size must be between 8 and 20"}`, `{"password":["String must contain at least 8 character(s)"]}`, `{'token': ['user with this token already exists.']}`,
		`{'password2': ["The two password fields didn't match."]}`, `{'password': ['Shorter than minimum length 8.']}`, `{"password": "Length must be between 8 and 20."}`, `{'api_token': ['Select a valid choice. zz1 is not one of the available choices.']}`,
		`failed to acquire token: oauth2: "invalid_grant" "authorization code is expired"`, `Post "https://h.example/api/token": oauth2: "invalid_grant"`, `webhook secret: base64: illegal base64 data at input byte 4`, `validate token: x509: certificate has expired`,
		`save token: sqlite3: database is locked`, `acquire token: AADSTS700016: Application was not found`, `Post "https://h.example/login/oauth/access_token": http2: server sent GOAWAY`,
		`{'password': [ErrorDetail(string='This field is required.', code='required')]}`, `{"errors":{"password":["The password field is required."]}}`, `{:password=>["can't be blank"]}`,
		// calls
		`secret = client.get_secret_value(SecretId="prod/db")`, `password = getpass(prompt="Password: ")`, `password = input("Password for bob: ")`, `token = get_token(scope="read:repository")`,
		`password=Prompt.ask("Password1")`, `token: core.getInput('token'),`, `const token = await getToken({ audience: "https://api1.example" })`,
		`password: CharField("Password")`, `password = PasswordField("Password", validators=[DataRequired()])`, `password: Column("password", String(255))`,
		// parsers
		`error: unexpected token: Token { kind: "Ident", value: "foo1bar" }`, `token: { kind: 'Ident', value: 'foo', start: 5, end: 8 }`, `token=Token(type='NAME', value='foo', pos=5)`,
		`Unexpected token Token('RPAR', ')') at line 1`, `Previous tokens: [Token('NAME', 'x')]`,
		`expected token: Token("abc1de")`, `error: unexpected token: Punct('!')`, `Token { kind: Word, value: "abc1def", span: 1..2 }`, `token: TokenKind::Ident("foo")`,
		// types, templates, and what hides the value itself
		`token = token[:-1]`, `token: Option<String>`, `password: Some(_)`, `password: { type: 'string', description: 'the key of x' }`, `secretKeyRef: { name: 'db', key: 'password' }`, `secret: { secretName: 'app', key: 'password' }`,
		`token: Secret([REDACTED alloc::string::String])`, `password: Secret("****")`, `token: { value: undefined, status: 'idle' }`, `token: Ref { value: null }`, `token: { value: '' }`,
		`password: Secret { name: "db", version: "3" }`, `token: Token { id: 5, user: "bob" }`, `credentials: { region: "eu-west-1", profile: "ci1prod" }`, `token: [Function: token]`,
		`passwords: { min: 'eight', dir: '/etc/pw1/x' }`, `tokens: { input: 1200, output: 300 }`, `secrets: { url: 'https://vault1.example' }`,
	} {
		require.Equal(t, text, New().Redact(text))
	}
}

// A scheme and what is in base64 after it, without the header's name.
func TestBasic(t *testing.T) {
	for text, want := range map[string]string{
		`ValueError: Invalid header value b'Basic Ym9iOmh1bnRlcg==\n'`: `ValueError: Invalid header value b'Basic [masked]\n'`,
		`sent Basic Ym9iOmh1bnRlcg==`:                                  `sent Basic [masked]`,
		`Basic authentication is required`:                             `Basic authentication is required`,
		`Basic YWJjZGVm`:                                               `Basic YWJjZGVm`,
		`401: Basic realm="x"`:                                         `401: Basic realm="x"`,
	} {
		require.Equal(t, want, New().Redact(text))
	}
}
