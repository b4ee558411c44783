package pause

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unicode/utf8"
)

// maxNote is how many bytes of a flag's note are read.
const maxNote = 4096

// Flag describes the directory entry named after a project.
type Flag struct {
	// Present reports whether there is such an entry, of any type. If so, the
	// project is paused.
	Present bool

	// Dangling reports whether the entry is a link whose target is missing, or
	// that is part of a loop. Such a flag pauses the project, but a script's
	// test -e, which follows links, sees no flag.
	Dangling bool

	// Note is the flag's content, at most its first 4096 bytes, not cut within a
	// UTF-8 character. It is empty if the flag is not a regular file, or a link
	// to one in the directory, or cannot be read. Anyone may have written it.
	Note string

	// Since is the modification time of the entry: when the project was paused,
	// unless somebody has changed the flag since.
	Since time.Time

	// Changed is when the entry was last put here, written, or given another
	// modification time.
	Changed time.Time

	// Size is the size of the entry in bytes. With Since it tells a flag from
	// what it was before somebody changed it.
	Size int64
}

// Paused reports whether the project is paused. A dispatcher can rely on false:
// the flag is missing from a directory that has its sentinel. After an error,
// it must not start the run.
//
// The empty id stands for an agent that belongs to no project. It is never
// paused, and Paused does not access the file system. Paused does not compare
// the installation in the sentinel: for that, see [Dir.LookChecked].
func (d Dir) Paused(id string) (bool, error) {
	flag, _, err := d.LookChecked(id)
	return flag.Present, err
}

// Look returns the project's flag, or the zero Flag if there is none. It
// ignores the sentinel, so the zero Flag does not mean that the project may run:
// see [Dir.Paused] and [Dir.LookChecked]. If the directory is missing, the error
// is [ErrNoDir]. Look never blocks on a FIFO.
//
// For the empty id, Look returns the zero Flag and does not access the file
// system.
func (d Dir) Look(id string) (Flag, error) {
	f, err := d.openFor(id)
	if f == nil {
		return Flag{}, err
	}
	defer f.Close()
	return f.look(id)
}

// LookChecked returns the project's flag like [Dir.Look]. If there is none, it
// returns the sentinel of the same directory, so that the caller can compare
// the installation; a missing or damaged sentinel is an error. If the flag is
// present, LookChecked ignores the sentinel and returns the zero Sentinel.
func (d Dir) LookChecked(id string) (Flag, Sentinel, error) {
	return d.check(id, false)
}

// Check is like [Dir.LookChecked], but reads the sentinel of the same directory
// also if the flag is present. If it cannot, it returns the flag with the error.
func (d Dir) Check(id string) (Flag, Sentinel, error) {
	return d.check(id, true)
}

func (d Dir) check(id string, always bool) (Flag, Sentinel, error) {
	f, err := d.openFor(id)
	if f == nil {
		return Flag{}, Sentinel{}, err
	}
	defer f.Close()
	return f.check(id, always)
}

// Look is [Dir.Look] for an id that is not empty.
func (f *Folder) Look(id string) (Flag, error) {
	if err := CheckID(id); err != nil {
		return Flag{}, err
	}
	return f.look(id)
}

// Check is [Dir.Check] for an id that is not empty.
func (f *Folder) Check(id string) (Flag, Sentinel, error) {
	if err := CheckID(id); err != nil {
		return Flag{}, Sentinel{}, err
	}
	return f.check(id, true)
}

func (f *Folder) check(id string, always bool) (Flag, Sentinel, error) {
	flag, err := f.look(id)
	if err != nil || flag.Present && !always {
		return flag, Sentinel{}, err
	}
	sentinel, err := f.Sentinel()
	if err == nil && !flag.Present {
		// Look again: whoever restores a directory writes the flags before the
		// sentinel, perhaps since the first look.
		if flag, err = f.look(id); flag.Present && !always {
			sentinel = Sentinel{}
		}
	}
	return flag, sentinel, err
}

// openFor opens the directory to look at a flag. For the empty id it returns
// neither a folder nor an error.
func (d Dir) openFor(id string) (*Folder, error) {
	if id == "" {
		return nil, nil
	}
	if err := CheckID(id); err != nil {
		return nil, err
	}
	return d.Open()
}

func (f *Folder) look(id string) (Flag, error) {
	entry, err := f.root.Lstat(id)
	if errors.Is(err, fs.ErrNotExist) {
		return Flag{}, nil
	}
	if err != nil {
		return Flag{}, failed("look for the pause flag", f.dir.FlagPath(id), err, needSearch)
	}
	flag := Flag{Present: true, Since: entry.ModTime(), Size: entry.Size()}
	if st, ok := entry.Sys().(*syscall.Stat_t); ok {
		flag.Changed = time.Unix(st.Ctim.Unix())
	}
	if entry.Mode().Type() == fs.ModeSymlink {
		if entry, err = f.root.Stat(id); err != nil {
			_, err = os.Stat(f.dir.FlagPath(id)) // as test -e does
			flag.Dangling = err != nil
			return flag, nil
		}
	}
	if entry.Mode().IsRegular() {
		flag.Note = note(f.root, id)
	}
	return flag, nil
}

// note returns a flag's note. An unreadable note is not an error, because the
// flag pauses the project all the same.
func note(root *os.Root, id string) string {
	text, _ := readStart(root, id, make([]byte, maxNote+1))
	if len(text) <= maxNote {
		return string(text)
	}
	text = text[:maxNote]
	// Drop an incomplete character at the end.
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

// readStart fills buf from the start of a regular file and returns what it read.
func readStart(root *os.Root, name string, buf []byte) ([]byte, error) {
	// The file may have become a FIFO since the caller looked at it. O_NONBLOCK
	// keeps the open and the read from waiting for a writer; f.Read would wait.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		n, err := syscall.Read(int(f.Fd()), buf)
		if err != syscall.EINTR {
			return buf[:max(n, 0)], err
		}
	}
}
