// Package proc runs a command as a child process in the place of this one: input, output and signals pass through, and what it
// writes can be captured on the way.
//
// # Signals
//
// From [Signals.Listen] on, signals that would end this process are passed on to the command instead, so that its end can
// still be recorded. The command runs in a process group of its own, except at a terminal. A timeout sends SIGTERM and then
// SIGKILL to the whole group.
//
// # Output
//
// One goroutine for each output reads what the command writes, another one passes it on. While the command runs, a slow
// reader makes it wait, as it would without this process in between. Once the command has ended, its output is read to the
// end, and a slow reader keeps nobody waiting but [Output.Wait].
package proc
