// Package pause keeps pause flags: one file per project in one directory.
// While the flag of a project exists, no run may be started for that project.
//
// # Flow
//
// [Dir.Init] prepares the directory once, with an installation id made by
// [NewRandomID]. Before it starts a run, a dispatcher calls [Dir.Paused], or
// [Dir.LookChecked] if it also wants the reason. [Dir.Write] pauses a project
// and [Dir.Remove] resumes it; people do the same with touch and rm.
//
// Unreadable is not absent. A missing flag means "not paused" only while the
// directory has its sentinel, a file that proves that the directory is mounted
// and was not emptied. In every other case the answer is an error, and a
// dispatcher that gets an error must not start the run.
//
// # On disk
//
//	<dir>/<project>      a flag; its content is a note for people, or empty
//	<dir>/.adfbot        the sentinel: the ids of the installation and of the
//	                     directory, or empty if a person created it with touch
//	<dir>/.adfbot.host   where hosts share a state, the [Mark] of the host
//	                     that the directory belongs to: its id, and an epoch
//	                     and a number that tell a directory which went back in
//	                     time, such as a restored snapshot; it is replaced
//	                     whole, and one that is torn counts as missing
//	<dir>/.adfbot.known/ an empty file for each project that is known, of those
//	                     that no configuration lists by its id, see [Dir.Known]
//	<dir>/.tmp-<random>  a file being written
//
// A directory entry of any type is a flag. Shell scripts may use test -e, which
// gives the same answer except for some links, see [Flag]. A project id cannot
// begin with a dot ([CheckID]), so these names never collide. All access goes
// through an [os.Root], so no name or link leads out of the directory. Each call
// of a [Dir] opens the root once, so that its whole answer is from one directory;
// the next call opens it again, because that directory may have been replaced or
// unmounted. A [Folder] is for several calls about one directory.
//
// # After a crash
//
// A file is written under a temporary name, synced and linked to its final
// name; then the directory is synced. So a flag or sentinel is either complete
// or missing, even after a power failure, and the first writer wins. A process
// that dies on the way leaves at most a temporary file. [Dir.RemoveOldTemps]
// removes it when it is an hour old; call it now and then.
//
// There are two exceptions, because the existence of a flag is the signal: on a
// full disk the flag is created without its note, and on a file system without
// hard links the flag is empty for a moment, or for good if the process dies in
// that moment.
//
// New files are readable by everyone (mode 0644, directories 0755, whatever the
// umask), since a dispatcher that cannot read the directory must not start
// anything. Files created by root get the owner and group of their directory.
//
// # Concurrency
//
// A [Dir] is a value without state. Any number of goroutines and processes may
// use a directory at once, without locks. Of several writers of one flag,
// exactly one is told that it created the flag. A caller that keeps a flag
// consistent with other data needs its own lock.
package pause
