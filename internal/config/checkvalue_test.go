package config

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A single value is held against the rules of its key, as in a file.
func TestCheckValue(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"gitea.url", "https://git.example.org/", ""},
		{"gitea.url", "git.example.org", "must be an absolute http or https URL: write it like https://git.example.org"},
		{"gitea.repo", "a/b", `must be a repository name, not "a/b": write the name alone; the owner belongs in owner`},
		{"projects.id", "odilo", ""},
		{"projects.id", "007", ""},
		{"pause_dir", "/", "must not be /: use a directory that holds nothing but the flags"},
		{"on_issue_closed", "ignore", `must be reopen or resume, not "ignore"`},
	} {
		if err := CheckValue(c.key, c.value); c.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, c.want)
		}
	}
	require.Panics(t, func() { _ = CheckValue("gitea.nonsense", "x") })
}

func TestCheckContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, CheckContent(path, []byte(rest)))
	require.ErrorContains(t, CheckContent(path, []byte(projectsOf("  - {}\n"))), path+":7: projects[0].id: is missing")
	require.NoFileExists(t, path)
}

func TestCheckSecret(t *testing.T) {
	s, err := CheckSecret("hunter2\r\n")
	require.NoError(t, err)
	require.Equal(t, "hunter2", s)
	_, err = CheckSecret("hunter 2")
	require.EqualError(t, err, "contains white space: it must be the secret alone, on one line")
}
