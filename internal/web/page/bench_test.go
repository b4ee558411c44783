package page

import (
	"net/http/httptest"
	"testing"
)

// BenchmarkIndex makes the front page of 10,000 projects.
func BenchmarkIndex(b *testing.B) {
	s, p := sampleMany(10_000), samplePages()
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Index(httptest.NewRecorder(), newRequest("/"), s); err != nil {
			b.Fatal(err)
		}
	}
}
