// Package hostlocal keeps what belongs to this host and not to the state, in a directory of its own, by default <state>.d beside the
// file of the state:
//
//	locks   all locks between processes, one byte each
//	runs/   a locked file for each run of `adfbot exec` that goes on
//	spool/  results that could not be recorded, and reserves for more of them
//	host    the id of this host, if others share the state
//	.adfbot a copy of the pause directory's sentinel, by which `adfbot gate` recognizes the right directory without the state
//
// New files and directories take the owner and group of the directory that they are created in, and the rights that its
// group has on it. No link is followed in the place of the directory, of one in it or of a file: in the shared set-up any member
// of the group could put one there, for root to follow. A directory is opened first, and its files through that.
//
// # Locks
//
// A lock is an open file description lock on one byte of the file locks, at an offset computed from the lock's name, so no lock
// needs a file, an inode or room on the disk of its own. The file stays empty. It is never removed, replaced or truncated.
//
// The kernel releases a lock when its holder releases it or dies, however it dies. A crash leaves nothing behind.
// A child process inherits no lock.
//
// There are two kinds of locks, because claims may one day be kept outside this host, and locks of its files never:
//
//   - [Dir.LockHere] guards files of this host: "flag/<project>" guards a project's pause flag, "spool" the order of the spool.
//   - [Dir.Claim] guards work that one process at a time may do in the whole installation: "issue/<project>" guards
//     a project's issue, "labels/<owner>/<repo>" the labels of a repository.
//
// While hosts do not share a state, both are locks in the file.
//
// Lock order: the holder of "issue/<project>" may take "flag/<project>" or "labels/<owner>/<repo>", that of "spool" may take
// "flag/<project>". The holder of "flag/<project>" or "labels/<owner>/<repo>" takes no other lock.
//
// # Host
//
// The id in the file host is made once, under the lock "host", and is on disk before it is used. With it stands a hash of the id of the
// machine: on another machine, which has a copy of the disk, the id is not valid.
//
// # Runs
//
// The process of a run holds the lock (flock) on runs/<id>.lock until the result of the run is recorded or spooled. Another
// process that gets the lock knows that nobody will record the run. Without the file, the run has ended and the state is an old copy:
// see [Dir.HasRun]. [Dir.Tidy] removes what a crash leaves.
//
// # Spool
//
// A result that can't be recorded is a file spool/*.json, synced with its directory before [Spool.Add] returns. A number in its name
// keeps the order, whatever the clock says. Whoever
// records it removes the file afterwards; if it crashes in between, the result is recorded again under its run id, which
// changes nothing. A full disk takes no new file, so reserves are kept there that can be overwritten in place; a project
// may use a quarter of them. A crash leaves a temporary file, which [Dir.Tidy] removes after an hour.
//
// [OwnSpools] are spools of a user's own, for results that cannot be put beside the state.
//
// A result that pauses its project by a flag, because the state cannot be written, is renamed to *.paused.json. A crash before that
// leaves the flag without the mark: after its removal the next failure pauses the project again. The first result that is spooled while
// another flag stands is renamed to *.held.json, because failures before it are over with the removal of that flag.
//
// # Upgrade
//
// Earlier versions had a directory in the place of the file locks, with a lock file for each lock. [Dir.Create] replaces it
// if none of its locks is held; else whoever takes a lock waits for that and replaces it. The name is the same on purpose:
// an earlier version that is still running, or is started later, finds a file where it needs a directory, and fails to take
// a lock instead of working without one. To go back to an earlier version, stop every adfbot and remove the file.
package hostlocal
