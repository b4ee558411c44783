// Package pause keeps the pause flags: files in one directory, each of which
// keeps one project of the factory from being dispatched while it exists.
//
// # Flow
//
// A dispatcher asks [Dir.Paused] before it starts anything, or
// [Dir.LookChecked] when it also wants the reason. Whoever pauses a project
// calls [Dir.Write], whoever resumes it calls [Dir.Remove], and a person does
// the same with touch and rm. [Dir.Init] prepares the directory once.
//
// What can't be read is not absent. A flag that is not there means "not paused"
// only when the sentinel is there, which says that this is the directory, that
// it is mounted, and that nobody has wiped it. Everything else is an error, and
// a dispatcher that gets an error starts nothing.
//
// # On disk
//
//	<dir>/<project>      a flag; its content is a note for people, or nothing
//	<dir>/.adfbot        the sentinel: the installation's id and a newline, or
//	                     nothing when a person made it with touch
//	<dir>/.tmp-<random>  a file on its way to one of the above
//
// A directory entry of any kind is a flag. Shell scripts use test -e for the
// same question, and agree but for links, see [Flag]. Project ids can't begin
// with a dot ([CheckID]), so the three kinds of name never meet; and every access
// goes through an [os.Root], so that no name and no link leads out of the
// directory. The root is opened anew for each call: one that was held would go
// on showing a directory that has since been replaced or unmounted.
//
// # What a crash leaves
//
// A new file is written under a temporary name, synced, linked to its own name,
// and the directory is synced. So a flag or a sentinel is complete or not
// there, a power failure included, and whoever comes first stays. A process
// that dies in between leaves at most a .tmp- file, which a later
// [Dir.Write] removes when it is an hour old. There are two exceptions, because
// existence is the whole signal: on a full disk the flag is made without its note,
// and where the file system knows no hard links there is an empty flag for a
// moment, which stays when the process dies in that moment.
//
// New files can be read by everybody (0644, directories 0755, whatever the
// umask), because a dispatcher that can't look must not start anything. When
// root makes them, they take the owner and the group of their directory.
//
// # Concurrency
//
// A [Dir] is a value without state: any number of goroutines and processes may
// use the same directory at once, without a lock. Of many writers of one flag
// exactly one is told that it created it. A caller that has to keep a flag in step
// with something else needs a lock of its own.
package pause
