package proc

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// pipeAtom is how many bytes a pipe takes at once, without those of other writers in between: PIPE_BUF, see pipe(7).
const pipeAtom = 4096

// shared returns a writer to use instead of to if that is a file, which other processes may share, e.g. other jobs: one of them may make
// it non-blocking. Lines stay whole in a pipe.
func shared(to io.Writer) io.Writer {
	f, ok := to.(*os.File)
	if !ok {
		return to
	}
	info, err := f.Stat()
	return sharedFile{f, err == nil && info.Mode()&fs.ModeNamedPipe != 0}
}

type sharedFile struct {
	file *os.File
	pipe bool
}

func (w sharedFile) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		atom := p[written:]
		if w.pipe && len(atom) > pipeAtom {
			atom = atom[:cmp.Or(bytes.LastIndexByte(atom[:pipeAtom], '\n')+1, pipeAtom)]
		}
		var n int
		n, err = w.file.Write(atom)
		written += n
		if errors.Is(err, unix.EAGAIN) { // another process has made it non-blocking
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(w.file.Fd()), Events: unix.POLLOUT}}, -1)
			err = nil
		}
	}
	return written, err
}
