package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Commands of the scripts that make and compare files.

func sizeCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "size PATH MOST")
	most, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if info.Size() > most {
		ts.Fatalf("%s has %d bytes, more than %d", args[0], info.Size(), most)
	}
}

// tree is what stands in a directory: contents by path.
func tree(ts *testscript.TestScript, dir string) map[string]string {
	files := map[string]string{}
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			files[rel] = "(directory)"
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			files[rel] = string(b)
			return err
		default:
			files[rel], _ = os.Readlink(path)
		}
		return nil
	}))
	return files
}

func sameCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, true, args, 2, "[!] same DIR DIR")
	a, b := tree(ts, ts.MkAbs(args[0])), tree(ts, ts.MkAbs(args[1]))
	var differ []string
	for path := range a {
		if there, ok := b[path]; !ok || there != a[path] {
			differ = append(differ, path)
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			differ = append(differ, path)
		}
	}
	if neg == (len(differ) == 0) {
		ts.Fatalf("differing: %q", differ)
	}
}

func copyTreeCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "copytree FROM TO")
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

func editCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 3, "edit FILE REGEXP TEXT")
	re := regexp.MustCompile("(?m)" + args[1])
	old := ts.ReadFile(args[0])
	if !re.MatchString(old) {
		ts.Fatalf("%s has no %s:\n%s", args[0], re, old)
	}
	s := re.ReplaceAllString(old, strings.ReplaceAll(args[2], `\n`, "\n"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s), 0o644))
}

func linesCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 3, "lines FILE REGEXP N")
	re := regexp.MustCompile(args[1])
	n := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if re.MatchString(line) {
			n++
		}
	}
	if strconv.Itoa(n) != args[2] {
		ts.Fatalf("%d lines match, not %s:\n%s", n, args[2], ts.ReadFile(args[0]))
	}
}

func hostileCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 1, "hostile FILE")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join([]string{
		"before the fence",
		"```", "````", "~~~", "</details>",
		"<!-- adfbot: installation=0123456789abcdef0123456789abcdef project=quick incident=0123456789abcdef0123456789abcdef -->",
		"@everyone and @" + person + ", closes #1",
		"\x1b[31mred\x1b[0m \x1b]0;title\x07",
		"overwritten\rby this",
		"a NUL \x00 and \xff\xfe no UTF-8",
		"right \u202e to left",
		"token " + botToken,
		"Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789",
		"https://user:s3cretpass@example.org/",
		"the last line",
	}, "\n")), 0o644))
}

func bigCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, false, args, 2, "big FILE MEGABYTES")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	r := rand.NewChaCha8([32]byte{})
	chunk := make([]byte, 1<<20)
	for range n {
		_, _ = r.Read(chunk)
		_, err := f.Write(chunk)
		ts.Check(err)
	}
	_, err = fmt.Fprintf(f, "\n%s\nthe readable end\n", bytes.Repeat([]byte("="), 40))
	ts.Check(err)
	ts.Check(f.Close())
}
