package config

import _ "embed"

// JSONSchema is a JSON Schema (draft 7, as editors know it) of the main file. It says less than [Load] checks.
//
//go:embed schema.json
var JSONSchema []byte
