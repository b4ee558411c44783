package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// maxFile is the largest file that is read, in bytes: ten times the size of one with two thousand projects.
const maxFile = 1 << 20

var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is too large")
)

// openFile opens a file that somebody has named. It does not wait for the other end of a named pipe.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, syscall.ELOOP):
		err = fmt.Errorf("%w: a link on this path leads back to itself: correct the link (`namei %s` shows it), or name another file", err, text.ShellQuote(path))
	case errors.Is(err, syscall.ENOTDIR):
		err = fmt.Errorf("%w: a part of this path before its end is a file: correct the path", err)
	case errors.Is(err, syscall.EACCES):
		if closed := pause.Closed(path); closed != nil {
			err = fmt.Errorf("%w: %w", err, closed)
		}
	case errors.Is(err, syscall.ENOENT):
		if link := pause.DeadLink(path); link != nil {
			err = fmt.Errorf("%w: %w", err, link)
		}
	}
	return f, err
}

// ReadFile reads a regular file of at most limit bytes. It does not wait for the other end of a named pipe, and reads no device.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %w (%s)", path, errNotRegular, st.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s %w (more than %d bytes)", path, errTooLarge, limit)
	}
	return data, err
}

func readFile(path string) ([]byte, error) {
	data, err := ReadFile(path, maxFile)
	switch {
	case errors.Is(err, errNotRegular):
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			return nil, fileError(path, 0, "is a directory", "name a file in it, e.g. "+filepath.Join(path, "config.yaml"))
		}
		return nil, fileError(path, 0, "is not a regular file", "write the configuration to a file: a pipe or a device can't be read again")
	case errors.Is(err, errTooLarge):
		return nil, fileError(path, 0, "is larger than 1 MiB", "check the path: this is not a configuration of adfbot")
	case err != nil:
		return nil, readError(path, err)
	}
	return data, nil
}

func readError(path string, err error) *Error {
	what, fix := "cannot be read", err.Error()
	switch {
	case errors.Is(err, pause.ErrDeadLink), errors.Is(err, pause.ErrClosed):
	case errors.Is(err, fs.ErrNotExist):
		what = "does not exist"
		fix = "run `adfbot init`, or name another file with --config or $ADFBOT_CONFIG; the default is " + DefaultPath
		if dir, err := os.UserConfigDir(); err == nil {
			own := filepath.Join(dir, "adfbot", "config.yaml") // where init without root puts it
			if info, err := os.Stat(own); err == nil && info.Mode().IsRegular() && own != path {
				fix = "yours is " + own + ": name it with --config or $ADFBOT_CONFIG, also in crontabs and units"
			}
		}
	case errors.Is(err, fs.ErrPermission):
		what = fmt.Sprintf("cannot be read by this user (uid %d)", os.Geteuid())
		fix = "the file holds no secrets: run chmod a+r on it and chmod a+x on the directories above it"
		if mountedReadOnly(path) {
			fix = "the file holds no secrets: mount it with a mode that everybody may read, e.g. `defaultMode: 0444` for a Kubernetes volume"
		}
	}
	e := fileError(path, 0, what, fix)
	e.cause = err
	return e
}

// fileError returns an error with one problem, which concerns the whole file.
func fileError(path string, line int, what, fix string) *Error {
	return &Error{Problems: []Problem{{File: path, Line: line, What: what, Fix: fix}}}
}

// fixMapping is the advice for a file that has no keys.
const fixMapping = "give at least gitea and projects, as in config.example.yaml"

// parseYAML parses data, which must hold exactly one YAML document, and returns the node of its content. It does not
// follow aliases, so the tree is no larger than the file.
func parseYAML(path string, data []byte) (*yaml.Node, error) {
	if err := checkText(path, data); err != nil {
		return nil, err
	}
	const fix = fixMapping
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF, err == nil && len(doc.Content) == 1 && doc.Content[0].ShortTag() == "!!null":
		return nil, fileError(path, 0, "is empty", fix)
	case err != nil:
		return nil, syntaxError(path, data, err)
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, fileError(path, more.Line, "a second YAML document starts here", "keep one, and remove the line ---")
	case err != io.EOF:
		return nil, syntaxError(path, data, err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fileError(path, root.Line, "must be a mapping of keys, not "+describe(root), fix)
	}
	return root, nil
}

// checkText refuses what the YAML parser refuses without a line number.
func checkText(path string, data []byte) error {
	line := 1
	for i, c := range string(data) {
		switch {
		case c == utf8.RuneError && !bytes.HasPrefix(data[i:], []byte(string(utf8.RuneError))):
			return fileError(path, line, "is not UTF-8", "save the file as UTF-8")
		case c == '\n':
			line++
		case c < ' ' && c != '\t' && c != '\r', 0x7f <= c && c < 0xa0 && c != 0x85:
			return fileError(path, line, fmt.Sprintf("contains the control character %#02x", c), "remove it")
		}
	}
	return nil
}

// alphabetic is what the parser wants after * or &, as a part of its message.
const alphabetic = "did not find expected alphabetic or numeric character"

// yamlErrors are parts of the messages of the YAML parser, which has no types for them, and what is said in their place.
var yamlErrors = []struct{ parser, plain string }{
	{"expected ',' or ']'", "a list in [ ] is not closed, or lacks a comma"},
	{"expected ',' or '}'", "a mapping in { } is not closed, or lacks a comma"},
	{"mapping values are not allowed", "a colon stands where no key can be"},
	{"unknown anchor", "an alias, which begins with *, has no anchor"},
	{alphabetic, "a value begins with * or &"},
	{"tab character", "a tab indents the line"},
	{"cannot start any token", "here is a tab, or a character with which no value begins"},
	{"could not find expected ':'", "a key has no colon after it"},
	{"unexpected end of stream", "a quote is not closed"},
	{"escape character", `a text in "quotes" has a backslash before a character that needs none`},
	{"hexdecimal", `a text in "quotes" has \x or \u without the digits after it`},
	{"sequence entries are not allowed", "an item of a list stands where none can be"},
	{"expected key", "something stands behind the end of a value, or the indentation does not fit that of the lines above"},
	{"'-' indicator", "something stands behind the end of a value, or the indentation does not fit that of the lines above"},
	{"document start", "a line stands outside of the mapping above"},
}

// syntaxError makes a problem of an error of the YAML parser. The parser counts lines from 0 in errors that begin with
// "did not find", and gives no line for the first line of the file and for an unknown anchor.
func syntaxError(path string, data []byte, err error) error {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if _, err := fmt.Sscanf(what, "line %d: ", &line); err == nil {
		_, what, _ = strings.Cut(what, ": ")
		if strings.HasPrefix(what, "did not find") && what != alphabetic {
			line++
		}
	}
	why := "it cannot be read from here on"
	for _, known := range yamlErrors {
		if strings.Contains(what, known.parser) {
			why = known.plain
			break
		}
	}
	fix := "check the indentation, and that every bracket and quote is closed, here and above"
	switch anchor, ok := strings.CutPrefix(what, "unknown anchor '"); {
	case ok:
		anchor, _, _ = strings.Cut(anchor, "'")
		before, _, _ := bytes.Cut(data, []byte("*"+anchor))
		line = 1 + bytes.Count(before, []byte("\n"))
		fix = `write the value out, since aliases are not supported; put one that begins with * in "quotes"`
	case what == alphabetic:
		fix = `put it in "quotes"`
	case strings.Contains(what, "tab character"), strings.Contains(what, "cannot start any token"):
		fix = `indent with spaces, not tabs, and put a value that begins with @, % or a backquote in "quotes"`
	case strings.Contains(what, "mapping values are not allowed"):
		fix = `check the indentation, and put a value that contains a colon in "quotes"`
	}
	return fileError(path, line, "is not YAML: "+why, fix)
}
