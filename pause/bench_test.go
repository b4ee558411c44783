package pause_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

func BenchmarkLook(b *testing.B) {
	d, _ := newDir(b)
	_, err := d.Write("odilo", "project-meta failed 3 times")
	require.NoError(b, err)
	for name, look := range map[string]func(string) (pause.Flag, pause.Sentinel, error){
		"LookChecked": d.LookChecked, "Check": d.Check,
	} {
		for state, id := range map[string]string{"running": "digital-twins", "paused": "odilo"} {
			b.Run(name+"/"+state, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := look(id); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, others := range []int{0, 1000} {
		b.Run(fmt.Sprint("new among ", others), func(b *testing.B) {
			d, path := newDir(b)
			for i := range others {
				put(b, filepath.Join(path, fmt.Sprint("other", i)), "")
			}
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
	}
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
