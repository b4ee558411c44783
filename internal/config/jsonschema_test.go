package config

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

var jsonSchema = sync.OnceValues(func() (*jsonschema.Schema, error) { return compiled(JSONSchema) })

func compiled(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("config.schema.json")
}

// validate holds a file against the JSON Schema, as an editor does.
func validate(t *testing.T, text string) error {
	t.Helper()
	schema, err := jsonSchema()
	require.NoError(t, err)
	return validateBy(t, schema, text)
}

func validateBy(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return schema.Validate(doc)
}

// properties returns the dotted paths of all keys that a schema knows, and the default of each that has one.
func properties(t *testing.T) (keys []string, defaults map[string]any) {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal(JSONSchema, &root))
	defaults = map[string]any{}
	var visit func(prefix string, s map[string]any)
	visit = func(prefix string, s map[string]any) {
		if ref, ok := s["$ref"].(string); ok {
			def, ok := root["definitions"].(map[string]any)[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
			require.True(t, ok, ref)
			visit(prefix, def)
		}
		if all, ok := s["allOf"].([]any); ok {
			visit(prefix, all[0].(map[string]any))
		}
		if items, ok := s["items"].(map[string]any); ok {
			visit(prefix, items)
		}
		below, ok := s["properties"].(map[string]any)
		require.Equal(t, ok, s["type"] == "object", prefix)
		require.Equal(t, ok, s["additionalProperties"] == false, "%s: an editor warns of an unknown key", prefix)
		for name, p := range below {
			p, key := p.(map[string]any), join(prefix, name)
			keys = append(keys, key)
			if p["$ref"] == nil {
				require.NotEmpty(t, p["description"], key)
			}
			if d, ok := p["default"]; ok {
				defaults[key] = d
			}
			visit(key, p)
		}
	}
	visit("", root)
	slices.Sort(keys)
	return keys, defaults
}

// The schema of an included file accepts what the walker accepts there.
func TestIncludedJSONSchema(t *testing.T) {
	text, err := IncludedJSONSchema()
	require.NoError(t, err)
	schema, err := compiled(text)
	require.NoError(t, err)
	for _, file := range []string{
		"projects: [{id: a}]\n", "projects:\n  - match: twins-*\n    threshold: 2\n", "projects: []\n",
		"projects: [{id: a, threshold: many}]\n", "projects: [{id: a, nonsense: 1}]\n", "projects: [{threshold: 2}]\n",
		"projects: [{id: a}]\npause_dir: /tmp\n", "projects: [{id: a}]\ninclude: more.yaml\n", "{}\n",
	} {
		root, err := parseYAML("conf.d/a.yaml", []byte(file))
		require.NoError(t, err, file)
		_, err = settingsOf("config.yaml", []byte(rest+"include: conf.d/a.yaml\n"), "host", func(string) ([]source, *fault) { return []source{{path: "conf.d/a.yaml", root: root}}, nil })
		require.Equal(t, err == nil, validateBy(t, schema, file) == nil, "%s: %v", file, err)
	}
}

func TestJSONSchemaHasEveryKey(t *testing.T) {
	var want []string
	var visit func(prefix string, fields []field)
	visit = func(prefix string, fields []field) {
		for _, f := range fields {
			key := join(prefix, f.name)
			want = append(want, key)
			if f.below != nil {
				visit(key, f.below())
			}
			visit(key, f.fields)
		}
	}
	visit("", schema(new(Config), new(string)))
	slices.Sort(want)
	got, _ := properties(t)
	require.Equal(t, want, got)
}

// The schema's defaults are those of a file that gives none of the keys.
func TestJSONSchemaDefaults(t *testing.T) {
	s, err := settingsOf("config.yaml", []byte(rest), "host", noFiles)
	require.NoError(t, err)
	_, defaults := properties(t)
	required := []string{"gitea.url", "gitea.token_file", "gitea.token_env", "gitea.owner", "gitea.repo"}
	others := []string{"instance", "local_dir", "breaker.resume_threshold"} // depend on the machine or on other keys
	for _, x := range s.List {
		if strings.HasPrefix(x.Key, "projects[") || slices.Contains(required, x.Key) || slices.Contains(others, x.Key) {
			continue
		}
		want, err := json.Marshal(x.Value)
		require.NoError(t, err)
		got, err := json.Marshal(defaults[x.Key])
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got), x.Key)
		delete(defaults, x.Key)
	}
	for key := range defaults { // those of parts of lists, of which that file has none
		require.Regexp(t, `^(projects\.|classes\.|escalation\.steps\.)`, key)
	}
	require.Equal(t, "15m", plain(defaultGrace))
	require.Equal(t, "15m", defaults["projects.expect.grace"])
}

// The example is good, with its commented keys too.
func TestJSONSchemaAcceptsExample(t *testing.T) {
	data, err := os.ReadFile(example)
	require.NoError(t, err)
	require.NoError(t, validate(t, string(data)))
	text := regexp.MustCompile(`(?m)^  token_file: .*\n  # (token_env: )`).ReplaceAllString(string(data), "  $1")
	require.NotEqual(t, string(data), text)
	require.NoError(t, validate(t, text))
	require.Error(t, validate(t, strings.Replace(string(data), "threshold: 3", "threshold: three", 1)))
}

// Patterns mean the same in an editor, whose expressions are those of JavaScript.
func TestJSONSchemaPatternsAreSimple(t *testing.T) {
	var visit func(v reflect.Value)
	n := 0
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Interface:
			visit(v.Elem())
		case reflect.Map:
			for _, k := range v.MapKeys() {
				if s, ok := v.MapIndex(k).Interface().(string); ok && k.String() == "pattern" {
					n++
					require.NotRegexp(t, `\(\?|\\[ApPzZQ]|\[\[:`, s)
				}
				visit(v.MapIndex(k))
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		}
	}
	var root any
	require.NoError(t, json.Unmarshal(JSONSchema, &root))
	visit(reflect.ValueOf(&root).Elem())
	require.Greater(t, n, 15)
}
