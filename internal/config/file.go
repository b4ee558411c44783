package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile is the largest file that is read, in bytes. Two thousand projects are a tenth of it.
const maxFile = 1 << 20

// readFile gives the file's content, or an *Error with the single problem that there is none.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, single(path, 0, "is a directory", "name the file in it, as "+strings.TrimRight(path, "/")+"/config.yaml")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if len(data) > maxFile {
		return nil, single(path, 0, "is larger than 1 MiB", "that is no configuration of adfbot; is it the right file?")
	}
	return data, nil
}

// unreadable says what to do when the system does not give the file away.
func unreadable(path string, err error) error {
	e := single(path, 0, "can't be read", err.Error())
	e.cause = err
	p := &e.Problems[0]
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.What = "does not exist"
		p.Fix = "the configuration is searched at --config, at $ADFBOT_CONFIG and at " + DefaultPath +
			", the first that is given; name the right file, or copy config.example.yaml there"
	case errors.Is(err, fs.ErrPermission):
		p.What = "may not be read by this user (uid " + strconv.Itoa(os.Geteuid()) + ")"
		p.Fix = "the file holds no secret: chmod a+r it, and chmod a+x the directories above it"
	}
	return e
}

// single is an *Error about the file as a whole.
func single(path string, line int, what, fix string) *Error {
	return &Error{Problems: []Problem{{File: path, Line: line, What: what, Fix: fix}}}
}

// document parses data, which must hold exactly one YAML document, to the node of its content. Aliases are not followed,
// so the tree is no larger than the file.
func document(path string, data []byte) (*yaml.Node, error) {
	if err := checkText(path, data); err != nil {
		return nil, err
	}
	const start = "give at least gitea and projects, as config.example.yaml does"
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF, err == nil && len(doc.Content) == 1 && doc.Content[0].ShortTag() == "!!null":
		return nil, single(path, 0, "is empty", start)
	case err != nil:
		return nil, syntax(path, data, err)
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, single(path, more.Line, "a second YAML document begins here", "keep one, and remove the line ---")
	case err != io.EOF:
		return nil, syntax(path, data, err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, single(path, root.Line, "must be a mapping of keys, not "+kind(root), start)
	}
	return root, nil
}

// checkText finds what the YAML parser would refuse without telling where.
func checkText(path string, data []byte) error {
	line := 1
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && n == 1:
			return single(path, line, "is not UTF-8", "save the file as UTF-8")
		case c == '\n':
			line++
		case c < ' ' && c != '\t' && c != '\r', 0x7f <= c && c < 0xa0 && c != 0x85:
			return single(path, line, fmt.Sprintf("holds the control character %#02x", c), "remove it")
		}
		i += n
	}
	return nil
}

// syntax turns the parser's error into a problem. The parser counts lines from 0 in the errors that begin with "did not
// find", gives none for the first line, and none for an unknown anchor.
func syntax(path string, data []byte, err error) error {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(what, "line "); ok {
		if n, msg, ok := strings.Cut(rest, ": "); ok {
			if i, err := strconv.Atoi(n); err == nil {
				line, what = i, msg
			}
		}
		if strings.HasPrefix(what, "did not find") {
			line++
		}
	}
	if rest, ok := strings.CutPrefix(what, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		if i := bytes.Index(data, []byte("*"+name)); i >= 0 {
			line = 1 + bytes.Count(data[:i], []byte("\n"))
		}
	}
	fix := ""
	switch {
	case strings.Contains(what, "tab character"), strings.Contains(what, "cannot start any token"):
		fix = `indent with spaces, not tabs, and put a value that begins with @, % or a backquote in "quotes"`
	case strings.Contains(what, "mapping values are not allowed"):
		fix = `check the indentation, and put a value with a colon in it in "quotes"`
	case strings.Contains(what, "did not find"), strings.Contains(what, "could not find"),
		strings.Contains(what, "unexpected end"):
		fix = "check the indentation, and that every bracket and quote is closed, here and above"
	}
	return single(path, line, "is not YAML: "+what, fix)
}
