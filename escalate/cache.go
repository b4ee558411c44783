package escalate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// sweepCache is what one sweep, or one visit to a project, has learned of Gitea. A sweep lists the open issues before it
// reads the state: an incident is stored before its issue is created, so an issue of an unknown incident was not created in
// between. A visit to one project (a trip) lists nothing; then only the issues that the state knows are known.
type sweepCache struct {
	*learned

	force bool // a person asked: try every pending step now
	dry   bool // nothing may be written, not even what was learned

	operators *operatorSet // nil: nobody may give commands
	unpaused  *incident.Unpaused
	reported  []error // what kept the sweep from listing issues; its report says so already

	open     table[tracker.Repo, issueList]   // the open issues of the listed repositories
	all      table[tracker.Repo, issueList]   // the issues of any state
	states   table[issueKey, plan.IssueState] // from single reads and from our own writes
	closings table[issueKey, incident.Closing]
	refused  table[string, time.Time]           // by incident: when something in front of the server refused to create its issue
	barred   table[tracker.Repo, tracker.Error] // how the token was refused when it was to comment: so would be the next comment

	mu      sync.Mutex // never held across a request
	ours    identity
	loaded  bool                           // ours has what state and configuration tell, and not only what an answer told
	joined  map[string]bool                // projects whose incidents' issues carry more since they were visited
	listing map[tracker.Repo]chan struct{} // one place each: who has it may list a repository's issues of any state
}

// learned is what earlier visits of this process have read of the state's cache, so that a trip need not read it again. Each
// sweep begins anew: another process may have changed it.
type learned struct {
	labels  table[tracker.Repo, map[string]int64]
	writers table[string, tracker.Account] // by server: who wrote last

	directory atomic.Pointer[string] // the id of the pause directory
}

func newSweepCache(opt SweepOptions, l *learned) *sweepCache {
	return &sweepCache{learned: l, force: opt.Force, dry: opt.DryRun, listing: map[tracker.Repo]chan struct{}{}}
}

// refusal returns why a comment on an issue need not be tried now: the token was refused already for another one.
func (c *sweepCache) refusal(ref tracker.IssueRef) error {
	e, ok := c.barred.get(ref.Repo)
	if !ok {
		return nil
	}
	e.Op = fmt.Sprintf("comment on #%d", ref.Number)
	return &e
}

// noteRefusal keeps the refusal of a comment if it is that of the token.
func (c *sweepCache) noteRefusal(repo tracker.Repo, err error) {
	var te *tracker.Error
	if tracker.RefusalOf(err) == tracker.OfToken && errors.As(err, &te) {
		c.barred.set(repo, *te)
	}
}

func (c *sweepCache) isReported(err error) bool {
	return slices.ContainsFunc(c.reported, func(have error) bool { return errors.Is(have, err) })
}

// table is a map for several goroutines. The zero value is empty.
type table[K comparable, V any] struct {
	mu sync.Mutex
	m  map[K]V
}

func (t *table[K, V]) get(k K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.m[k]
	return v, ok
}

func (t *table[K, V]) set(k K, v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[K]V{}
	}
	t.m[k] = v
}

func (t *table[K, V]) deleteFunc(del func(K) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.m, func(k K, _ V) bool { return del(k) })
}

// all returns a copy.
func (t *table[K, V]) all() map[K]V {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.m)
}

// issueList is a list of issues, or why there is none.
type issueList struct {
	issues []tracker.Issue
	err    error
	begun  time.Time

	// Places in issues, of a list that was indexed: of those with a marker of a project, and of those with a number.
	ofProject map[string][]int
	ofNumber  map[int64]int
}

// index spares each project of a sweep to look through all issues.
func (l *issueList) index() {
	l.ofProject, l.ofNumber = map[string][]int{}, make(map[int64]int, len(l.issues))
	for n, i := range l.issues {
		if _, ok := l.ofNumber[i.Number]; !ok {
			l.ofNumber[i.Number] = n
		}
		for _, m := range i.Markers() {
			if places := l.ofProject[m.Project]; len(places) == 0 || places[len(places)-1] != n {
				l.ofProject[m.Project] = append(places, n)
			}
		}
	}
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

func (c *sweepCache) setState(i incident.Incident, s plan.IssueState) { c.states.set(keyOf(i), s) }

// identity returns whose issues are ours, and whether that is complete.
func (c *sweepCache) identity() (ours identity, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ours, c.loaded
}

// loadIdentity sets the configured login and adds the accounts that the state knows.
func (c *sweepCache) loadIdentity(login string, accounts []tracker.Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ours.login, c.loaded = login, true
	for _, a := range accounts {
		c.ours = c.ours.with(a)
	}
}

// addAccount adds an account that is ours.
func (c *sweepCache) addAccount(a tracker.Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ours = c.ours.with(a)
}

// addJoined notes that the issue of a project's incident carries more.
func (c *sweepCache) addJoined(project string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joined == nil {
		c.joined = map[string]bool{}
	}
	c.joined[project] = true
}

func (c *sweepCache) joinedProjects() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.joined))
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
