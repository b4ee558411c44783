package pause

import "fmt"

// maxID is the longest project id in bytes.
const maxID = 128

// shownID is how many bytes of a refused id an error message shows.
const shownID = 40

// CheckID reports whether id may name a project: one letter, digit or
// underscore, then up to 127 letters, digits, dots, underscores or hyphens, all
// of them ASCII ([A-Za-z0-9_][A-Za-z0-9._-]{0,127}). So an id is always a
// single file name, never ".", ".." or a path, and can never be the name of the
// sentinel or of a temporary file, because those begin with a dot.
//
// The error wraps [ErrID] and shows the id quoted, and cut when it is long.
func CheckID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: it is empty", ErrID)
	case len(id) > maxID:
		return fmt.Errorf("%w: %s has %d bytes, at most %d are allowed", ErrID, showID(id), len(id), maxID)
	case id[0] == '.' || id[0] == '-' || !idByte(id[0]):
		return fmt.Errorf("%w: %s must begin with a letter, a digit or an underscore", ErrID, showID(id))
	}
	for i := 1; i < len(id); i++ {
		if !idByte(id[i]) {
			return fmt.Errorf("%w: %s may hold only letters, digits, dots, underscores and hyphens (A-Z a-z 0-9 . _ -)", ErrID, showID(id))
		}
	}
	return nil
}

// idByte reports whether c may stand in an id, after its first byte.
func idByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}

// showID quotes an id for a message, so that no control character and no
// line break gets through, and cuts a long one.
func showID(id string) string {
	if len(id) <= shownID {
		return fmt.Sprintf("%+q", id)
	}
	return fmt.Sprintf("%+q…", id[:shownID])
}
