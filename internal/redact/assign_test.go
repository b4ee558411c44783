package redact

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The operators, types, calls and lines that can stand between a key and its value.
func TestAssignments(t *testing.T) {
	for in, want := range map[string]string{
		// operators
		`FOO_TOKEN ?= "hunter2"`:        `FOO_TOKEN ?= "[masked]"`,
		`FOO_TOKEN ::= hunter2`:         `FOO_TOKEN ::= [masked]`,
		`FOO_TOKEN :::= "hunter2"`:      `FOO_TOKEN :::= "[masked]"`,
		`FOO_TOKEN += "hunter2"`:        `FOO_TOKEN += "[masked]"`,
		`$fooToken .= "hunter2";`:       `$fooToken .= "[masked]";`,
		`$fooToken ??= "hunter2";`:      `$fooToken ??= "[masked]";`,
		`foo_token ||= "hunter2"`:       `foo_token ||= "[masked]"`,
		`foo_token <- "hunter2"`:        `foo_token <- "[masked]"`,
		`if (password === "hunter2") {`: `if (password === "[masked]") {`,
		`if (password != "hunter2") {`:  `if (password != "[masked]") {`,
		`foo token - 'hunter2'`:         `foo token - '[masked]'`,
		`password=!hunter2`:             `password=[masked]`,
		// characters in values
		`password=a>b<1c x`: `password=[masked] x`, "password: m{{h}o)p${e]finds>-_$#x y": "password: [masked] y", "<a token=hunter2>x</a>": "<a token=[masked]>x</a>",
		"password=<pw>": "password=<pw>",
		// a value that is the key of another one, or an object
		`bad token: API_TOKEN="hunter2"`: `bad token: API_TOKEN="[masked]"`, `invalid credentials: password='hunter2'`: `invalid credentials: password='[masked]'`,
		`act --secret API_TOKEN="hunter2" push`: `act --secret API_TOKEN="[masked]" push`, `act --secret HOOK="hunter2" push`: `act --secret HOOK="[masked]" push`, `msg="invalid token: API_TOKEN=\"hunter2\""`: `msg="invalid token: API_TOKEN=\"[masked]\""`,
		`token=API_TOKEN: hunter2`: `token=API_TOKEN: [masked]`, `token=API_TOKEN: not set`: `token=API_TOKEN: not set`,
		`sed -i 's|smtp_password:.*|smtp_password: hunter2|' x`: `sed -i 's|smtp_password:[masked]' x`, `sed -i 's/^DB_PASSWORD=.*/DB_PASSWORD="hunter2"/' .env`: `sed -i 's/^DB_PASSWORD=.*/DB_PASSWORD="[masked]"/' .env`,
		`Config(host='db', credentials=Credentials(password='hunter2', username='bob'))`:               `Config(host='db', credentials=Credentials(password='[masked]', username='bob'))`,
		`auth=Auth(access_token='hunter2') token=Token(value='hunter2') api_key=ApiKey(key='hunter2')`: `auth=Auth(access_token='[masked]') token=Token(value='[masked]') api_key=ApiKey(key='[masked]')`,
		`main.C{Token:main.Token{Value:"hunter2"}, Auth:&main.Cred{Password:"hunter2", User:"bob"}}`:   `main.C{Token:main.Token{Value:"[masked]"}, Auth:&main.Cred{Password:"[masked]", User:"bob"}}`,
		`credentials={password: "hunter2", a: "b"}`:                                                    `credentials={password: "[masked]", a: "b"}`, `credentials={password: hunter2, a: "b"}`: `credentials={password: [masked], a: "b"}`,
		`token: Token { value: 'hunter2', a: 'b' }`: `token: Token { value: '[masked]', a: 'b' }`, `password: Secret { inner: "hunter2" }`: `password: Secret { inner: "[masked]" }`,
		`credentials=password: hunter2`: `credentials=[masked]`, `credentials=Credentials(username='bob', password='hunter2')`: `credentials=Credentials(username='bob', password='[masked]')`,
		"token={a: \\": "token=[masked] \\", `password=hunter2: "x1 y"`: `password=[masked] "x1 y"`, `password=hunter2: connection refused`: `password=[masked] connection refused`, `token=YWJjZGVmZ2hpag="x1"`: `token=[masked]"x1"`,
		`{"a":"password=YWJj=","b":"x1"}`: `{"a":"password=[masked]","b":"x1"}`, `"password=YWJj=" "x1"`: `"password=[masked]" "x1"`, "`\"AccountKey=YWJj=\"`: `\"x1\"`": "`\"AccountKey=[masked]\"`: `\"x1\"`",
		`password: {does: "x", type: "text"}`: `password: {does: "x", type: "text"}`, `password: {type: "text"}`: `password: {type: "text"}`, `password=Field(type="text")`: `password=Field(type="text")`,
		// calls
		`System.setProperty("FOO_TOKEN", "hunter2")`:                                     `System.setProperty("FOO_TOKEN", "[masked]")`,
		`req.Header.Set("X-Foo-Api-Key", "hunter2")`:                                     `req.Header.Set("X-Foo-Api-Key", "[masked]")`,
		`os.environ.setdefault('DB_PASSWORD', 'hunter2')`:                                `os.environ.setdefault('DB_PASSWORD', '[masked]')`,
		`std::string secret("` + random + `");`:                                          `std::string secret("[masked]");`,
		`setToken("` + random + `")`:                                                     `setToken("[masked]")`,
		`["Authorization", "Bearer hunter2"]`:                                            `["Authorization", "Bearer [masked]"]`,
		`[System.Environment]::SetEnvironmentVariable('DB_PASSWORD', 'hunter2', 'User')`: `[System.Environment]::SetEnvironmentVariable('DB_PASSWORD', '[masked]', 'User')`,
		`requests.get(url, auth=("bob", "hunter2"))`:                                     `requests.get(url, auth=("bob", "[masked]"))`,
		`requests.get(url, auth=HTTPBasicAuth('bob', 'hunter2'))`:                        `requests.get(url, auth=HTTPBasicAuth('bob', '[masked]'))`,
		`req.SetBasicAuth("bob", "hunter2")`:                                             `req.SetBasicAuth("bob", "[masked]")`,
		`req.SetBasicAuth(user, password)`:                                               `req.SetBasicAuth(user, password)`,
		`password := []byte("hunter2")`:                                                  `password := []byte("[masked]")`,
		`[["accept","*/*"],["x-api-key","hunter2"]]`:                                     `[["accept","*/*"],["x-api-key","[masked]"]]`,
		`[('password', 'hunter2'), ('x', 'y')]`:                                          `[('password', '[masked]'), ('x', 'y')]`,
		`x('token', 'abcdef1')`:                                                          `x('token', 'abcdef1')`,
		`new NetworkCredential("bob", "hunter2")`:                                        `new NetworkCredential("bob", "[masked]")`,
		`token", "x1`:                          `token", "x1`,
		`["token", "secret"]`:                  `["token", "secret"]`,
		`define('DB_PASSWORD', 'hunter2');`:    `define('DB_PASSWORD', '[masked]');`,
		`define( "AUTH_KEY", 'hunter 2' );`:    `define( "AUTH_KEY", '[masked]' );`,
		`define('DB_PASSWORD', getenv('X'));`:  `define('DB_PASSWORD', getenv('X'));`,
		`parser.define("token", "the token");`: `parser.define("token", "the token");`,
		// types
		`var fooToken string = "hunter2"`:     `var fooToken string = "[masked]"`,
		`val fooToken: String = "hunter2"`:    `val fooToken: String = "[masked]"`,
		`let token: &str = "hunter2";`:        `let token: &str = "[masked]";`,
		`password: Optional[str] = "hunter2"`: `password: Optional[str] = "[masked]"`,
		`char secret[25] = "hunter2";`:        `char secret[25] = "[masked]";`,
		`password = @"hunter2";`:              `password = @"[masked]";`,
		`password = b'hunter2'`:               `password = b'[masked]'`,
		// the next line
		"<fooToken>\n    hunter2\n</fooToken>":    "<fooToken>\n    [masked]\n</fooToken>",
		"token: |\n  " + random + "\nx: 1":        "token: |\n  [masked]\nx: 1",
		"token: >-\n  " + random + "\nx: 1":       "token: >-\n  [masked]\nx: 1",
		"String token =\n    \"" + random + "\";": "String token =\n    \"[masked]\";",
		"password:\nLogin incorrect":              "password:\nLogin incorrect",
		"token:\n  " + "value-of-the-token-file":  "token:\n  " + "value-of-the-token-file",
		"password: |\n  hunter2\nx: 1":            "password: |\n  [masked]\nx: 1",
		"password: |\nhunter2":                    "password: |\nhunter2",
		// commands
		"+ docker login -u bob -p hunter2 x.example": "+ docker login -u bob -p [masked] x.example", "sshpass -p 'hunter2' ssh x": "sshpass -p '[masked]' ssh x",
		"mysql -uroot -phunter2 db": "mysql -uroot -p[masked] db", "docker run -p 8080:80 x": "docker run -p 8080:80 x", "mkdir -p login/x": "mkdir -p login/x", "ssh login host -p 2222": "ssh login host -p 2222", "mysql -port 3306": "mysql -port 3306",
		"machine x.example login bob password hunter2": "machine x.example login bob password [masked]", "mysql -p -u root": "mysql -p -u root",
		"the machine asks for a password twice": "the machine asks for a password twice",
		`+ ssh h 'TOKEN='\''hunter'\'' make'`:   `+ ssh h 'TOKEN='\''[masked]'\'' make'`, `+ eval 'DB_PASSWORD='\''hunter x'\'''`: `+ eval 'DB_PASSWORD='\''[masked]'\'''`,
		"  path: 'mysql',\n  spawnargs: [ '-u', 'root', '-phunter2' ],": "  path: 'mysql',\n  spawnargs: [ '-u', 'root', '-p[masked]' ],", "  path: 'sshpass',\n  spawnargs: [ '-p', 'hunter2', 'ssh' ],": "  path: 'sshpass',\n  spawnargs: [ '-p', '[masked]', 'ssh' ],",
		"FAILED test_x.py::test_cd - AssertionError: assert {'password': 'hunter2hunter...\nFAILED test_x.py::test_d":                      "FAILED test_x.py::test_cd - AssertionError: assert {'password': '[masked]\nFAILED test_x.py::test_d",
		"invalid interpolation format for services.web.environment.DB_PASSWORD.\nYou may need to escape any $ with another $.\nhunt${er\n": "invalid interpolation format for services.web.environment.DB_PASSWORD.\nYou may need to escape any $ with another $.\n[masked]\n",
		"  -token string\n    \tAPI token (default \"hunter2\")\n  -x int":                                                                 "  -token string\n    \tAPI token (default \"[masked]\")\n  -x int", "      --db-password string   the password (default \"hunter2\")": "      --db-password string   the password (default \"[masked]\")",
		"  --password PASSWORD  password of the database (default: hunter2)": "  --password PASSWORD  password of the database (default: [masked])", "  --token TEXT  API token  [default: hunter2]": "  --token TEXT  API token  [default: [masked]]",
		"      --token  API token  [string] [default: \"hunter2\"]": "      --token  API token  [string] [default: \"[masked]\"]", "  --token <t>  token (default: \"hunter2\", env: TOKEN)": "  --token <t>  token (default: \"[masked]\", env: TOKEN)",
		"  --token TEXT  token\n  --name TEXT  name [default: x1y2z3]": "  --token TEXT  token\n  --name TEXT  name [default: x1y2z3]", "  --password-file F  (default: /etc/pw1)": "  --password-file F  (default: /etc/pw1)",
		"[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: ('bob', 'hunter')]":                                         "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: ('bob', '[masked]')]",
		"[SQL: UPDATE users SET age=?, password=? WHERE users.id = ?]\n[parameters: (5, 'hunter', 7)]":                                     "[SQL: UPDATE users SET age=?, password=? WHERE users.id = ?]\n[parameters: (5, '[masked]', 7)]",
		"[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: (('bob', 'hunter'), ('amy', 'hunter'))]":                    "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: (('bob', '[masked]'), ('amy', '[masked]'))]",
		"[SQL: INSERT INTO users (name, password) VALUES (?, ?), (?, ?)]\n[parameters: ('bob', 'hunter', 'amy', 'hunter')]":                "[SQL: INSERT INTO users (name, password) VALUES (?, ?), (?, ?)]\n[parameters: ('bob', '[masked]', 'amy', '[masked]')]",
		"[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: (":                                                          "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n[parameters: (",
		"[SQL: INSERT INTO users (id, at, password) VALUES (?, ?, ?)]\n[parameters: (1, datetime.datetime(2026, 11, 30, 1, 2), 'hunter')]": "[SQL: INSERT INTO users (id, at, password) VALUES (?, ?, ?)]\n[parameters: (1, datetime.datetime(2026, 11, 30, 1, 2), '[masked]')]",
		`query failed: INSERT INTO users (name, x, password) VALUES ($1, $2, $3) -- PARAMETERS: ["it's",{"x":[1,2]},"hunter"]`:             `query failed: INSERT INTO users (name, x, password) VALUES ($1, $2, $3) -- PARAMETERS: ["it's",{"x":[1,2]},"[masked]"]`,
		"Failed query: insert into \"users\" (\"name\", \"password\") values (?, ?)\nparams: bob,hunter\n":                                 "Failed query: insert into \"users\" (\"name\", \"password\") values (?, ?)\nparams: bob,[masked]\n",
		`Query: insert into "users" ("name", "password") values ($1, $2) -- params: ["bob", "hunter"]`:                                     `Query: insert into "users" ("name", "password") values ($1, $2) -- params: ["bob", "[masked]"]`,
		"==>  Preparing: INSERT INTO users (name, password) VALUES (?, ?)\n==> Parameters: bob(String), hunter(String)":                    "==>  Preparing: INSERT INTO users (name, password) VALUES (?, ?)\n==> Parameters: bob(String), [masked](String)",
		"[SQL: SELECT x FROM users WHERE users.api_token = %s]\n[parameters: [('hunter',), ('x',)]]":                                       "[SQL: SELECT x FROM users WHERE users.api_token = %s]\n[parameters: [('[masked]',), ('[masked]',)]]",
		"sql: 'INSERT INTO \"users\" (\"id\",\"name\",\"password\") VALUES (DEFAULT,$1,$2)', parameters: [\n    'bob',\n    'hunter',\n ]": "sql: 'INSERT INTO \"users\" (\"id\",\"name\",\"password\") VALUES (DEFAULT,$1,$2)', parameters: [\n    'bob',\n    '[masked]',\n ]",
		`query failed: INSERT INTO users (name, password) VALUES ($1, $2) -- PARAMETERS: ["bob","hunter"]`:                                 `query failed: INSERT INTO users (name, password) VALUES ($1, $2) -- PARAMETERS: ["bob","[masked]"]`,
		`login (user=0x4006 "bob", password=0x7ffd12 "hunter")`:                                                                            `login (user=0x4006 "bob", password=0x7ffd12 "[masked]")`, "token            : hunter2\nPassword          : hunter2": "token            : [masked]\nPassword          : [masked]",
		"Command 'DB_PASSWORD=$DB_PASSWORD alembic upgrade head' returned 1": "Command 'DB_PASSWORD=$DB_PASSWORD alembic upgrade head' returned 1", `"command":"GITEA_TOKEN=hunter go test ./... && make"`: `"command":"GITEA_TOKEN=[masked] go test ./... && make"`,
		`bash -lc "DB_PASSWORD=hunter make test"`: `bash -lc "DB_PASSWORD=[masked] make test"`, `docker run -e "DB_PASSWORD=my words" x`: `docker run -e "DB_PASSWORD=[masked]" x`, "{\"command\": \"GITEA_TOKEN=$TOKEN make\\nx\"}": "{\"command\": \"GITEA_TOKEN=$TOKEN make\\nx\"}",
		"'set-cookie': [\n    'i_like_gitea=hunter; Path=/; HttpOnly',\n    '_csrf=hunter'\n  ]": "'set-cookie': [\n    '[masked]',\n    '[masked]'\n  ]",
		"\"Authorization\": [\n\t\"Bearer hunter\"\n]":                                           "\"Authorization\": [\n\t\"Bearer [masked]\"\n]", "Authorization:\n- Bearer hunter\nX: 1": "Authorization:\n- Bearer [masked]\nX: 1",
		"SMTP_PW=hunter2": "SMTP_PW=[masked]", "PHP_AUTH_PW: hunter2": "PHP_AUTH_PW: [masked]", "export LDAP_PW='hunter'": "export LDAP_PW='[masked]'", "MY_PW=/home/bob": "MY_PW=/home/bob",
		"DB_PASSWORD_PROD=hunter2": "DB_PASSWORD_PROD=[masked]", `POSTGRES_PASSWORD_DEV: "hunter2"`: `POSTGRES_PASSWORD_DEV: "[masked]"`, "SMTP_PASS_PROD=hunter2": "SMTP_PASS_PROD=[masked]",
		"PASSWORD_ENCRYPTION=scram-sha-256": "PASSWORD_ENCRYPTION=scram-sha-256", "password_encryption = scram-sha-256": "password_encryption = scram-sha-256",
		"ParameterKey=DBUser,ParameterValue=bob ParameterKey=DBPassword,ParameterValue=hunter x": "ParameterKey=DBUser,ParameterValue=bob ParameterKey=DBPassword,ParameterValue=[masked] x",
		"+ echo hunter2\n+ gpg --batch --passphrase-fd 0 -d x":                                   "+ echo [masked]\n+ gpg --batch --passphrase-fd 0 -d x", "+ printf %s hunter2\n+ docker secret create db_password -": "+ printf %s [masked]\n+ docker secret create db_password -", "echo hunter2 | gh secret set DEPLOY": "echo [masked] | gh secret set DEPLOY",
		`GITEA_TOKEN='hunter-K'\!'9'`:                            `GITEA_TOKEN='[masked]'`, // as git quotes it
		`git ls-remote 'http://bob:hunter'\!'2@x.example/x.git'`: `git ls-remote 'http://[masked]@x.example/x.git'`,
		"Setting --password (password) to hunter2":               "Setting --password (password) to [masked]",
		"sshpass -phunter2 ssh x":                                "sshpass -p[masked] ssh x",
		// escaped more than once, in prose, other names
		`{\\\"password\\\":\\\"hunter2\\\",\\\"x\\\":1}`: `{\\\"password\\\":\\\"[masked]\\\",\\\"x\\\":1}`,
		"the token is " + random + " x":                  "the token is [masked] x", "Your API key is " + random: "Your API key is [masked]", "the token is expired": "the token is expired",
		"passcode: 123456": "passcode: [masked]",
		// names and values
		`<entry name="fooToken" value="hunter2" />`:         `<entry name="fooToken" value="[masked]" />`,
		`<add key="Password" value="hunter2"/>`:             `<add key="Password" value="[masked]"/>`,
		`{"name": "FOO_TOKEN", "value": "hunter2", "x": 1}`: `{"name": "FOO_TOKEN", "value": "[masked]", "x": 1}`,
		"- name: DB_PASSWORD\n  value: hunter2\n- name: X":  "- name: DB_PASSWORD\n  value: [masked]\n- name: X",
		// keys that need a random value
		"OPENAI_KEY=" + random:                     "OPENAI_KEY=[masked]",
		"DEBUG Using Key=" + random:                "DEBUG Using Key=[masked]",
		"https://x.example/?key=" + random:         "https://x.example/?key=[masked]",
		"GITHUB_TOKEN_CI=" + random:                "GITHUB_TOKEN_CI=[masked]",
		"password_prod: " + random:                 "password_prod: [masked]",
		"fooAuth := \"" + random + "\"":            "fooAuth := \"[masked]\"",
		"OPENAI_KEY=/etc/openai/key":               "OPENAI_KEY=/etc/openai/key",
		"SSH_KEY=id_ed25519":                       "SSH_KEY=id_ed25519",
		"MY_PAT=" + random:                         "MY_PAT=[masked]",
		"  my-pat: " + random:                      "  my-pat: [masked]",
		"PAT: " + random:                           "PAT: [masked]",
		"compat=" + random:                         "compat=" + random,
		"FILE_PAT=*.log":                           "FILE_PAT=*.log",
		"primary_key=" + random:                    "primary_key=" + random,
		"cache-key: linux-" + random:               "cache-key: linux-" + random,
		"Cache restored from key: Linux-" + random: "Cache restored from key: Linux-" + random,
		"Key=logs/2024/01/" + random:               "Key=logs/2024/01/" + random,
		"TOKEN_FILE=/run/" + random:                "TOKEN_FILE=/run/" + random,
		"SECRET_NAME=app-" + random:                "SECRET_NAME=app-" + random,
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, want, New().Redact(got), "masking twice")
			requireNoPanic(t, in)
		})
	}
}

// requireNoPanic masks all that a text may be cut to.
func requireNoPanic(t *testing.T, text string) {
	t.Helper()
	for i := range text {
		require.NotPanics(t, func() {
			New().maskAll(text[i:], 0, &foundValues{})
			New().maskAll(text[:i], 0, &foundValues{})
		}, text[i:])
	}
}

// The layouts of common programs: terraform's plan, shell traces, connection tests.
func TestAssignmentsOfPrograms(t *testing.T) {
	for in, want := range map[string]string{
		`  + password                 = "hunter2"`:                `  + password                 = "[masked]"`,
		`  + db_password                                = "x y1"`: `  + db_password                                = "[masked]"`,
		`  ~ password = "hunter2" -> "hunter3"`:                   `  ~ password = "[masked]"`,
		`  + password = (known after apply)`:                      `  + password = (known after apply)`,
		`Token:               hunter2x1`:                          `Token:               [masked]`,
		`DB_PASSWORD=$'hunter2 x'`:                                `DB_PASSWORD=$'[masked]'`,
		`MY_TOKEN="""hunter2"""`:                                  `MY_TOKEN="""[masked]"""`,
		`MY_TOKEN=""`:                                             `MY_TOKEN=""`,
		`+ curl -ubob:hunter2 https://x`:                          `+ curl -u[masked] https://x`,
		`+ curl -su bob:hunter2 https://x`:                        `+ curl -su [masked] https://x`,
		`+ curl -sSu "bob:hunter2" https://x`:                     `+ curl -sSu "[masked]" https://x`,
		`+ curl -ubob https://x`:                                  `+ curl -ubob https://x`,
		`arn:aws:secretsmanager:eu-west-1:12:secret:db-AbCdEf`:    `arn:aws:secretsmanager:eu-west-1:12:secret:db-AbCdEf`,
	} {
		got := New().Redact(in)
		require.Equal(t, want, got)
		require.Equal(t, got, New().Redact(got), "masking twice")
	}
}

// An element may have a namespace and attributes, which are no secrets.
func TestElements(t *testing.T) {
	for in, want := range map[string]string{
		`<Password Type="t">hunter2</Password>`:                    `<Password Type="t">[masked]</Password>`,
		`<Password Type="t">hunter2`:                               `<Password Type="t">[masked]`,
		"<password encrypted=\"false\">\n  hunter2\n</password>":   "<password encrypted=\"false\">\n  [masked]\n</password>",
		`<wsse:Password Type="http://x/y#t">a b</wsse:Password>`:   `<wsse:Password Type="http://x/y#t">[masked]</wsse:Password>`,
		`<o:Password>a b</o:Password><o:x>y</o:x>`:                 `<o:Password>[masked]</o:Password><o:x>y</o:x>`,
		`<input name="password" type="password" value=""/>`:        `<input name="password" type="password" value=""/>`,
		`<xs:element name="password" type="xs:string"/>`:           `<xs:element name="password" type="xs:string"/>`,
		`<Secret kind="Opaque"/>`:                                  `<Secret kind="Opaque"/>`,
		`<credentials a="b"><user>bob</user></credentials>`:        `<credentials a="b"><user>bob</user></credentials>`,
		"<credentials a=\"b\">\n  <user>bob</user></credentials>":  "<credentials a=\"b\">\n  <user>bob</user></credentials>",
		`<input name="password" type="password" value="hunter2"/>`: `<input name="password" type="password" value="[masked]"/>`,
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}

// A name and its value in one object, in any order, and with other things between them.
func TestNamesAndValues(t *testing.T) {
	for in, want := range map[string]string{
		`{"name": "DB_PASSWORD", "slotSetting": false, "value": "hunter2"}`:               `{"name": "DB_PASSWORD", "slotSetting": false, "value": "[masked]"}`,
		`[{"key":"DB_PASSWORD","type":"string","value":"hunter2"}]`:                       `[{"key":"DB_PASSWORD","type":"string","value":"[masked]"}]`,
		`{"ParameterKey":"DBPassword","ParameterValue":"hunter2"}`:                        `{"ParameterKey":"DBPassword","ParameterValue":"[masked]"}`,
		`{"name": "DB_PASSWORD", "tags": {"file-encoding": "utf-8"}, "value": "hunter2"}`: `{"name": "DB_PASSWORD", "tags": {"file-encoding": "utf-8"}, "value": "[masked]"}`,
		`{"value":"hunter2","name":"DB_PASSWORD"}`:                                        `{"value":"[masked]","name":"DB_PASSWORD"}`,
		"{\n  \"Value\": \"hunter2\",\n  \"Key\": \"DB_PASSWORD\"\n}":                     "{\n  \"Value\": \"[masked]\",\n  \"Key\": \"DB_PASSWORD\"\n}",
		"- value: hunter2\n  name: DB_PASSWORD\n":                                         "- value: [masked]\n  name: DB_PASSWORD\n",
		`<add value="hunter2" key="DB_PASSWORD"/>`:                                        `<add value="[masked]" key="DB_PASSWORD"/>`,
		`"db_password": {"sensitive": true, "value": "hunter2"}`:                          `"db_password": {"sensitive": true, "value": "[masked]"}`,
		"\"db_password\": {\n  \"type\": \"string\",\n  \"value\": \"hunter2\"\n}":        "\"db_password\": {\n  \"type\": \"string\",\n  \"value\": \"[masked]\"\n}",
		`{"name":"A_TOKEN"},{"name":"B","value":"plain"}`:                                 `{"name":"A_TOKEN"},{"name":"B","value":"plain"}`,
		`{"name":"DB_PASSWORD","valueFrom":{"name":"x"}},{"value":"plain"}`:               `{"name":"DB_PASSWORD","valueFrom":{"name":"x"}},{"value":"plain"}`,
		"- name: A\n  value: plain\n- name: DB_PASSWORD\n  valueFrom: x\n":                "- name: A\n  value: plain\n- name: DB_PASSWORD\n  valueFrom: x\n",
		`{"value":"plain","name":"HOME"}`:                                                 `{"value":"plain","name":"HOME"}`,
		`{"value":"plain"},{"name":"DB_PASSWORD"}`:                                        `{"value":"plain"},{"name":"DB_PASSWORD"}`,
		`{"Name": "/prod/db/password", "Type": "SecureString", "Value": "hunter2"}`:       `{"Name": "/prod/db/password", "Type": "SecureString", "Value": "[masked]"}`,
		`<property name="connection.password">hunter2</property>`:                         `<property name="connection.password">[masked]</property>`,
		`<string name="api_key" x="y">hunter2</string>`:                                   `<string name="api_key" x="y">[masked]</string>`,
		`<string name="password">Your password</string>`:                                  `<string name="password">Your password</string>`,
		`<meta name="csrf-token" content="hunter2">`:                                      `<meta name="csrf-token" content="[masked]">`,
		`<name>fs.s3a.secret.key</name><value>hunter2</value>`:                            `<name>fs.s3a.secret.key</name><value>[masked]</value>`,
		"  <name>fs.s3a.secret.key</name>\n  <value>two words</value>":                    "  <name>fs.s3a.secret.key</name>\n  <value>[masked]</value>",
		"<name>DbPassword</name>\n<description>a b</description><value>hunter2</value>":   "<name>DbPassword</name>\n<description>a b</description><value>[masked]</value>",
		`<param-name>password</param-name><param-value>hunter2</param-value>`:             `<param-name>password</param-name><param-value>[masked]</param-value>`,
		`<name>password</name><value><string>hunter2</string></value>`:                    `<name>password</name><value><string>[masked]</string></value>`,
		"<key>ApiToken</key>\n\t<string>hunter2</string>":                                 "<key>ApiToken</key>\n\t<string>[masked]</string>",
		`<key>ApiToken</key><true/><key>x</key><string>plain</string>`:                    `<key>ApiToken</key><true/><key>x</key><string>plain</string>`,
		`<name>db.password</name><value></value><name>x</name><value>y</value>`:           `<name>db.password</name><value></value><name>x</name><value>y</value>`,
		`<name>security.token.service.use_ip</name><value>true</value>`:                   `<name>security.token.service.use_ip</name><value>true</value>`,
		"password:\n  type: string\n  value: hunter2\nx: 1":                               "password:\n  type: string\n  value: [masked]\nx: 1",
		"  DBPassword:\n    Type: String\n    Default: hunter2\n":                         "  DBPassword:\n    Type: String\n    Default: [masked]\n",
		"  token:\n    required: true\n  foo:\n    default: plain":                        "  token:\n    required: true\n  foo:\n    default: plain",
		"password:\n  from:\n    value: x\nvalue: plain":                                  "password:\n  from:\n    value: x\nvalue: plain",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}
