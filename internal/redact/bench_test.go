package redact

import (
	"strings"
	"testing"

	"github.com/terraphim/adfbot/internal/testhost"
)

func BenchmarkRedact(b *testing.B) {
	const size = 64 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)+1)[:size] }
	for name, in := range map[string]string{
		"log":     fill("2026-11-23T07:04:05Z INFO step=12 path=/a/b/c took 12ms url=https://x.example/a\n"),
		"go test": fill("=== RUN   TestRecord/a_pause\n    record_test.go:41: project odilo, run 12: got 3, want 4\n--- FAIL: TestRecord (0.02s)\nok  \tgithub.com/terraphim/adfbot/internal/redact\t0.187s\n"),
		"json":    fill(`{"level":"info","ts":1790000000.12,"caller":"bot/record.go:41","msg":"recorded","project":"odilo","failures":2,"host":"a.example"}` + "\n"),
		"secrets": fill("curl -H 'Authorization: Bearer " + alnum + "' https://x.example/?token=" + alnum + "&n=1 password=hunter2 ghp_" + alnum + "\n"),
		"binary":  testhost.Noise(size),
	} {
		b.Run(name, func(b *testing.B) {
			r := New("a-secret-value", "another-secret-value")
			b.SetBytes(size)
			for b.Loop() {
				_ = r.Redact(in)
			}
		})
	}
}
