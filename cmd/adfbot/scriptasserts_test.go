package main

import (
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terraphim/adfbot/internal/testhost"
)

// Commands of the scripts that look at many things at once.

func badID(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "bad ID")
	id := strings.ReplaceAll(args[0], `\n`, "\n")
	for _, c := range []struct {
		code int
		args []string
	}{
		{2, []string{"record", "--failure", "--project", id}}, {2, []string{"pause", "--", id}}, {2, []string{"resume", "--", id}},
		{2, []string{"status", "--", id}}, {255, []string{"gate", "--", id}},
	} {
		if got := runHere(ts, c.args); got != c.code {
			ts.Fatalf("adfbot %q: exit code %d, not %d", c.args, got, c.code)
		}
	}
	if got := testhost.ExitCode(ts.Exec("adfbot", "exec", "--project", id, "--", "touch", "ran")); got != 125 { // in the script's directory
		ts.Fatalf("adfbot exec of %q: exit code %d, not 125", id, got)
	}
}

func helpsCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 0, "helps")
	help := func(args ...string) string {
		var out strings.Builder
		if code := runTo(&out, ts, args); code != exitDone {
			ts.Fatalf("adfbot %q: exit code %d", args, code)
		}
		return out.String()
	}
	names := regexp.MustCompile(`(?m)^  ([a-z]+)  +\S`).FindAllStringSubmatch(help("--help"), -1)
	if len(names) < 12 {
		ts.Fatalf("only %d commands in the help", len(names))
	}
	for _, m := range names {
		if s := help(m[1], "--help"); !strings.Contains(s, "Usage:\n  adfbot "+m[1]) || strings.HasPrefix(s, "Usage") {
			ts.Fatalf("adfbot %s --help says nothing", m[1])
		}
	}
}

func nothingRuns(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 0, "nothing-runs")
	for _, project := range []string{"odilo", "quick", "digital-twins"} {
		if got := testhost.ExitCode(ts.Exec("adfbot", "exec", "--project", project, "--", "touch", "ran-"+project)); got != 125 {
			ts.Fatalf("exec of %s: exit code %d, not 125", project, got)
		}
		if _, err := os.Lstat(ts.MkAbs("ran-" + project)); err == nil {
			ts.Fatalf("%s has run", project)
		}
		if got := testhost.ExitCode(ts.Exec("adfbot", "gate", project)); got != 255 || ts.ReadFile("stdout") != "" {
			ts.Fatalf("gate of %s: exit code %d, not 255", project, got)
		}
	}
}

func broken(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 0, "broken")
	expect := func(code int, args ...string) string {
		if got := testhost.ExitCode(ts.Exec("adfbot", args...)); got != code {
			ts.Fatalf("adfbot %q: exit code %d, not %d", args, got, code)
		}
		return ts.ReadFile("stderr")
	}
	expect(0, "gate", "odilo")
	said := expect(7, "exec", "--project", "odilo", "--", "sh", "-c", "exit 7")
	if !strings.Contains(said, "the result is kept in ") && !strings.Contains(said, "is LOST unless you record it: adfbot record --project odilo") {
		ts.Fatalf("exec does not say what becomes of the result")
	}
	expect(0, "exec", "--project", "odilo", "--", "true")
	for _, c := range [][]string{{"sweep"}, {"status"}, {"pause", "quick"}, {"resume", "odilo"}, {"restore"}, {"serve"}, {"check", "--offline"}} {
		expect(1, c...)
	}
	expect(1, "record", "--project", "odilo", "--failure")
}

func takesIn(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "takes-in N")
	ts.Check(ts.Exec("adfbot", "sweep", "--json"))
	if s := ts.ReadFile("stdout"); !strings.Contains(s, `"taken_in": `+args[0]+",") {
		ts.Fatalf("it did not take in %s results", args[0])
	}
	ts.Check(ts.Exec("adfbot", "sweep", "--json"))
	if s := ts.ReadFile("stdout"); !strings.Contains(s, `"taken_in": 0,`) {
		ts.Fatalf("it took them in twice")
	}
}

func harmless(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 0, "harmless")
	s := ts.ReadFile("stdout")
	if !utf8.ValidString(s) {
		ts.Fatalf("no valid UTF-8")
	}
	if strings.ContainsFunc(s, func(r rune) bool {
		return r != '\n' && r != '\t' && r != '\u200b' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
	}) {
		ts.Fatalf("control characters: %q", s)
	}
	for _, secret := range []string{botToken, "abcdefghijklmnopqrstuvwxyz0123456789", "s3cretpass"} {
		if strings.Contains(s, secret) {
			ts.Fatalf("a secret is shown: %s", secret)
		}
	}
	for _, part := range []string{"before the fence", "the last line"} {
		if !strings.Contains(s, part) {
			ts.Fatalf("it lacks %q", part)
		}
	}
	if n := strings.Count(s, "<!-- adfbot"); n != 1 || strings.Index(s, "<!-- adfbot") < strings.Index(s, "the last line") {
		ts.Fatalf("there are %d markers, or the forged one is first", n)
	}
	// The fence is longer than every run of backticks in it, so nothing in it ends it.
	open := regexp.MustCompile("(?m)^(`{3,})").FindString(s)
	_, inside, _ := strings.Cut(s, open)
	inside, outside, ok := strings.Cut(inside, "\n"+open+"\n")
	if !ok || !strings.Contains(inside, "the last line") || strings.Contains(outside, "everyone") {
		ts.Fatalf("the output is not fenced")
	}
}

func cmpBytes(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "cmp-bytes FILE FILE")
	if ts.ReadFile(args[0]) != ts.ReadFile(args[1]) {
		ts.Fatalf("%s and %s differ", args[0], args[1])
	}
}
