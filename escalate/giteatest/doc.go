// Package giteatest is a Gitea in memory: an http.Handler with users, tokens, repositories, issues, labels and comments,
// and with faults that can be switched on. The tests run against it, and so does the demonstration of the command.
//
// Its answers are held against testdata/gitea-recordings, requests and answers recorded from a Gitea 1.26: the same status
// codes, headers, keys, JSON types and messages. It takes over what surprises a client there:
//
//   - a list filtered by an unknown label is not filtered; two labels of one name match nothing
//   - created_by with an unknown login is 404; limit is cut to 50, and is 30 where it is left out
//   - labels are set by id, a wrong id is ignored, and so are labels, assignees and due date of a user who may not write
//   - a comment list of one issue is never paged; a timeline and a label list only when the request names a page
//   - a renamed repository answers 301 to every method until another repository takes the name
//   - an archived repository refuses new issues and comments with 423, but lets issues be edited and closed
//   - a token's scopes are checked before the repository is looked up
//   - POST dependencies answers 201 with an empty body and does nothing, so that "blocked" issues close
//   - a title of blanks is accepted and becomes empty, a body of 5 MB is accepted
//   - times are whole seconds
//
// Taken from Gitea's source and not from a recording: who may lock, delete and edit; 412 when a dependency that was made
// by other means than the API is open (Person.Block); that the author may still edit where issues are disabled; that
// anonymous requests read public repositories and get 401 for everything that needs an account.
//
// # What it does not simulate
//
//   - Pull requests, but for the traces that they leave in an issue's timeline (Person.CloseByMerge): type=pulls lists nothing, and a missing type lists the issues, where Gitea adds pull requests.
//   - Milestones, reactions, attachments, projects, teams, blocked users, mentions, keyword search, git itself. The query
//     parameters q, milestones, mentioned_by and sort are ignored.
//   - Web hooks are stored and never delivered. Passwords, OAuth and sudo do not exist: a token is the only credential.
//   - An edited comment always has updated_at after created_at, at least a second. Gitea's clock has whole seconds too, so
//     that an edit in the second of the comment's creation can't be seen there.
//   - Ids come from one sequence for all kinds of things, so that a client that takes an id for a number, or a comment's
//     id for an issue's, never gets away with it. Gitea has a sequence for each table.
//   - A comment on an issue that does not exist is 404; some Gitea versions answer 500.
//   - A sub-path in the base URL appears in the links of answers; requests are expected without it.
//
// # Use in testing/synctest
//
// A real listener hangs in a bubble. Call New inside the bubble and give the client Server.Transport; waiting for late
// work, latencies and hanging requests then run on the bubble's clock.
package giteatest
