package pause_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkPaused(b *testing.B) {
	for name, id := range map[string]string{"running": "digital-twins", "paused": "odilo"} {
		b.Run(name, func(b *testing.B) {
			d, _ := newDir(b)
			_, err := d.Write("odilo", "project-meta failed 3 times")
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Paused(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		d, _ := newDir(b)
		b.ReportAllocs()
		for b.Loop() {
			if created, err := d.Write("odilo", "project-meta failed 3 times"); err != nil || !created {
				b.Fatal(created, err)
			}
			b.StopTimer()
			if _, err := d.Remove("odilo"); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("exists", func(b *testing.B) {
		d, _ := newDir(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Write("odilo", "project-meta failed 3 times"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
