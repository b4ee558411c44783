// Package postgres keeps a state in PostgreSQL, for one host of several that share it. It implements [store.State] and [store.Fleet]; most of its
// methods are those of package sqlstore.
//
// # In the database
//
// The tables are those of migrations/*.sql, in a schema of their own, and every statement names that schema. The version of the
// schema is a row of the table meta. A state of an earlier version is upgraded when it is opened; a newer one is refused.
//
// # Transactions
//
// Each method is one transaction. Nothing outlives it in the session: no settings, no locks, no temporary tables. So the state
// can be reached through a pooler that gives each transaction another session; only without one, statements are prepared. Statements
// that return nothing are sent with the next query or with COMMIT: a result takes two round trips. A transaction that another one has got
// in the way of is made again, five times at most.
//
// Every transaction looks whether the state is that of the installation which was opened: while a daemon runs, its address may come to lead to
// another database.
//
// A transaction that changes a project locks its row first, with a statement of its own. What is read later in the transaction is then
// at least as new as the lock.
//
// # Claims
//
// Work on an issue is claimed by a row with a lease of 15 s on the server's clock, which is renewed every 5 s. A lease is no fence: who
// was stopped for longer does not know yet that another host has taken over. So each claim has a token, every transaction under a claim
// checks it, and the context of the work ends by this host's own clock, counted from before the renewal was sent.
//
// # Hosts and their flags
//
// A host's row is made by its first report or mark. Every transaction that writes looks whether the host was retired. Those that leave
// something which belongs to the host, a confirmation or a run, also lock its row, so that [Store.Retire] finds it. The order of locks is
// claim, host, projects by their ids, incidents by their ids, confirmations; only [Store.ConfirmAll] and Retire lock several projects.
//
// What pauses a project is notified in the transaction that changes it, and so is that a host was retired, and nothing else: notifications
// make all commits wait for each other. [Store.Listen] has a connection of its own, which must lead to the server itself.
//
// # Times
//
// What is decided by time is decided by the server's clock. [Store.Now] is that clock between two answers. A result that waited in a spool
// comes with its age, so its host's clock does not matter: see [store.Project.CountLate]. The history keeps when it was stored and its age.
//
// # When the connection fails
//
// What was not answered may have been stored. The method fails with [store.ErrUnusable], its caller keeps the result in the spool, and
// when it is recorded again, its run id is known. A connection to a server that has become read-only is closed: after a failover the
// next one is made to the new primary.
package postgres
