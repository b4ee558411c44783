package class_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/class"
)

func TestFingerprint(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"":                            "",
		"\n\n":                        "",
		"killed":                      "",
		"exit status 101":             "",
		"Error: disk full":            "error disk full",
		"twelve chars":                "",
		"error: timed out after 3.5s": "error timed out after",
		"first\nerror: no space left on device\n\n":                                       "error space left device",
		"You've hit your usage limit. Try again in 2 days 17 hours 14 minutes.":           "you hit your usage limit try again",
		"You've hit your usage limit. Try again in 40 minutes.":                           "you hit your usage limit try again",
		"You've hit your limit · resets Jan 18, 11:30am (Asia/Calcutta)":                  "you hit your limit resets",
		"5-hour limit reached ∙ resets 5am, all models":                                   "limit reached resets all models",
		"2026-11-23T07:04:05.123Z ERROR worker 17: cannot open /srv/odilo/a.txt: no such": "error worker cannot open such",
		"[07:04:05] ERROR worker 3: cannot open C:\\temp\\b.txt: no such":                 "error worker cannot open such",
		"error: could not compile `odilo` (bin \"odilo\") due to 3 previous errors":       "error could not compile bin due previous errors",
		"commit deadbeefcafe is not an ancestor of 3f2a91c":                               "commit not ancestor",
		"request 0b5c1f2e-77aa-4f10-9d21-000000000001 failed, id req_011CUfEoUH":          "request failed",
		"panic: runtime error: index out of range [5] with length 3":                      "panic runtime error index out range with length",
		"dial tcp 10.0.0.7:5432: connect: connection refused":                             "dial tcp connect connection refused",
		"api key=[masked] was refused by the server":                                      "api key was refused the server",
		"project-meta on odilo: the build of odilo-web has failed":                        "the build web has failed",
		"odilos are no odilo": "",
		"Die Prüfung ist fehlgeschlagen: größer als erlaubt": "die prüfung ist fehlgeschlagen größer als erlaubt",
		strings.Repeat("x", 5000):                            "",
		strings.Repeat("word ", 100):                         strings.TrimSpace(strings.Repeat("word ", 40)),
		"it's what 'a person' wrote, isn't it; \"quoted\" and `code` vary, the rest does not": "what wrote isn and vary the rest does not",
	} {
		require.Equal(t, want, class.Fingerprint(output, "odilo", "project-meta"), "%q", output)
	}
}

// What a tool prints last when one that it runs has failed is the same for all causes.
func TestNoFingerprintOfGenericLine(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"make: *** [Makefile:12: test] Error 2",
		"make[2]: *** [CMakeFiles/Makefile2:1234: src/app.dir/all] Error 2",
		"gmake: *** Waiting for unfinished jobs....",
		"ninja: build stopped: subcommand failed.",
		"ERROR: Job failed: exit code 1",
		"ERROR: Job failed: command terminated with exit code 1",
		"##[error]Process completed with exit code 1.",
		"2026-11-23T07:04:05.1234567Z ##[error]Process completed with exit code 101.",
		`error: script "build" exited with code 1`,
		"error Command failed with exit code 1.",
		" ELIFECYCLE  Command failed with exit code 1.",
		"npm ERR! code ELIFECYCLE",
		"npm ERR! A complete log of this run can be found in: /root/.npm/_logs/2026-11-23T07_04_05_678Z-debug-0.log",
		"npm error A complete log of this run can be found in: /root/.npm/_logs/2026-11-23T07_04_05_678Z-debug-0.log",
		"info Visit https://yarnpkg.com/en/docs/cli/run for documentation about this command.",
		"Traceback (most recent call last):",
		"subprocess.CalledProcessError: Command '['cargo', 'build']' returned non-zero exit status 101.",
		"The command '/bin/sh -c make all' returned a non-zero code: 2",
		"FAILED (failures=1, errors=2)",
		"FAILED (errors=1)",
		"=================== 2 failed, 31 passed, 4 warnings in 3.52s ===================",
		"Tests:       1 failed, 12 passed, 13 total",
		"Ran all test suites.",
		"FAILURE: Build failed with an exception.",
		"BUILD FAILED in 3m 12s",
		"[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoFailureException",
		"error: test failed, to rerun pass `--lib`",
		"    For further information visit https://errors.pydantic.dev/2.13/v/extra_forbidden",
	} {
		require.Empty(t, class.Fingerprint("the reason is above\n"+line+"\n\n"), line)
	}
	for _, line := range []string{
		"make: cannot open the file of the build",
		"TypeError: cannot read properties of undefined",
		"the server exited with an unknown error",
		"AxiosError: Request failed with status 503",
		"ERROR: Job failed: execution took longer than 1h0m0s seconds",
		"error: the build failed because the registry refused the token",
	} {
		require.NotEmpty(t, class.Fingerprint(line), line)
	}
}

// The same error in two projects, whatever their names, hosts and agents.
func TestFingerprintOfProjects(t *testing.T) {
	t.Parallel()
	of := func(project, agent, host string) string {
		return class.Fingerprint("fleet: "+agent+" of "+project+" on "+host+" (a run of 3): the provider refused: "+project+"@"+host, project, agent, host)
	}
	want := of("odilo", "project-meta", "bigbox")
	require.Equal(t, "fleet run the provider refused", want)
	require.Equal(t, want, of("digital-twins", "project-meta-digital-twins", "db1.example.org"))
	require.Equal(t, want, of("a", "project-meta-a", "h2"))
}

func FuzzFingerprint(f *testing.F) {
	for _, s := range []string{"error: x 'y' \"z\" 12ms", "it's 2 days\n\n", "‘a’ “b «c", "deadbeef-cafe 0x7f [masked]", "İx ǅ ½ ٣ odilo's", "a/b c\\d \x00\xff"} {
		f.Add(s, "odilo")
	}
	f.Fuzz(func(t *testing.T, output, name string) {
		got := class.Fingerprint(output, name)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, len(got), 200)
		require.False(t, strings.ContainsFunc(got, unicode.IsNumber), got)
		require.False(t, strings.ContainsAny(got, "\"'`/\\\n"), got)
		if got != "" {
			letters := 0
			for _, c := range got {
				if unicode.IsLetter(c) {
					letters++
				}
			}
			require.GreaterOrEqual(t, letters, 12)
		}
		require.Equal(t, got, class.Fingerprint(got, name), "nothing that varies is left")
		sevens := []byte(output) // and not runes: what is no UTF-8 would get longer
		for n, c := range sevens {
			if '0' <= c && c <= '9' {
				sevens[n] = '7'
			}
		}
		require.Equal(t, class.Fingerprint(output), class.Fingerprint(string(sevens)), "numbers do not matter")
	})
}
