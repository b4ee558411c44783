// Package adfbot holds the example of a configuration for the program, which shows it to people.
package adfbot

import _ "embed"

// ExampleConfig is config.example.yaml: every key with its default.
//
//go:embed config.example.yaml
var ExampleConfig string
