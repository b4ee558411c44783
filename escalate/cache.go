package escalate

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// sweepCache is what one sweep, or one visit to a project, has learned of Gitea. A sweep lists the open issues before it
// reads the state: an incident is stored before its issue is created, so an issue of an unknown incident was not created in
// between. A visit to one project (a trip) lists nothing; then only the issues that the state knows are known.
type sweepCache struct {
	force bool // a person asked: try every pending step now
	dry   bool // nothing may be written, not even what was learned

	operators *operatorSet // nil: nobody may give commands

	mu       sync.Mutex                     // never held across a request
	accounts map[int64]bool                 // user ids under which this installation writes or wrote; replaced, never changed
	writer   tracker.Account                // who wrote last, as the state knows it
	open     map[tracker.Repo]issueList     // the open issues
	all      map[tracker.Repo]issueList     // the issues of any state
	listing  map[tracker.Repo]chan struct{} // one place each: who has it may list a repository's issues of any state
	states   map[issueKey]plan.IssueState   // from single reads and from our own writes
	closings map[issueKey]incident.Closing
	labels   map[tracker.Repo]map[string]int64
}

func newSweepCache(opt SweepOptions) *sweepCache {
	return &sweepCache{force: opt.Force, dry: opt.DryRun, accounts: map[int64]bool{}, open: map[tracker.Repo]issueList{},
		all: map[tracker.Repo]issueList{}, listing: map[tracker.Repo]chan struct{}{}, states: map[issueKey]plan.IssueState{},
		closings: map[issueKey]incident.Closing{}, labels: map[tracker.Repo]map[string]int64{}}
}

// issueList is a list of issues, or why there is none.
type issueList struct {
	issues []tracker.Issue
	err    error
	begun  time.Time
}

// issueKey identifies an incident's issue: the incident may get another one.
type issueKey struct {
	incident string
	issue    tracker.IssueRef
}

func keyOf(i incident.Incident) issueKey {
	ref := i.Issue
	ref.URL = ""
	return issueKey{i.ID, ref}
}

// openIssues returns the list of a repository's open issues; false where the repository was not listed.
func (c *sweepCache) openIssues(repo tracker.Repo) (issueList, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.open[repo]
	return l, ok
}

func (c *sweepCache) accountIDs() map[int64]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounts
}

// addAccounts adds accounts to those whose issues are ours.
func (c *sweepCache) addAccounts(ids map[int64]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := maps.Clone(c.accounts)
	maps.Copy(more, ids)
	c.accounts = more
}

func (c *sweepCache) lastWriter() tracker.Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writer
}

func (c *sweepCache) setLastWriter(a tracker.Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writer = a
}

// lockListing waits until nobody else lists a repository's issues of any state: one list serves all projects.
func (c *sweepCache) lockListing(ctx context.Context, repo tracker.Repo) (unlock func(), err error) {
	c.mu.Lock()
	place, ok := c.listing[repo]
	if !ok {
		place = make(chan struct{}, 1)
		c.listing[repo] = place
	}
	c.mu.Unlock()
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *sweepCache) allIssues(repo tracker.Repo) (issueList, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.all[repo]
	return l, ok
}

func (c *sweepCache) setAllIssues(repo tracker.Repo, l issueList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[repo] = l
}

// labelIDs returns the ids of a repository's labels as far as they were read. They are not to be changed.
func (c *sweepCache) labelIDs(repo tracker.Repo) map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.labels[repo]
}

// setLabelIDs forgets them where ids is nil.
func (c *sweepCache) setLabelIDs(repo tracker.Repo, ids map[string]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.labels[repo] = ids
}

func (c *sweepCache) issueState(i incident.Incident) (plan.IssueState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.states[keyOf(i)]
	return s, ok
}

func (c *sweepCache) setIssueState(i incident.Incident, s plan.IssueState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[keyOf(i)] = s
}

// closing returns who closed an incident's issue, as far as that was asked.
func (c *sweepCache) closing(i incident.Incident) (incident.Closing, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	closing, ok := c.closings[keyOf(i)]
	return closing, ok
}

func (c *sweepCache) setClosing(i incident.Incident, closing incident.Closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closings[keyOf(i)] = closing
}
