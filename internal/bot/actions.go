package bot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

// The runs of a project's workflow in Gitea Actions are its results. Nobody reports them: each sweep lists the runs that are new since the
// last one, and looks again at those that had not ended then. An event only has that done at once. A run has the same run id whoever
// records it, so a process that dies before it has stored how far it has come counts nothing twice.

const (
	// runsKey is the key of [runsRead] of a project in the state's meta table.
	runsKey = "workflow_runs/"
	// otherGiteasKey is the key of how often gitea.url was changed to another Gitea, in the state's meta table. Ids of runs mean others there.
	otherGiteasKey = "workflow_other_giteas"
	// readersKey is the key of the projects that had a workflow in this host's configuration when it last swept all, as JSON.
	readersKey = "workflow_projects"

	maxRunPages = 20  // of a repository in one sweep, with 50 runs each
	maxOpenRuns = 100 // of a project; those before are given up
	maxSeenRuns = 100 // of a project; a repository lists 50 on its first page
	maxAskedFor = 20  // runs that are read one by one in a sweep

	runsBudget   = time.Minute // of all projects in a sweep; the next one goes on
	workflowWait = 5 * time.Second
)

// actionsHost is the host of results that are runs of workflows.
const actionsHost = "gitea-actions"

// runsRead is how far the runs of a project's workflow were read.
type runsRead struct {
	Repo     string           `json:"repo"` // owner/name; of another one or another workflow, reading begins anew
	Workflow string           `json:"workflow"`
	UpTo     int64            `json:"up_to"` // id of the newest run in the repository, of any workflow
	Ended    int64            `json:"ended"` // when the last of those that were read has ended, by the server's clock, as a Unix time
	Open     []int64          `json:"open"`  // runs that had not ended
	Seen     map[int64]string `json:"seen"`  // newest runs that had ended, with what tells another attempt
}

// workflowTurn is one reading of runs, which asks for each repository's first page once.
type workflowTurn struct {
	b     *Bot
	first map[tracker.Repo]runPage
}

type runPage struct {
	runs []tracker.WorkflowRun
	more bool
}

// readRuns records the runs of one project's workflow, or of all if project is "". It returns how many results that were, and what could
// not be read.
func (b *Bot) readRuns(ctx context.Context, project string) (n int, errs []error) {
	if project == "" {
		if err := b.forgetRuns(ctx); err != nil {
			return 0, []error{err}
		}
	}
	if may, err := b.mayAskActions(ctx); err != nil {
		return 0, []error{err}
	} else if !may {
		return 0, nil // said elsewhere
	}
	var all []config.Project
	for _, p := range b.cfg.Projects {
		if !p.Actions.IsZero() && (project == "" || p.ID == project) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, runsBudget)
	defer cancel()
	// Where Gitea is so slow that the budget ends before all are read, it is another project's turn to be first in each sweep.
	from := int(b.now().Unix()/60) % len(all)
	turn := workflowTurn{b: b, first: map[tracker.Repo]runPage{}}
	for _, p := range slices.Concat(all[from:], all[:from]) {
		recorded, _, err := turn.read(ctx, p)
		if n += recorded; err != nil {
			if errors.Is(err, incident.ErrClaimed) {
				continue // another host reads them
			}
			errs = append(errs, fmt.Errorf("%s: %w", p.ID, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return n, errs
}

// forgetRuns forgets how far the runs were read of projects that no host's configuration has a workflow for any more: what ends until they have one
// again is no result of it, and was perhaps reported. A host that was away when the others lost it, and was retired, is found when they have it again.
func (b *Bot) forgetRuns(ctx context.Context) error {
	now := []string{}
	for _, p := range b.cfg.Projects {
		if !p.Actions.IsZero() {
			now = append(now, p.ID)
		}
	}
	slices.Sort(now)
	was, err := b.readers(ctx, b.store.host)
	if err != nil || slices.Equal(was, now) {
		return err
	}
	ctx, release, err := b.store.claims.Claim(ctx, readersKey, workflowWait)
	if err != nil {
		return err
	}
	defer release()
	others, err := b.otherReaders(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Concat(was, now) {
		_, had := slices.BinarySearch(was, id)
		_, has := slices.BinarySearch(now, id)
		if had == has || others[id] || was == nil { // a new host, or one that kept no list yet, goes on where the others were
			continue
		}
		if err := b.store.SetMeta(ctx, runsKey+id, ""); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return b.store.SetMeta(ctx, b.hostKey(readersKey), string(doc))
}

// readers returns the projects that had a workflow in a host's configuration, in order; nil if that was never noted.
func (b *Bot) readers(ctx context.Context, host string) (projects []string, err error) {
	doc, err := b.store.Meta(ctx, store.HostKey(readersKey, host))
	_ = json.Unmarshal([]byte(doc), &projects) // nothing is there before the first time
	return projects, err
}

// otherReaders returns the projects that have a workflow in the configuration of another host, which may not be changed yet.
func (b *Bot) otherReaders(ctx context.Context) (map[string]bool, error) {
	others := map[string]bool{}
	if b.store.fleet == nil {
		return others, nil
	}
	hosts, err := b.store.fleet.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if h.ID == b.store.host || !h.Retired.IsZero() {
			continue
		}
		projects, err := b.readers(ctx, h.ID)
		if err != nil {
			return nil, err
		}
		for _, id := range projects {
			others[id] = true
		}
	}
	return others, nil
}

func (b *Bot) workflowRepo(a config.Actions) tracker.Repo { return b.repoOf(a.Path()) }

// repoOf returns the repository of a path, owner/name.
func (b *Bot) repoOf(path string) tracker.Repo {
	owner, name, _ := strings.Cut(path, "/")
	return tracker.Repo{Server: b.cfg.Gitea.URL, Owner: owner, Name: name}
}

// read records the runs of a project's workflow that have ended since it was read last, and returns how many, and when the oldest one began
// that goes on; zero: none does.
func (t *workflowTurn) read(ctx context.Context, p config.Project) (n int, began time.Time, err error) {
	ctx, release, err := t.b.store.claims.Claim(ctx, "workflow/"+p.ID, workflowWait)
	if err != nil {
		return 0, began, err
	}
	defer release()
	was, begun, err := t.b.runsRead(ctx, p)
	if err != nil {
		return 0, began, err
	}
	hinted := t.b.hintedRuns.take(p.ID)
	runs, newest, err := t.list(ctx, p, was, begun, hinted)
	if err != nil {
		t.b.hintedRuns.add(p.ID, hinted...)
		return 0, began, err
	}
	next := runsRead{Repo: p.Actions.Path(), Workflow: p.Actions.Workflow, UpTo: cmp.Or(newest, was.UpTo), Ended: was.Ended, Seen: map[int64]string{}}
	var ended []tracker.WorkflowRun
	for _, run := range runs {
		switch {
		case !run.Completed:
			next.Open = append(next.Open, run.ID)
			if !run.Started.IsZero() && (began.IsZero() || run.Started.Before(began)) {
				began = run.Started
			}
		default:
			next.Seen[run.ID] = attemptOf(run)
			next.Ended = max(next.Ended, run.Ended.Unix())
			result := run.Conclusion == tracker.RunSuccess || run.Conclusion == tracker.RunFailure
			if begun && result && !was.has(run) && (!was.isBefore(run) || slices.Contains(hinted, run.ID)) {
				ended = append(ended, run)
			}
		}
	}
	slices.SortFunc(ended, func(a, b tracker.WorkflowRun) int { return cmp.Or(a.Ended.Compare(b.Ended), cmp.Compare(a.ID, b.ID)) })
	others := ""
	if len(ended) > 0 {
		if others, err = t.b.store.Meta(ctx, otherGiteasKey); err != nil {
			return n, began, err
		}
	}
	for _, run := range ended {
		out, err := t.b.Record(ctx, t.b.runResult(p, run, others))
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return n, began, err
		}
		if err == nil && !out.Known {
			n++
		}
	}
	fault.Point(ctx, "runs-recorded")
	next.trim()
	doc, err := json.Marshal(next)
	if old, _ := json.Marshal(was); err == nil && string(old) != string(doc) {
		err = t.b.store.SetMeta(ctx, runsKey+p.ID, string(doc))
	}
	return n, began, err
}

// unreadRuns looks for results that no sweep has read yet, such as those of a time in which Gitea could not be reached.
type unreadRuns struct {
	turn     workflowTurn
	noAnswer bool // Gitea does not answer: it is asked once for all projects
}

// mayHave reads the runs of a project, and reports whether it has recorded one, or cannot tell whether there is any; and when the oldest one
// began that goes on. Where Gitea refuses, no sweep will ever read one.
func (u *unreadRuns) mayHave(ctx context.Context, project string) (may bool, began time.Time) {
	b := u.turn.b
	p, _ := b.cfg.Project(project)
	switch {
	case p.Actions.IsZero():
		return false, began
	case u.noAnswer:
		return true, began
	}
	if ask, err := b.mayAskActions(ctx); err != nil || !ask { // another host may read them
		return true, began
	}
	ctx, cancel := context.WithTimeout(ctx, runsBudget)
	defer cancel()
	n, began, err := u.turn.read(ctx, p)
	switch {
	case err == nil:
		return n > 0, began
	case errors.Is(err, incident.ErrClaimed): // another host reads them
		return true, began
	}
	u.noAnswer = !tracker.IsPermanent(err) && !tracker.LacksScope(err)
	return u.noAnswer, began
}

// trim bounds what is kept: the newest runs.
func (r *runsRead) trim() {
	slices.Sort(r.Open)
	r.Open = slices.Compact(r.Open)
	r.Open = r.Open[max(len(r.Open)-maxOpenRuns, 0):]
	var ids []int64
	for id := range r.Seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids[:max(len(ids)-maxSeenRuns, 0)] {
		delete(r.Seen, id)
	}
}

// runsRead returns how far the runs were read. begun is false for a workflow that was never read: what happened before somebody made it
// the project's does not count.
func (b *Bot) runsRead(ctx context.Context, p config.Project) (was runsRead, begun bool, err error) {
	doc, err := b.store.Meta(ctx, runsKey+p.ID)
	if err != nil || doc == "" || json.Unmarshal([]byte(doc), &was) != nil || !strings.EqualFold(was.Workflow, p.Actions.Workflow) {
		return runsRead{}, false, err
	}
	if same, err := b.sameRepo(ctx, was.Repo, p.Actions.Path()); !same || err != nil {
		return runsRead{}, false, err
	}
	return was, true, nil
}

// maxRenames is how many redirects lead from a former path of a repository to its path: of the owner, and then of the repository.
const maxRenames = 2

// sameRepo reports whether the path of a repository is the new one of what was read under an old path. The ids of runs are the same there.
func (b *Bot) sameRepo(ctx context.Context, old, path string) (bool, error) {
	for range maxRenames {
		if strings.EqualFold(old, path) {
			break
		}
		_, _, err := b.gitea.WorkflowRuns(ctx, b.repoOf(old), 1)
		if moved := movedTo(err); moved != "" {
			old = moved
		} else if err == nil || tracker.IsPermanent(err) {
			return false, nil
		} else {
			return false, err
		}
	}
	return strings.EqualFold(old, path), nil
}

// list returns the runs of the workflow that may have ended since: those on the first page, which may have been started again, those that
// are new, and those that were open. It also returns the id of the newest run in the repository.
func (t *workflowTurn) list(ctx context.Context, p config.Project, was runsRead, begun bool, hinted []int64) (runs []tracker.WorkflowRun, newest int64, err error) {
	repo := t.b.workflowRepo(p.Actions)
	listed := map[int64]bool{}
	for page := 1; page <= maxRunPages; page++ {
		list, err := t.page(ctx, repo, page)
		if err != nil {
			return nil, 0, err
		}
		oldest := int64(0)
		for _, run := range list.runs {
			oldest, newest = run.ID, max(newest, run.ID)
			if page > 1 && run.ID <= was.UpTo || listed[run.ID] {
				continue // those of them that went on are asked for below
			}
			listed[run.ID] = true
			if strings.EqualFold(run.Workflow, p.Actions.Workflow) {
				runs = append(runs, run)
			}
		}
		if !list.more || !begun || oldest <= was.UpTo {
			break
		}
		if page == maxRunPages {
			t.b.log.Warn("more workflow runs than one sweep reads: older ones do not count", "project", p.ID, "repository", repo, "after", was.UpTo, "before", oldest)
		}
	}
	asked := 0
	for _, id := range slices.Concat(was.Open, hinted) {
		if listed[id] {
			continue
		}
		listed[id] = true
		if asked++; asked > maxAskedFor {
			runs = append(runs, tracker.WorkflowRun{ID: id}) // later
			continue
		}
		run, err := t.b.gitea.WorkflowRun(ctx, repo, id)
		switch {
		case tracker.IsStatus(err, http.StatusNotFound): // it was deleted
		case err != nil:
			return nil, 0, err
		case strings.EqualFold(run.Workflow, p.Actions.Workflow):
			runs = append(runs, run)
		}
	}
	return runs, newest, nil
}

func (t *workflowTurn) page(ctx context.Context, repo tracker.Repo, page int) (runPage, error) {
	if list, ok := t.first[repo]; ok && page == 1 {
		return list, nil
	}
	runs, more, err := t.b.gitea.WorkflowRuns(ctx, repo, page)
	if err == nil && page == 1 {
		t.first[repo] = runPage{runs, more}
	}
	return runPage{runs, more}, err
}

// attemptOf tells attempts of a run apart, and runs that had the same id before and after Gitea was restored from a backup: each ends at
// another time. Gitea up to 1.26 does not number attempts.
func attemptOf(run tracker.WorkflowRun) string {
	return fmt.Sprintf("%d@%d", run.Attempt, run.Ended.Unix())
}

// has reports whether the attempt of a run that has ended was read. An earlier version kept its number alone, where it had one; and Gitea may
// have begun to number attempts since.
func (r runsRead) has(run tracker.WorkflowRun) bool {
	seen, ok := r.Seen[run.ID]
	number, end, hasEnd := strings.Cut(seen, "@")
	if ok && !hasEnd {
		return number == fmt.Sprint(run.Attempt)
	}
	return ok && end == fmt.Sprint(run.Ended.Unix())
}

// isBefore reports whether a run that is not kept ended before the last ones did that were read: newer ones were deleted, or are not in the
// backup that Gitea was restored from, so it has come back to the first page.
func (r runsRead) isBefore(run tracker.WorkflowRun) bool {
	return run.ID <= r.UpTo && run.Ended.Unix() <= r.Ended && r.Seen[run.ID] == "" && !slices.Contains(r.Open, run.ID)
}

// runResult returns the result that a run is. others is the value of otherGiteasKey.
func (b *Bot) runResult(p config.Project, run tracker.WorkflowRun, others string) store.Result {
	repo := p.Actions.Path()
	if run.RepoID != 0 { // it stays when the repository is renamed
		repo = fmt.Sprint(run.RepoID)
	}
	if others != "" {
		repo = others + ":" + repo
	}
	now := b.env.Now()
	res := store.Result{
		Project: p.ID, Agent: "project-meta", RunID: fmt.Sprintf("actions/%s/%d/%s", repo, run.ID, attemptOf(run)), Outcome: store.Success,
		Host: actionsHost, Started: run.Started, Finished: run.Ended,
	}.Bounded(now)
	if res.Finished.IsZero() {
		res.Finished = now
	}
	res.Age = max(now.Sub(res.Finished), 0)
	if run.Conclusion == tracker.RunFailure {
		res.Outcome, res.ExitCode, res.Output = store.Failure, 1, b.redact.Redact(run.URL)
	}
	Classify(b.cfg, &res)
	return res
}

// WorkflowEvent is what an event from Gitea says about a run of a workflow.
type WorkflowEvent struct {
	Owner    string // of the repository
	Repo     string
	Workflow string // name of its file
	Run      int64
}

// AcceptWorkflowEvent returns the projects whose workflow an event is about. They are to be swept: the event itself changes nothing.
func (b *Bot) AcceptWorkflowEvent(e WorkflowEvent) (projects []string) {
	for _, p := range b.cfg.Projects {
		a := p.Actions
		if !a.IsZero() && strings.EqualFold(a.Owner, e.Owner) && strings.EqualFold(a.Repo, e.Repo) && strings.EqualFold(a.Workflow, e.Workflow) {
			b.hintedRuns.add(p.ID, e.Run)
			projects = append(projects, p.ID)
		}
	}
	return projects
}

// hintedRuns are runs that events were about. An old run that is started again is on no first page.
type hintedRuns struct {
	mu sync.Mutex
	of map[string][]int64 // by project
}

func (h *hintedRuns) add(project string, ids ...int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[string][]int64{}
	}
	for _, id := range ids {
		if id > 0 && len(h.of[project]) < maxAskedFor && !slices.Contains(h.of[project], id) {
			h.of[project] = append(h.of[project], id)
		}
	}
}

func (h *hintedRuns) take(project string) []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := h.of[project]
	delete(h.of, project)
	return ids
}

// keepWorkflows disables the workflows of paused projects whose configuration says so, and enables those again whose project is not paused
// any more. It enables only what it has disabled: that is stored before the request is sent.
// With force it asks for what a repository that Gitea does not show keeps waiting, too.
func (b *Bot) keepWorkflows(ctx context.Context, project string, force bool) (errs []error) {
	if may, err := b.mayAskActions(ctx); err != nil {
		return []error{err}
	} else if !may {
		return nil
	}
	disabled, err := b.DisabledWorkflows(ctx)
	if err != nil {
		return []error{err}
	}
	ids := map[string]bool{}
	for id := range disabled {
		ids[id] = true
	}
	problems, err := status.WorkflowProblems(ctx, b.store)
	if err != nil {
		return []error{err}
	}
	for id := range problems { // they may be over
		ids[id] = true
	}
	for _, p := range b.cfg.Projects {
		if p.Actions.Disable {
			ids[p.ID] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, runsBudget)
	defer cancel()
	for id := range ids {
		if project != "" && id != project {
			continue
		}
		if err := b.keepWorkflow(ctx, id, force); err != nil && !errors.Is(err, incident.ErrClaimed) {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errs
}

// keepWorkflow brings the workflow of one project in line, and stores for status why it cannot.
func (b *Bot) keepWorkflow(ctx context.Context, project string, force bool) error {
	ctx, release, err := b.store.claims.Claim(ctx, workflowsClaim, workflowWait)
	if err != nil {
		return err
	}
	defer release()
	retry, err := b.workflowRetry(ctx, project)
	if err != nil {
		return err
	}
	if !force && retry.Tries > 0 && !plan.TimeCome(b.now(), retry.NextTry, retry.Wait) {
		return nil // and status says why
	}
	if err = b.changeWorkflow(ctx, project); errors.Is(err, errWorkflowMoved) {
		err = b.changeWorkflow(ctx, project)
	}
	if errors.Is(err, context.Canceled) { // by whoever runs the command
		return err
	}
	if saveErr := b.saveWorkflowRetry(context.WithoutCancel(ctx), project, retry, err); saveErr != nil {
		return errors.Join(err, saveErr)
	}
	return errors.Join(err, b.storeWorkflowProblem(context.WithoutCancel(ctx), project, err))
}

// storeWorkflowProblem stores why a workflow could not be disabled or enabled, or that it could.
func (b *Bot) storeWorkflowProblem(ctx context.Context, project string, problem error) error {
	all, err := status.WorkflowProblems(ctx, b.store)
	if err != nil {
		return err
	}
	was, now := all[project], ""
	if problem != nil {
		now = redact.Line(b.redact.Redact(problem.Error()), 500)
	}
	if now == was {
		return nil
	}
	if all[project] = now; now == "" {
		delete(all, project)
	}
	doc, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return b.store.SetMeta(ctx, status.WorkflowProblemsKey, string(doc))
}

// changeWorkflow disables or enables the workflow of one project, if it has to be. The caller has the claim.
func (b *Bot) changeWorkflow(ctx context.Context, project string) error {
	s, err := b.store.ProjectState(ctx, project)
	if err != nil {
		return err
	}
	all, err := b.DisabledWorkflows(ctx)
	if err != nil {
		return err
	}
	p, _ := b.cfg.Project(project)
	want := p.Actions.Disable && s.Pause().ID != ""
	own, isOurs := all[project]
	if isOurs && p.Actions.IsZero() && s.Pause().ID != "" {
		if others, err := b.otherReaders(ctx); err != nil || others[project] {
			return err // this host's configuration says nothing of it, and that of another one may have it disabled
		}
	}
	another := isOurs && !own.Same(p.Actions.Path(), p.Actions.Workflow)
	if want && another && own.Workflow == p.Actions.Workflow {
		renamed, err := b.sameRepo(ctx, p.Actions.Path(), own.Repo)
		if err != nil {
			return err
		}
		another = !renamed // another host's configuration has the new name already
	}
	if isOurs && !want || another {
		return b.enableWorkflow(ctx, project, own, all)
	}
	if !want {
		return nil
	}
	repo := b.workflowRepo(p.Actions)
	active, err := b.gitea.WorkflowActive(ctx, repo, p.Actions.Workflow)
	if err != nil {
		return err
	}
	this := status.Workflow{Repo: p.Actions.Path(), Workflow: p.Actions.Workflow}
	others := status.DisabledFor(project, this, all) != "" // of another project, if it is not ours
	if !active && (isOurs || !others) {                    // if it is not ours, a person has disabled it
		return nil
	}
	if !isOurs {
		all[project] = this
		if err := b.storeDisabled(ctx, all); err != nil {
			return err
		}
	}
	if !active {
		return nil
	}
	fault.Point(ctx, "disable-workflow-next")
	if err = b.gitea.EnableWorkflow(ctx, repo, p.Actions.Workflow, false); err != nil {
		var te *tracker.Error
		if !isOurs && errors.As(err, &te) && te.Outcome == tracker.Refused { // nothing was disabled
			delete(all, project)
			err = errors.Join(err, b.storeDisabled(ctx, all))
		}
		return err
	}
	fault.Point(ctx, "workflow-disabled")
	b.log.Info("workflow disabled", "project", project, "repository", repo, "workflow", p.Actions.Workflow)
	return nil
}

// enableWorkflow enables a workflow that was disabled for a project.
func (b *Bot) enableWorkflow(ctx context.Context, project string, own status.Workflow, all map[string]status.Workflow) error {
	repo := b.repoOf(own.Repo)
	for id, other := range all {
		if id != project && other.Same(own.Repo, own.Workflow) { // the pause of another project, which has the same workflow
			delete(all, project)
			return b.storeDisabled(ctx, all)
		}
	}
	fault.Point(ctx, "enable-workflow-next")
	removed, err := b.enableUnlessRemoved(ctx, repo, own.Workflow)
	if path := movedTo(err); path != "" && path != own.Repo {
		all[project] = status.Workflow{Repo: path, Workflow: own.Workflow}
		return errors.Join(b.storeDisabled(ctx, all), errWorkflowMoved)
	}
	if p, _ := b.cfg.Project(project); errors.Is(err, errWorkflowHidden) && !own.Same(p.Actions.Path(), p.Actions.Workflow) {
		removed, err = true, nil // an operator has taken it out of the configuration: nobody waits for it any more
	}
	if err != nil {
		return err
	}
	fault.Point(ctx, "workflow-enabled")
	delete(all, project)
	b.log.Info("workflow enabled", "project", project, "repository", repo, "workflow", own.Workflow, "removed", removed)
	return b.storeDisabled(ctx, all)
}

// errWorkflowMoved means that the state knows the new name of the repository now, whose workflow was disabled under another one.
var errWorkflowMoved = errors.New("the repository of the disabled workflow was renamed: the next sweep goes on under its new name")

// movedTo returns the path of the repository that Gitea redirects a request to, or "".
func movedTo(err error) string {
	var te *tracker.Error
	if !errors.As(err, &te) || te.Status/100 != 3 {
		return ""
	}
	_, path, _ := strings.Cut(te.Location, "/api/v1/repos/")
	if parts := strings.Split(path, "/"); len(parts) > 2 {
		return parts[0] + "/" + parts[1]
	}
	return ""
}

// errWorkflowHidden means that Gitea shows neither a workflow nor the runs of its repository.
var errWorkflowHidden = errors.New("its repository is missing, its Actions are disabled, or they are hidden from the token's account: enable them, " +
	"or give the account access; " +
	"this is retried automatically. If they are gone for good, take `actions` out of the project")

// hidesActions reports whether Gitea answers as for a repository that is missing or hidden, or as for one whose Actions are.
func hidesActions(err error) bool {
	var te *tracker.Error
	return tracker.IsStatus(err, http.StatusNotFound) ||
		tracker.IsStatus(err, http.StatusForbidden) && errors.As(err, &te) && strings.Contains(te.Detail, "specific read permission")
}

// enableUnlessRemoved enables a workflow, or reports that its file was removed. Gitea answers alike, with 404, for such a workflow and for every
// one of a repository that is missing or hidden. So after a 404 it checks that runs can be read there, and asks once more.
func (b *Bot) enableUnlessRemoved(ctx context.Context, repo tracker.Repo, name string) (removed bool, err error) {
	if err = b.gitea.EnableWorkflow(ctx, repo, name, true); !hidesActions(err) {
		return false, err
	}
	if _, _, err = b.gitea.WorkflowRuns(ctx, repo, 1); hidesActions(err) {
		return false, fmt.Errorf("cannot enable workflow %s in %s: %w", name, repo, errWorkflowHidden)
	} else if err != nil {
		return false, err
	}
	if err = b.gitea.EnableWorkflow(ctx, repo, name, true); tracker.IsStatus(err, http.StatusNotFound) {
		return true, nil
	}
	return false, err
}

// workflowRetriesKey is the key of the [workflowRetry] of each project in the state's meta table, as JSON.
const workflowRetriesKey = "workflow_retries"

// workflowRetry is when a workflow is tried next whose repository Gitea does not show.
type workflowRetry struct {
	Tries   int           `json:"tries"`
	NextTry time.Time     `json:"next_try"`
	Wait    time.Duration `json:"wait_ns"` // how long NextTry was away when it was set
}

func (b *Bot) workflowRetries(ctx context.Context) (map[string]workflowRetry, error) {
	all := map[string]workflowRetry{}
	doc, err := b.store.Meta(ctx, workflowRetriesKey)
	if err != nil || doc == "" {
		return all, err
	}
	if err := json.Unmarshal([]byte(doc), &all); err != nil {
		return nil, fmt.Errorf("read when workflows are tried next: %w", err)
	}
	return all, nil
}

// workflowRetry returns the project's, if its workflow still waits: another pause of the project waits for nothing.
func (b *Bot) workflowRetry(ctx context.Context, project string) (workflowRetry, error) {
	all, err := b.workflowRetries(ctx)
	if err != nil || all[project].Tries == 0 {
		return workflowRetry{}, err
	}
	s, err := b.store.ProjectState(ctx, project)
	if err != nil || s.Pause().ID != "" {
		return workflowRetry{}, err
	}
	return all[project], nil
}

// saveWorkflowRetry stores when a workflow is tried next after err, with waits that grow.
func (b *Bot) saveWorkflowRetry(ctx context.Context, project string, was workflowRetry, err error) error {
	all, readErr := b.workflowRetries(ctx)
	_, stored := all[project]
	hidden := errors.Is(err, errWorkflowHidden)
	if readErr != nil || !stored && !hidden {
		return readErr
	}
	delete(all, project)
	if hidden {
		wait := plan.RetryWait(was.Tries+1, rand.Float64())
		all[project] = workflowRetry{Tries: was.Tries + 1, NextTry: b.now().UTC().Add(wait), Wait: wait}
	}
	doc, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return b.store.SetMeta(ctx, workflowRetriesKey, string(doc))
}

// enableAtOnce enables the workflow of a project that was resumed, if adfbot has disabled it. It returns what to tell of it: what was done, or
// what is left to the next sweep. gitea is false if a request before this one has failed: then this one would wait as long again.
func (b *Bot) enableAtOnce(ctx context.Context, project string, gitea bool) (text string, left error) {
	disabled, err := b.DisabledWorkflows(ctx)
	own, isOurs := disabled[project]
	if err != nil || !isOurs {
		return "", err
	}
	if gitea {
		err = errors.Join(b.keepWorkflows(ctx, project, true)...)
	}
	if err == nil {
		disabled, err = b.DisabledWorkflows(ctx)
	}
	switch other := status.DisabledFor(project, own, disabled); {
	case err != nil:
		return "", err
	case other == project: // also if a sweep is at it
		return "", fmt.Errorf("%s: enable the workflow %s", project, own)
	case other != "":
		return fmt.Sprintf("; its workflow is enabled when %s is resumed, too: %s", other, own), nil
	}
	repo := b.repoOf(own.Repo)
	if _, err := b.gitea.WorkflowActive(ctx, repo, own.Workflow); tracker.IsStatus(err, http.StatusNotFound) {
		return "; Gitea shows its workflow no more, so adfbot leaves it as it is: " + own.String(), nil
	}
	return "; its workflow is enabled again: " + own.String(), nil
}

// workflowsClaim guards [status.WorkflowsKey] and [status.WorkflowProblemsKey].
const workflowsClaim = "workflows"

// DisabledWorkflows returns the workflows that adfbot has disabled, or is about to disable, by their project.
func (b *Bot) DisabledWorkflows(ctx context.Context) (map[string]status.Workflow, error) {
	return status.DisabledWorkflows(ctx, b.store)
}

func (b *Bot) storeDisabled(ctx context.Context, all map[string]status.Workflow) error {
	doc, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return b.store.SetMeta(ctx, status.WorkflowsKey, string(doc))
}
