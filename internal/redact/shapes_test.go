package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tokenOf makes a token of a form of the shape, with n bytes after its prefix.
func (sh *shape) tokenOf(prefix string, n int) string {
	fill := func(alphabet string, n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			if c := "a1Z9f2E5d7Q3"[i%12]; inAlphabet(alphabet, c) {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	body := fill(sh.body, n)
	for i := range sh.dots {
		body = body[:5*(i+1)] + "." + body[5*(i+1)+1:]
	}
	return fill(sh.before, sh.least) + prefix + body
}

func TestShapes(t *testing.T) {
	for _, sh := range shapes {
		forms := expand(sh.prefix)
		for _, prefix := range []string{forms[0], forms[len(forms)/2], forms[len(forms)-1]} {
			for _, n := range []int{max(sh.min, 16*min(sh.min, 1)), max(sh.max, sh.min)} {
				token := sh.tokenOf(prefix, max(n, sh.dots*8))
				for _, format := range []string{"it said %s and went on", `\n%s`, `["%s"]`, "?a=%s&b=c", "%s"} {
					in := strings.ReplaceAll(format, "%s", token)
					got := New().Redact(in)
					require.NotContains(t, got, token[len(token)/2:], in)
					require.Equal(t, got, New().Redact(got), "masking twice")
				}
			}
		}
	}
}

func TestShapesAreWords(t *testing.T) {
	for _, s := range []string{
		"task-0123456789abcdefghijkl", "sk-learn-model-version-2", "desk-" + alnum[:20], "api-v2-users-list", "glpat", "hf_transformers", "rubygems_version",
		"v1.0-alpha.1", "secret_manager_client_library_for_python_v2", "pul-request", "key-value-store-for-the-2nd-region", "dapi_service", "cog_build", "sl.config",
		"csk-", "tss_listener_port_8080_is_open", "prf_total_bytes_sent_in_the_last_10_minutes", "polar_at_sea", "pina_colada_recipe_no_1",
		"SKU0123456789abcdef0123456789abcde", "sha256:" + strings.Repeat("0123456789abcdef", 4), "12:AAAA", "a==:b", "x-PRD-1", "TestShapes/ghp_", "::AA:12",
		"fig_legend_position", "do_v1_migration", "waka_time", "eyJhbGciOiJIUzI1NiJ9", "AKIAFOO", "Mxx.yyy.zzz", "MTIz.abc.def", "EXOPLANETARYOBSERVATIONS1",
	} {
		require.Equal(t, s, New().Redact(s))
	}
}
