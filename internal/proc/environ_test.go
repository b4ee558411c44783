package proc_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/proc"
	"github.com/terraphim/adfbot/internal/testhost"
)

func TestHideVar(t *testing.T) {
	cmd := testhost.Command(t, "hide")
	cmd.Env = append(cmd.Env, "TOKEN=secret", "TOKEN_FILE=plain", "MY_TOKEN=other", "TOKEN=secret again", "LAST=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	before := "TOKEN_FILE=plain\x00MY_TOKEN=other\x00"
	require.Contains(t, string(out), before+string(make([]byte, len("TOKEN=secret again")+1))+"LAST=1\x00")
	require.NotContains(t, string(out), "secret\x00")
	require.Contains(t, string(out), `getenv "secret again"`)
}

// hide hides a variable and prints what others see of the environment, and what this process does.
func hide(testhost.Self) int {
	if err := proc.HideVar("TOKEN"); err != nil {
		panic(err)
	}
	seen, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getpid()))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\ngetenv %q\n", seen, os.Getenv("TOKEN"))
	return 0
}
