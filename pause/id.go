package pause

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	maxID   = 128 // bytes of a project id
	shownID = 40  // bytes of a refused id in an error message

	idStart = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
	idBytes = idStart + ".-"
)

// ValidID reports whether id is a project id: an ASCII letter, digit or
// underscore, then up to 127 letters, digits, dots, underscores or hyphens
// ([A-Za-z0-9_][A-Za-z0-9._-]{0,127}). So an id is always a plain file name,
// never a path, "." or "..", and never the name of the sentinel or of a
// temporary file, which begin with a dot.
func ValidID(id string) bool {
	return id != "" && len(id) <= maxID && strings.Contains(idStart, id[:1]) && strings.Trim(id, idBytes) == ""
}

// CheckID returns nil if id is a project id, see [ValidID]. Otherwise it returns
// an error that wraps [ErrID], gives the reason and shows the id, quoted and
// shortened.
func CheckID(id string) error {
	switch {
	case ValidID(id):
		return nil
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrID)
	case len(id) > maxID:
		return fmt.Errorf("%w: %s has %d bytes; the maximum is %d", ErrID, quote(id), len(id), maxID)
	case !strings.Contains(idStart, id[:1]):
		return fmt.Errorf("%w: %s must begin with a letter, a digit or an underscore", ErrID, quote(id))
	}
	return fmt.Errorf("%w: %s may contain only letters, digits, dots, underscores and hyphens (A-Z a-z 0-9 . _ -)", ErrID, quote(id))
}

// quote returns id as a Go string literal in ASCII, so that a message never
// contains a control character or line break, and shortens it.
func quote(id string) string {
	if len(id) <= shownID {
		return fmt.Sprintf("%+q", id)
	}
	return fmt.Sprintf("%+q…", id[:shownID])
}

// NewRandomID returns a random 128-bit id as 32 lowercase hexadecimal digits,
// for an installation or an incident.
func NewRandomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// IsRandomID reports whether id has the form of [NewRandomID].
func IsRandomID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}
