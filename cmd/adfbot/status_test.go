package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForeignNote(t *testing.T) {
	t.Parallel()
	require.Empty(t, foreignNote(nil))
	require.Equal(t, "an open issue of another installation, never touched: a/1", foreignNote([]string{"a/1"}))
	require.Equal(t, "3 open issues of another installation, never touched: a/1 and others, see --json", foreignNote([]string{"a/1", "a/2", "b/1"}))
}
