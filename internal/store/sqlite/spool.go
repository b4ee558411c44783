package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// A result that can't be stored is kept in a file in <state>.d/spool until a command can take it in. So that this works on
// a full disk too, files of spoolSize bytes are kept ready there: overwriting one in place needs no room. Most results are
// some hundred bytes and the output of a failed run; of that the end is kept, as far as it fits.
const (
	spoolSize    = 4 << 10
	spoolReady   = 64
	spoolSuffix  = ".json"
	readySuffix  = ".ready"
	tempSuffix   = ".tmp"
	spoolMaxSize = 1 << 20
)

// Spool writes a result beside the state at path, whose database need not be usable. It returns the file. Results have a
// run id, so that taking one in twice changes nothing.
func Spool(path string, r store.Result) (string, error) {
	if r.RunID == "" {
		return "", errors.New("a result without a run id can't be spooled")
	}
	r.Run = ""
	doc, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(path+".d", "spool")
	file, err := spoolNew(dir, doc)
	if err == nil {
		return file, nil
	}
	if file, err2 := spoolInPlace(dir, doc, r); err2 == nil {
		return file, nil
	}
	return "", fmt.Errorf("spooling the result: %w", err)
}

// SpoolIn is [Spool] into a folder of the user's own, for one who may not write beside the state. The folder is made.
func SpoolIn(dir string, r store.Result) (string, error) {
	if r.RunID == "" {
		return "", errors.New("a result without a run id can't be spooled")
	}
	r.Run = ""
	doc, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return spoolNew(dir, doc)
}

func spoolNew(dir string, doc []byte) (string, error) {
	if err := makeDirs(dir); err != nil {
		return "", err
	}
	name := filepath.Join(dir, pause.NewRandomID())
	f, err := os.OpenFile(name+tempSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(doc)
	err = errors.Join(err, f.Sync(), f.Close())
	inherit(name + tempSuffix)
	if err == nil {
		err = os.Rename(name+tempSuffix, name+spoolSuffix)
	}
	if err != nil {
		_ = os.Remove(name + tempSuffix)
		return "", err
	}
	return name + spoolSuffix, syncDir(dir)
}

// spoolInPlace fills one of the files that are kept ready. Of an output that does not fit the end is kept.
func spoolInPlace(dir string, doc []byte, r store.Result) (string, error) {
	for len(doc) > spoolSize {
		if r.Output == "" {
			return "", errors.New("the result is too large")
		}
		// Masked and cleaned already, so a cut can show nothing that the whole did not.
		r.Output = strings.ToValidUTF8(r.Output[(len(r.Output)+1)/2:], "")
		var err error
		if doc, err = json.Marshal(r); err != nil {
			return "", err
		}
	}
	ready, err := filepath.Glob(filepath.Join(dir, "*"+readySuffix))
	if err != nil {
		return "", err
	}
	padded := append(doc, bytes.Repeat([]byte(" "), spoolSize-len(doc))...)
	for _, from := range ready {
		// One that is shorter was not finished, and would need room now. A link is none of ours.
		if info, err := os.Lstat(from); err != nil || !info.Mode().IsRegular() || info.Size() < spoolSize {
			continue
		}
		// The rename gives the file to one process only.
		mine := filepath.Join(dir, pause.NewRandomID())
		now := time.Now()
		_ = os.Chtimes(from, now, now) // it is old, and would be tidied away as left behind
		if os.Rename(from, mine+tempSuffix) != nil {
			continue
		}
		f, err := openThere(mine+tempSuffix, os.O_WRONLY)
		if err == nil {
			_, err = f.WriteAt(padded, 0)
			err = errors.Join(err, f.Sync(), f.Close())
		}
		if err != nil {
			_ = os.Remove(mine + tempSuffix)
			continue
		}
		return mine + spoolSuffix, errors.Join(os.Rename(mine+tempSuffix, mine+spoolSuffix), syncDir(dir))
	}
	return "", syscall.ENOSPC
}

// KeepReady makes what a full disk will need, and somebody may have removed: the folders, the file of the locks, and room
// for results. It does nothing where they are there.
func (s *Store) KeepReady() error {
	if err := s.Moved(); err != nil {
		return err
	}
	if err := errors.Join(s.makeFolders(), s.locks.Create()); err != nil {
		return s.wrap(err)
	}
	dir := s.dir("spool")
	for n := range spoolReady {
		name := filepath.Join(dir, fmt.Sprintf("reserve-%d%s", n, readySuffix))
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == spoolSize {
			continue
		}
		if err := makeRoom(name); err != nil {
			_ = os.Remove(name)
			return err
		}
	}
	return nil
}

// makeRoom makes a file that is kept ready, in the place of whatever is there.
func makeRoom(name string) error {
	if err := removeThere(name); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Repeat([]byte(" "), spoolSize))
	inherit(name)
	return errors.Join(err, f.Close())
}

// Spooled is a result that waits in the spool.
type Spooled struct {
	File   string
	Result store.Result
	Err    error // the file can't be read as a result; it stays where it is
}

// Spooled returns the results in the spool, in the order in which the runs ended.
func (s *Store) Spooled() ([]Spooled, error) { return SpooledIn(s.dir("spool")) }

// SpooledIn is [Store.Spooled] for a folder of [SpoolIn]. A folder that is not there has none.
func SpooledIn(dir string) ([]Spooled, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+spoolSuffix))
	if err != nil {
		return nil, err
	}
	var out []Spooled
	for _, file := range files {
		e := Spooled{File: file}
		info, err := os.Lstat(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue // another process has just taken it in
		case err != nil:
			e.Err = err
		case !info.Mode().IsRegular() || info.Size() > spoolMaxSize:
			e.Err = fmt.Errorf("%s is no result of adfbot", file)
		default:
			var doc []byte
			if doc, e.Err = readSpooled(file); e.Err == nil {
				e.Result, e.Err = parseSpooled(doc)
			}
			if errors.Is(e.Err, os.ErrNotExist) {
				continue
			}
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b Spooled) int {
		if c := a.Result.Finished.Compare(b.Result.Finished); c != 0 {
			return c
		}
		return strings.Compare(a.File, b.File)
	})
	return out, nil
}

// readSpooled reads as much as a result may have.
func readSpooled(file string) ([]byte, error) {
	f, err := openThere(file, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, spoolMaxSize))
}

// parseSpooled reads a result, and refuses what [Spool] would never have written: taken in, it could count as a failure.
func parseSpooled(doc []byte) (store.Result, error) {
	var r store.Result
	if err := json.Unmarshal(doc, &r); err != nil {
		return r, err
	}
	if err := pause.CheckID(r.Project); err != nil {
		return r, fmt.Errorf("project: %w", err)
	}
	if err := pause.CheckID(r.Agent); err != nil {
		return r, fmt.Errorf("agent: %w", err)
	}
	switch {
	case r.RunID == "":
		return r, errors.New("it has no run id")
	case r.Outcome != store.Success && r.Outcome != store.Failure && r.Outcome != store.Ignored:
		return r, fmt.Errorf("unknown outcome %q", r.Outcome)
	}
	return r, nil
}

// Taken removes a spooled result after it was recorded.
func (s *Store) Taken(e Spooled) error { return e.Remove() }

// Remove removes the file after the result was taken in.
func (e Spooled) Remove() error {
	return removeThere(e.File)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
