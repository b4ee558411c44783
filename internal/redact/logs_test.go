package redact

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ordinary are lines of logs without secrets, though some mention secrets. The words in braces stand for values, see filled.
var ordinary = map[string][]string{
	"journal": {
		"Nov 28 {clock} {host} systemd[1]: Started Session {n} of user {user}.",
		"Nov 28 {clock} {host} sshd[{n}]: Accepted publickey for {user} from {ip} port {n} ssh2: ED25519 SHA256:{base43}",
		"Nov 28 {clock} {host} sshd[{n}]: Failed password for invalid user {user} from {ip} port {n} ssh2",
		"Nov 28 {clock} {host} sshd[{n}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
		"Nov 28 {clock} {host} sudo: {user} : TTY=pts/{n} ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/systemctl restart {word}.service",
		"Nov 28 {clock} {host} kernel: [{n}.{n}] Out of memory: Killed process {n} ({word}) total-vm:{n}kB, anon-rss:{n}kB, file-rss:0kB",
		"Nov 28 {clock} {host} CRON[{n}]: ({user}) CMD (/usr/local/bin/{word}.sh --keep {n} >/dev/null 2>&1)",
	},
	"web server": {
		`{ip} - - [28/Nov/2026:{clock} +0000] "GET /{word}/{uuid}?page={n}&sort=-{word} HTTP/1.1" 200 {n} "https://{host}.example/{word}" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"`,
		`{ip} - {user} [28/Nov/2026:{clock} +0000] "POST /api/v1/auth/token HTTP/2.0" 401 {n} "-" "curl/8.9.1"`,
		`2026/11/28 {clock} [error] {n}#{n}: *{n} upstream timed out (110: Connection timed out) while reading response header from upstream, client: {ip}, server: {host}.example, request: "GET /password/reset HTTP/1.1", upstream: "http://{ip}:8080/password/reset"`,
	},
	"JSON": {
		`{"level":"info","ts":1790{n}.{n},"caller":"{word}/{word}.go:{n}","msg":"token refreshed","trace_id":"{hex32}","span_id":"{hex16}","expires_in":3600}`,
		`{"time":"2026-11-28T{clock}.{n}Z","level":"ERROR","msg":"cannot log in","user":"{user}","err":"password: must not be empty","request_id":"{uuid}"}`,
		`{"@timestamp":"2026-11-28T{clock}Z","log.level":"warn","message":"no credentials for {host}","service":{"name":"{word}","version":"{version}"},"digest":"sha256:{hex64}"}`,
	},
	"logfmt": {
		`time=2026-11-28T{clock}Z level=INFO msg="secret created" name={word}-secret namespace={word} uid={uuid} took={n}ms`,
		`ts=2026-11-28T{clock}Z caller={word}.go:{n} level=warn component="{word} manager" msg="authorization disabled" addr={ip}:{n} err="dial tcp {ip}:{n}: connect: connection refused"`,
	},
	"Go": {
		"=== RUN   Test{class}/password_of_{word}", "--- PASS: Test{class} (0.{n}s)", "    {word}_test.go:{n}: got {n} tokens, want {n}", "ok  \t{host}.example/{word}/{word}\t0.{n}s",
		"go: downloading github.com/{word}/{word} v{version}-20261128{n}-{hex12}", "github.com/{word}/{word} v{version}/go.mod h1:{base43}=",
		"panic: runtime error: invalid memory address or nil pointer dereference", "goroutine {n} [running]:", "main.(*{class}).token(0xc{hex8}, {0x{hex8}, 0x{n}})", "\t/home/{user}/{word}/{word}.go:{n} +0x{hex4}",
	},
	"Python": {
		"Traceback (most recent call last):", `  File "/usr/lib/python3.13/site-packages/{word}/auth.py", line {n}, in get_token`, "    token = self._get_token(scope)", "    raise AuthError(f\"no token for {scope}\")",
		"{word}.errors.{class}Error: token for {word} has expired", "FAILED tests/test_{word}.py::test_password_{word}[{n}] - AssertionError: assert {n} == {n}",
		"Collecting {word}-token=={version}", "  Downloading {word}_auth-{version}-py3-none-any.whl ({n} kB)", "Successfully installed {word}-{version} secretstorage-3.{n}.{n}",
		"2026-11-28 {clock},{n} - {word}.session - INFO - session {uuid} opened for {user}",
	},
	"Java": {
		`Exception in thread "main" java.lang.IllegalStateException: token {word} not found`, "\tat org.{word}.security.TokenFilter.doFilter(TokenFilter.java:{n})", "\t... {n} more",
		"2026-11-28 {clock}.{n}  INFO {n} --- [main] o.s.s.{word}.{class}AuthenticationProvider : Authentication success for {user}",
		"[INFO] Downloaded from central: https://repo.maven.apache.org/maven2/org/{word}/{word}-auth/{n}.{n}/{word}-auth-{n}.{n}.pom ({n} kB at {n} kB/s)", "> Task :{word}:compileJava UP-TO-DATE",
	},
	"JavaScript": {
		"npm warn deprecated {word}-auth@{version}: this package is no longer supported", "added {n} packages, and audited {n} packages in {n}s", `      "integrity": "sha512-{base86}==",`,
		"    at async TokenStore.refresh (/app/node_modules/{word}/lib/token.js:{n}:{n})", " ✓ {word} > rejects a wrong password ({n} ms)", "Error: ENOENT: no such file or directory, open '/app/{word}/secret.json'",
	},
	"containers": {
		"#{n} sha256:{hex64} {n}MB / {n}MB {n}.{n}s done", "#{n} [stage-{n} {n}/{n}] RUN --mount=type=secret,id={word} make {word}", "Status: Downloaded newer image for {host}.example/{word}/{word}@sha256:{hex64}",
		"secret/{word}-credentials configured", "deployment.apps/{word} unchanged", "{word}-{hex10}-x{n}   0/1     CrashLoopBackOff   {n}   {n}m",
		"Warning  FailedMount  {n}s  kubelet  MountVolume.SetUp failed for volume \"{word}-token\" : secret \"{word}-token\" not found",
	},
	"git and CI": {
		"commit {hex40}", "Author: {class} <{user}@{host}.example>", "   {hex7}..{hex7}  main -> main", "{hex7} auth: keep the token of {word} ({user})", "index {hex7}..{hex7} 100644", "Cloning into '{word}'...",
		"remote: Enumerating objects: {n}, done.", "{hex64}  {word}-{version}.tar.gz", "Run actions/checkout@{hex40}", "Cache restored from key: {word}-linux-{hex64}", "ETag: \"{hex32}\"", "  token: ***",
	},
	"databases": {
		"2026-11-28 {clock}.{n} UTC [{n}] {user}@{word} FATAL:  password authentication failed for user \"{user}\"", "2026-11-28 {clock} UTC [{n}] LOG:  checkpoint complete: wrote {n} buffers ({n}.{n}%); lsn={n}/{hex8}, redo lsn={n}/{hex8}",
		"[Warning] Access denied for user '{user}'@'{ip}' (using password: YES)", "Duration: {n}.{n} ms  statement: SELECT id, name FROM users WHERE id = {n}", "{n}:M 28 Nov 2026 {clock}.{n} * Background saving started by pid {n}",
	},
	"infrastructure": {
		"TASK [{word} : install the token of {word}] ****************", "ok: [{host}.example]", "{host}.example : ok={n} changed={n} unreachable=0 failed=0 skipped={n}", "aws_iam_role.{word}: Refreshing state... [id={word}-{hex8}]",
		"Plan: {n} to add, {n} to change, {n} to destroy.", "arn:aws:iam::{n}:role/{word}", "Get:{n} http://deb.debian.org/debian trixie/main amd64 lib{word}-auth{n} amd64 {n}.{n}-{n} [{n} kB]", "Setting up passwd (1:4.{n}) ...",
		"0000{hex4}  {hex2} {hex2} {hex2} {hex2} {hex2} {hex2} {hex2} {hex2}  |................|", "  inet6 fe80::{hex4}:{hex4}:{hex4}:{hex4}/64 scope link", "    link/ether 52:54:00:ab:cd:ef brd ff:ff:ff:ff:ff:ff",
	},
}

var placeholder = regexp.MustCompile(`\{([a-z]+)(\d*)\}`)

// filled returns a line with values in place of the words in braces.
func filled(r *rand.Rand, line string) string {
	return placeholder.ReplaceAllStringFunc(line, func(s string) string {
		m := placeholder.FindStringSubmatch(s)
		size, _ := strconv.Atoi(m[2])
		word := pick(r, "nightly", "backup", "release", "billing", "mailer", "odilo", "atlas", "search", "worker", "report", "metrics", "proxy")
		switch m[1] {
		case "n":
			return strconv.Itoa(1 + r.IntN(99999))
		case "version":
			return fmt.Sprintf("%d.%d.%d", r.IntN(30), r.IntN(30), r.IntN(30))
		case "clock":
			return fmt.Sprintf("%02d:%02d:%02d", r.IntN(24), r.IntN(60), r.IntN(60))
		case "ip":
			return fmt.Sprintf("192.0.2.%d", r.IntN(256))
		case "user":
			return pick(r, "root", "deploy", "kim", "alex", "jenkins")
		case "host":
			return fmt.Sprintf("%s-%02d", word, r.IntN(100))
		case "word":
			return word
		case "class":
			return strings.ToUpper(word[:1]) + word[1:]
		case "uuid":
			return filled(r, "{hex8}-{hex4}-4{hex3}-a{hex3}-{hex12}")
		case "hex":
			return draw(r, "0123456789abcdef", size)
		case "base":
			return draw(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", size)
		}
		return s
	})
}

func draw(r *rand.Rand, alphabet string, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// Nothing is masked in an ordinary log, neither line by line nor as a whole.
func TestOrdinaryLogs(t *testing.T) {
	for name, lines := range ordinary {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var log strings.Builder
			for range 30 {
				for range lines {
					line := filled(r, pick(r, lines...)) + "\n"
					require.Equal(t, Clean(line), New().Redact(Clean(line)))
					log.WriteString(line)
				}
			}
			text := Clean(log.String())
			for _, s := range New().find(text, &foundValues{}) {
				t.Errorf("masked: %q", text[max(s.from-80, 0):min(s.to+20, len(text))])
			}
		})
	}
}
