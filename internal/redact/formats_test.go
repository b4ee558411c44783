package redact

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const vaultKey = "4jYbl2CBIv6SpkKj6Hos" + "9iD32k5RfGkLzlosrrq/JgOm"

// How shells, debuggers and other programs print a key and its value.
func TestFormats(t *testing.T) {
	for in, want := range map[string]string{
		// a quote in a quoted value
		`+ DB_PASSWORD='hun'\''ter2'`:       `+ DB_PASSWORD='[masked]'`,
		`+ DB_PASSWORD='hun'"'"'ter2 x'`:    `+ DB_PASSWORD='[masked]'`,
		`password: 'hun''ter2'`:             `password: '[masked]'`,
		`password='' user='bob'`:            `password='' user='bob'`,
		`{'password': 'hunter2', 'x': 'y'}`: `{'password': '[masked]', 'x': 'y'}`,
		// a type before the value
		`Password: (string) (len=7) "hunter2",`:        `Password: (string) (len=7) "[masked]",`,
		`'password' => string(7) "hunter2"`:            `'password' => string(7) "[masked]"`,
		"[\"password\"]=>\n  string(7) \"hunter2\"\n}": "[\"password\"]=>\n  string(7) \"[masked]\"\n}",
		// names of several words, or of certain programs
		"Secret Access Key: k7Qm2/W9pL4z+R8vNk7Qm2/W9pL4zR8vNk7QmW9": "Secret Access Key: [masked]",
		"Secret Access Key: k7Qm2/W9pL4zR8vNk7Qm2/W9pL4zR8vNk7QmW9":  "Secret Access Key: [masked]",
		"API key: hunter2x":          "API key: [masked]",
		"API key: missing":           "API key: missing",
		"Host key: ab12":             "Host key: ab12",
		"REGISTRY_CREDS_PSW=hunter2": "REGISTRY_CREDS_PSW=[masked]",
		`.dockerconfigjson: eyJhdXRocyI6eyJ4Ijp7ImF1dGgiOiJZbTlpT21oMWJuUmxjakk9In19fQ==`: `.dockerconfigjson: [masked]`,
		// SQL
		`CREATE USER bob IDENTIFIED BY 'hunter2';`:                      `CREATE USER bob IDENTIFIED BY '[masked]';`,
		`create user bob identified with x by 'hunter2'`:                `create user bob identified with x by '[masked]'`,
		`ALTER ROLE bob WITH ENCRYPTED PASSWORD 'hunter2';`:             `ALTER ROLE bob WITH ENCRYPTED PASSWORD '[masked]';`,
		`alter user bob identified by hunter2;`:                         `alter user bob identified by [masked];`,
		`SET PASSWORD = PASSWORD('hunter2')`:                            `SET PASSWORD = PASSWORD('[masked]')`,
		`CREATE SECRET x (TYPE S3, SECRET 'hunter2');`:                  `CREATE SECRET x (TYPE S3, SECRET '[masked]');`,
		`the file is identified by name, sorted by 'age'`:               `the file is identified by name, sorted by 'age'`,
		`user bob: invalid password "hunter2"`:                          `user bob: invalid password "hunter2"`,
		`CREATE USER 'bob'@'%' IDENTIFIED BY 'hunter2';`:                `CREATE USER 'bob'@'%' IDENTIFIED BY '[masked]';`,
		`GRANT ALL ON x.* TO "bob"@"%" IDENTIFIED BY "hunter2"`:         `GRANT ALL ON x.* TO "bob"@"%" IDENTIFIED BY "[masked]"`,
		`ALTER ROLE "bob" WITH PASSWORD E'hunter2'`:                     `ALTER ROLE "bob" WITH PASSWORD E'[masked]'`,
		`SET PASSWORD FOR 'bob'@'%' = 'hunter2';`:                       `SET PASSWORD FOR 'bob'@'%' = '[masked]';`,
		"INSERT INTO users (name, password) VALUES ('bob', 'hunter2');": "INSERT INTO users (name, password) VALUES ('bob', '[masked]');",
		`insert into "s"("token", x) values ('hunter2', 3)`:             `insert into "s"("token", x) values ('[masked]', 3)`,
		"INSERT INTO t (a, password, b) VALUES (NULL, 'o''hunter2', 3)": "INSERT INTO t (a, password, b) VALUES (NULL, '[masked]', 3)",
		"INSERT INTO users (name, password) VALUES (?, ?)":              "INSERT INTO users (name, password) VALUES (?, ?)",
		// addresses that a program could not parse
		`parse "postgres://bob:hunt er2@db/x": net/url: invalid userinfo`: `parse "postgres://[masked]@db/x": net/url: invalid userinfo`,
		`parse "http://bob:hun": invalid port ":hun" after host`:          `parse "http://bob:[masked]": invalid port ":[masked]" after host`,
		`parse "http://x:${PORT}": invalid port ":${PORT}" after host`:    `parse "http://x:${PORT}": invalid port ":${PORT}" after host`,
		"Port could not be cast to integer value as 'hun'":                "Port could not be cast to integer value as '[masked]'",
		`see "http://x:port", or 'mail a@b.example'`:                      `see "http://x:port", or 'mail a@b.example'`,
		// the purpose of a password
		"A temporary password is generated for root@localhost: hunter2;A":                      "A temporary password is generated for root@localhost: [masked]",
		"Password for the elastic user:\n  hunter2\n":                                          "Password for the elastic user:\n  [masked]\n",
		"password for user bob: FATAL 28P01":                                                   "password for user bob: FATAL 28P01",
		"use the following password to proceed to installation:\n\n" + hex40[:32] + "\n\nThis": "use the following password to proceed to installation:\n\n[masked]\n\nThis",
		"enter the password to continue:\nserver01 is up":                                      "enter the password to continue:\nserver01 is up",
		"PASSWORD elastic = " + random:                                                         "PASSWORD elastic = [masked]",
		"Your password is hunter2":                                                             "Your password is [masked]",
		`{"msg": "password is hunter2"}`:                                                       `{"msg": "password is [masked]"}`,
		`the password was set to "hunter2"`:                                                    `the password was set to "[masked]"`,
		"the password is expired":                                                              "the password is expired",
		"the password is 8 days old":                                                           "the password is 8 days old",
		"password was set to never expire":                                                     "password was set to never expire",
		"at jdbc:oracle:thin:bob/hunter2@db/x":                                                 "at [masked]@db/x",
		"at jdbc:oracle:thin:@//db:1521/x":                                                     "at jdbc:oracle:thin:@//db:1521/x",
		// Vault
		"Unseal Key 1: " + vaultKey + "\nUnseal Key 2: " + vaultKey + "\n": "Unseal Key 1: [masked]\nUnseal Key 2: [masked]\n",
		"Recovery Key 1: " + vaultKey:                                      "Recovery Key 1: [masked]",
		"Initial Root Token: hunter2x":                                     "Initial Root Token: [masked]",
		"unseal_keys_b64:\n- " + vaultKey + "\n- " + vaultKey:              "unseal_keys_b64:\n- [masked]\n- [masked]",
		`"keys_base64": ["` + vaultKey + `"]`:                              `"keys_base64": ["[masked]"]`,
		`"unseal_keys_hex": ["` + hex40 + `", "` + hex40 + `"]`:            `"unseal_keys_hex": ["[masked]", "[masked]"]`,
		"Unseal Progress 1: 2/3, Key 1: 4":                                 "Unseal Progress 1: 2/3, Key 1: 4",
		// directives and tags
		"requirepass hunter2\nmasterauth hunter3":                                                  "requirepass [masked]\nmasterauth [masked]",
		`ConvertTo-SecureString "hunter 2" -AsPlainText -Force`:                                    `ConvertTo-SecureString "[masked]" -AsPlainText -Force`,
		`ConvertTo-SecureString -String 'hunter2' -AsPlainText`:                                    `ConvertTo-SecureString -String '[masked]' -AsPlainText`,
		`ConvertTo-SecureString -String $env:PW -AsPlainText`:                                      `ConvertTo-SecureString -String $env:PW -AsPlainText`,
		"password: !!str hunter2\nx: !!binary YQ==":                                                "password: !!str [masked]\nx: !!binary YQ==",
		"token: !!binary aHVudGVyMg==":                                                             "token: !!binary [masked]",
		"password: !Ref DBPassword\ntoken: !secret api_token":                                      "password: !Ref DBPassword\ntoken: !secret api_token",
		"#define API_TOKEN hunter2\n#define WIFI_PASSWORD \"a b\"":                                 "#define API_TOKEN [masked]\n#define WIFI_PASSWORD \"[masked]\"",
		"#define FLAG_PWD 0x02\n#define SN_a_bToken   \"a-bToken\"\n#define OBJ_bToken OBJ_a1,14L": "#define FLAG_PWD 0x02\n#define SN_a_bToken   \"a-bToken\"\n#define OBJ_bToken OBJ_a1,14L",
		"#define TOKEN_MAX 12\n#define PASSWORD\n#define X y":                                      "#define TOKEN_MAX 12\n#define PASSWORD\n#define X y",
		// header lines that are escaped
		`send: b'GET / HTTP/1.1\r\nCookie: a=hunter2\r\nX: y\r\n'`: `send: b'GET / HTTP/1.1\r\nCookie: [masked]\r\nX: y\r\n'`,
		`"Authorization: Digest a, b=hunter2\nHost: x"`:            `"Authorization: [masked]\nHost: x"`,
		// files of users and passwords
		"localhost:5432:*:bob:hunter2":                           "localhost:5432:*:bob:[masked]",
		"x\n*:*:*:bob:hun ter2\ny":                               "x\n*:*:*:bob:[masked]\ny",
		"10.0.0.1:5432: connection from user:bob:refused":        "10.0.0.1:5432: connection from user:bob:refused",
		"src/a.c:5432:1:warning:unused":                          "src/a.c:5432:1:warning:unused",
		"machine x.example password hunter2 login bob":           "machine x.example password [masked] login bob",
		"machine x.example\n  password hunter\n  login bob":      "machine x.example\n  password [masked]\n  login bob",
		"default login bob password hunter":                      "default login bob password [masked]",
		"userlist x\n  user bob password hunter\n":               "userlist x\n  user bob password [masked]\n",
		"user bob password authentication failed":                "user bob password authentication failed",
		"username bob privilege 15 secret hunter2":               "username bob privilege 15 secret [masked]",
		"stats auth admin:hunter2":                               "stats auth admin:[masked]",
		"bob:{SSHA}" + random + random + "=":                     "bob:[masked]",
		"bob:{PLAIN}hunter2":                                     "bob:[masked]",
		"bob:$1$abcdefgh$" + alnum[:22]:                          "bob:[masked]",
		"bob:$y$j9T$abc/def$" + alnum:                            "bob:[masked]",
		"x pbkdf2_sha256$260000$abcdef$" + random + random + "=": "x [masked]",
		// Lisp and Erlang
		`{:user "bob" :password "hunter2"}`:      `{:user "bob" :password "[masked]"}`,
		`(def password "hunter2")`:               `(def password "[masked]")`,
		`(setq api-token "hunter2")`:             `(setq api-token "[masked]")`,
		`[{user, "bob"}, {password, "hunter"}].`: `[{user, "bob"}, {password, "[masked]"}].`,
		`{password,<<"hunter">>}`:                `{password,<<"[masked]">>}`,
		`{:password, "hunter"}`:                  `{:password, "[masked]"}`,
		`{"Password", "hunter2"}`:                `{"Password", "[masked]"}`,
		`[]string{password, "hunter"}`:           `[]string{password, "hunter"}`,
		`a::password "hunter"`:                   `a::password "hunter"`,
		// Rust
		`Config { password: Some("hunter2"), x: 1 }`: `Config { password: Some("[masked]"), x: 1 }`,
		"token: Some(\n    \"hunter2\",\n),":         "token: Some(\n    \"[masked]\",\n),",
		`let password = String::from("hunter2");`:    `let password = String::from("[masked]");`,
		`password => Sensitive('hunter2'),`:          `password => Sensitive('[masked]'),`,
		`password => <<"hunter2">>`:                  `password => <<"[masked]">>`,
		"token: Some(token), x: None":                "token: Some(token), x: None",
		// short names
		`{"user": "bob", "pass": "hunter2"}`:  `{"user": "bob", "pass": "[masked]"}`,
		"smtp:\n  user: bob\n  pass: hunter2": "smtp:\n  user: bob\n  pass: [masked]",
		"map[pass:hunter2 user:bob]":          "map[pass:[masked] user:bob]",
		"user.test.js pass: all":              "user.test.js pass: all",
		"DB_PW=hunter2":                       "DB_PW=[masked]",
		"pw:browser <launching>":              "pw:browser <launching>",
		`"SecretString": "hunter2"`:           `"SecretString": "[masked]"`,
		"secret_id=" + random:                 "secret_id=[masked]",
		"secret_id=db-password":               "secret_id=db-password",
		// commands and dialogs
		"bob:p@s/w=@tcp(db:3306)/x":                    "[masked]@tcp(db:3306)/x",
		`dsn=bob:hunter2@tcp(db:3306)/x`:               `dsn=[masked]@tcp(db:3306)/x`,
		"root:@tcp(db:3306)/x":                         "root:@tcp(db:3306)/x",
		`RUN echo "bob:hunter2" | chpasswd`:            `RUN echo "[masked]" | chpasswd`,
		"echo -n $T | gh auth --with-token":            "echo -n $T | gh auth --with-token",
		`echo -e "hunter2\nhunter2" | passwd bob`:      `echo -e "[masked]" | passwd bob`,
		"+ echo hunter2 | sudo -S ls":                  "+ echo [masked] | sudo -S ls",
		"echo done | tee x; passwd -l bob":             "echo done | tee x; passwd -l bob",
		"C: PASS hunter2":                              "C: PASS [masked]",
		"echo hunter2 | x login --password-stdin":      "echo [masked] | x login --password-stdin",
		"> PASS hunter2":                               "> PASS [masked]",
		"> PASS src/a.test.js":                         "> PASS src/a.test.js",
		"AUTH PLAIN " + random:                         "AUTH PLAIN [masked]",
		"machine x\n  login bob\n  password hunter2\n": "machine x\n  login bob\n  password [masked]\n",
		"form-data; name=\"password\"\n\nhunter2\n--":  "form-data; name=\"password\"\n\n[masked]\n--",
		"::add-mask::hunter2":                          "::add-mask::[masked]",
		`{"kty":"RSA","d":"` + alnum + alnum + `"}`:    `{"kty":"RSA",[masked]"}`,
		// hashes of passwords
		"root:$6$abcdefgh$" + alnum + alnum + ":19000:0": "root:[masked]:19000:0",
		"x $2b$12$" + alnum + alnum[:17]:                 "x [masked]",
		"echo $1$2 $5$6":                                 "echo $1$2 $5$6",
		// Markdown
		"| Password | `hunter2` |":      "| Password | `[masked]` |",
		"| token | `string` |":          "| token | `string` |",
		"**Password:** hunter2":         "**Password:** [masked]",
		"- **API key**: `hunter2`":      "- **API key**: `[masked]`",
		"**Token:** The token to use":   "**Token:** The token to use",
		"2. **Password** – as you like": "2. **Password** – as you like",
		// encoded quotes and separators
		`{&quot;token&quot;: &quot;hunter2&quot;, &quot;x&quot;: 1}`: `{&quot;token&quot;: &quot;[masked]&quot;, &quot;x&quot;: 1}`,
		`{&quot;token&quot;:null,&quot;error&quot;:&quot;why&quot;}`: `{&quot;token&quot;:null,&quot;error&quot;:&quot;why&quot;}`,
		`password=&#34;hunter2&#34; x`:                               `password=&#34;[masked]&#34; x`,
		`?q=%7B%22token%22%3A%20%22hunter2%22%7D&x=1`:                `?q=%7B%22token%22%3A%20%22[masked]%22%7D&x=1`,
		`{\u0022token\u0022:\u0022hunter2\u0022,\u0022x\u0022:1}`:    `{\u0022token\u0022:\u0022[masked]\u0022,\u0022x\u0022:1}`,
		`?a=1\u0026token\u003dhunter2 x`:                             `?a=1\u0026token\u003d[masked] x`,
		`scope=token%3Aread`:                                         `scope=token%3Aread`,
		`userPassword:: e1NTSEF9YWJjZA==`:                            `userPassword:: [masked]`,
		"-----BEGIN%20PRIVATE%20" + "KEY-----%0A" + keyLine1 + "%0A" + url.QueryEscape(keyLine2) + "%0A-----END%20PRIVATE%20KEY-----&x=1": "[masked]&x=1",
		"-----BEGIN+RSA+PRIVATE+" + "KEY-----%0D%0A" + url.QueryEscape(keyLine1) + "%0D%0A-----END+RSA+PRIVATE+KEY-----%0D%0A":            "[masked]",
		"-----BEGIN%20CERTIFICATE-----%0A" + keyLine1 + "%0A-----END%20CERTIFICATE-----":                                                  "-----BEGIN%20CERTIFICATE-----%0A" + keyLine1 + "%0A-----END%20CERTIFICATE-----",
		// tables
		"| API_TOKEN   | " + random + " |":                                           "| API_TOKEN   | [masked] |",
		"│ API_TOKEN │ " + random + " │":                                             "│ API_TOKEN │ [masked] │",
		"API_TOKEN    " + random:                                                     "API_TOKEN    [masked]",
		"API_TOKEN\t" + random + "\nx":                                               "API_TOKEN\t[masked]\nx",
		"Key         Value\n---         -----\npassword    hunter2\nuser        bob": "Key         Value\n---         -----\npassword    [masked]\nuser        bob",
		"| token | The token to use |":                                               "| token | The token to use |",
		"bind_password hunter2\n  auth_pass hunter2\nx":                              "bind_password [masked]\n  auth_pass [masked]\nx",
		"username bob password 7 hunter2":                                            "username bob password 7 [masked]",
		"enable secret 0 hunter2":                                                    "enable secret 0 [masked]",
		"password 8 characters long":                                                 "password 8 characters long",
		"  ResetToken *uint16\n  Cm2Token uint32":                                    "  ResetToken *uint16\n  Cm2Token uint32",
		"token       Print the token":                                                "token       Print the token",
		"password    required":                                                       "password    required",
		"my-secret   Opaque   2   5d12h":                                             "my-secret   Opaque   2   5d12h",
		"default-token   kubernetes.io/service-account-token   3   1d":               "default-token   kubernetes.io/service-account-token   3   1d",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}
