package hostlocal

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// oneNumber are the file systems whose directories have the same numbers for all processes, wherever these have mounted them. Others, such
// as those over a network, may show one directory under several.
var oneNumber = []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC}

// Place returns which directory this process finds at a path, for [OtherPlace], or "" if the numbers of its file system do not tell.
func Place(dir string) string {
	var st unix.Stat_t
	var fs unix.Statfs_t
	boot, err := bootID() // the numbers of another kernel are others
	if err != nil || boot == "" || unix.Stat(dir, &st) != nil || unix.Statfs(dir, &fs) != nil || !slices.Contains(oneNumber, uint32(fs.Type)) {
		return ""
	}
	return fmt.Sprintf("%s %d %d", boot, st.Dev, st.Ino)
}

// OtherPlace reports whether two processes of one machine find different directories, by what [Place] tells each of them. It is false if that
// is not known.
func OtherPlace(a, b string) bool {
	bootA, numbersA, _ := strings.Cut(a, " ")
	bootB, numbersB, _ := strings.Cut(b, " ")
	return numbersA != "" && numbersB != "" && bootA == bootB && numbersA != numbersB
}
