package proc

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"os"
)

// pipeAtom is how many bytes a pipe takes at once, without those of other writers in between: PIPE_BUF, see pipe(7).
const pipeAtom = 4096

// wholeLines returns a writer in place of to that keeps lines together. Other processes may write to the same pipe, e.g. other jobs.
func wholeLines(to io.Writer) io.Writer {
	if f, ok := to.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
			return pipeWriter{f}
		}
	}
	return to
}

type pipeWriter struct{ pipe *os.File }

func (w pipeWriter) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		atom := p[written:]
		if len(atom) > pipeAtom {
			atom = atom[:cmp.Or(bytes.LastIndexByte(atom[:pipeAtom], '\n')+1, pipeAtom)]
		}
		var n int
		n, err = w.pipe.Write(atom)
		written += n
	}
	return written, err
}
