package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// MarkName is the file name of the [Mark] in a pause directory.
const MarkName = ".adfbot.host"

// Mark says which host of a fleet a pause directory belongs to, and tells the
// directory from an older copy of itself: a snapshot that was restored, or an
// old disk.
type Mark struct {
	Host  string // id
	Epoch string // random; another one was drawn when it was not known any more what the directory had held
	Seq   int64  // grows with what is written to the directory
}

// String returns the content of a mark's file.
func (m Mark) String() string {
	return fmt.Sprintf("host %s\nepoch %s\nseq %d\n", m.Host, m.Epoch, m.Seq)
}

// parseMark returns the zero Mark for what is no content of a mark's file.
func parseMark(content string) (m Mark) {
	n, err := fmt.Sscanf(content, "host %s\nepoch %s\nseq %d\n", &m.Host, &m.Epoch, &m.Seq)
	if n != 3 || err != nil || m.String() != content || !IsRandomID(m.Host) || !IsRandomID(m.Epoch) {
		return Mark{}
	}
	return m
}

// Mark is [Folder.Mark] of the directory.
func (d Dir) Mark() (Mark, error) {
	f, err := d.Open()
	if err != nil {
		return Mark{}, err
	}
	defer f.Close()
	return f.Mark()
}

// Mark reads the mark. It is the zero Mark if there is none, or a damaged one.
func (f *Folder) Mark() (Mark, error) {
	entry, err := f.root.Lstat(MarkName)
	var content []byte
	if err == nil && entry.Mode().IsRegular() {
		content, err = readStart(f.root, MarkName, make([]byte, maxSentinel+1))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Mark{}, failed("read the mark of the pause directory", f.markPath(), err, needRead)
	}
	return parseMark(string(content)), nil
}

// SetMark replaces the mark. If the error is nil, the new one is on disk, and so
// is everything that was done in the directory before.
func (f *Folder) SetMark(m Mark) error {
	err := replaceFile(f.root, MarkName, []byte(m.String()), fileMode, noTime)
	if err == nil {
		err = f.syncDir()
	}
	if err != nil {
		return failed("write the file", f.markPath(), err, needWrite)
	}
	return nil
}

// RaiseMark replaces one mark by the next, durably as [Folder.SetMark] does. It
// fails with [ErrOtherMark], and changes nothing, if it finds another mark. The
// new one is written under another name before it compares: if the directory is
// replaced after that, the new one is gone with all that was there.
func (f *Folder) RaiseMark(was, next Mark) error {
	temp, err := writeTemp(f.root, []byte(next.String()), fileMode, noTime)
	if err == nil {
		if err = f.compareMark(was); err == nil {
			err = step("rename", func() error { return f.root.Rename(temp, MarkName) })
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: the new mark is gone", ErrOtherMark)
		}
		if err != nil {
			_ = f.root.Remove(temp)
		}
	}
	if err == nil {
		err = f.syncDir()
	}
	if err != nil {
		return failed("write the file", f.markPath(), err, needWrite)
	}
	return nil
}

func (f *Folder) compareMark(was Mark) error {
	found, err := f.Mark()
	if err == nil && found != was {
		err = fmt.Errorf("%w: it is %q, and was %q", ErrOtherMark, found, was)
	}
	return err
}

func (f *Folder) markPath() string { return filepath.Join(f.dir.Path(), MarkName) }
