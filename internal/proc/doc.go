// Package proc runs a command as a child process in place of this one: input, output and signals pass through, and the output
// can be captured on the way.
//
// # Signals
//
// After [Signals.Listen], signals that would end this process are passed on to the command instead, so that the result can
// still be recorded. The command runs in a process group of its own, except in a session that has a terminal. A timeout sends SIGTERM
// and then SIGKILL to the whole group and to all other descendants of the command.
//
// # Output
//
// For each output, one goroutine reads what the command writes, and another one passes it on and keeps lines whole. If both
// outputs are one file, so are those of the command. While the command runs, a slow reader blocks it, as it would without this
// process in between. Once the command has ended, its output is read to the end, within a bound, and a slow reader blocks only
// [Output.Wait]. Processes that the command has left behind may write on: [Output.Leave] starts another process that passes that
// on.
package proc
