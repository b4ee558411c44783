package issuetext

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkBody(b *testing.B) {
	for _, size := range []int{8 << 10, 80 << 10} { // as configured by default, and more than a body takes
		b.Run(fmt.Sprintf("output=%dKiB", size>>10), func(b *testing.B) {
			line := "2026-11-23T12:00:00Z ERROR planner: model quota used up, 4711 tokens over (attempt 3 of 3)\n"
			l := testData()
			l.Incident.Evidence.Output = strings.Repeat(line, size/len(line))
			c := compose(b, "", "0123456789abcdef0123456789abcdef01234567")
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.Body(l)
			}
		})
	}
}
