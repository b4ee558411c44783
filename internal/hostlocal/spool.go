package hostlocal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// Spool is the path of a directory of results that wait to be recorded, each a JSON file.
type Spool string

// A full disk takes no new file, so the spool has reserves: files of reserveSize bytes that can be overwritten in place. Most
// results are a few hundred bytes and the output of a failed run; of the output the end is kept, as far as it fits.
const (
	reserveSize  = 4 << 10
	reserves     = 64
	reserveShare = reserves / 4 // of one project, whose results must not leave no room for those of others
	spoolSuffix  = ".json"
	pausedSuffix = ".paused" + spoolSuffix // see Spooled.PausedAt; the file's time is PausedAt
	heldSuffix   = ".held" + spoolSuffix   // the same with Spooled.Held
	readySuffix  = ".ready"                // a reserve
	tempSuffix   = ".tmp"                  // a reserve that is being overwritten, and any unfinished file of an earlier version
	spoolMaxSize = 1 << 20
)

// Add writes a result to the spool, creates the directory if it is missing, and returns the file. The state need not be
// usable. The result must have a run id, so that recording it twice changes nothing.
func (s Spool) Add(r store.Result) (file string, err error) {
	if r.RunID == "" {
		return "", errors.New("a result without a run id can't be spooled")
	}
	if !store.IsReported(r.Run) { // else the run is ended by whoever finds it gone
		r.Run = ""
	}
	doc, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	if file, err = s.write(doc); err == nil {
		return file, nil
	}
	if n := s.reservesOf(r.Project); n >= reserveShare {
		return "", fmt.Errorf("spooling the result: %w; %s has %s in the space that is reserved for %d", err, r.Project, text.Plural(n, "result"), reserves)
	}
	full := s.pinned(func(s Spool) error {
		var err error
		file, err = s.fillReserve(doc, r)
		return err
	})
	if full == nil {
		return filepath.Join(string(s), filepath.Base(file)), nil
	}
	return "", fmt.Errorf("spooling the result: %w", err)
}

// reservesOf returns how many results of a project are in reserves. It reads no other results, of which there may be many.
func (s Spool) reservesOf(project string) (n int) {
	files, _ := s.files(spoolSuffix)
	for _, file := range files {
		if info, err := os.Lstat(file); err != nil || info.Size() != reserveSize {
			continue
		}
		if r, err := readSpooled(file); err == nil && r.Project == project {
			n++
		}
	}
	return n
}

func (s Spool) write(doc []byte) (string, error) {
	folder, err := s.create()
	if err != nil {
		return "", err
	}
	defer func() { _ = folder.Close() }()
	info, err := folder.Stat(".")
	if err != nil {
		return "", err
	}
	name := s.newName(spoolSuffix)
	return filepath.Join(string(s), name), pause.WriteFileDurable(folder, name, doc, groupMode(0o600, info))
}

// newName returns the name of a new result: a number, a random id and the suffix. The number grows while the spool is not empty,
// so it keeps the order of the results even where the clock is set back. Two that are added at once may share it.
func (s Spool) newName(suffix string) string {
	files, _ := s.files(spoolSuffix)
	last := 0
	for _, file := range files {
		last = max(last, numberOf(file))
	}
	return nameWith(last+1, suffix)
}

// nameWith returns a name that is as long as that of a reserve. On a full disk, a name takes the place of another one in the directory:
// where shorter ones have been, there may be no room for a longer one.
func nameWith(number int, suffix string) string {
	name := fmt.Sprintf("%06d-%s", number, pause.NewRandomID())
	rest := max(len(reserveName(0))-len(name)-len(suffix), 0)
	return name + pause.NewRandomID()[:rest] + suffix
}

// numberOf returns the number in the name of a result. Earlier versions gave it none: 0.
func numberOf(file string) int {
	number, _, _ := strings.Cut(filepath.Base(file), "-")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > 1<<30 {
		return 0
	}
	return n
}

// create opens the directory, which it creates if it is missing.
func (s Spool) create() (*os.Root, error) {
	if folder, err := s.open(); !errors.Is(err, fs.ErrNotExist) {
		return folder, err
	}
	parent := filepath.Dir(string(s))
	err := MakeDirs(filepath.Dir(parent))
	if err == nil {
		err = makeDir(parent)
	}
	if err == nil {
		err = makeFolder(string(s))
	}
	if err != nil {
		return nil, err
	}
	return s.open()
}

// open opens the directory unless a link is in its place. What is above the spool of a user may be a link, as /var/tmp is on some
// systems; what is above that of a state may not.
func (s Spool) open() (*os.Root, error) {
	if strings.HasSuffix(filepath.Dir(string(s)), suffix) {
		return openFolder(string(s))
	}
	return openDir(string(s))
}

// pinned calls do with another path of the directory, which leads nowhere else whatever is put in its place meanwhile.
func (s Spool) pinned(do func(Spool) error) error {
	folder, err := s.open()
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	dir, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return do(Spool(fmt.Sprint("/proc/self/fd/", dir.Fd())))
}

// fillReserve overwrites a reserve with a result.
func (s Spool) fillReserve(doc []byte, r store.Result) (string, error) {
	for len(doc) > reserveSize {
		if r.Output == "" {
			return "", errors.New("the result is too large")
		}
		// It is masked and cleaned already, so a part of it shows nothing that the whole does not.
		r.Output = strings.ToValidUTF8(r.Output[(len(r.Output)+1)/2:], "")
		var err error
		if doc, err = json.Marshal(r); err != nil {
			return "", err
		}
	}
	doc = append(doc, bytes.Repeat([]byte(" "), reserveSize-len(doc))...)
	ready, err := s.files(readySuffix)
	if err != nil {
		return "", err
	}
	for _, from := range ready {
		// A shorter one was not finished, and would need room now. A link is not ours.
		if info, err := os.Lstat(from); err != nil || !info.Mode().IsRegular() || info.Size() < reserveSize {
			continue
		}
		_ = setTime(from, time.Now()) // Tidy would take the old file for one that was left behind
		newName := func(suffix string) func() string { return func() string { return s.newName(suffix) } }
		mine, err := rename(from, newName(tempSuffix))
		if err != nil {
			continue // another process was faster
		}
		if err := overwrite(mine, doc); err != nil {
			_ = os.Remove(mine)
			continue
		}
		file, err := rename(mine, newName(spoolSuffix))
		return file, errors.Join(err, syncDir(string(s)))
	}
	return "", syscall.ENOSPC
}

// rename gives a file a name from newName, and tries another one if there is no room for it. A full directory may have room for some
// names and not for others: in ext4, that depends on their hashes, and one block of many may be the last with room.
func rename(file string, newName func() string) (to string, err error) {
	for range 256 {
		to = filepath.Join(filepath.Dir(file), newName())
		if err = os.Rename(file, to); !errors.Is(err, syscall.ENOSPC) {
			break
		}
	}
	return to, err
}

func overwrite(path string, content []byte) error {
	f, err := openRegular(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// files returns the paths of the files with a suffix, in order; none if the directory is missing. Names that could do harm on a
// terminal are not adfbot's.
func (s Spool) files(suffix string) (paths []string, err error) {
	entries, err := os.ReadDir(string(s))
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) && utf8.ValidString(e.Name()) && !strings.ContainsFunc(e.Name(), isUnprintable) {
			paths = append(paths, filepath.Join(string(s), e.Name()))
		}
	}
	return paths, ifThere(err)
}

// reserveName is as long as the longest name that a reserve gets later: a longer one may need room in the directory.
func reserveName(n int) string {
	return fmt.Sprintf("reserve-%02d-for-a-result-that-waits-on-a-full-disk%s", n, readySuffix)
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

// keepReady creates the reserves that are missing, or that this user cannot use. Each appears complete or not at all, so any number of processes may do it at
// once.
func (s Spool) keepReady() error {
	folder, err := os.OpenRoot(string(s))
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	blank := bytes.Repeat([]byte(" "), reserveSize)
	for n := range reserves {
		name := reserveName(n)
		info, err := folder.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) && folder.Rename(fmt.Sprintf("reserve-%d%s", n, readySuffix), name) == nil { // of an earlier version
			info, err = folder.Lstat(name)
		}
		switch {
		case err == nil && info.Mode().IsRegular() && info.Size() == reserveSize && unix.Access(filepath.Join(string(s), name), unix.W_OK) == nil:
			continue
		case err == nil && info.IsDir(): // the only thing that a file cannot replace
			if err := ifThere(folder.Remove(name)); err != nil {
				return err
			}
		}
		temp := pause.NewRandomID() + tempSuffix
		if err = createIn(folder, temp, blank); err == nil {
			err = folder.Rename(temp, name)
		}
		if err != nil {
			_ = folder.Remove(temp)
			return err
		}
	}
	return nil
}

// Spooled is a result in a spool.
type Spooled struct {
	File   string
	Result store.Result
	Err    error // why the file can't be read as a result; it stays where it is

	// PausedAt is when the spooled failures of the project, of which this one reached the threshold, had paused it by a flag; zero if
	// they have not. If Held, a person had paused it by a flag, and the result was spooled while that stood.
	PausedAt time.Time
	Held     bool
}

// Unreadable returns an error that says what to do about a file that cannot be read as a result, nil if it can.
func (e Spooled) Unreadable() error {
	switch {
	case e.Err == nil:
		return nil
	case errors.Is(e.Err, fs.ErrPermission): // somebody has copied it here
		return fmt.Errorf("cannot read the spooled result %s: %w; it is recorded once it can be read: run chown --reference=%s %s",
			e.File, e.Err, text.ShellQuote(filepath.Dir(e.File)), text.ShellQuote(e.File))
	}
	return fmt.Errorf("cannot read the spooled result %s, it stays there: %w; look at the file, then move it away: it is never recorded", e.File, e.Err)
}

// Waiting returns how many of the results can be read, and so are recorded later.
func Waiting(list []Spooled) (n int) {
	for _, e := range list {
		if e.Err == nil {
			n++
		}
	}
	return n
}

// SpoolWatch tells whether a spool is empty, for whoever asks often. The zero value is ready; it is safe for concurrent use.
type SpoolWatch struct {
	empty atomic.Int64 // the directory's time of modification, in nanoseconds, when it was empty
}

// IsEmpty reports whether no result is in the spool. While the directory does not change, it costs one system call.
func (w *SpoolWatch) IsEmpty(s Spool) bool {
	info, err := os.Lstat(string(s))
	if err != nil || !info.IsDir() {
		return errors.Is(err, os.ErrNotExist)
	}
	modified := info.ModTime()
	if modified.UnixNano() == w.empty.Load() {
		return true
	}
	files, err := s.files(spoolSuffix)
	if err != nil || len(files) > 0 {
		return false
	}
	// The clock of the file system has coarse ticks: a file that is added within one leaves no trace in the time.
	if time.Since(modified) > time.Second {
		w.empty.Store(modified.UnixNano())
	}
	return true
}

// List returns the results in the order in which they were added, those of earlier versions in that in which their runs ended; none
// if the directory is missing. It leaves their outputs out, see [Spooled.Output].
func (s Spool) List() ([]Spooled, error) {
	if folder, err := s.open(); err == nil {
		_ = folder.Close()
	} else if errors.Is(err, syscall.ELOOP) {
		return nil, err
	}
	files, err := s.files(spoolSuffix)
	if err != nil {
		return nil, err
	}
	var out []Spooled
	for _, file := range files {
		e := Spooled{File: file}
		e.Held = strings.HasSuffix(file, heldSuffix)
		if info, err := os.Lstat(file); err == nil && (e.Held || strings.HasSuffix(file, pausedSuffix)) {
			e.PausedAt = info.ModTime()
		}
		e.Result, e.Err = readSpooled(file)
		if e.Result.Decide == "" {
			e.Result.Output = ""
		}
		if !errors.Is(e.Err, os.ErrNotExist) { // else another process has just recorded it
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Spooled) int {
		return cmp.Or(cmp.Compare(numberOf(a.File), numberOf(b.File)), a.Result.Finished.Compare(b.Result.Finished), strings.Compare(a.File, b.File))
	})
	return out, nil
}

// Output returns the output of the result. During a long outage, all outputs together may be larger than memory. The error is
// fs.ErrNotExist if another process has just recorded the result, or renamed its file.
func (e Spooled) Output() (string, error) {
	if e.Result.Output != "" {
		return e.Result.Output, nil
	}
	r, err := readSpooled(e.File)
	return r.Output, err
}

// Renamed reports whether another process has renamed the file, as [Spooled.MarkPaused] does, rather than removed it.
func (e Spooled) Renamed() bool {
	marked := func(file string) bool {
		return strings.HasSuffix(file, pausedSuffix) || strings.HasSuffix(file, heldSuffix)
	}
	files, _ := Spool(filepath.Dir(e.File)).files(spoolSuffix)
	return slices.ContainsFunc(files, func(file string) bool { // results that were added at once may have one number
		return numberOf(file) == numberOf(e.File) && marked(file) != marked(e.File)
	})
}

func readSpooled(file string) (store.Result, error) {
	f, err := openRegular(file, os.O_RDONLY)
	if err != nil {
		return store.Result{}, err
	}
	defer func() { _ = f.Close() }()
	doc, err := io.ReadAll(io.LimitReader(f, spoolMaxSize+1))
	if err == nil && len(doc) > spoolMaxSize {
		err = errors.New("it is too large for a result")
	}
	if err != nil {
		return store.Result{}, err
	}
	return parseSpooled(doc)
}

// parseSpooled reads a result, and refuses what [Spool.Add] never writes: once recorded, it could count as a failure.
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
	case r.Decide != "" && r.Decide != store.DecideOutcome && r.Decide != store.DecideClass:
		return r, fmt.Errorf("cannot decide its %.60q", r.Decide)
	case r.Class != "" && !class.ValidName(r.Class):
		return r, fmt.Errorf("bad class %.60q", r.Class)
	case r.Settings != (store.Settings{}) && (r.Settings.Threshold < 1 || r.Settings.Resume < 1):
		return r, errors.New("its thresholds must be at least 1")
	}
	return r, nil
}

// MarkPaused sets PausedAt in the spool, and Held as it is, and returns the file's new path. It needs no room on the disk.
func (e Spooled) MarkPaused(at time.Time) (file string, err error) {
	if err := setTime(e.File, at); err != nil {
		return e.File, ifThere(err)
	}
	suffix := pausedSuffix
	if e.Held {
		suffix = heldSuffix
	}
	file, err = rename(e.File, func() string { return nameWith(numberOf(e.File), suffix) })
	if err != nil {
		return e.File, ifThere(err)
	}
	return file, nil
}

// ForgetPause makes PausedAt zero in the spool. It needs no room on the disk.
func (e Spooled) ForgetPause() error {
	if e.PausedAt.IsZero() {
		return nil
	}
	_, err := rename(e.File, func() string { return nameWith(numberOf(e.File), spoolSuffix) })
	return ifThere(err)
}

// setTime sets a file's modification time. Who may write a file of another user, such as a reserve, can only set it to now.
func setTime(file string, at time.Time) error {
	err := os.Chtimes(file, at, at)
	if errors.Is(err, os.ErrPermission) && time.Since(at).Abs() < time.Minute {
		now := unix.Timespec{Nsec: unix.UTIME_NOW}
		err = unix.UtimesNanoAt(unix.AT_FDCWD, file, []unix.Timespec{now, now}, 0)
	}
	return err
}

// Remove removes the file after the result was recorded.
func (e Spooled) Remove() error { return removeFile(e.File) }
