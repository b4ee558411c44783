package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// secretFileWith creates a file with this content and mode and returns its path.
func secretFileWith(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func TestReadSecretFile(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content string
		mode    os.FileMode
	}{
		{"no line end", "hunter2", 0o600},
		{"a line end", "hunter2\n", 0o600},
		{"a DOS line end", "hunter2\r\n", 0o600},
		{"a space", "hunter2 ", 0o600},
		{"a space and a line end", "hunter2 \n", 0o600},
		{"a systemd credential", "hunter2", 0o400},
		{"a systemd credential for a group", "hunter2", 0o440},
		{"readable by the group", "hunter2\n", 0o640},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadSecretFile(secretFileWith(t, tt.content, tt.mode))
			require.NoError(t, err)
			require.Equal(t, "hunter2", got)
		})
	}
	full := strings.Repeat("x", maxSecret)
	got, err := ReadSecretFile(secretFileWith(t, full, 0o600))
	require.NoError(t, err)
	require.Equal(t, full, got)
}

func TestReadSecretFileRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content string
		mode    os.FileMode
		want    string
	}{
		{"readable by others", "hunter2", 0o644, "%[1]s is open to every user (mode 0644): run chmod o-rw %[1]s"},
		{"writable by others", "hunter2", 0o602, "%[1]s is open to every user (mode 0602): run chmod o-rw %[1]s"},
		{"empty", "", 0o600, "%s is empty"},
		{"a line end only", "\n", 0o600, "%s is empty"},
		{"two lines", "hunter2\nhunter2\n", 0o600, "%s contains white space"},
		{"an empty second line", "hunter2\n\n", 0o600, "%s contains white space"},
		{"a space before", " hunter2", 0o600, "%s contains white space"},
		{"a shell assignment", "export TOKEN=hunter2\n", 0o600, "%s contains white space"},
		{"a NUL", "hunter2\x00", 0o600, "%s contains unprintable characters"},
		{"a byte order mark", "\ufeffhunter2", 0o600, "%s contains unprintable characters"},
		{"binary", "hunter2\xff", 0o600, "%s is not UTF-8"},
		{"too large", "hunter2" + strings.Repeat("x", maxSecret), 0o600, "%s is larger than 64 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := secretFileWith(t, tt.content, tt.mode)
			got, err := ReadSecretFile(path)
			require.ErrorContains(t, err, fmt.Sprintf(tt.want, path))
			require.NotContains(t, err.Error(), "hunter2")
			require.Empty(t, got)
		})
	}
	t.Run("absent", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none")
		_, err := ReadSecretFile(path)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "write the secret to it")
	})
	t.Run("forbidden", func(t *testing.T) {
		err := secretError(&os.PathError{Op: "open", Path: "/t", Err: os.ErrPermission})
		require.ErrorIs(t, err, os.ErrPermission)
		require.ErrorContains(t, err, "cannot read it: run adfbot as the bot's user, to whom the file has to belong, and who has to be able to enter the directories above it")
	})
	t.Run("forbidden where it can be seen", func(t *testing.T) {
		path := secretFileWith(t, "hunter2", 0o200)
		forbidden := &os.PathError{Op: "open", Path: path, Err: os.ErrPermission}
		require.ErrorContains(t, secretError(forbidden), "cannot read it: run chmod u+r "+path)
		testhost.NeedRoot(t, "to give files away")
		require.NoError(t, os.Chown(path, 4711, 4711))
		require.ErrorContains(t, secretError(forbidden),
			"uid 0 cannot read it: it belongs to uid 4711: run adfbot as the bot's user; if that is uid 0, run chown 0 "+path)
	})
	t.Run("directory", func(t *testing.T) {
		_, err := ReadSecretFile(t.TempDir())
		require.ErrorContains(t, err, "is not a regular file")
	})
	t.Run("named pipe", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		_, err := ReadSecretFile(path)
		require.ErrorContains(t, err, "is not a regular file")
	})
}

// Agents may be in the group of the bot's user, and need the password of a state that they report to, but not the token.
func TestReadBotSecret(t *testing.T) {
	path := secretFileWith(t, "hunter2", 0o644)
	_, err := ReadSecret(path, os.Getenv)
	require.ErrorContains(t, err, "is open to every user (mode 0644): run chmod o-rw "+path)
	testhost.NeedRoot(t, "to give files away")
	_, err = ReadBotSecret(path, os.Getenv)
	require.ErrorContains(t, err, "run chmod o-rw "+path, "root's: the bot may read it by its group")
	require.NoError(t, os.Chown(path, 4711, 4711))
	for me, want := range map[int]string{4711: "run chmod 600 " + path, 4712: "run chmod o-rw " + path} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		e := &exposedError{path, 0o644, "o-rw"}
		e.closeToGroup(info, me)
		require.ErrorContains(t, e, want)
	}
}

// In a container nobody can chmod what was mounted.
func TestSecretOnAReadOnlyMount(t *testing.T) {
	testhost.NeedRoot(t, "to mount")
	path := secretFileWith(t, "hunter2", 0o444)
	require.NoError(t, os.Chown(path, 4711, 4711))
	testhost.ReadOnly(t, path)
	const unit = "INVOCATION_ID"
	t.Setenv(unit, "")
	_, err := ReadSecretFile(path)
	require.ErrorContains(t, err, path+" is open to every user (mode 0444) on a read-only mount: give it the right mode where it is mounted: ")
	require.ErrorContains(t, err, "`defaultMode: 0440` with the pod's `fsGroup` for a Kubernetes secret, `mode: 0400` with `uid` for a Docker secret")
	require.NotContains(t, err.Error(), "run chmod")
	const bind = "for a bind mount, chown the file that is mounted to uid 0 and chmod it to 600"
	require.ErrorContains(t, err, bind)

	forbidden := &os.PathError{Op: "open", Path: path, Err: os.ErrPermission}
	require.ErrorContains(t, secretError(forbidden), "cannot read it: give it the right mode where it is mounted")
	require.ErrorContains(t, secretError(forbidden), bind, "no mode alone lets the bot read a file of root's that others must not")
	require.ErrorContains(t, readError(path, forbidden), "mount it with a mode that everybody may read")

	// To a unit with ProtectSystem=, every file of the machine is read-only, and no container is in the way.
	t.Setenv(unit, "0123456789abcdef0123456789abcdef")
	_, err = ReadSecretFile(path)
	require.ErrorContains(t, err, "is open to every user (mode 0444): run chmod o-rw "+path)
	require.ErrorContains(t, secretError(forbidden), "if that is uid 0, run chown 0 "+path)
	require.ErrorContains(t, readError(path, forbidden), "run chmod a+r on it")
}

func TestExpandCredentials(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"CREDENTIALS_DIRECTORY": "/run/credentials/adfbot.service", "HOME": "/root"}[name]
	}
	none := func(string) string { return "" }

	got, err := ExpandCredentials("$CREDENTIALS_DIRECTORY/token", env)
	require.NoError(t, err)
	require.Equal(t, "/run/credentials/adfbot.service/token", got)

	for _, path := range []string{"/etc/token", "$HOME/token", "/x/$CREDENTIALS_DIRECTORY/token", "$CREDENTIALS_DIRECTORY/../x"} {
		got, err = ExpandCredentials(path, env)
		require.NoError(t, err)
		require.Equal(t, path, got)
	}

	_, err = ExpandCredentials("$CREDENTIALS_DIRECTORY/token", none)
	require.ErrorContains(t, err, "$CREDENTIALS_DIRECTORY is not set")
	require.ErrorContains(t, err, "LoadCredential=token:/path")
}

// A unit without the line has no file of that name, and nobody can write one to the directory that systemd makes.
func TestCredentialThatTheUnitLacks(t *testing.T) {
	dir := t.TempDir()
	_, err := ReadSecret("$CREDENTIALS_DIRECTORY/token", func(string) string { return dir })
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "token"))
	require.ErrorContains(t, err, "LoadCredential=token:/path")
	require.NotContains(t, err.Error(), "chown")

	_, err = ReadSecret(filepath.Join(dir, "token"), func(string) string { return dir })
	require.ErrorContains(t, err, "write the secret to it", "it is no credential")
}

func TestTokenSourceCaches(t *testing.T) {
	path := secretFileWith(t, "hunter1\n", 0o600)
	dir, name := filepath.Split(path)
	source := Gitea{TokenFile: "$CREDENTIALS_DIRECTORY/" + name}.TokenSource(func(string) string { return dir })

	token := func(want string) {
		t.Helper()
		got, err := source.Token()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	token("hunter1")
	require.NoError(t, os.WriteFile(path, []byte("hunter2\n"), 0o600))
	token("hunter1")

	changed, err := source.Reload()
	require.NoError(t, err)
	require.True(t, changed)
	token("hunter2")

	changed, err = source.Reload()
	require.NoError(t, err)
	require.False(t, changed)

	require.NoError(t, os.Remove(path))
	changed, err = source.Reload()
	require.ErrorContains(t, err, "gitea.token_file: ")
	require.False(t, changed)
	token("hunter2")

	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, source), "hunter")
	}
}

func TestTokenSourceRetries(t *testing.T) {
	path := secretFileWith(t, "", 0o600)
	source := Gitea{TokenFile: path}.TokenSource(os.Getenv)
	_, err := source.Token()
	require.ErrorContains(t, err, "is empty")
	require.NoError(t, os.WriteFile(path, []byte("hunter2"), 0o600))
	got, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, "hunter2", got)
}

func TestTokenSourceErrors(t *testing.T) {
	env := map[string]string{"T": "hunter2\n", "BAD": "hunter 2"}
	getenv := func(name string) string { return env[name] }
	source := Gitea{TokenEnv: "T"}.TokenSource(getenv)
	got, err := source.Token()
	require.NoError(t, err)
	require.Equal(t, "hunter2", got)
	require.Equal(t, "token from $T", fmt.Sprint(source))

	_, err = Gitea{TokenEnv: "BAD"}.TokenSource(getenv).Token()
	require.EqualError(t, err, "gitea.token_env: $BAD contains white space: set it to the bot's token in the bot's environment")
	_, err = Gitea{TokenEnv: "NONE"}.TokenSource(getenv).Token()
	require.ErrorContains(t, err, "$NONE is empty")
	_, err = Gitea{}.TokenSource(getenv).Token()
	require.EqualError(t, err, "there is no token: set gitea.token_file or gitea.token_env")
	_, err = Gitea{TokenFile: "$CREDENTIALS_DIRECTORY/t"}.TokenSource(getenv).Token()
	require.ErrorContains(t, err, "gitea.token_file: $CREDENTIALS_DIRECTORY/t: $CREDENTIALS_DIRECTORY is not set")
	require.Equal(t, "token from /t", fmt.Sprint(Gitea{TokenFile: "/t"}.TokenSource(getenv)))
}
