package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shared returns a file whose state, on line 1, is this URL.
func shared(url string) string { return "state: " + url + "\nlocal_dir: /var/lib/adfbot\n" + rest }

func TestSharedState(t *testing.T) {
	for _, url := range []string{
		"postgres://adfbot@db1.example.org,db2.example.org/adfbot?sslmode=verify-full",
		"postgresql://adfbot@db1:5433,db2:5433/adfbot",
		"postgres://adfbot@/adfbot?host=/run/postgresql",
		"postgres:///?host=/run/postgresql&user=adfbot&dbname=adfbot",
		"postgres://adfbot@[::1]:5432/adfbot?sslrootcert=system",
		"postgres://adfbot@db/adfbot?sslcert=/c&sslkey=/k&sslrootcert=/r&connect_timeout=5&keepalives=1&keepalives_idle=30&target_session_attrs=any",
	} {
		c, problems := parsed(t, shared(url))
		require.Empty(t, problems, url)
		require.True(t, c.Shared())
		require.Equal(t, url, c.State)
		require.Equal(t, "/var/lib/adfbot", c.LocalDir)
		require.Equal(t, "/var/lib/adfbot", c.OwnPath())
		require.Equal(t, "/var/lib/adfbot", c.OwnDir())
	}
	c, problems := parsed(t, "state: /s/adfbot.db\n"+rest)
	require.Empty(t, problems)
	require.False(t, c.Shared())
	require.Equal(t, "/s/adfbot.db.d", c.LocalDir)
	require.Equal(t, "/s/adfbot.db", c.OwnPath())
	require.Equal(t, "/s", c.OwnDir())
}

func TestSharedStateRefused(t *testing.T) {
	const password = "1: state: contains a password, which every user may read here"
	for text, want := range map[string]string{
		shared("postgres://adfbot:hunter2@db/adfbot"):                    password,
		shared("postgres://adfbot:hun/ter2@db/adfbot"):                   password,
		shared("postgres://adfbot:hunter2%zz@db/adfbot"):                 password,
		shared("postgres://adfbot@db/adfbot?password=hunter2"):           password,
		shared("postgres://adfbot@db/adfbot?sslpassword=hunter2"):        password,
		shared("postgres://adfbot@db/adfbot?passwd=hunter2"):             "1: state: contains a secret, which every user may read here",
		shared("mysql://adfbot@db/adfbot"):                               "1: state: must be the path of a file, or begin with postgres://",
		shared("postgres:adfbot"):                                        "1: state: must be the path of a file, or begin with postgres://",
		shared("postgres://adfbot@db:5433,db2/adfbot"):                   "1: state: is not a URL",
		shared("'postgres://adfbot@d b/adfbot'"):                         "1: state: is not a URL",
		shared("'postgres://adfbot@db/adfbot?a=%zz'"):                    "1: state: is not a URL",
		shared("'postgres://adfbot@db/adfbot#x'"):                        "1: state: is not a URL",
		shared("postgres://db/adfbot"):                                   "1: state: names no role of the database",
		shared("postgres://adfbot@/adfbot"):                              "1: state: names no host",
		shared("postgres://adfbot@db/"):                                  "1: state: names no database",
		shared("postgres://adfbot@db/adfbot?sslmod=require"):             "1: state: has the unknown parameter sslmod",
		shared("postgres://adfbot@db/adfbot?search_path=x"):              "1: state: has the unknown parameter search_path",
		shared("postgres://adfbot@db/adfbot?service=x"):                  "1: state: has the unknown parameter service",
		shared("postgres://adfbot@db/adfbot?user=a&user=b"):              "1: state: has the parameter user twice",
		shared("postgres://adfbot@db/adfbot?sslmode=on"):                 `1: state: sslmode must be disable or allow or prefer or require or verify-ca or verify-full, not "on"`,
		shared("postgres://adfbot@db/adfbot?sslrootcert=ca.pem"):         `1: state: sslrootcert must be an absolute path, not "ca.pem"`,
		shared("postgres://adfbot@db/adfbot?keepalives_idle=-1"):         `1: state: keepalives_idle must be a whole number, not "-1"`,
		"state: postgres://adfbot@db/adfbot\n" + rest:                    "0: local_dir: is missing",
		"state: postgres://adfbot@db/adfbot\nlocal_dir: ''\n" + rest:     "2: local_dir: is empty",
		"state: postgres://adfbot@db/adfbot\nlocal_dir: adfbot\n" + rest: `2: local_dir: must be an absolute path, not "adfbot"`,
		"pause_dir: /p\nlocal_dir: /p/l\n" + rest:                        `2: local_dir: is inside pause_dir, where every file is a pause flag: "/p/l"`,
		"state_password_file: /p\n" + rest:                               "1: state_password_file: is for a state in PostgreSQL, and this one is a file",
		"state_listen: 'off'\n" + rest:                                   "1: state_listen: is for a state in PostgreSQL, and this one is a file",
		"state_listen: x\n" + rest:                                       `1: state_listen: must be a URL of PostgreSQL, not "x"`,
		"state_password_file: hunter2\n" + rest:                          "1: state_password_file: must be the path of a file that holds the secret",
		"fleet: {poll: 50ms}\n" + rest:                                   "1: fleet.poll: must be at least 100ms, not 50ms",
		"fleet: {poll: 30s}\n" + rest:                                    "1: fleet.away_after: must be at least three times fleet.poll (30s), not 1m",
		"fleet: {away_after: 2h, forget_after: 1h}\n" + rest:             "1: fleet.forget_after: must be at least fleet.away_after (2h), not 1h",
		"fleet: {host: ' a'}\n" + rest:                                   `1: fleet.host: has white space around it: " a"`,
	} {
		require.Equal(t, []string{want}, problemsOf(t, text), text)
		_, problems := parsed(t, text)
		for _, p := range problems {
			require.NotContains(t, p.String(), "hunter2")
		}
	}
}

// A result can wait in local_dir until somebody has corrected the place of the state.
func TestStateErr(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(shared("postgres://adfbot:hunter2@db/adfbot")), 0o600))
	c, warnings, err := LoadFor(path, ExecKeys("odilo")...)
	require.NoError(t, err)
	require.ErrorContains(t, c.StateErr, path+":1: state: contains a password")
	require.Len(t, warnings, 1)
	require.Equal(t, "/var/lib/adfbot", c.OwnPath())
	_, err = Load(path)
	require.ErrorContains(t, err, "contains a password")
}

// A user who has no access to the state reports through the socket: a mistake in its address does not mean that there is none.
func TestSocketErr(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"http: {socket: /s}\n":                  "",
		"http: {socket: /s, listen: x}\n":       "",
		"http: {socket: s}\n":                   ":1: http.socket: must be an absolute path",
		"http: {socket: /s, socket: /s}\n":      ":1: http.socket: duplicate key",
		"http: {soket: /s}\n":                   ":1: http.soket: unknown key",
		"http: [socket]\n":                      ":1: http: must be a mapping",
		"htp: {socket: /s}\n":                   ":1: htp: unknown key",
		"pause_dir: /p\nhttp: {socket: /p/s}\n": ":2: http.socket: is inside pause_dir",
	} {
		c, _, err := LoadFor(write(t, text+rest), ExecKeys("odilo")...)
		require.NoError(t, err)
		if want == "" {
			require.NoError(t, c.SocketErr, text)
		} else {
			require.ErrorContains(t, c.SocketErr, want)
		}
	}
}

func TestStateNames(t *testing.T) {
	for _, url := range []string{"postgres://bot@db/factory", "postgres://x@db/y?user=bot&dbname=factory", "postgres:///?host=/run&user=bot&dbname=factory"} {
		require.NoError(t, CheckStateURL(url, ""))
		role, database := StateNames(url)
		require.Equal(t, []string{"bot", "factory"}, []string{role, database})
	}
}

// A URL on the command line follows the same rules.
func TestCheckStateURL(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://bot:hunter2@db/factory":           "URL: contains a password, which every user may read here: write the password to a file of its own, name that in --file,",
		"postgres://bot@db/factory?password=hunter2":  "name that in --file,",
		"postgres://bot@db/factory?sslmod=require":    `URL: has the unknown parameter sslmod: did you mean sslmode?`,
		"/var/lib/adfbot.db":                          "URL: must begin with postgres://: write it like postgres://adfbot@db.example.org/adfbot",
		"postgres://bot@db/factory?keepalives_idle=x": "URL: keepalives_idle must be a whole number",
		"mysql://bot@db/factory":                      "URL: must begin with postgres://",
		"postgres://bot@/factory":                     "URL: names no host",
	} {
		err := CheckStateURL(url, "--file")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestSharedHash(t *testing.T) {
	hash := func(text string) string {
		c, problems := parsed(t, text)
		require.Empty(t, problems)
		return c.SharedHash()
	}
	text := projectsOf("  - id: a\n    labels: [x, y]\n  - id: b\n")
	same := hash(text)
	require.Equal(t, same, hash("pause_dir: /elsewhere\ninstance: edge\nfleet: {host: edge}\nhttp: {socket: /s}\n"+text))
	require.Equal(t, same, hash(strings.Replace(text, "/etc/adfbot/token", "/t", 1)))
	require.Equal(t, same, hash(projectsOf("  - id: b\n  - id: a\n    labels: [y, x]\n    users: [joe]\n")))
	differs := func(other string) []string { return SharedDiffers(same, hash(other)) }
	require.Empty(t, differs(text))
	require.Equal(t, []string{"projects"}, differs(projectsOf("  - id: a\n    labels: [x, y]\n  - id: c\n")))
	require.Equal(t, []string{"breaker", "projects"}, differs("breaker: {threshold: 5}\n"+text), "whose threshold it is, too")
	require.Equal(t, []string{"fleet"}, differs("fleet: {poll: 2s}\n"+text))
	require.Equal(t, []string{"history.keep", "on_issue_closed"}, differs("history: {keep: 48h}\non_issue_closed: resume\noperators: []\n"+text))
	steps := "escalation: {steps: [{after: 1h, webhook_file: /a}]}\n" + text
	require.Equal(t, hash(steps), hash(strings.Replace(steps, "/a", "/b", 1)), "where the file is")
	require.NotEqual(t, hash(steps), hash(strings.Replace(steps, "webhook_file: /a", "mention: [kim]", 1)))
	require.Equal(t, []string{"escalation"}, differs(steps))
	require.Empty(t, SharedDiffers(same, "0123456789abcdef"), "that of an earlier version")
	require.Empty(t, SharedDiffers(same, same+" later=01234567"), "another version has another key")
	before := regexp.MustCompile(`projects[^ =]*=\w+`).ReplaceAllString(same, "projects=01234567")
	require.NotEqual(t, same, before)
	require.Empty(t, SharedDiffers(same, before), "projects of another version have other keys")
	require.Empty(t, SharedDiffers(before, same))
}
