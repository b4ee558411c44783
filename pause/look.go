package pause

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unicode/utf8"
)

// maxNote is how many bytes of a flag's note are read.
const maxNote = 4096

// Flag is what was found at a project's name.
type Flag struct {
	// Present: there is a directory entry of that name, be it of whatever kind.
	// The project is paused.
	Present bool

	// Dangling: the entry is a link that can't be followed within the
	// directory. It leads nowhere, in a circle, or out of the directory. It
	// pauses the project here, but a script's test -e, which follows links,
	// says that there is no flag when nothing is at the link's end.
	Dangling bool

	// Note is the content of the flag, its first 4096 bytes at most, and not cut
	// within a UTF-8 character. It is "" when the flag is no regular file, nor a
	// link to one within the directory, and when it can't be read. Anybody may
	// have written it.
	Note string

	// Since is when the entry was last modified: when the project was paused, as
	// long as nobody edits or touches the flag.
	Since time.Time
}

// Paused reports whether the project is paused. This is what a dispatcher asks,
// and an answer of false is to be trusted: the flag is missing from a directory
// that has its sentinel. On an error nothing may be dispatched.
//
// The empty id stands for an agent that runs for no project. It is never paused,
// and the file system is not touched. The installation that the sentinel names
// is not compared with anything; see [Dir.LookChecked].
func (d Dir) Paused(id string) (bool, error) {
	flag, _, err := d.LookChecked(id)
	return flag.Present, err
}

// Look returns the project's flag. It is the zero Flag where there is none, and
// that alone does not mean that the project may run, because Look doesn't mind
// the sentinel: [Dir.Paused] and [Dir.LookChecked] do. A missing directory is
// [ErrNoDir] and never a missing flag. Look waits for nobody, also when the
// flag is a FIFO.
//
// For the empty id it returns the zero Flag and does not touch the file system.
func (d Dir) Look(id string) (Flag, error) {
	if id == "" {
		return Flag{}, nil
	}
	if err := CheckID(id); err != nil {
		return Flag{}, err
	}
	root, err := d.open()
	if err != nil {
		return Flag{}, err
	}
	defer root.Close()
	return d.look(root, id)
}

// LookChecked returns the project's flag as [Dir.Look] does, and when there is
// none the sentinel of the very same directory, so that a caller can compare
// its installation. Without a proper sentinel a missing flag is an error. A flag
// that is there needs no sentinel: then none is read, and the zero Sentinel
// returned.
func (d Dir) LookChecked(id string) (Flag, Sentinel, error) {
	if id == "" {
		return Flag{}, Sentinel{}, nil
	}
	if err := CheckID(id); err != nil {
		return Flag{}, Sentinel{}, err
	}
	root, err := d.open()
	if err != nil {
		return Flag{}, Sentinel{}, err
	}
	defer root.Close()

	flag, err := d.look(root, id)
	if err != nil || flag.Present {
		return flag, Sentinel{}, err
	}
	sentinel, err := d.sentinel(root)
	if err != nil {
		return Flag{}, Sentinel{}, err
	}
	// A second look, because of a restore between the first and the sentinel: it
	// writes the flags before the sentinel, so they are there by now.
	flag, err = d.look(root, id)
	if err != nil || flag.Present {
		return flag, Sentinel{}, err
	}
	return Flag{}, sentinel, nil
}

func (d Dir) look(root *os.Root, id string) (Flag, error) {
	entry, err := root.Lstat(id)
	if errors.Is(err, fs.ErrNotExist) {
		return Flag{}, nil
	}
	if err != nil {
		return Flag{}, failed("look for the pause flag", d.FlagPath(id), err, toLook)
	}
	flag := Flag{Present: true, Since: entry.ModTime()}
	if entry.Mode().Type() == fs.ModeSymlink {
		if entry, err = root.Stat(id); err != nil {
			flag.Dangling = true
			return flag, nil
		}
	}
	if entry.Mode().IsRegular() {
		flag.Note = note(root, id)
	}
	return flag, nil
}

// note reads a flag's note. That it can't be read changes nothing about the
// flag, so there is no error.
func note(root *os.Root, id string) string {
	text, _ := readStart(root, id, maxNote+1) // what was read before an error is shown
	if len(text) <= maxNote {
		return string(text)
	}
	text = text[:maxNote]
	// Drop the start of a character whose end was cut off, and nothing else.
	for i := 1; i < utf8.UTFMax; i++ {
		if c := text[maxNote-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(text[maxNote-i:]) {
				text = text[:maxNote-i]
			}
			break
		}
	}
	return string(text)
}

// errNotRegular: the file to be read is a directory, a device or the like.
var errNotRegular = errors.New("not a regular file")

// readStart reads the first limit bytes of a regular file, and never waits.
func readStart(root *os.Root, name string, limit int64) ([]byte, error) {
	// Between the caller's look and this open the file may have become a FIFO:
	// then O_NONBLOCK keeps the open from waiting for a writer.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch fi, err := f.Stat(); {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, errNotRegular
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
