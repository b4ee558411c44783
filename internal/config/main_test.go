package config

import (
	"testing"

	"github.com/terraphim/adfbot/internal/testhost"
)

func TestMain(m *testing.M) { testhost.Main(m, nil) }

// noFiles is for configurations that include nothing.
func noFiles(pattern string) ([]source, *fault) { panic("it includes " + pattern) }
