package status

import (
	"fmt"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/store"
)

// ListedIncident is an incident of `adfbot incidents --json` and of the API.
type ListedIncident struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Project     string       `json:"project"`
	Kind        string       `json:"kind"`                   // failures or silent
	Since       *time.Time   `json:"silent_since,omitempty"` // of a silent one: when it was heard of last
	Agent       string       `json:"agent"`
	State       string       `json:"state"`
	Opened      time.Time    `json:"opened"`
	Ended       *time.Time   `json:"ended"`
	EndedHow    string       `json:"ended_how,omitempty"` // who resumed the project, and how
	Duration    float64      `json:"duration_seconds"`    // until now if it is open
	Failures    int          `json:"failures"`            // in a row, at the trip
	Threshold   int          `json:"threshold"`
	Class       string       `json:"class,omitempty"` // missing if an earlier version opened it
	Fingerprint string       `json:"fingerprint,omitempty"`
	Nth         int          `json:"nth_in_7_days,omitempty"` // missing if that is not known
	SameAs      string       `json:"same_error_as,omitempty"` // name of the first incident of those in a row with the same error
	Host        string       `json:"host,omitempty"`
	FlagWritten bool         `json:"flag_written"`
	FlagError   string       `json:"flag_error,omitempty"`
	TakenBy     string       `json:"taken_by,omitempty"`     // who has acknowledged it in Gitea
	TakenAt     *time.Time   `json:"taken_at,omitempty"`     // when
	Answered    *float64     `json:"answered_after_seconds"` // how long it took until then; null if nobody did
	IssueURL    string       `json:"issue_url"`              // "" while there is no issue
	Issue       *ListedIssue `json:"issue"`
	Lead        string       `json:"lead_id,omitempty"` // of the incident whose issue that is, if it is another one's
	Members     []string     `json:"members,omitempty"` // ids of the incidents that its issue is about, itself first
	Pending     string       `json:"pending,omitempty"` // why Gitea does not show it yet
}

// ListedIssue is the issue of a [ListedIncident].
type ListedIssue struct {
	URL    string `json:"url"`
	Owner  string `json:"owner"`
	Repo   string `json:"repo"`
	Number int64  `json:"number"`
}

// ListedRun is a run of `adfbot runs --json` and of the API.
type ListedRun struct {
	Project string `json:"project"`
	Run
	RunID    string    `json:"run_id,omitempty"`
	Recorded time.Time `json:"recorded"`
	Output   string    `json:"output,omitempty"` // of a failed run, if that was asked for and is still kept
}

// ParseAfter parses the position of a page of runs, as an earlier page has named it.
func ParseAfter(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("must be the next of an earlier answer, not %q", redact.Line(s, 60))
	}
	return n, nil
}

// Listed returns what is listed of incidents, see [incident.View].
func (r *Reader) Listed(list []incident.Incident) []ListedIncident {
	out := make([]ListedIncident, len(list))
	for n, i := range list {
		out[n] = NewListedIncident(i, r.from.Now())
	}
	return out
}

// NewListedIncident returns what is listed of an incident, see [incident.View].
func NewListedIncident(i incident.Incident, now time.Time) ListedIncident {
	v := ListedIncident{
		ID: i.ID, Name: i.Name(), Project: i.Project, Kind: "failures", Agent: i.Agent, State: store.OpenIncidents, Opened: i.Opened,
		Failures: i.Failures, Threshold: i.Threshold, Class: i.Class, Fingerprint: i.Fingerprint, Nth: i.Trend.Nth, SameAs: i.Trend.As, Host: i.Host,
		FlagWritten: !i.FlagWritten.IsZero(), FlagError: i.FlagError, Pending: i.LastErr, Lead: i.Lead, Members: i.MemberIDs(),
	}
	end := now
	if !i.IsOpen() {
		end = i.Ended
		v.State, v.Ended, v.EndedHow = store.EndedIncidents, &i.Ended, i.EndedHow
	}
	v.Duration = seconds(end.Sub(i.Opened))
	if i.IsSilent() {
		v.Kind, v.Since = string(i.Kind), &i.Since
	}
	if i.Ack != nil {
		after := seconds(i.Ack.At.Sub(i.Opened))
		v.TakenBy, v.TakenAt, v.Answered = i.Ack.By.Login, &i.Ack.At, &after
	}
	if !i.Issue.IsZero() {
		v.IssueURL = i.Issue.URL
		v.Issue = &ListedIssue{URL: i.Issue.URL, Owner: i.Issue.Repo.Owner, Repo: i.Issue.Repo.Name, Number: i.Issue.Number}
	}
	return v
}

func seconds(d time.Duration) float64 { return max(d, 0).Truncate(time.Millisecond).Seconds() }
