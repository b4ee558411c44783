package page

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// packed returns how many bytes a page takes on the wire: the server compresses with the fastest level.
func packed(t *testing.T, doc []byte) int {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = z.Write(doc)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Len()
}

// A page is small however many projects there are: it lists 300 of them at most.
func TestPageSize(t *testing.T) {
	const most = 60_000
	for _, projects := range []int{300, 3000} {
		for _, address := range []string{"/", "/?page=2", "/?sort=oldest"} {
			doc := show(t, address, sampleMany(projects)).Body.Bytes()
			size := packed(t, doc)
			t.Logf("%d projects, %s: %d bytes, %d on the wire", projects, address, len(doc), size)
			require.LessOrEqual(t, size, most, fmt.Sprint(projects, address))
		}
	}
	doc := show(t, "/projects/odilo", sampleMonth()).Body.Bytes()
	require.LessOrEqual(t, packed(t, doc), most)
}
