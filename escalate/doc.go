// Package escalate brings pause flags, incidents and issues together: when a project's breaker trips, it writes the pause
// flag and opens one issue; when somebody removes the flag, it ends the incident and closes the issue.
//
// # Observe, plan, apply
//
// A [Reconciler] works in one way, whoever calls it. It observes a project (its state, its flag, its issues), asks package
// plan what is due, which is a pure function, and applies the actions. [Reconciler.Trip] does so for a project whose breaker
// has just tripped, [Reconciler.Sweep] for all projects, and commands in issue comments ("/adf resume") are read by the
// sweep before it plans. The sweep is level-triggered: it looks at what is, not at what happened, so it finishes whatever
// a crash, a refusal or an absent tracker has left undone. Every step is idempotent.
//
// To add a kind of step: give it a [plan.Kind] and a phase in package plan, decide there when it is due, and carry it out here, in
// the table localSteps if it touches state and flag only, else in trackerSteps.
//
// # What a crash leaves
//
// Before a request that changes something, the attempt is stored; after it, its outcome. Whoever finds an attempt without an
// outcome waits until the server can no longer be at work on it, looks for the hidden marker that every issue and comment of
// the bot ends with, and only then tries again: nothing is made twice, and nothing is lost.
//
// # A pass over the flags of this host
//
// Flag files are brought in line with the state in a pass: it opens the pause directory once, reads the states and this host's
// confirmations in one transaction, plans for each project, and applies. A confirmation says that a flag was on this host's disk for one
// pause, as the file was then; only so does a missing flag mean that somebody removed it, and only that pause ends. It is set for a
// pause that is still the project's, and deleted after the flag is.
//
// Hosts that share a state ([incident.FleetStore]) have a pause directory each. There a mark, [pause.Mark], carries the host's id, an
// epoch and a number that is raised before and after a flag is written and whenever a confirmation is set; the state holds the last one.
// A directory whose mark is missing, torn, another host's or behind the state went back in time: its confirmations are void, it gets a
// new epoch, nothing is concluded from a missing flag, and the flags are written again. A pass ends if another one has moved the mark.
// With a state in a file there is none: state and directory share a machine and its backups.
//
// # Locks
//
// A lock on the flag, [incident.HostLocker], is held while a flag is written or removed and its state is stored: for
// milliseconds, never across a request. Before the state says anything about a flag, the flag is on disk: it is synced, then looked at
// again, then confirmed. A claim on the issue, [incident.Claimer], is held across requests. A claim is taken
// before a lock, never while one is held. So a process that hangs in a request keeps no flag from being written.
//
// # Issues that carry several incidents
//
// An incident may join another one of the same cause instead of having an issue of its own ([Options].StormWindow). That is decided in the
// state, before the first attempt at a creation, while nobody else decides. The lead lists the others in its document, with what its issue
// says of each by now, so what is due follows from the state. All work on the shared issue is planned for the lead and done under the claim
// of its project; whoever joins or resumes goes there next. The issue has a marker of each incident: a lost state gets all of them back.
//
// # Steps until somebody answers
//
// Steps and reminders of an open issue follow from the incident, the configuration and the time ([plan.Escalation]). One that is due is
// stored as begun, with all its parts, before anybody is told; each part is stored when it is done. So a crash leaves parts to be done, and
// none is done twice. A document for a webhook waits in the incident until it has arrived, and is sent after all else of a sweep.
//
// # Incidents that pause nothing
//
// An incident of the kind [incident.Silent] says that a project has not reported. Its caller opens and ends it by what the state knows of
// results; here its issue is created, found again, closed and, after a lost state, taken back, with the same steps as for others. It is in
// a list of its own in states and observations, and its marker is of another form, so that nothing takes it for a pause.
//
// # Files of this package
//
// reconciler.go and trip.go hold the API, sweep.go and sweep_local.go the sweep, observe.go the observation, cache.go what a
// sweep has learned. local.go and pausing.go hold the steps that touch state and flag, folder.go and hang.go the access to the
// pause directory, steps.go the loop over those in the tracker, and create.go, complete.go, labels.go, find.go, issuesteps.go, closing.go,
// comment.go, storm.go, escalation.go and webhooks.go these steps; waiting.go says what is too early for them. command_*.go read and run
// commands. silent.go is about incidents that pause nothing, and memory.go is a state in memory.
package escalate
