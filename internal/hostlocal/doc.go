// Package hostlocal keeps what belongs to this host, in the directory <state>.d beside the state.
//
// # Locks
//
// All locks between processes are in one file, <state>.d/locks. A lock is an open file description lock on one byte of it,
// at an offset computed from the lock's name, so no lock needs a file, an inode or room on the disk of its own. The file
// stays empty. It is never removed, replaced or truncated.
//
// The kernel releases a lock when its holder releases it or dies, however it dies. A crash leaves nothing behind.
// A child process inherits no lock.
//
// There are two kinds of locks, because one of them can later be kept somewhere else:
//
//   - [Dir.LockHere] guards files of this host: "flag/<project>" guards a project's pause flag.
//   - [Dir.Claim] guards work that one process at a time may do in the whole installation: "issue/<project>" guards
//     a project's issue, "labels/<owner>/<repo>" the labels of a repository.
//
// While hosts do not share a state, both are locks in the file.
//
// Lock order: the holder of "issue/<project>" may take "flag/<project>" or "labels/<owner>/<repo>". The holder of one of
// those takes no other lock.
//
// # Upgrade
//
// Earlier versions had a directory in the place of the file, with a lock file for each lock. [Dir.Create] replaces it
// once none of its locks is held. The name is the same on purpose: an earlier version that is still running, or is started
// later, finds a file where it needs a directory, and fails instead of working without a lock. To go back to an earlier
// version, stop every adfbot and remove the file.
package hostlocal
