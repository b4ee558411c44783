package postgres

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/store"
)

func TestURL(t *testing.T) {
	t.Parallel()
	c, err := parseURL("postgres://bot@db1.example.org,db2.example.org:5433/adfbot?sslmode=disable", "")
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, c.ConnectTimeout)
	require.NotNil(t, c.ValidateConnect, "a server that takes no changes is left out")
	require.Equal(t, "adfbot", c.RuntimeParams["application_name"])
	require.Len(t, c.Fallbacks, 1)
	require.Equal(t, "db2.example.org", c.Fallbacks[0].Host)
	require.EqualValues(t, 5433, c.Fallbacks[0].Port)

	c, err = parseURL("postgres://bot@h/d?sslmode=disable&connect_timeout=7&target_session_attrs=any&keepalives_idle=30&keepalives=1", "")
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, c.ConnectTimeout)
	require.Nil(t, c.ValidateConnect)
	require.NotContains(t, c.RuntimeParams, "keepalives_idle", "the server does not know it")
}

func TestURLRefused(t *testing.T) {
	t.Parallel()
	for url, why := range map[string]string{
		"postgres://bot:hunter2@h/d":               "`state_password_file`",
		"postgres://bot@h/d?password=hunter2":      "`state_password_file`",
		"mysql://bot@h/d":                          `begins with "mysql://"`,
		"postgres://bot:hunter2@h:port/d":          "the URL of the state: invalid port",
		"postgres://h/d?keepalives_idle=often":     "keepalives_idle",
		"postgres://h/d?keepalives_count=often":    "keepalives_count",
		"postgres://h/d?connect_timeout=often":     "the URL of the state",
		"postgres://h/d?target_session_attrs=most": "the URL of the state",
	} {
		_, err := parseURL(url, "")
		require.ErrorContains(t, err, why, url)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(path, []byte("pass word \r\n"), 0o600))
	c, err := parseURL("postgres://bot@h/d?sslmode=disable", path)
	require.NoError(t, err)
	require.Equal(t, "pass word ", c.Password)
	_, err = parseURL("postgres://bot@h/d", path+"x")
	require.ErrorIs(t, err, store.ErrUnusable)
}
