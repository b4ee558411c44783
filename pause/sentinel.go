package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SentinelName is the file name of the sentinel in the pause directory.
const SentinelName = ".adfbot"

// maxSentinel is the maximum size of a sentinel in bytes. It leaves room for
// blanks that an editor adds to the id.
const maxSentinel = 64

// Sentinel is the content of the file that marks a pause directory as mounted
// and complete.
type Sentinel struct {
	// Installation is the id of the installation that owns the directory, see
	// [IsRandomID]. It is empty if a person created the sentinel with touch;
	// [Dir.Init] then fills it in.
	Installation string
}

// Sentinel reads the sentinel. The error is [ErrNoDir], [ErrNotDir],
// [ErrNoSentinel], [ErrBadSentinel] or one of the file system.
func (d Dir) Sentinel() (Sentinel, error) {
	root, err := d.open()
	if err != nil {
		return Sentinel{}, err
	}
	defer root.Close()
	return d.sentinel(root)
}

// Init makes this the pause directory of an installation: it creates the
// directory, its parents and the sentinel if they are missing, and fills in an
// empty sentinel. If nothing is missing, Init does nothing. The error is
// [ErrInstallationID] if installation is not an id made by [NewRandomID], and
// [ErrOtherInstallation] if the sentinel names another installation.
//
// The caller decides whether a missing directory or sentinel may be created, or
// whether a person must do so because flags may be lost. If two installations
// fill in an empty sentinel at the same moment, the second one wins and the
// first one gets ErrOtherInstallation at its next check.
func (d Dir) Init(installation string) error {
	if !IsRandomID(installation) {
		return fmt.Errorf("prepare the pause directory %s: %w: %s; an id has 32 lowercase hexadecimal digits",
			d.Path(), ErrInstallationID, quote(installation))
	}
	root, err := d.openOrCreate()
	if err != nil {
		return fmt.Errorf("prepare the pause directory: %w", err)
	}
	defer root.Close()
	RemoveOldTemps(root)

	content := []byte(installation + "\n")
	sentinel, err := d.sentinel(root)
	if errors.Is(err, ErrNoSentinel) {
		if _, err := createFile(root, SentinelName, content); err != nil {
			return failed("write the sentinel", d.sentinelPath(), err, needWrite)
		}
		sentinel, err = d.sentinel(root) // another process may have been first
	}
	if err == nil && sentinel.Installation == "" {
		if err := replaceFile(root, SentinelName, content, fileMode); err != nil {
			return failed("fill in the sentinel", d.sentinelPath(), err, needWrite)
		}
		sentinel, err = d.sentinel(root)
	}
	if err != nil {
		return err
	}
	if sentinel.Installation != installation {
		return fmt.Errorf("%w: %s names %s, not %s; check that the configured pause directory and state belong together",
			ErrOtherInstallation, d.sentinelPath(), sentinel.Installation, installation)
	}
	return nil
}

func (d Dir) sentinel(root *os.Root) (Sentinel, error) {
	path := d.sentinelPath()
	damaged := func(what string) error {
		return fmt.Errorf("%w: %s %s; remove it, then, if all flags are in place: touch %[2]s", ErrBadSentinel, path, what)
	}
	entry, err := root.Lstat(SentinelName)
	if err == nil && !entry.Mode().IsRegular() {
		return Sentinel{}, damaged("is not a regular file")
	}
	var content []byte
	if err == nil {
		content, err = readStart(root, SentinelName, make([]byte, maxSentinel+1))
	}
	switch id := strings.TrimSpace(string(content)); {
	case errors.Is(err, fs.ErrNotExist):
		return Sentinel{}, fmt.Errorf("%w: %s is missing, so the directory may be unmounted or emptied; if all flags are in place: touch %[2]s",
			ErrNoSentinel, path)
	case err != nil:
		return Sentinel{}, failed("read the sentinel", path, err, needRead)
	case id != "" && !IsRandomID(id), len(content) > maxSentinel:
		return Sentinel{}, damaged("holds " + quote(id) + ", not 32 hexadecimal digits")
	default:
		return Sentinel{Installation: id}, nil
	}
}

func (d Dir) sentinelPath() string { return filepath.Join(d.Path(), SentinelName) }
