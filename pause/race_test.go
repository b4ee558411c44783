package pause_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/pause"
)

// each calls f with 0 to n-1 concurrently.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

// whole returns a long note that names its writer throughout.
func whole(writer string) string {
	return writer + ":" + strings.Repeat(writer, 3000/len(writer)) + "."
}

func isWhole(note string) bool {
	writer, _, ok := strings.Cut(note, ":")
	return ok && note == whole(writer)
}

func TestConcurrentWrite(t *testing.T) {
	const goroutines, processes, rounds = 32, 10, 3
	for round := range rounds {
		d, path := newDir(t)
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					flag, err := d.Look("odilo")
					if err != nil || flag.Present && !isWhole(flag.Note) {
						t.Errorf("round %d: error %v, a note of %d bytes", round, err, len(flag.Note))
						return
					}
				}
			})
		}
		writers := make([]string, goroutines+processes)
		created := make([]bool, len(writers))
		each(len(writers), func(i int) {
			if i < goroutines {
				writers[i] = fmt.Sprint("goroutine", i)
				ok, err := d.Write("odilo", whole(writers[i]))
				if err != nil {
					t.Error(err)
				}
				created[i] = ok
				return
			}
			writers[i] = fmt.Sprint("process", i)
			a := child{Do: "write", Dir: path, ID: "odilo", Note: whole(writers[i])}.do(t)
			if a.Err != "" {
				t.Error(a.Err)
			}
			created[i] = a.Did
		})
		close(stop)
		readers.Wait()

		flag, err := d.Look("odilo")
		require.NoError(t, err)
		winners := []string{}
		for i, ok := range created {
			if ok {
				winners = append(winners, writers[i])
			}
		}
		require.Len(t, winners, 1)
		require.Equal(t, whole(winners[0]), flag.Note)
		require.Equal(t, []string{pause.SentinelName, "odilo"}, names(t, path))
	}
}

func TestConcurrentCreateDir(t *testing.T) {
	path := t.TempDir() + "/deep/dir/pause"
	d := pause.New(path)
	errs := make([]error, 16)
	each(len(errs), func(i int) { _, errs[i] = d.Write(fmt.Sprint("p", i), "") })
	for _, err := range errs {
		require.NoError(t, err)
	}
	ids, err := d.List()
	require.NoError(t, err)
	require.Len(t, ids, len(errs))
}

func TestConcurrentWriteAndRemove(t *testing.T) {
	d, path := newDir(t)
	created, removed := make([]int, 8), make([]int, 8)
	each(8, func(i int) {
		for range 30 {
			if ok, err := d.Write("odilo", whole("x")); err != nil {
				t.Error(err)
			} else if ok {
				created[i]++
			}
			if ok, err := d.Remove("odilo"); err != nil {
				t.Error(err)
			} else if ok {
				removed[i]++
			}
		}
	})
	sum := func(counts []int) (n int) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	require.Equal(t, sum(created), sum(removed))
	_, err := os.Lstat(path + "/odilo")
	require.ErrorIs(t, err, os.ErrNotExist)
}
