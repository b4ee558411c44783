// Package store defines what a state keeps: the history of results, each project's breaker, the incidents, the holds, the
// commands from Gitea, and what is known of Gitea. Packages sqlite and postgres implement it, for the most part with the
// methods of package sqlstore, and package storetest is the test that every implementation passes. What belongs to one host, such
// as pause flags, locks and spooled results, is not part of it; see package hostlocal.
//
// # Contract
//
// Each method is one transaction. When it returns without an error, the change is on disk; when the process dies before,
// either all of the change is there or nothing. A later call sees it, in whatever process.
//
// Methods may be called concurrently, by any number of processes. The counting rule is applied in the transaction that
// stores the result, so concurrent results trip a breaker once. A project has at most one open incident.
//
// Cancelling the context has no effect once the transaction has begun: a result that was stored must not be reported as
// failed, or its caller would record it again.
//
// Errors are [ErrUnusable] if the state itself is the problem. A caller then keeps a result in the spool of its host.
package store
