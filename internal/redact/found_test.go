package redact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A random value that its key gives away is a secret wherever else it stands.
func TestValueElsewhere(t *testing.T) {
	const v = random
	for in, want := range map[string]string{
		"x-id is " + v + "\nAPI_TOKEN=" + v + "\nsent " + v + ".":                                  "x-id is [masked]\nAPI_TOKEN=[masked]\nsent [masked].",
		`{"token": "` + v + `"} GET /bot` + v + `/send`:                                            `{"token": "[masked]"} GET /bot[masked]/send`,
		"token=urn:default:event:MotionSensorEventV2\nMotionSensorEventV2":                         "token=[masked]\nMotionSensorEventV2",
		"Authorization: Bearer " + v + "\ncache " + v:                                              "Authorization: Bearer [masked]\ncache [masked]",
		"https://bob:" + v + "@x.example\nlogin bob " + v:                                          "https://[masked]@x.example\nlogin bob [masked]",
		"client_secret: 1f9b7c2e-4a31-4f0e-9c55-0d8e6b7a1c22 1f9b7c2e-4a31-4f0e-9c55-0d8e6b7a1c22": "client_secret: [masked] [masked]",
		"Invalid token: " + v + ".\nsent " + v:                                                     "Invalid token: [masked]\nsent [masked]",
		"GET https://x?token=" + v + ": 401\n" + v:                                                 "GET https://x?token=[masked] 401\n[masked]",
		"{'token': '" + v + "\\n'}\nsent " + v + "\n":                                              "{'token': '[masked]'}\nsent [masked]\n",
		"password=hunter2 is not hunter2":                                                          "password=[masked] is not hunter2",
		"secret=my-app-tls-2024-01-01\nno my-app-tls-2024-01-01":                                   "secret=[masked]\nno my-app-tls-2024-01-01",
		"token=MySecretTokenForProduction MySecretTokenForProduction":                              "token=[masked] MySecretTokenForProduction",
	} {
		got := New().Redact(in)
		require.Equal(t, want, got)
		require.Equal(t, got, New().Redact(got), "masking twice")
	}
}

// The value is masked in both parts of a shortened output, whichever of them has its key.
func TestValueElsewhereInCapture(t *testing.T) {
	const v = random
	long := strings.Repeat("an ordinary line of output\n", 30_000)
	for name, in := range map[string]string{
		"key first": "API_TOKEN=" + v + "\n" + long + "sent " + v + "\n",
		"key last":  "sent " + v + "\n" + long + "API_TOKEN=" + v + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := capture(9000, New(), in)
			require.NotContains(t, text, v)
			require.Equal(t, 2, strings.Count(text, masked))
		})
	}
}

func TestManyValuesAreLinear(t *testing.T) {
	var b strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&b, "token=%016xA1b2C3 and pad%04dA1b2C3d4E5f6G7h8\n", n, n%7)
	}
	start := time.Now()
	_ = New().Redact(b.String())
	took := time.Since(start)
	t.Log(took.Round(time.Millisecond))
	require.Less(t, took, 20*time.Second)
}

// A tool that wraps lines at 80 columns cuts a secret.
func TestWrappedSecret(t *testing.T) {
	for in, want := range map[string]string{
		strings.Repeat("é", 80-21) + " ghp_" + alnum[:16] + "\n" + alnum[16:] + " x":   strings.Repeat("é", 80-21) + " [masked] x",
		strings.Repeat(".", 80-21) + " token=" + alnum[:14] + "\nError: it failed":     strings.Repeat(".", 80-21) + " token=[masked]\nError: it failed",
		strings.Repeat(".", 80-21) + " token=" + alnum[:14] + "\n2026-11-28 it failed": strings.Repeat(".", 80-21) + " token=[masked]\n2026-11-28 it failed",
		strings.Repeat(".", 60-21) + " token=" + alnum[:14] + "\n" + alnum:             strings.Repeat(".", 60-21) + " token=[masked]\n" + alnum,
	} {
		require.Equal(t, want, New().Redact(in))
	}
}
