package incident

import (
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Verb is what a command asks for.
type Verb string

const (
	ResumeVerb Verb = "resume" // remove the pause flag
	PauseVerb  Verb = "pause"  // hold the project
	StatusVerb Verb = "status" // tell how the project is
	AckVerb    Verb = "ack"    // take the incident
	NoVerb     Verb = ""       // none of these: the command is answered with what there is
)

// CommandLine is one order in a comment: a line "/adf resume the disk was full".
type CommandLine struct {
	Verb    Verb   `json:"Verb"`
	Reason  string `json:"Reason"` // what follows the verb, in one line
	Written string `json:"Said"`   // the verb as it was written, for the answer to one that does not exist
}

// Operator is a person who may act from Gitea. The configuration names a login; who that is, is settled once, because a
// login can be given up and taken by somebody else.
type Operator struct {
	Login   string
	ID      int64     // 0: not known yet; the first who comments under the login is it
	Asked   time.Time // when Gitea was last asked for the id
	Problem string    // for people; empty where there is none
}

// Command is a comment with commands. It is kept from the moment when it was first seen, and so is never taken up twice. The
// answer of each step is on disk before it is given; an order is done when all its answers are.
type Command struct {
	Comment  int64            `json:"Comment"` // id at the server
	Issue    tracker.IssueRef `json:"Issue"`
	Incident string           `json:"Incident"`
	Project  string           `json:"Project"`
	By       tracker.Account  `json:"By"`
	At       time.Time        `json:"At"`      // when the comment was written, by the server's clock
	Refused  string           `json:"Refused"` // why nothing is done: "stranger", "edited" or "" for none of these
	Steps    []Step           `json:"Steps"`
	Done     bool             `json:"Done"`
}

// Step is one command of an order.
type Step struct {
	Line   CommandLine `json:"Command"`
	Begun  bool        `json:"Begun"`  // it may have had its effect already
	Target string      `json:"Target"` // what it was about when it was begun, so that a repetition can't hit anything later
	Answer string      `json:"Answer"` // Markdown; not empty once it was carried out
	Ended  bool        `json:"Ended"`  // it ended the issue's incident: the comment on that is its answer
}

// The reasons for Order.Refused.
const (
	RefusedNotOperator = "stranger"
	RefusedEdited      = "edited"
)
