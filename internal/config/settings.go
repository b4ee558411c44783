package config

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/class"
)

// Setting is a key of the configuration with the value in use, and where that came from.
type Setting struct {
	Key   string `json:"key"`   // dotted, list items counted from 0, e.g. projects[2].threshold
	Value any    `json:"value"` // a string, which a duration is too, a number, a boolean, or a list of such
	// File and Line are where it is written, also if that is the key in From; "": it is the default.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	From string `json:"from,omitempty"` // the key whose value a project takes over, or on which the default depends
}

// String says where the value came from.
func (s Setting) String() string {
	where := "default"
	if s.File != "" {
		where = Place{s.File, s.Line}.String()
	}
	if s.From != "" {
		return s.From + ": " + where
	}
	return where
}

// Settings are all keys of a configuration. Those of its projects have numbers of their own: an included file counts on.
type Settings struct {
	List []Setting
	tree *yaml.Node
}

// ReadSettings reads and checks a file and those that it includes, as [Load] does, and returns every key with the value in use.
func ReadSettings(path string) (*Settings, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	return settingsOf(path, data, host, readIncluded)
}

func settingsOf(path string, data []byte, host string, included func(pattern string) ([]source, *fault)) (*Settings, error) {
	c, r, err := parse(path, data, host, included)
	if err != nil {
		return nil, err
	}
	if problems := append(r.problems, r.included...); len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	w := &settingsWriter{r: r, lines: r.lines, file: path}
	tree := w.mapping("", "", r.root)
	w.projects(tree, c)
	return &Settings{w.list, tree}, nil
}

// YAML returns the settings as one file that could be used in place of those that were read. A comment on each line says where the value came
// from.
func (s *Settings) YAML() []byte {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(s.tree); err != nil {
		panic(err) // a tree of strings and comments is always YAML
	}
	return b.Bytes()
}

type settingsWriter struct {
	r     *reader
	file  string
	lines map[string]int // of file
	list  []Setting
}

// inherited returns the key that this one takes its value from where the file does not give it, or "".
func inherited(key string) string {
	return map[string]string{
		"breaker.resume_threshold":  "breaker.threshold",
		"projects.threshold":        "breaker.threshold",
		"projects.resume_threshold": "breaker.resume_threshold",
		"projects.hung_after":       "breaker.hung_after",
		"projects.owner":            "gitea.owner",
		"projects.repo":             "gitea.repo",
		"projects.labels":           "escalation.labels",
		"projects.assignees":        "escalation.assignees",
		"local_dir":                 "state",
	}[key]
}

// mapping returns the keys of a table. at is where the file has them, and key what the setting is called.
func (w *settingsWriter) mapping(at, key string, fields []field) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields {
		at, key := join(at, f.name), join(key, f.name)
		switch {
		case key == "projects":
			continue // see there
		case f.get != nil:
			s := w.origin(at, Setting{Key: key, Value: shown(f.name, f.get())})
			w.list = append(w.list, s)
			if key != "include" { // the projects of those files follow
				v := valueNode(s.Value)
				v.LineComment = s.String()
				add(m, f.name, v)
			}
		case f.items != nil:
			w.items(m, at, key, f)
		case f.fields != nil:
			add(m, f.name, w.mapping(at, key, f.fields))
		case w.given(at): // expect, actions
			add(m, f.name, w.mapping(at, key, withoutZero(f.below())))
		}
	}
	return m
}

// items adds a list of mappings.
func (w *settingsWriter) items(m *yaml.Node, at, key string, f field) {
	tables := f.items()
	if len(tables) == 0 {
		s := w.origin(at, Setting{Key: key, Value: []any{}})
		w.list = append(w.list, s)
		v := valueNode(s.Value)
		v.LineComment = s.String()
		add(m, f.name, v)
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for n, fields := range tables {
		item := fmt.Sprintf("[%d]", n)
		list.Content = append(list.Content, w.mapping(at+item, key+item, fields))
	}
	add(m, f.name, list)
}

// projects adds the projects of all files.
func (w *settingsWriter) projects(tree *yaml.Node, c *Config) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	main := *w
	for n := range c.Projects {
		p, e := &c.Projects[n], w.r.entries[n]
		fields := projectFields(p)
		if p.ID == "" {
			fields = fields[1:]
		} else {
			fields = append(fields[:1:1], fields[2:]...)
		}
		w.file, w.lines = e.file, e.lines
		list.Content = append(list.Content, w.mapping(e.key, fmt.Sprintf("projects[%d]", n), fields))
	}
	w.file, w.lines = main.file, main.lines
	add(tree, "projects", list)
}

func (w *settingsWriter) given(at string) bool { return w.lines[at] > 0 }

// origin fills in where a setting came from. at is its key in the file.
func (w *settingsWriter) origin(at string, s Setting) Setting {
	if w.given(at) {
		s.File, s.Line = w.file, w.lines[at]
		return s
	}
	generic := regexp.MustCompile(`^projects\[\d+\]`).ReplaceAllString(s.Key, "projects")
	for from := inherited(generic); from != ""; from = inherited(from) {
		own := strings.TrimSuffix(at, ".resume_threshold") + ".threshold"
		if generic == "projects.resume_threshold" && from == "breaker.threshold" && w.given(own) {
			s.From, s.File, s.Line = strings.TrimSuffix(s.Key, ".resume_threshold")+".threshold", w.file, w.lines[own]
			return s
		}
		s.From = from
		if line := w.r.lines[from]; line > 0 {
			s.File, s.Line = w.r.file, line
			break
		}
	}
	return s
}

// tables returns the keys of each item of a list.
func tables[T any](items []T, fields func(*T) []field) (all [][]field) {
	for n := range items {
		all = append(all, withoutZero(fields(&items[n])))
	}
	return all
}

// withoutZero returns the fields of an item that have a value. Those without one often must not be written.
func withoutZero(fields []field) (out []field) {
	for _, f := range fields {
		switch v := f.get().(type) {
		case string:
			if v == "" || v == "0s" {
				continue
			}
		case []any:
			if len(v) == 0 {
				continue
			}
		}
		out = append(out, f)
	}
	return out
}

// plain returns a value as it is written in a file.
func plain(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return written(v)
	case *class.Expression:
		return v.String()
	}
	return v
}

func plainList[T any](list []T) []any {
	out := make([]any, len(list))
	for n, v := range list {
		out[n] = plain(v)
	}
	return out
}

// secretLike matches what may be a secret that somebody has written in place of the name of a file or of a variable.
var secretLike = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z+=]{20,}$`) })

// hiddenValue stands for such a value.
const hiddenValue = "(hidden: it looks like a secret, and must be the name of a file or variable that holds it)"

// shown returns a value for people to see. Of a key that names a secret it hides what may be one.
func shown(key string, v any) any {
	s, ok := v.(string)
	if !ok || !strings.HasSuffix(key, "_file") && key != "token_env" {
		return v
	}
	name := s[strings.LastIndexByte(s, '/')+1:]
	if !secretLike().MatchString(name) || !strings.ContainsAny(name, "0123456789") {
		return v
	}
	if _, err := os.Stat(s); err == nil && strings.HasPrefix(s, "/") {
		return v
	}
	return hiddenValue
}

func add(m *yaml.Node, name string, v *yaml.Node) {
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, v)
}

// valueNode returns the node of a value: a list in one line.
func valueNode(v any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		panic(err) // strings, numbers, booleans and lists of them are always YAML
	}
	if n.Kind == yaml.SequenceNode {
		n.Style = yaml.FlowStyle
	}
	return n
}
