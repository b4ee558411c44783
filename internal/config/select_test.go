package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		name, id string
		want     bool
	}{
		{"odilo", "odilo", true}, {"odilo", "odilo2", false}, {"*", "odilo", true}, {"twins-*", "twins-a", true}, {"twins-?", "twins-ab", false},
		{"[!a]*", "odilo", true}, {"[", "odilo", false},
	} {
		require.Equal(t, c.want, Matches(c.name, c.id), c)
	}
}

func TestSelectRefused(t *testing.T) {
	c := &Config{}
	_, err := c.Select([]string{"twins-*"}, nil)
	var none *NoMatchError
	require.ErrorAs(t, err, &none)
	_, err = c.Select([]string{"a/*"}, nil)
	require.ErrorIs(t, err, pause.ErrID)
	s, err := c.Select([]string{"odilo", "odilo"}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"odilo"}, s.IDs)
}
