package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// SentinelName is the file name of the sentinel in the pause directory.
const SentinelName = ".adfbot"

// maxSentinel is the maximum size of a sentinel in bytes. It leaves room for
// blanks that an editor adds to the ids.
const maxSentinel = 128

// Sentinel is the content of the file that marks a pause directory as mounted
// and complete.
type Sentinel struct {
	// Installation is the id of the installation that owns the directory, see
	// [IsRandomID]. It is empty if a person created the sentinel with touch;
	// [Dir.Init] then fills it in.
	Installation string

	// Directory is a random id that was drawn when the sentinel was written. It
	// tells the directory from another one of the same installation, such as the
	// one below a mount point. It is empty in a sentinel of an earlier version.
	Directory string
}

// Content returns the content of a sentinel file with these ids.
func (s Sentinel) Content() []byte { return []byte(s.Installation + " " + s.Directory + "\n") }

// parseSentinel reports whether the content of a sentinel is valid.
func parseSentinel(content string) (s Sentinel, ok bool) {
	installation, directory, two := strings.Cut(strings.TrimSpace(content), " ")
	s = Sentinel{Installation: installation, Directory: directory}
	return s, installation == "" || IsRandomID(installation) && (!two || IsRandomID(directory))
}

// Sentinel reads the sentinel. The error is [ErrNoDir], [ErrNotDir],
// [ErrNoSentinel], [ErrBadSentinel] or one of the file system.
func (d Dir) Sentinel() (Sentinel, error) {
	f, err := d.Open()
	if err != nil {
		return Sentinel{}, err
	}
	defer f.Close()
	return f.Sentinel()
}

// Init makes this the pause directory of an installation: it creates the
// directory, its parents and the sentinel if they are missing, and fills in an
// empty sentinel. If nothing is missing, Init does nothing. The error is
// [ErrSentinelID] if installation is not an id made by [NewRandomID], and
// [ErrOtherInstallation] if the sentinel names another installation.
//
// The caller decides whether a missing directory or sentinel may be created, or
// whether a person must do so because flags may be lost. If two installations
// fill in an empty sentinel at the same moment, the second one wins and the
// first one gets ErrOtherInstallation at its next check.
func (d Dir) Init(installation string) error {
	fresh := Sentinel{Installation: installation, Directory: NewRandomID()}
	return d.init(fresh, func(s Sentinel) bool { return s.Installation == "" })
}

// Renew is like Init, and then gives the directory the id of s, which must be
// new: no other directory of the installation has it.
func (d Dir) Renew(s Sentinel) error {
	return d.init(s, func(was Sentinel) bool { return was.Installation == "" || was.Installation == s.Installation })
}

// init creates a missing sentinel, and writes one anew that is outdated.
func (d Dir) init(fresh Sentinel, outdated func(Sentinel) bool) error {
	for _, id := range []string{fresh.Installation, fresh.Directory} {
		if !IsRandomID(id) {
			return fmt.Errorf("prepare the pause directory %s: %w: %s; an id has 32 lowercase hexadecimal digits", d.Path(), ErrSentinelID, quote(id))
		}
	}
	f, err := d.openOrCreate()
	if err != nil {
		return fmt.Errorf("prepare the pause directory: %w", err)
	}
	defer f.Close()
	root := f.root
	RemoveOldTemps(root)

	sentinel, err := f.Sentinel()
	if errors.Is(err, ErrNoSentinel) && !errors.Is(err, ErrRemoved) {
		created, err := createFile(root, SentinelName, fresh.Content(), noTime)
		if err == nil {
			err = f.syncDir()
		}
		if err != nil {
			return failed("write the sentinel", d.sentinelPath(), err, needWrite)
		}
		if created {
			return nil
		}
	}
	if err != nil {
		sentinel, err = f.Sentinel() // another process was first
	}
	if err == nil && outdated(sentinel) {
		err := replaceFile(root, SentinelName, fresh.Content(), fileMode, noTime)
		if err == nil {
			err = f.syncDir()
		}
		if err != nil {
			return failed("fill in the sentinel", d.sentinelPath(), err, needWrite)
		}
		if sentinel, err = f.Sentinel(); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if sentinel.Installation != fresh.Installation {
		return fmt.Errorf("%w: %s names %s, not %s; check that the configured pause directory and state belong together",
			ErrOtherInstallation, d.sentinelPath(), sentinel.Installation, fresh.Installation)
	}
	return nil
}

// Sentinel is [Dir.Sentinel].
func (f *Folder) Sentinel() (Sentinel, error) {
	path := f.dir.sentinelPath()
	damaged := func(what string) error {
		return fmt.Errorf("%w: %s %s; remove it, then, if all flags are in place, as the directory's owner: touch %[2]s", ErrBadSentinel, path, what)
	}
	entry, err := f.root.Lstat(SentinelName)
	if err == nil && !entry.Mode().IsRegular() {
		return Sentinel{}, damaged("is not a regular file")
	}
	var content []byte
	if err == nil {
		content, err = readStart(f.root, SentinelName, make([]byte, maxSentinel+1))
	}
	switch sentinel, ok := parseSentinel(string(content)); {
	case errors.Is(err, fs.ErrNotExist) && f.removed():
		return Sentinel{}, fmt.Errorf("%w: %w: %s; make it again where it is mounted from, then restart the container", ErrNoSentinel, ErrRemoved, f.dir.Path())
	case errors.Is(err, fs.ErrNotExist):
		return Sentinel{}, fmt.Errorf("%w: %s is missing, so the directory may be unmounted or emptied; if all flags are in place, as the directory's owner: touch %[2]s",
			ErrNoSentinel, path)
	case err != nil:
		return Sentinel{}, failed("read the sentinel", path, err, needRead)
	case !ok, len(content) > maxSentinel:
		return Sentinel{}, damaged("holds " + quote(strings.TrimSpace(string(content))) + ", not the ids of an installation and a directory")
	default:
		return sentinel, nil
	}
}

// removed reports whether the directory was removed, so that nothing can be written to it. Linux lists nothing of one then. The number of
// links would be another sign, but file systems in user space may have none of directories that are there.
func (f *Folder) removed() bool {
	open, err := f.root.Open(".")
	if err == nil {
		_, err = open.Readdirnames(1)
		open.Close()
	}
	return errors.Is(err, fs.ErrNotExist)
}

func (d Dir) sentinelPath() string { return filepath.Join(d.Path(), SentinelName) }
