package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever may write the directory of included files chooses their names.
func TestNamesOfFilesArePrintable(t *testing.T) {
	name := "conf.d/a\x1b[31m\nb\xff \"ä\".yaml"
	require.Equal(t, `conf.d/a\x1b[31m\nb\xff "ä".yaml:3`, Place{name, 3}.String())
	require.Equal(t, `conf.d/a\x1b[31m\nb\xff "ä".yaml: cannot be read: open a\x1b`, Problem{File: name, What: "cannot be read", Fix: "open a\x1b"}.String())
	require.Equal(t, `C:\a.yaml`, Place{`C:\a.yaml`, 0}.String())
}
