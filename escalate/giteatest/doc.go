// Package giteatest simulates a Gitea server in memory, for tests of clients that work with issues. A [Server] is an
// [http.Handler] with users, tokens, repositories, issues, labels and comments, and with faults that a test injects.
// The demo command of adfbot uses it too.
//
// # Flow
//
// A test starts a server with [NewServer], adds users, tokens and repositories to it, and gives [Server.URL] to its
// client. It acts as other people do in Gitea's web pages with [Server.As], breaks requests with [Server.Inject], and
// inspects the result with [Server.Issues] and [Server.Requests]. [Routes] lists the API calls that the server handles;
// it answers 501 (Not Implemented) to all others, so that a client never mistakes them for a missing object.
//
// # Fidelity
//
// The tests compare the answers with recordings of a Gitea 1.26: status codes, headers, JSON keys and types, and
// messages. The server reproduces what surprises a client there:
//
//   - A list filtered by an unknown label is not filtered. A filter by a name that two labels have matches nothing.
//   - created_by with an unknown login is 404. limit is at most 50, and 30 by default.
//   - Labels are set by id. A wrong id is ignored, and so are labels, assignees and due date from a user without write
//     access.
//   - The comments of an issue are never paged. All other lists are; a timeline's X-Total-Count is that of the page.
//   - A renamed repository answers 301 to every method until another repository takes the name. Where its owner was renamed,
//     it is 307, as for a look-up of the owner's former login. Lists and assignees know that login no more.
//   - An archived repository refuses new issues and comments with 423 but lets clients edit and close issues.
//   - A token's scopes are checked before the repository is looked up.
//   - POST dependencies answers 201 with an empty body and has no effect, so "blocked" issues can be closed.
//   - A new issue is refused for an unknown assignee (422), one who blocked the doer (403) and an organization (500). An edit
//     answers 500 to all but the second.
//   - An edit with a content_version that is not the body's is 409.
//   - Organization labels are set by id like others, and stand in a list of their own that needs read:organization. Two
//     labels of one exclusive scope are both set on a new issue.
//   - A title of blanks is accepted and becomes empty. A body of 5 MB is accepted.
//   - Times are whole seconds.
//
// Some behaviour follows Gitea's source instead of a recording: who may lock, delete and edit; 412 while a dependency
// that was not added through the API ([Person.Block]) is open; authors may edit their issues where issues are disabled;
// anonymous requests may read public repositories, and get 401 where an account is needed; a label that is added to an issue replaces one of
// its exclusive scope.
//
// # Differences from Gitea
//
//   - There are no pull requests, only their traces in an issue's timeline ([Person.CloseInPull]): type=pulls lists
//     nothing, and without a type only issues are listed.
//   - There are no milestones, reactions, attachments, projects, teams, mentions, keyword search or git.
//     The query parameters q, milestones, mentioned_by and sort are ignored.
//   - Webhooks are stored but never delivered. A token is the only credential; there are no passwords, OAuth or sudo.
//   - An edited comment has an updated_at at least a second after created_at, unless it was edited by
//     [Person.EditCommentAtOnce]. In Gitea an edit within the second of the comment's creation cannot be seen.
//   - All ids come from one sequence, so that a client that confuses an id with a number, or the ids of two kinds of
//     objects, fails its test. Gitea has a sequence per table.
//   - A comment on a missing issue is 404; some versions of Gitea answer 500.
//   - A sub-path in the base URL appears in links, but requests must come without it.
//
// # State
//
// Nothing is on disk. A Server is safe for concurrent use.
//
// # Use in testing/synctest
//
// A network connection blocks a bubble for good. Call [New] inside the bubble and give the client [Server.Transport];
// late work, latencies and hanging requests then use the bubble's clock.
package giteatest
