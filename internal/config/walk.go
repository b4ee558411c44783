package config

import (
	"fmt"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"
)

// value is a node of the file and where it stands.
type value struct {
	node *yaml.Node
	key  string // dotted path
	line int
	dry  bool // look for mistakes, take nothing over
}

// field is one key that a mapping may have: a section with fields of its own, or a leaf that read takes over.
type field struct {
	name   string
	fields []field
	read   func(r *reader, v value)
}

// reader walks the tree, collects the problems and remembers where each key stood.
type reader struct {
	file     string
	root     []field
	problems []Problem
	lines    map[string]int    // by dotted path, for every known key that the file gives, be its value good or bad
	ids      map[string]string // by projects[n]: the id of that entry, if it is good
	doubt    map[string]bool   // by project id: its own repository can't be known
}

// given reports whether the file has the key.
func (r *reader) given(key string) bool { _, ok := r.lines[key]; return ok }

// report notes a mistake.
func (r *reader) report(line int, key string, f *fault) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, What: f.what, Fix: f.fix})
}

// leaf is a key with one value. parse decides what it means.
func leaf[T any](name string, to *T, parse parser[T]) field {
	return field{name: name, read: func(r *reader, v value) {
		x, f := parse(v.node)
		switch {
		case f != nil:
			r.report(v.line, v.key, f)
		case !v.dry:
			*to = x
		}
	}}
}

// section is a key with keys below it.
func section(name string, fields ...field) field {
	return field{name: name, fields: fields, read: func(r *reader, v value) { r.mapping(v, fields) }}
}

// list is a key with a list of values, each of them once. A bad item is left out. identity tells which are the same.
func list[T any, K comparable](name string, to *[]T, parse parser[T], identity func(T) K) field {
	return field{name: name, read: func(r *reader, v value) {
		good := []T{}
		first := map[K]string{}
		ok := r.items(v, func(item value) {
			x, f := parse(item.node)
			if f == nil {
				k := identity(x)
				if first[k] != "" {
					f = faultf("remove one", "is the same as %s", first[k])
				} else {
					first[k] = item.key
				}
			}
			if f != nil {
				r.report(item.line, item.key, f)
				return
			}
			good = append(good, x)
		})
		if ok && !v.dry {
			*to = good
		}
	}}
}

// items calls each for the items of a list; false: it is none.
func (r *reader) items(v value, each func(value)) bool {
	if v.node.Kind != yaml.SequenceNode {
		fix := "write [a, b], or one item a line, each after a dash"
		r.report(v.line, v.key, faultf(fix, "must be a list, not %s", kind(v.node)))
		return false
	}
	for i, n := range v.node.Content {
		item := value{node: n, key: v.key + "[" + strconv.Itoa(i) + "]", line: n.Line, dry: v.dry}
		if r.usable(item) {
			each(item)
		}
	}
	return true
}

// mapping reads the keys of a mapping. A key that stands there twice is looked at both times and taken over not at all:
// nobody can know which one was meant.
func (r *reader) mapping(v value, fields []field) {
	if v.node.Kind != yaml.MappingNode {
		fix := "write its keys below it, indented: " + fields[0].name + ": …"
		r.report(v.line, v.key, faultf(fix, "must be a mapping of keys, not %s", kind(v.node)))
		return
	}
	content := v.node.Content
	field := func(name *yaml.Node) int {
		return slices.IndexFunc(fields, func(f field) bool { return f.name == name.Value })
	}
	given := make([]struct{ times, line int }, len(fields)) // by the place in fields; the line is that of the first
	for i := 0; i+1 < len(content); i += 2 {
		if at := field(content[i]); at >= 0 {
			given[at].times++
		}
	}
	for i := 0; i+1 < len(content); i += 2 {
		name, n := content[i], content[i+1]
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			// Nobody knows which keys it would bring: the whole mapping is in doubt.
			fix := "write the keys out; what all projects share belongs to the top level"
			r.report(name.Line, v.key, faultf(fix, "%s is no key that can be used: merge keys and nested keys are not read", quote(name.Value)))
			continue
		}
		at := field(name)
		if at < 0 {
			r.unknownKey(name, v.key, fields)
			continue
		}
		child := value{node: n, key: join(v.key, name.Value), line: name.Line, dry: v.dry || given[at].times > 1}
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
			child.line = n.Line
		}
		if line := given[at].line; line > 0 {
			fix := "keep one; until then none of them counts"
			r.report(name.Line, child.key, faultf(fix, "stands here a second time, first in line %d", line))
		} else {
			given[at].line = name.Line
		}
		if !r.given(child.key) {
			r.lines[child.key] = name.Line
		}
		if r.usable(child) {
			fields[at].read(r, child)
		}
	}
}

// usable refuses what no key and no list may have: nothing, and a reference to another place of the file.
func (r *reader) usable(v value) bool {
	switch {
	case v.node.Kind == yaml.AliasNode:
		r.report(v.line, v.key, faultf("write the value out", "is an alias (*), which is not read here"))
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null":
		r.report(v.line, v.key, faultf("give it one, or leave it out", "has no value"))
	default:
		return true
	}
	return false
}

// unknownKey reports a key that does not exist, and which one may be meant.
func (r *reader) unknownKey(name *yaml.Node, parent string, fields []field) {
	p := Problem{File: r.file, Line: name.Line, Key: join(parent, plain(name.Value)), What: "there is no such key", unknown: true}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if secretish(name.Value) {
		file := "token_file"
		if own := normal(name.Value) + "_file"; slices.Contains(names, own) {
			file = own
		}
		p.What = "no secret stands in this file"
		p.Fix = "put it in a file of its own and name that with " + file
		if slices.Contains(names, file) {
			p.about = join(parent, file)
		}
	} else if near := nearest(name.Value, names); near != "" {
		p.about = join(parent, near)
		p.Fix = "did you mean " + near + "?"
	} else if away := elsewhere(r.root, "", name.Value); away != "" {
		p.about = away
		p.Fix = "did you mean " + away + "? It does not belong here"
	} else {
		p.Fix = "remove it; the keys here are " + fmt.Sprint(names)
	}
	r.problems = append(r.problems, p)
}

// elsewhere gives the path of the first key of this name, or "". Keys of projects are none: which project's would it be?
func elsewhere(fields []field, parent, name string) string {
	for _, f := range fields {
		if f.name == name {
			return join(parent, name)
		}
		if parent == "" && f.name != "projects" {
			if found := elsewhere(f.fields, f.name, name); found != "" {
				return found
			}
		}
	}
	return ""
}

// join makes a dotted path.
func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// kind says in words what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!str":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	case "!!null":
		return "nothing"
	}
	return "a value tagged " + quote(n.Tag)
}
