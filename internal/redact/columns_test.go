package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	words12 = "legal winner thank year wave sausage worth useful legal winner thank " + "yellow"
	words24 = words12 + " " + words12
)

// The tables of rich, pandas and node have an index without a name, or lines of other signs.
func TestTablesWithIndex(t *testing.T) {
	for name, table := range map[string]string{
		"rich":                       "┏━━━━━━┳━━━━━━━━━━┓\n┃ user ┃ password ┃\n┡━━━━━━╇━━━━━━━━━━┩\n│ bob  │ hunter2  │\n└──────┴──────────┘\n",
		"pandas":                     "  user  password  n\n0  bob   hunter2  1\n1  amy   hunter2  1\n",
		"pandas, with a named index": "     password  n\nuser            \nbob   hunter2  1\n",
		"aws":                        "|                GetSecretValue          |\n|  SecretString|  hunter2               |\n||  DbPassword|  hunter2  ||\n",
		"CSV":                        ",user,password,n\n0,bob,hunter2,1\n",
		"console.table":              "│ (index) │ user  │ password  │\n├─────────┼───────┼───────────┤\n│ 0       │ 'bob' │ hunter2 │\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, strings.ReplaceAll(table, "hunter2", masked), New().Redact(table))
		})
	}
}

func TestColumns(t *testing.T) {
	for in, want := range map[string]string{
		"USER  PASSWORD\nbob  hunter2\n":                                                "USER  PASSWORD\nbob  [masked]\n",
		"USER PASSWORD\nbob hunter2\namy hunter3\n\nx y12345":                           "USER PASSWORD\nbob [masked]\namy [masked]\n\nx y12345",
		"NAME    PASSWORD   ROLE\nbob     hunter2    admin\namy s   hunter3    x\n":     "NAME    PASSWORD   ROLE\nbob     [masked]    admin\namy s   [masked]    x\n",
		"PASSWORD  USER\nhunter2   bob":                                                 "PASSWORD  USER\n[masked]   bob",
		"User\tInitial Password\nbob\thunter2\n":                                        "User\tInitial Password\nbob\t[masked]\n",
		" user | password | n \n------+----------+---\n bob  | hunter2  | 1\n(1 row)\n": " user | password | n \n------+----------+---\n bob  | [masked]  | 1\n(1 row)\n",
		"| user | password |\n|------|----------|\n| bob | hunter2 |\n|  | hunter3 |":   "| user | password |\n|------|----------|\n| bob | [masked] |\n|  | [masked] |",
		"┌──────┬──────────┐\n│ user │ password │\n├──────┼──────────┤\n│ bob  │ hunter2  │": "┌──────┬──────────┐\n│ user │ password │\n├──────┼──────────┤\n│ bob  │ [masked]  │",
		"user|password\nbob|hunter2\namy|hunter3\n(2 rows)":      "user|password\nbob|[masked]\namy|[masked]\n(2 rows)",
		"id,user,password\n1,bob,hunter2\n2,amy,x\n3,al,hunter3": "id,user,password\n1,bob,[masked]\n2,amy,x\n3,al,[masked]",
		"NAME  API KEY\nbob   " + random:                         "NAME  API KEY\nbob   [masked]",
		"TOKEN             TTL\n" + random + "  23h":             "TOKEN             TTL\n[masked]  23h",
		"password|hunter2\n":                                     "password|[masked]\n",
		"api_token|" + random:                                    "api_token|[masked]",
		"user|bob\npassword|hunter2\nn|1":                        "user|bob\npassword|[masked]\nn|1",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
	for _, in := range []string{
		"Token   Type\nidentifier2   name\n", "user, password\nline12a, x12345a", "the user and password\nserver01 is up12a", "User password authentication\nbob fails12 often",
		"Field     Type\npassword  varchar(36)\nuser      char(36)", "| Key | Password |\n|---|---|\n| x | required |", "password|passwd|secret", "grep 'password|hunter2'",
		"  -u, --user  --password\n  server01  build02", "NAME  SECRET\ndb    db-secret\nweb1  web1-tls", "password,\nserver01 is up12a", "a  password\n\nb  hunter2",
	} {
		require.Equal(t, in, New().Redact(in))
	}
}

// A user and a password behind it, in formats of their own.
func TestLogins(t *testing.T) {
	for in, want := range map[string]string{
		"using basic auth bob / hunter2":                                   "using basic auth bob / [masked]",
		"Basic auth: bob / hunter2.":                                       "Basic auth: bob / [masked]",
		"default credentials admin / hunter2":                              "default credentials admin / [masked]",
		"Credentials: admin / hunter2 (change it)":                         "Credentials: admin / [masked] (change it)",
		"Username/Password: admin / hunter2":                               "Username/Password: admin / [masked]",
		"Login: admin / hunter2":                                           "Login: admin / [masked]",
		"creds=bob:hunter2":                                                "creds=[masked]",
		"UPDATE u SET password = MD5('hunter2') WHERE id=1":                "UPDATE u SET password = MD5('[masked]') WHERE id=1",
		"SET password = crypt('hunter', gen_salt('bf'))":                   "SET password = crypt('[masked]', gen_salt('bf'))",
		"Duplicate entry 'hunter2' for key 'users.password'":               "Duplicate entry '[masked]' for key 'users.password'",
		`(1062, "Duplicate entry 'hunter2' for key 'users_token_unique'")`: `(1062, "Duplicate entry '[masked]' for key 'users_token_unique'")`,
		"USER bob\nPASS hunter2\n":                                         "USER bob\nPASS [masked]\n",
		"> A002 LOGIN bob hunter2":                                         "> A002 LOGIN bob [masked]",
		`> b'BKIH1 LOGIN bob "hunter2"'`:                                   `> b'BKIH1 LOGIN bob "[masked]"'`,
		`smtp.login("bob@x.example", "hunter2")`:                           `smtp.login("bob@x.example", "[masked]")`,
		"printf 'hunter2' | docker login -u bob --password-stdin":          "printf '[masked]' | docker login -u bob --password-stdin",
		"cat <<< hunter2 | passwd --stdin bob":                             "cat <<< [masked] | passwd --stdin bob",
		"openconnect --passwd-on-stdin <<< hunter2":                        "openconnect --passwd-on-stdin <<< [masked]",
		"snmpwalk -v2c -c hunter2 host sysDescr":                           "snmpwalk -v2c -c [masked] host sysDescr",
		"doctl auth init -t " + random:                                     "doctl auth init -t [masked]",
		"v4.local." + alnum + alnum:                                        "[masked]",
		"auth: bob:hunter2":                                                "auth: [masked]",
		`"auth": "bob:hunter2"`:                                            `"auth": "[masked]"`,
		".example.org\tTRUE\t/\tFALSE\t1790000000\tsession\tabc def":       ".example.org\tTRUE\t/\tFALSE\t1790000000\tsession\t[masked]",
		"x\n#HttpOnly_a.example\tFALSE\t/x\tTRUE\t0\tid\thunter2\ny":       "x\n#HttpOnly_a.example\tFALSE\t/x\tTRUE\t0\tid\t[masked]\ny",
		`<input type="password" value="hunter2">`:                          `<input type="password" value="[masked]">`,
		`<input type="password" name="pw" id=x value="hun ter">`:           `<input type="password" name="pw" id=x value="[masked]">`,
		`<input value='hunter2' class="a" type='password' />`:              `<input value='[masked]' class="a" type='password' />`,
		`<INPUT TYPE=password VALUE=hunter2>`:                              `<INPUT TYPE=password VALUE=[masked]>`,
		`"<input type=\"password\" value=\"hunter2\">"`:                    `"<input type=\"password\" value=\"[masked]\">"`,
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
	for _, in := range []string{
		"basic auth is on / server01", "auth: http://server01", "auth: ldap://server01", "auth: main.go:123", "auth: unix:socket", "basic auth /etc/x / server01", "credentials: 3 / 4tests5",
		"a\tTRUE\t/b\tx\t1\tc\td12345", "x\tFALSE\t/\tTRUE\tno\tname\tvalue1", `<input type="password"><p value="hunter2">`,
		`<input type="password" value="">`, `<input type="text" value="server01">`, "Duplicate entry 'server01' for key 'hosts.name'", "printf 'server01' | tee x", `login("admin", "dashboard")`,
		"a LOGIN page for server01", "step3 LOGIN page server01 is up",
		"type=password value=",
	} {
		require.Equal(t, in, New().Redact(in))
	}
}

func TestMnemonics(t *testing.T) {
	numbered := func(words, start, end string) string {
		var b strings.Builder
		for n, w := range strings.Fields(words) {
			b.WriteString(strings.ReplaceAll(start, "N", string(rune('1'+n%9))) + w + end)
		}
		return b.String()
	}
	for in, want := range map[string]string{
		"mnemonic: " + words12 + "\nx":                                                  "mnemonic: [masked]\nx",
		"MNEMONIC=\"" + words24 + "\"":                                                  "MNEMONIC=\"[masked]\"",
		"WALLET_SEED_PHRASE='" + words12 + "' run":                                      "WALLET_SEED_PHRASE='[masked]' run",
		"Your seed phrase is:\n\n  " + words24 + "\n":                                   "Your seed phrase is:\n\n  [masked]\n",
		`{"recoveryPhrase": "` + words12 + `", "x": "y"}`:                               `{"recoveryPhrase": "[masked]", "x": "y"}`,
		"Seed words (12):\n" + numbered(words12, "N. ", "\n"):                           "Seed words (12):\n1. [masked]\n",
		`"mnemonic": [` + strings.TrimSuffix(numbered(words12, `"`, `", `), ", ") + "]": `"mnemonic": ["[masked]"]`,
		"Seed phrase\n\n" + words12:                                                     "Seed phrase\n\n[masked]",
		"passphrase: " + words12:                                                        "passphrase: [masked]",
		"seed: " + words12[:30] + "\n":                                                  "seed: " + words12[:30] + "\n",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
	for _, in := range []string{
		"seed: 12345", "random seed: the test uses the same numbers for each of its runs and each of its parts", "keywords: " + words12[:40],
		"words " + words12, "reserved words: " + words12, "getseed\n" + strings.ReplaceAll(words24, " ", "\n"), "stop words:\n- the\n- and\n- for\n- with\n- from",
	} {
		require.Equal(t, in, New().Redact(in))
	}
}
