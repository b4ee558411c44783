package pause

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SentinelName is the name of the sentinel in the pause directory.
const SentinelName = ".adfbot"

// lenInstallation is the length of an installation's id: 128 bits in hex.
const lenInstallation = 32

// maxSentinel is how many bytes a sentinel may have; blanks around the id that
// an editor has added do no harm.
const maxSentinel = 2 * lenInstallation

// Sentinel is the file that says: this is the pause directory, it is mounted,
// and its flags are complete.
type Sentinel struct {
	// Installation is the id of the installation that the directory belongs
	// to, 32 lowercase hexadecimal digits. It is "" when a person made the
	// sentinel with touch; [Dir.Init] then fills it in.
	Installation string
}

// Sentinel reads the sentinel. Its errors are [ErrNoDir], [ErrNotDir],
// [ErrNoSentinel], [ErrBadSentinel] and those of the file system.
func (d Dir) Sentinel() (Sentinel, error) {
	root, err := d.open()
	if err != nil {
		return Sentinel{}, err
	}
	defer root.Close()
	return d.sentinel(root)
}

// Init makes the directory the one of this installation: it makes it and its
// parents where they are missing, and the sentinel where it is missing, and
// fills in the installation's id where a person has made an empty sentinel. When
// all that is done already, it does nothing.
//
// A sentinel that names another installation stays as it is, and the error is
// [ErrOtherInstallation]. Whether a missing directory or sentinel may be made at
// all, or a person has to do it because flags may be lost, is for the caller to
// know. Of two installations that fill in the same empty sentinel at the
// same moment the last one stays; the other learns it at its next look.
func (d Dir) Init(installation string) error {
	if !validInstallation(installation) {
		return fmt.Errorf("prepare the pause directory %s: bad installation id %s: %d lowercase hexadecimal digits are wanted",
			d.Path(), showID(installation), lenInstallation)
	}
	root, err := d.openOrMake()
	if err != nil {
		return fmt.Errorf("prepare the pause directory: %w", err)
	}
	defer root.Close()

	sentinel, err := d.sentinel(root)
	if errors.Is(err, ErrNoSentinel) {
		if _, err := publish(root, SentinelName, installation+"\n"); err != nil {
			return failed("write the sentinel", d.sentinelPath(), err, toWrite)
		}
		sentinel, err = d.sentinel(root) // ours, or another's who was first
	}
	if err == nil && sentinel.Installation == "" {
		if err := fill(root, installation); err != nil {
			return failed("fill in the sentinel", d.sentinelPath(), err, toWrite)
		}
		sentinel, err = d.sentinel(root)
	}
	if err != nil {
		return err
	}
	if sentinel.Installation != installation {
		return fmt.Errorf("%w: %s names %s, this one is %s; check that the configuration names the pause directory and the state that belong together",
			ErrOtherInstallation, d.sentinelPath(), sentinel.Installation, installation)
	}
	return nil
}

// fill replaces an empty sentinel by one with an id, in one step.
func fill(root *os.Root, installation string) error {
	temp, err := writeTemp(root, installation+"\n")
	if err != nil {
		return err
	}
	if err := step("rename", func() error { return root.Rename(temp, SentinelName) }); err != nil {
		_ = root.Remove(temp)
		return err
	}
	return syncRoot(root)
}

func (d Dir) sentinel(root *os.Root) (Sentinel, error) {
	path := d.sentinelPath()
	entry, err := root.Lstat(SentinelName)
	if err == nil && !entry.Mode().IsRegular() {
		return Sentinel{}, fmt.Errorf("%w: %s is %s, not a regular file; remove it, then, if all flags are in their place: touch %[2]s, or else: adfbot restore",
			ErrBadSentinel, path, kind(entry.Mode()))
	}
	var content []byte
	if err == nil {
		content, err = readStart(root, SentinelName, maxSentinel+1)
	}
	switch id := strings.TrimSpace(string(content)); {
	case errors.Is(err, fs.ErrNotExist):
		return Sentinel{}, fmt.Errorf("%w: %s is missing, so flags may be missing too; if they are all in their place: touch %[2]s, or else have them written again: adfbot restore",
			ErrNoSentinel, path)
	case err != nil:
		return Sentinel{}, failed("read the sentinel", path, err, toRead)
	case id != "" && !validInstallation(id), len(content) > maxSentinel:
		return Sentinel{}, fmt.Errorf("%w: %s holds %s, not %d hexadecimal digits; remove it, then, if all flags are in their place: touch %[2]s, or else: adfbot restore",
			ErrBadSentinel, path, showID(id), lenInstallation)
	default:
		return Sentinel{Installation: id}, nil
	}
}

func (d Dir) sentinelPath() string { return filepath.Join(d.Path(), SentinelName) }

func validInstallation(id string) bool {
	return len(id) == lenInstallation && strings.Trim(id, "0123456789abcdef") == ""
}

func kind(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeNamedPipe:
		return "a FIFO"
	default:
		return "a special file"
	}
}
