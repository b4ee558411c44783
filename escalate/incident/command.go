package incident

import (
	"time"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// Verb is what a command asks for.
type Verb string

const (
	ResumeVerb Verb = "resume" // remove the pause flag
	PauseVerb  Verb = "pause"  // pause the project
	StatusVerb Verb = "status" // report the project's state
	AckVerb    Verb = "ack"    // take responsibility for the incident
	SnoozeVerb Verb = "snooze" // put off steps and reminders
	NoVerb     Verb = ""       // anything else; the reply lists the commands
)

// CommandLine is a line of a comment that begins with /adf, e.g. "/adf resume the disk was full".
type CommandLine struct {
	Verb    Verb   `json:"Verb"`
	Reason  string `json:"Reason"` // the text after the verb, in one line
	Written string `json:"Said"`   // the verb as written, for the reply to an unknown one
	// Misplaced marks a line that is not run, because it is not at the beginning of the comment or holds what a command may
	// not hold. Its Verb is NoVerb.
	Misplaced bool `json:"misplaced,omitempty"`
}

// Command is a comment with one or more command lines. It is stored as soon as it is seen, so it is never run twice.
// Each step's answer is stored before it is posted.
type Command struct {
	Comment  int64            `json:"Comment"` // id on the server
	Issue    tracker.IssueRef `json:"Issue"`
	Incident string           `json:"Incident"`
	Project  string           `json:"Project"`
	By       tracker.Account  `json:"By"`
	At       time.Time        `json:"At"`      // when the comment was written, by the server's clock
	Refused  string           `json:"Refused"` // why it is not run: RefusedNotOperator, RefusedEdited, RefusedLate, or "" if it is
	Steps    []Step           `json:"Steps"`
	Done     bool             `json:"Done"` // all answers are posted
}

// Values of Command.Refused.
const (
	RefusedNotOperator = "stranger"
	RefusedEdited      = "edited"
	RefusedLate        = "late" // it was read long after it was written
)

// Step is one line of a command.
type Step struct {
	Line   CommandLine `json:"Command"`
	Begun  bool        `json:"Begun"`  // it may have taken effect
	Target string      `json:"Target"` // the incident or hold it is about, so that repeating it cannot affect a later one
	Answer string      `json:"Answer"` // Markdown; not empty after the step ran
	Ended  bool        `json:"Ended"`  // it ended the issue's incident, and the comment about that is its answer

	Answered time.Time `json:"answered,omitzero"` // when the step ran; zero: an earlier version has run it
}

// Operator is a person who may give commands in Gitea. The configuration names the login; the id of its account is
// stored once and then decides, because a login can pass to another person.
type Operator struct {
	Login   string
	ID      int64     // 0: unknown yet; the first account that gives a command under the login is taken
	Asked   time.Time // when Gitea was last asked for the id
	Problem string    // for people; "" if there is none
}
