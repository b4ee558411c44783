package config

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// value is a node of the file and its place.
type value struct {
	node      *yaml.Node
	key       string // dotted path
	line      int
	checkOnly bool // report mistakes, but store nothing
}

// field is a key that a mapping may have. read checks and stores its value.
type field struct {
	name   string
	fields []field // of a section
	read   func(r *reader, v value)

	get   func() any       // the value that is stored now, of a leaf or a list of such; see [Settings]
	below func() []field   // the keys in the value of one that is neither of these nor a section
	items func() [][]field // those of each item of its list, with what is stored now; nil: it is no list
}

// reader walks the tree and collects the problems.
type reader struct {
	file     string
	root     []field
	main     []field // the keys of the file that includes this one; nil: none does
	problems []Problem
	included []Problem      // of included files
	lines    map[string]int // by dotted path: the first line of each known key in the file, whether its value is good or not
	entries  []*entry       // of projects, those of all files
	localDir bool           // the file names a good local_dir

	tokenVars []string // see Config.TokenVars
}

// given reports whether the file has the key.
func (r *reader) given(key string) bool { _, ok := r.lines[key]; return ok }

func (r *reader) report(line int, key string, f *fault) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, What: f.what, Fix: f.fix})
}

// leaf is a key with one value.
func leaf[T any](name string, to *T, parse parser[T]) field {
	return field{name: name, read: func(r *reader, v value) {
		x, f := parse(v.node)
		switch {
		case f != nil:
			r.report(v.line, v.key, f)
		case !v.checkOnly:
			*to = x
		}
	}, get: func() any { return plain(*to) }}
}

// section is a key with keys below it.
func section(name string, fields ...field) field {
	return field{name: name, fields: fields, read: func(r *reader, v value) { r.mapping(v, fields) }}
}

// list is a key with a list of values. It leaves out bad ones and duplicates; identity returns the same for duplicates.
func list[T any, K comparable](name string, to *[]T, parse parser[T], identity func(T) K) field {
	return distinct(name, to, parse, identity, func(T) string { return "is the same as %s" })
}

// distinct is list with messages for duplicates.
func distinct[T any, K comparable](name string, to *[]T, parse parser[T], identity func(T) K, message func(T) string) field {
	return field{name: name, read: func(r *reader, v value) {
		good := []T{}
		first := map[K]string{} // the key of the first item
		ok := r.items(v, func(item value) {
			x, f := parse(item.node)
			if f == nil {
				id := identity(x)
				if first[id] == "" {
					first[id] = item.key
					good = append(good, x)
					return
				}
				f = faultf("remove one", message(x), first[id])
			}
			r.report(item.line, item.key, f)
		})
		if ok && !v.checkOnly {
			*to = good
		}
	}, get: func() any { return plainList(*to) }}
}

// items calls each for the items of a list. It returns false if v is not a list.
func (r *reader) items(v value, each func(value)) bool {
	if v.node.Kind != yaml.SequenceNode {
		r.report(v.line, v.key, faultf("write [a, b], or one item per line after a dash", "must be a list, not %s", describe(v.node)))
		return false
	}
	for i, n := range v.node.Content {
		item := value{node: n, key: v.key + "[" + strconv.Itoa(i) + "]", line: n.Line, checkOnly: v.checkOnly}
		if r.usable(item) {
			each(item)
		}
	}
	return true
}

// mapping reads the keys of a mapping. It checks the values of a duplicate key and stores none, because it can't know
// which one was meant.
func (r *reader) mapping(v value, fields []field) {
	if v.node.Kind != yaml.MappingNode {
		fix := "write its keys below it, indented: " + fields[0].name + ": …"
		if strings.HasSuffix(v.key, "]") {
			fix = "write its keys after the dash: - " + fields[0].name + ": …"
		}
		r.report(v.line, v.key, faultf(fix, "must be a mapping of keys, not %s", describe(v.node)))
		return
	}
	times := make(map[string]int, len(v.node.Content)/2)
	for pair := range slices.Chunk(v.node.Content, 2) {
		times[pair[0].Value]++
	}
	for pair := range slices.Chunk(v.node.Content, 2) {
		name, n := pair[0], pair[1]
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			// The key of the problem is that of the mapping: any key may be missing because of this.
			fix := "write the keys out; settings that all projects share belong at the top level"
			r.report(name.Line, v.key, faultf(fix, "%s is not a key: merge keys and nested keys are not supported", quote(name.Value)))
			continue
		}
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == name.Value })
		if at < 0 {
			r.unknownKey(name, v.key, fields)
			if r.main == nil && within(r.problems[len(r.problems)-1].about, "gitea") {
				r.findTokenVars(n)
			}
			continue
		}
		child := value{node: n, key: join(v.key, name.Value), line: name.Line, checkOnly: v.checkOnly || times[name.Value] > 1}
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
			child.line = n.Line
		}
		if first := r.lines[child.key]; first == 0 {
			r.lines[child.key] = name.Line
		} else if times[name.Value] > 1 {
			r.report(name.Line, child.key, faultf("keep one; until then none is used", "duplicate key, first given on line %d", first))
		}
		if r.usable(child) {
			fields[at].read(r, child)
		}
	}
}

// usable refuses what no key and no list item may be: nothing, and a reference to another place of the file.
func (r *reader) usable(v value) bool {
	switch {
	case v.node.Kind == yaml.AliasNode:
		r.report(v.line, v.key, faultf("write the value out", "is an alias (*), which is not supported"))
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null":
		r.report(v.line, v.key, faultf("give it one, or remove it", "has no value"))
	default:
		return true
	}
	return false
}

// unknownKey reports a key that does not exist, and which one may be meant.
func (r *reader) unknownKey(name *yaml.Node, parent string, fields []field) {
	p := Problem{File: r.file, Line: name.Line, Key: join(parent, quoteKey(name.Value)), What: "unknown key", unknownKey: true}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	near, elsewhere := nearest(name.Value, names), r.pathOf(name.Value)
	switch ofMain := func(f field) bool { return f.name == name.Value }; {
	case parent == "" && name.Value == "include" && r.main != nil:
		p.What, p.Fix = "must not be here: an included file includes no others", "name all files in include of the main file"
	case parent == "" && slices.ContainsFunc(r.main, ofMain):
		p.What, p.Fix = "must not be here: an included file holds projects only", "move it to the main file"
	case namesSecret(name.Value):
		file := "token_file"
		if own := normalize(name.Value) + "_file"; slices.Contains(names, own) {
			file = own
		}
		p.What = "must not be here: this file holds no secrets"
		p.Fix = "put it in a file of its own, and name that file in " + file
		if slices.Contains(names, file) {
			p.about = join(parent, file)
		}
	case near != "":
		p.about, p.Fix = join(parent, near), "did you mean "+near+"?"
	case elsewhere != "":
		p.about, p.Fix = elsewhere, "did you mean "+elsewhere+"? It does not belong here"
	default:
		p.Fix = "remove it; the keys here are " + strings.Join(names, ", ")
	}
	r.problems = append(r.problems, p)
}

// pathOf returns the path of the first key with this name, or "". It leaves out keys of projects.
func (r *reader) pathOf(name string) string {
	for _, f := range r.root {
		if f.name == name {
			return name
		}
		if f.name != "projects" && slices.ContainsFunc(f.fields, func(sub field) bool { return sub.name == name }) {
			return join(f.name, name)
		}
	}
	return ""
}

// join returns a dotted path.
func join(parent, name string) string { return strings.TrimPrefix(parent+"."+name, ".") }
