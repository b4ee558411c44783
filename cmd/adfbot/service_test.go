package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/setup"
)

// unitOf reads the unit's settings; a key may stand more than once.
func unitOf(t *testing.T) (text string, keys map[string][]string) {
	t.Helper()
	b, err := os.ReadFile("adfbot.service")
	require.NoError(t, err)
	keys = map[string][]string{}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			keys[key] = append(keys[key], value)
		}
	}
	return string(b), keys
}

func TestUnitIsHardened(t *testing.T) {
	_, keys := unitOf(t)
	for key, value := range map[string]string{
		"Type": "notify", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "CapabilityBoundingSet": "", "UMask": "0027",
		"User": "adfbot", "ReadWritePaths": "/opt/ai-dark-factory/data/pause",
	} {
		require.Equal(t, []string{value}, keys[key], key)
	}
	require.Contains(t, keys["SystemCallFilter"], "@system-service")
	require.NotEmpty(t, keys["WatchdogSec"])
	require.Contains(t, keys["LoadCredential"][0], "gitea-token:")
}

// Both units work with http.socket: /run/adfbot/adfbot.sock, and the daemon cannot take the machine's memory. Their end removes nothing from
// that directory: pause flags may lie there, and the socket of another installation.
func TestUnitsServeSocket(t *testing.T) {
	hardened, _ := unitOf(t)
	for name, unit := range map[string]string{"init": setup.Unit(setup.Places{User: "adfbot", State: "/s", PauseDir: "/p"}), "adfbot.service": hardened} {
		require.Contains(t, unit, "\nRuntimeDirectory=adfbot\nRuntimeDirectoryPreserve=yes\n", name)
		require.Contains(t, unit, "\nMemoryMax=", name)
	}
}

func TestSystemdVerifiesUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here: the unit is not verified")
	}
	text, _ := unitOf(t)
	// The command and the user are those of an installed adfbot; this machine need not have either.
	self, err := os.Executable()
	require.NoError(t, err)
	text = strings.NewReplacer("/usr/local/bin/adfbot", self, "User=adfbot", "User=root", "Group=adfbot", "Group=root").Replace(text)
	file := filepath.Join(t.TempDir(), "adfbot.service")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		require.NotContains(t, line, "adfbot.service", "systemd has something to say")
	}
}
