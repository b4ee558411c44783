package redact

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What looks like an assignment of a secret and is none.
func TestNoSecret(t *testing.T) {
	for name, lines := range map[string][]string{
		"of pydantic and Django": {"password: Field required", "api_token: Input should be a valid string", "secret: URL input should be a string or URL", "password: Value error, too common", "password: Enter a valid value."},
		"of argparse":            {"usage: x [-h] [--secret {a,b-c}] --other OTHER", "  --token {a,b}"},
		"versions":               {"tiktoken==1.2", "tiktoken==0.9.0", "tiktoken>=0.7,<1", "tiktoken = \"^0.5.1\"", "+ tiktoken==1.2 (from x)", "csrf-token: 2.3.1", "token=v1.2.3"},
		"calls":                  {`log.info('token', 'getting list')`, `words := []string{"token", "secret", "password"}`, `'LIST': ('AUTH', 'SELECTED'),`, `x.AddToken("adf-bot", "demo-token", "write:issue")`, `token := os.Getenv("GITEA_TOKEN")`, "password = get_password(url, username)", "password = bytes(memoryview(password))", `  token: core.getInput('token'),`, `secret = hmac.new(key, msg).digest()`, `token = env::var("TOKEN")?;`, "password = self._get_password(", `const auth = createTokenAuth(TOKEN);`, "token = os.environ[\"TOKEN\"]", "const token = await getToken()", "for _, token := range input {"},
		"names":                  {"t.token = token", "password=password,", "idToken = process.env.NPM_ID_TOKEN", "  privateKey: process.env.PRIVATE_KEY,", "self.password = args.password", "newCreds: { token: res.token },", "netloc, user_pass = user_pass", "if token == t.Admin {", "if password != other.password:", "while token == EOF"},
		"paths":                  {"tls-secret: /etc/tls", "db-password: /run/secrets/db2", "--password=/run/secrets/x", "secret: ./a/b", `secret = "~/x/Y"`, "password: ../x"},
		"references": {"existingSecret: db-cred1", "imagePullSecret: regcred1", "password: op://vault/x1/password", "password: arn:aws:secretsmanager:eu-west-1:12:secret:x1",
			`password: "@Microsoft.KeyVault(SecretUri=https://x)"`, "password: file:///run/x1", "user bob123 password reset"},
		"objects of Kubernetes": {
			`MountVolume.SetUp failed for volume "x": secret "app-secrets-7h2k9m5t8b" not found`, `secret "default-token-x7k2p" not found`,
			"Tokens:              default-token-x7k2p\nMountable secrets:   default-token-x7k2p",
		},
		"words": {
			`"update_password": "always"`, "${DB_PASSWORD:?not set}", `: "${API_TOKEN:?it must be set}"`, "credentials: same-origin",
			"no matching host key type found. Their offer: sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com",
			"ActionController::InvalidAuthenticityToken: ActionController::InvalidAuthenticityToken", "unexpected token: KEY_VALUE at line 3", `pad_token="<pad>"`,
		},
		"other keys of a line": {
			`path=/etc/x/token err="permission denied"`, `method=token error="it has expired"`, `auth=password user="bob"`, "logger=auth.token\terr=\"no such host\"",
		},
		"cookies": {"Set-Cookie: theme=dark", "< set-cookie: lang=en; Path=/; Max-Age=31536000; SameSite=Lax", "Cookie: locale=de"},
		"renames": {" rename src/{secret => secrets}/store.go (98%)", " {password => auth}/hash.go | 12 ++--", "rename {token => auth2}.go (90%)"},
		"tests": {
			"✓ password: validates length", "  ✔ password: is longer (3 ms)", "  × password: refuses short ones", "password: validates length", "ok 12 - password: has digits", "PASS password: length of it",
			"  - password: rejects empty values",
		},
		"complaints": {
			`{"errors":{"password":"must be at least 8 characters"}}`, `{"password":["This password is too short.","This password is too common."]}`, `{"errors":{"token":"is invalid"}}`,
			"password: open /run/secrets/db: no such file or directory", "fetch secret: context deadline exceeded", "secret: rpc error: code = NotFound", "password: exit status 2",
			"x.sh: line 5: DB_PASSWORD: unbound variable", "x.sh: 5: DB_PASSWORD: parameter not set", "test_password: FAIL", "password: can't be blank",
			"password: psycopg2.OperationalError: FATAL", "secret: forbidden", "config: password: unknown field", "The password: it must be longer",
			"error: a value is required for '--token <TOKEN>' but none was supplied", "run x (--password <PASSWORD>) first",
		},
		"changes": {"* **auth:** Fallback lookups for missing files", "a1b2c3d auth: refactor the signatures", "a1b2c3d internal/gcpsecret: simplify names", "/run/secrets/db_password: ASCII text", "PASSWORD= make test", "the Token= setting is deprecated", "ipw2200: fix a leak", "am65-cpsw: fix freeing", "[go/token]: https://golang.org/pkg/go/token/", "strips `Authorization`, `Cookie`, and more", "| password | varchar(255) | NO |"},
		"reasons": {
			`failed to get secret: secrets "db" is forbidden: User "x" cannot get it`, `secret: secrets "db" not found`, "error fetching token: oauth2: cannot fetch token: 401", "could not refresh the token: invalid_grant",
			"reading password: inappropriate ioctl for device", "reading secret: lookup vault.example on 10.0.0.2:53: no such host", "get secret: read tcp 10.0.0.1:34->10.0.0.2:443: reset", "get secret: x509: certificate has expired",
			"TASK [Create secret: nginx-tls] ***", "Data\n====\npassword:  7 bytes\n",
		},
		"expressions": {"   password = random_password.db.result", "SET password=%(password)s, x=1", "password: #{password}", "<a password='<%= x %>'>", `&x{Password:"", Token:(*string)(0xc000)}`, "password: !Ref DbPassword", "password: $env:PW"},
		"scopes":      {"uninitialized constant Password::Policy (NameError)", "Auth::Token::InvalidError: it has expired", "  12: agent::token::refresh::h0123456789abcdef", "use token::Stream", "token :: String"},
		"types":       {"password: Optional[HiddenText]", "password: Option<String>,", "  token: string;", "passwords: Dict[str, AuthInfo]"},
		"prose":       {"Access denied for user 'root'@'localhost' (using password: YES)", "found reserved keyword token: `fn`", "serviceAccountToken: expirationSeconds: 3607", `the "Authorization:" header, the "Cookie:" header`, `getpass(prompt='Password: ', stream=None)`, "password: got 7 bytes", "password: expected a string", "Password: is required", "password: must have 8 characters", "password: invalid", "Password: incorrect, try again", "secret: not found", "Missing secret: DATABASE_URL in production", "password: Permission denied, try again", "DB_PASSWORD: readonly variable", "Using --password via the CLI is insecure", "credentials: missing", "passphrase: too short", "TypeError(\"pwd: expected bytes, got str\")"},
		"usage":       {"  --token TOKEN   the token", "  --password PASSWORD", "  -p, --password string   password to use", "curl --user <user:password>", "--oauth2-bearer <token> OAuth 2 Bearer", "<protocol>://[<user>[:<password>]@]<hostname>", "the --username and --password options instead", "  --token      the API token", "Authorization: Bearer TOKEN", "Authorization: Bearer <token>", "_authToken=MYTOKEN", "usage: x [--token TOKEN] [--password <pw>]", "TOKEN=YOUR_TOKEN x", "password=xxxxxxxx", "LoadCredential=token:/etc/adfbot/token", "curl -u USER:PASSWORD https://x.example", "psql --no-password mydb", "both -b, --cookie and -c, --cookie-jar", "--private-key=FILE", "-b, --cookie <data|filename>  Send", "--proxy-password PASS"},
		"masks":       {"  + password = (sensitive value)", "password: !vault |", "authorization: 'token [REDACTED]'", "password=<redacted>", "_authToken = (protected)", "password: (unset)", "ImportCredential=db.*", "token: [hidden]", "https://bob:***@x.example/", "https://bob:xxxxx@x.example/", "password: •••••", "password: (none)", "password: (hidden)", "password: not-set", "token: redacted"},
		"user name":   {"https://bob@x.example/r.git", "git+https://isaacs@github.com/npm/cli", "https://first.last@x.example", "akka.tcp://sparkExecutorActorSystem@mesos-slave-01:36", "https://13957525385%40163.com@p28.example", "https://user@host/path", `"https://fonts.example/css?family=Roboto:wght@400"`, "svn+http://blahblah@rev#egg=Foo"},
		"measures":    {"time per token: 12.3ms", "first token: 120ms", "eos_token = '<|endoftext|>'", `"nextPageToken": "CAUQAA0b1c2d3e4f50"`, "GIT_ASKPASS=/usr/bin/git-gui--askpass"},
		"marks":       {"SET name=?,passwd=?,updated=?", "if token == '.':", `elif token == "@":`, "if token == 0x0f:", "token: ?"},
		"states": {"cookie: disabled", "Set-Cookie: not set", "Cookie: session expired", "token=ok", "token=valid", "Secret: created", "secret: updated.", "passwd: files systemd", "(ALL) NOPASSWD: ALL", "PrivateKey|PublicKey448Ed25519Key", "password: changed", `"password": "unset"`,
			"Password: set", "passwords: match", "auth: disabled", "authorization: disabled", "authorization: denied for user bob", "api_key=present", "--- PASS: TestPassword: ok (0.00s)", "TestToken/password=empty (0.00s)"},
		"times and parameters": {"token_expiry=2026-11-28T17:00:00Z", "token_expires: 2026-11-28T17:00:00Z", "PASSWORD=$1", `PWD: C:\Users`, `pwd=D:\x`},
		"objects":              {"key: v1-deps-8f14e45fceea167a5a36dedd4bea2543", "GET /?sort_key=name&state=8f14e45fceea167a5a36dedd4bea2543", "session termination for sessionid: 0x14ede63a5a70002", "wtoken = AppWindowToken{9f4ef63 token=Token{a64f992 ActivityRecord}}", "Bad activity token: android.os.BinderProxy@2bd79ce", "stream/token: com.apple.xpc.activity/4505: 132"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range lines {
				require.Equal(t, Clean(s), New().Redact(Clean(s)))
			}
		})
	}
}

// Neighbours of what TestNoSecret has that are secrets.
func TestStillSecret(t *testing.T) {
	for in, want := range map[string]string{
		"password: hunter two": "password: [masked] two",
		"✔ password: hunter2":  "✔ password: [masked]", "ok password: hunter2 x": "ok password: [masked] x", "password: /hunter2": "password: [masked]", "password: /9fK/x2Q": "password: [masked]",
		"secret: /k7Qm2xW9pL4z/R8vN": "secret: [masked]",
		"get password: hunter2":      "get password: [masked]", "login failed, password: hunter": "login failed, password: [masked]",
		"password: hunter't two":           "password: [masked]'t two",
		`password = ("hunter2")`:           `password = ("[masked]")`,
		`"pass": "` + alnum + `"`:          `"pass": "[masked]"`,
		"rootpass=" + alnum:                "rootpass=[masked]",
		`password == "hunter2"`:            `password == "[masked]"`,
		"PASSWORD=Ab(cd":                   "PASSWORD=[masked]",
		"https://" + alnum + "@x.example/": "https://[masked]@x.example/",
		"https://bob:hunter2@x.example/":   "https://[masked]@x.example/",
		`token = Token("` + alnum + `")`:   `token = Token("[masked]")`,
		"mysql --password hunter2":         "mysql --password [masked]",
		"mysql --password  " + alnum:       "mysql --password  [masked]",
		"password: my.hunter":              "password: [masked]",
		"token=" + alnum + ".x(":           "token=[masked]",
		"Cookie: theme=dark; sid=hunter2":  "Cookie: [masked]", "Set-Cookie: sid=hunter; Path=/": "Set-Cookie: [masked]", "${API_TOKEN:-hunter2}": "${API_TOKEN:[masked]}",
		`var fooToken string = "hunter2"`:      `var fooToken string = "[masked]"`,
		"Set-Cookie: disabled=hunter2; Path=/": "Set-Cookie: [masked]", "cookie: hunter2": "cookie: [masked]", "authorization: hunter two": "authorization: [masked]",
		"password= hunter2": "password= [masked]", "password = hunter two": "password = [masked] two", "DB_PW2=hunter2": "DB_PW2=[masked]",
		`passphrase: "correct horse battery"`: `passphrase: "[masked]"`, `password = "value with spaces"`: `password = "[masked]"`, `passphrase="this is my phrase"`: `passphrase="[masked]"`, "password: !!": "password: [masked]", "<password>hunter2": "<password>[masked]",
		"password=okhunter2": "password=[masked]", "password: $1hunter2": "password: [masked]", "authorization: disabled, Bearer " + alnum: "authorization: [masked]",
		"if token == " + alnum + ":": "if token == [masked]",
		"Password: Invalid8":         "Password: [masked]",
		"curl -u bob:hunter2 x":      "curl -u [masked] x", "'Password: hunter2'": "'Password: [masked]'", "x --token=" + alnum: "x --token=[masked]",
		"password=Ab{cd}e": "password=[masked]", "password: Ab[cd": "password: [masked]", "passwd := m{{h}o)p${e]nob": "passwd := [masked]",
		"PASSWORD=Ab(cd)e": "PASSWORD=[masked]", "password: super_secret": "password: [masked]", "password: word": "password: [masked]",
		"x --token ABCDEF0123456789": "x --token [masked]", "x --password  hunter2 -h y": "x --password  [masked] -h y", "password: !@#$%^&*": "password: [masked]",
		"if [ $PASSWORD == hunter2 ]": "if [ $PASSWORD == [masked] ]", "password = Optional": "password = [masked]", "token: ab.cd.e1": "token: [masked]",
		"password=GOT": "password=[masked]", `DB_PASSWORD="wrong horse battery"`: `DB_PASSWORD="[masked]"`, `x --password "too many cooks"`: `x --password "[masked]"`,
		"<password>a b</password>":             "<password>[masked]</password>",
		"<password>hunter2</password><x>y</x>": "<password>[masked]</password><x>y</x>",
	} {
		require.Equal(t, want, New().Redact(in))
		require.Equal(t, want, New().Redact(want), "masking twice")
	}
}
