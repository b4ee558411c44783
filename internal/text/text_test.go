package text

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 results", 1: "1 result", 2: "2 results", 1000: "1000 results"} {
		require.Equal(t, want, Plural(n, "result"))
	}
}

func TestFailed(t *testing.T) {
	require.Equal(t, "failed repeatedly", Failed(0))
	require.Equal(t, "failed 1 time", Failed(1))
	require.Equal(t, "failed 3 times in a row", Failed(3))
}

func TestOnce(t *testing.T) {
	for s, want := range map[string]string{
		"":                 "",
		"a\nb":             "a\nb",
		"a\nb\na\na\nc\nb": "a\nb\nc",
	} {
		require.Equal(t, want, Once(s))
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s",
		1: "0.1s", 40 * time.Millisecond: "0.1s", 400 * time.Millisecond: "0.4s", 1449 * time.Millisecond: "1.4s",
		3 * time.Second: "3s", 9949 * time.Millisecond: "9.9s", 9960 * time.Millisecond: "10s",
		10 * time.Second: "10s", 42499 * time.Millisecond: "42s", 59900 * time.Millisecond: "1m",
		time.Minute: "1m", 125 * time.Second: "2m 5s", 14*time.Minute + 20*time.Second: "14m 20s",
		time.Hour: "1h", 3*time.Hour + 20*time.Minute + 59*time.Second: "3h 20m", 23*time.Hour + 59*time.Minute: "23h 59m",
		day: "1d", 2*day + 4*time.Hour: "2d 4h", day - 1: "1d", 400 * day: "400d",
	} {
		require.Equal(t, want, Duration(d), int64(d))
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "1s", 0: "1s", 900 * time.Millisecond: "1s", 42500 * time.Millisecond: "42s", 59900 * time.Millisecond: "59s",
		time.Minute: "1m", 125 * time.Second: "2m", 26 * time.Hour: "1d 2h",
	} {
		require.Equal(t, want, Age(d), int64(d))
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 KB", 8249: "8.2 KB", 999_949: "999.9 KB", 999_950: "1.0 MB",
		21_000_000: "21.0 MB", 999_950_000: "1.0 GB", 5e12: "5000.0 GB",
	} {
		require.Equal(t, want, Size(n), n)
	}
}

func TestShellQuote(t *testing.T) {
	for s, want := range map[string]string{
		"/srv/pause/odilo": "/srv/pause/odilo", "a_b-c.d+e:f@g": "a_b-c.d+e:f@g",
		"": "''", "-rf": "'-rf'", "a b": "'a b'", "~": "'~'", "ä": "'ä'", "$HOME": "'$HOME'", "a\nb": "'a\nb'",
		"/a b/it's": `'/a b/it'\''s'`, "'": `''\'''`,
	} {
		require.Equal(t, want, ShellQuote(s))
	}
}

func FuzzShellQuote(f *testing.F) {
	for _, s := range []string{"", "-n", "it's", "a\\b", "`id`", "$(id)", "*", "a=b", "#", "\xff", "\r\n", "!x"} {
		f.Add(s)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := ShellQuote(s)
		for i := range len(s) {
			if s[i] == 0 {
				t.Skip("no argument holds a NUL")
			}
		}
		out, err := exec.Command(sh, "-c", "printf %s. "+quoted).Output()
		require.NoError(t, err)
		require.Equal(t, s+".", string(out))
	})
}
