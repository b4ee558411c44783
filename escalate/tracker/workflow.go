package tracker

import "time"

// Workflow names a workflow of Gitea Actions.
type Workflow struct {
	Repo string // owner/name
	File string // name of its file

	Disable bool // it is disabled while the project that it runs for is paused
}

// WorkflowRun is a run of a workflow of Gitea Actions, or its last attempt.
type WorkflowRun struct {
	ID         int64  // unique on the server; it grows
	Attempt    int64  // 0: the server does not tell
	RepoID     int64  // of the repository, which may be renamed; 0: the server does not tell
	Workflow   string // name of its file
	Completed  bool
	Conclusion string // of a completed run: [RunSuccess], [RunFailure] or another word
	URL        string
	Started    time.Time // zero: not known
	Ended      time.Time // likewise
}

// Conclusions of runs that are results. Others are those of runs that were cancelled or skipped.
const (
	RunSuccess = "success"
	RunFailure = "failure"
)
