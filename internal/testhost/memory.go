package testhost

import (
	"flag"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

var full = flag.Bool("full", false, "run every case where a test otherwise runs a sample")

// Full reports whether the test is to run every case, however long that takes.
func Full() bool { return *full }

// Exhaustive is [Full] for tests whose cases take the same code through ever more orders and crashes. That is nothing to the race detector,
// which slows them down ten times: under it they run their sample, also with -full. `.ci/run` runs every case without it.
func Exhaustive() bool { return *full && !Race }

// Overlap runs more parallel tests at once than there are processors, unless -parallel says how many. It is for those that mostly wait for
// other processes.
func Overlap() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "8")
	}
}

// UseMemory spends memory to save time. It puts temporary directories into memory, if $TMPDIR is not set and there is room: tests sync files
// so often that most of their time would be the disk's. And it collects garbage less often, if $GOGC is not set, which saves a fifth of the
// tests' work: they allocate much and keep little. `.ci/run` sets $TMPDIR and so tests on a disk. Benchmarks always measure a disk and Go's
// own pace. Children of the tests are not changed.
func UseMemory() {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() != "" {
		return
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	const dir, room = "/dev/shm", 2 << 30
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || unix.Statfs(dir, &fs) != nil || fs.Type != unix.TMPFS_MAGIC {
		return
	}
	if fs.Flags&(unix.ST_NOEXEC|unix.ST_RDONLY) == 0 && fs.Bavail*uint64(fs.Bsize) >= room && unix.Access(dir, unix.W_OK) == nil {
		_ = os.Setenv("TMPDIR", dir)
	}
}
