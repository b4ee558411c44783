package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// source is an included file: the content, or why it cannot be read.
type source struct {
	path string
	root *yaml.Node
	err  *Error
}

// includePath accepts a file, or a pattern of names in one directory.
func includePath(s string) (string, *fault) {
	const fix = "write it like conf.d/*.yaml; a relative path begins at the directory of this file"
	dir, name := filepath.Split(s)
	switch _, err := filepath.Match(name, ""); {
	case name == "":
		return "", faultf(fix, "names no file: %s", quote(s))
	case strings.ContainsAny(dir, wildcards):
		return "", faultf(fix, "has a wildcard in the name of a directory: %s", quote(s))
	case err != nil:
		return "", faultf(fix, "is no pattern of file names: %s", quote(s))
	}
	return s, nil
}

const wildcards = `*?[\`

// include adds the projects of the included files to those of the file itself. Its problems are about "include", whatever is wrong with a
// file as a whole: which projects it has is not known.
func (r *reader) include(c *Config, pattern string, read func(pattern string) ([]source, *fault)) {
	if pattern == "" {
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(c.Path), pattern)
	}
	sources, f := read(pattern)
	if f != nil { // as for a file that cannot be read, only the projects in it are missing
		r.included = append(r.included, Problem{File: r.file, Line: r.lines["include"], Key: "include", What: f.what, Fix: f.fix})
	}
	for _, s := range sources {
		if sameFile(s.path, c.Path) { // its keys are no mistake, but those of an included file would be
			r.included = append(r.included, Problem{File: r.file, Line: r.lines["include"], Key: "include", What: "names this file itself", hidesNone: true,
				Fix: "move the files with more projects to a directory of their own, and write conf.d/*.yaml"})
			continue
		}
		c.Files = append(c.Files, s.path)
		if s.err != nil {
			for _, p := range s.err.Problems {
				p.about = "include"
				r.included = append(r.included, p)
			}
			continue
		}
		sub := &reader{file: s.path, main: r.root, root: []field{projectsField()}, lines: map[string]int{}, entries: r.entries}
		sub.mapping(value{node: s.root}, sub.root)
		sortByLine(sub.problems)
		r.entries, r.included = sub.entries, append(r.included, sub.problems...)
	}
}

// sameFile reports whether two paths, of which any may be relative, are the same. What they lead to does not matter.
func sameFile(a, b string) bool {
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// readIncluded reads the files that a pattern names, sorted by name. A pattern without wildcards names a file that must be there. As in a
// shell, a wildcard at the beginning of a name stands for no dot: those are an editor's temporary files.
func readIncluded(pattern string) (out []source, f *fault) {
	dir, name := filepath.Split(pattern)
	paths := []string{pattern}
	if strings.ContainsAny(name, wildcards) {
		at := cmp.Or(dir, ".")         // the main file may have been named without a directory
		entries, err := os.ReadDir(at) // sorted
		if err != nil {
			return nil, unreadableDir(at, err)
		}
		paths = nil
		for _, e := range entries {
			if ok, _ := filepath.Match(name, e.Name()); ok && (e.Name()[0] != '.' || name[0] == '.') {
				paths = append(paths, dir+e.Name())
			}
		}
	}
	for _, path := range paths {
		s := source{path: path}
		data, err := readFile(path)
		if err == nil {
			s.root, err = parseYAML(path, data)
		}
		if e, ok := errors.AsType[*Error](err); ok {
			s.err = adviseIncluded(e)
		}
		out = append(out, s)
	}
	return out, nil
}

// adviseIncluded replaces advice that is for the main file.
func adviseIncluded(e *Error) *Error {
	for n := range e.Problems {
		switch p := &e.Problems[n]; {
		case errors.Is(e, fs.ErrNotExist) && !errors.Is(e, pause.ErrDeadLink):
			p.Fix = "create it, or correct include"
		case p.Fix == fixMapping:
			p.Fix = "write projects: and a list of them, or remove the file"
		}
	}
	return e
}

func unreadableDir(dir string, err error) *fault {
	link, closed := pause.DeadLink(dir), pause.Closed(dir)
	switch {
	case link != nil:
		return faultf("", "names files in %s: %v", dir, link)
	case errors.Is(err, fs.ErrNotExist):
		return faultf("create it, or remove include", "names files in %s, which does not exist", dir)
	case errors.Is(err, fs.ErrPermission) && closed != nil:
		return faultf("", "names files in %s, and %v", dir, closed)
	case errors.Is(err, fs.ErrPermission):
		return faultf(fmt.Sprintf("the files hold no secrets: run chmod a+rx %s", text.ShellQuote(dir)), "names files in %s, which this user (uid %d) cannot list", dir, os.Geteuid())
	}
	return faultf("", "cannot be read: %v", err)
}
