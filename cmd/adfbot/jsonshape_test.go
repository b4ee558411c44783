package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
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

// What commands print as JSON is described, has names in one style, and no command with --json is left out.
func TestJSONIsDescribed(t *testing.T) {
	t.Parallel()
	schema, w := schemas(t), newWorld(t)
	seen := map[string]bool{}
	check := func(name string, args ...string) map[string]any {
		t.Helper()
		out, _ := w.run(append(args, "--json")...)
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(out), &fields))
		require.NoError(t, schema(name).Validate(fields), "adfbot %s --json:\n%s", strings.Join(args, " "), out)
		requireSnakeCase(t, fields)
		seen[args[0]] = true
		return fields
	}
	check("Status", "status")
	check("Runs", "runs")
	check("Incidents", "incidents")
	check("Check", "check", "--offline")
	check("Gate", "gate", "odilo")
	check("Sweep", "sweep", "--dry-run")
	check("Fleet", "hosts")
	check("Version", "version")
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
	first := incidents["incidents"].([]any)[0].(map[string]any)
	require.EqualValues(t, 3, first["failures"])
	require.Equal(t, first["failures"], first["consecutive_failures"])
	require.NotEmpty(t, first["issue_url"])
	resumed := sweep["actions"].([]any)[0].(map[string]any)
	require.NotEmpty(t, resumed["incident_id"])
	require.Equal(t, resumed["incident_id"], resumed["incident"])
	require.Contains(t, sweep, "took_ns")

	var printing []string
	for _, c := range commandTree().Commands() {
		if c.Flags().Lookup("json") != nil {
			printing = append(printing, c.Name())
		}
	}
	require.ElementsMatch(t, printing, slices.Collect(maps.Keys(seen)))
	require.Empty(t, withoutJSON(commandTree()), "a command that prints facts has --json")
}

// withoutJSON returns the commands that have no --json, but for those that print no facts.
func withoutJSON(root *cobra.Command) (names []string) {
	none := []string{"completion", "demo", "drain", "exec", "help", "init", "init-state", "migrate", "serve", "test-issue"}
	for _, c := range root.Commands() {
		if c.Flags().Lookup("json") == nil && !slices.Contains(none, c.Name()) && c.Name() != "config" { // its commands are looked at in its own test
			names = append(names, c.Name())
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
