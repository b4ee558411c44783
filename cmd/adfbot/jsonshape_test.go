package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/terraphim/adfbot/internal/testpg"
)

// schemas returns those of the API's description, by their name. libopenapi, which tests the API itself, does not: it adds 10 ms to
// every start of this binary, which the tests start as adfbot some thousand times.
func schemas(t *testing.T) func(name string) *jsonschema.Resolved {
	t.Helper()
	text, err := os.ReadFile(repoRoot + "/internal/web/openapi.yaml")
	require.NoError(t, err)
	var api struct {
		Components struct{ Schemas map[string]any }
	}
	require.NoError(t, yaml.Unmarshal(bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")), &api))
	return func(name string) *jsonschema.Resolved {
		require.Contains(t, api.Components.Schemas, name, "the description has no such schema")
		text, err := json.Marshal(map[string]any{"$ref": "#/$defs/" + name, "$defs": api.Components.Schemas})
		require.NoError(t, err)
		var schema jsonschema.Schema
		require.NoError(t, json.Unmarshal(text, &schema))
		resolved, err := schema.Resolve(nil)
		require.NoError(t, err)
		return resolved
	}
}

// describedJSON returns a function that runs a command with --json, compares what it prints with a schema, and remembers the command in seen.
func describedJSON(t *testing.T, w *world, seen map[string]bool) func(name string, args ...string) map[string]any {
	schema := schemas(t)
	return func(name string, args ...string) map[string]any {
		t.Helper()
		out, _ := w.run(append(args, "--json")...)
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(out), &fields))
		require.NoError(t, schema(name).Validate(fields), "adfbot %s --json:\n%s", strings.Join(args, " "), out)
		requireSnakeCase(t, fields)
		cmd, _, err := commandTree().Find(args)
		require.NoError(t, err)
		seen[cmd.CommandPath()] = true
		return fields
	}
}

// What commands print as JSON is described, has names in one style, and no command with --json is left out.
func TestJSONIsDescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]bool{"adfbot hosts retire": true, "adfbot migrate": true} // in TestFleetJSONIsDescribed
	check := describedJSON(t, w, seen)
	check("Status", "status")
	check("Runs", "runs")
	check("Incidents", "incidents")
	check("Check", "check", "--offline")
	check("Gate", "gate", "odilo")
	check("Sweep", "sweep", "--dry-run")
	check("Sweep", "sweep")
	check("Status", "status") // with a sweep that had nothing to do
	check("Fleet", "hosts")
	check("Version", "version")
	require.NotEmpty(t, check("Settings", "config", "show")["settings"])
	require.Equal(t, true, check("Check", "test-issue")["ok"])
	for range 2 {
		check("Recorded", "record", "--project", "odilo", "--failure")
	}
	check("Recorded", "record", "--project", "odilo", "--exit-code", "3", "--run-id", "r")
	check("Recorded", "record", "--project", "quick", "--success")
	check("Classification", "classify", "--exit-code", "1")
	check("DoneMany", "pause", "quick", "--for", "2h")
	check("DoneMany", "pause", "--all", "--reason", "the provider is down")
	check("Gate", "gate", "odilo", "quick")
	status := check("Status", "status")
	require.Len(t, status["stops"], 1)
	check("Runs", "runs", "odilo", "--output", "3", "--limit", "1")
	incidents := check("Incidents", "incidents", "--limit", "1")
	check("DoneMany", "resume", "--all")
	require.NoError(t, os.Remove(w.path("pause/odilo")))
	sweep := check("Sweep", "sweep")
	check("Status", "status")
	check("Restored", "restore")
	check("Check", "check", "--offline")

	// The old names stay for a release, with the new ones.
	project := status["projects"].([]any)[0].(map[string]any)
	require.Equal(t, project["is_paused"], project["paused"])
	first := incidents["incidents"].([]any)[0].(map[string]any)
	require.EqualValues(t, 3, first["failures"])
	require.Equal(t, first["failures"], first["consecutive_failures"])
	require.NotEmpty(t, first["issue_url"])
	resumed := sweep["actions"].([]any)[0].(map[string]any)
	require.NotEmpty(t, resumed["incident_id"])
	require.Equal(t, resumed["incident_id"], resumed["incident"])
	require.Contains(t, sweep, "took_ns")

	var printing []string
	for _, c := range commandsUnder(commandTree()) {
		if c.Flags().Lookup("json") != nil {
			printing = append(printing, c.CommandPath())
		}
	}
	require.ElementsMatch(t, printing, slices.Collect(maps.Keys(seen)))
	require.Empty(t, withoutJSON(commandTree()), "a command that prints facts has --json")
}

// A name has one type wherever it occurs. A count or a list may have the name of what it counts or lists.
func TestOneTypeForAName(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(repoRoot + "/internal/web/openapi.yaml")
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, yaml.Unmarshal(text, &doc))
	follow := func(schema map[string]any) map[string]any {
		for schema["$ref"] != nil {
			at := any(doc)
			for part := range strings.SplitSeq(strings.TrimPrefix(schema["$ref"].(string), "#/"), "/") {
				at = at.(map[string]any)[part]
			}
			schema = at.(map[string]any)
		}
		return schema
	}
	types := map[string]map[string]bool{}
	note := func(name string, schema map[string]any) {
		if schema = follow(schema); schema["deprecated"] == true {
			return
		}
		all, several := schema["type"].([]any)
		if !several {
			all = []any{schema["type"]}
		}
		if value, ok := schema["const"]; ok {
			all = []any{map[string]any{"bool": "boolean", "string": "string", "int": "integer"}[reflect.TypeOf(value).Name()]}
		}
		for _, one := range all {
			if slices.Contains([]any{"boolean", "string", "object"}, one) {
				if types[name] == nil {
					types[name] = map[string]bool{}
				}
				types[name][one.(string)] = true
			}
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for name, schema := range properties {
					note(name, schema.(map[string]any))
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	require.Equal(t, map[string]bool{"string": true}, types["is_paused"])
	delete(types, "value")    // of a key of the configuration
	delete(types, "workflow") // one of Gitea Actions, and in it the name of its file, as in the configuration
	for name, of := range types {
		require.Len(t, of, 1, "%s is %v", name, slices.Collect(maps.Keys(of)))
	}
}

func TestFleetJSONIsDescribed(t *testing.T) {
	t.Parallel()
	url := testpg.Database(t)
	w := newWorld(t)
	check := describedJSON(t, w, map[string]bool{})
	w.trip()
	moved := check("Moved", "migrate", url)
	require.EqualValues(t, 3, moved["results"])
	require.Equal(t, true, check("Moved", "migrate", url)["earlier"])
	w.useDatabase(url)
	require.NotContains(t, check("Moved", "migrate", url), "file")
	check("Sweep", "sweep")
	require.NotEmpty(t, check("Status", "status")["fleet"])
	hosts := check("Fleet", "hosts")["hosts"].([]any)
	require.Len(t, hosts, 1)
	check("Restored", "hosts", "retire", hosts[0].(map[string]any)["id"].(string), "--force")
}

// commandsUnder returns all commands, and theirs.
func commandsUnder(root *cobra.Command) (all []*cobra.Command) {
	for _, c := range root.Commands() {
		all = append(append(all, c), commandsUnder(c)...)
	}
	return all
}

// withoutJSON returns the commands that have no --json, but for those that print no facts: what they print is a script, statements of SQL, a
// schema, help or a story, or what another program prints, or they only ask which command is meant.
func withoutJSON(root *cobra.Command) (names []string) {
	none := []string{"completion", "config", "config schema", "demo", "drain", "exec", "help", "init", "init-state", "serve"}
	for _, c := range commandsUnder(root) {
		name := strings.TrimPrefix(c.CommandPath(), "adfbot ")
		if c.Flags().Lookup("json") == nil && !slices.Contains(none, name) && c.Parent().Name() != "completion" {
			names = append(names, name)
		}
	}
	return names
}

// requireSnakeCase looks at all names but those in the issue of a step, which is old.
func requireSnakeCase(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			require.Regexp(t, regexp.MustCompile(`^[a-z][a-z0-9_]*$`), name)
			if _, ofStep := v["action"]; !ofStep || name != "issue" {
				requireSnakeCase(t, value)
			}
		}
	case []any:
		for _, value := range v {
			requireSnakeCase(t, value)
		}
	}
}
