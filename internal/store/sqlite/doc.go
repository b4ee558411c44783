// Package sqlite keeps a state in one SQLite file. It implements [store.State]; most of its methods are those of package sqlstore.
//
// # On disk
//
// The tables are those of migrations/*.sql. Incidents, evidence and commands are JSON documents; beside them are the columns
// that are searched for. SQLite keeps a write-ahead log (-wal) and its index (-shm) beside the file while the state is
// open, and the last process that closes it removes them. New files take the owner and group of their directory, and the
// rights that its group has on it.
//
// A file is a state if its header has the application id, or, from an earlier version, if it has the tables. Any other database
// is left as it is, and so is whatever a link in the place of one of the files leads to. The state keeps its own path: a file
// that was moved without its log or its spool is refused, and no file is created beside a log that is there alone. For that, a
// new state switches to the log last.
//
// # Durability
//
// A method that writes is one transaction with synchronous=FULL: its change is on disk when it returns. Methods that are called
// while a transaction is being written share the next one, and so one sync; an error takes back what its own method did and
// nothing else, unless the transaction as a whole fails. After a crash SQLite replays the log at the next open.
//
// # Locks
//
// Each transaction reads the version of the tables first: once a newer adfbot has upgraded them, an older one that is still
// running stores nothing. Transactions begin with BEGIN IMMEDIATE, so processes write one after the other. SQLite's lock between processes is not fair: one
// that always has something to write yields now and then. In one process, transactions use one connection and queries
// outside of them, once it is busy, another one.
package sqlite
