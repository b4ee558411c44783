package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

// JSONSchema is a JSON Schema (draft 7, as editors know it) of the main file. It says less than [Load] checks.
//
//go:embed schema.json
var JSONSchema []byte

// IncludedJSONSchema returns the schema of an included file, which has the projects of the main file and nothing else.
func IncludedJSONSchema() ([]byte, error) {
	type schema struct {
		Schema      string                     `json:"$schema"`
		Title       string                     `json:"title"`
		Description string                     `json:"description"`
		Type        string                     `json:"type"`
		Additional  bool                       `json:"additionalProperties"`
		Properties  map[string]json.RawMessage `json:"properties"`
		Definitions json.RawMessage            `json:"definitions"`
	}
	var s schema
	if err := json.Unmarshal(JSONSchema, &s); err != nil {
		return nil, err
	}
	s.Title = "projects that adfbot's configuration includes"
	s.Properties = map[string]json.RawMessage{"projects": s.Properties["projects"]}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(s)
	return out.Bytes(), err
}
