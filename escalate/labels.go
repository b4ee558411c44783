package escalate

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/tracker"
)

// labelsOf returns the names of the labels that the issue of an incident has to have.
func (r *Reconciler) labelsOf(i incident.Incident) []string {
	names := r.opt.Target(i.Project).Labels
	if i.Trend.Repeats() && !slices.Contains(names, incident.RepeatLabel) {
		return append(slices.Clone(names), incident.RepeatLabel)
	}
	return names
}

// labelIDs returns the ids of labels. They are kept, so that they cost no request the next time; missing labels are created
// once. With an error, it returns the ids of those that can be had.
func (r *Reconciler) labelIDs(ctx context.Context, c *sweepCache, repo tracker.Repo, names []string) ([]int64, error) {
	ids, _ := c.labels.get(repo)
	var err error
	if !hasAll(ids, names) {
		ids, err = r.opt.State.Labels(ctx, repo)
		if err == nil && !hasAll(ids, names) {
			ids, err = r.createLabels(ctx, repo, names, ids)
		}
		if err == nil {
			c.labels.set(repo, ids)
		}
	}
	if err != nil {
		r.opt.Log.Warn("labels can't be had", "repo", repo.String(), "err", err)
	}
	var out []int64
	for _, name := range names {
		if id, ok := ids[name]; ok {
			out = append(out, id)
		}
	}
	return out, err
}

// forgetLabels makes the next labelIDs ask for the labels of a repository.
func (r *Reconciler) forgetLabels(ctx context.Context, c *sweepCache, repo tracker.Repo) error {
	c.labels.set(repo, nil)
	return r.opt.State.SetLabels(ctx, repo, nil)
}

func hasAll(ids map[string]int64, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { _, ok := ids[n]; return !ok })
}

// createLabels claims the repository's labels: Gitea creates a second label of the same name without complaint.
func (r *Reconciler) createLabels(ctx context.Context, repo tracker.Repo, names []string, have map[string]int64) (map[string]int64, error) {
	ctx, release, err := r.opt.State.Claim(ctx, "labels/"+repo.String(), 2*r.opt.Timeout)
	if err != nil {
		return have, err
	}
	defer release()
	if ids, err := r.opt.State.Labels(ctx, repo); err == nil && hasAll(ids, names) {
		return ids, nil // another process created them meanwhile
	}
	ids, err := r.opt.Tracker.Labels(ctx, repo)
	if err == nil && !hasAll(ids, names) {
		var owners map[string]int64
		if owners, err = r.opt.Tracker.OwnerLabels(ctx, repo); err == nil {
			maps.Copy(owners, ids)
			ids = owners
		}
	}
	if err != nil {
		return have, err
	}
	var errs []error
	keep, made := map[string]int64{}, map[string]int64{}
	for _, name := range names {
		id, ok := ids[name]
		if !ok && (len(errs) == 0 || tracker.OutcomeOf(errs[len(errs)-1]) == tracker.Refused) { // else the server is in trouble: the issue comes first
			if id, err = r.opt.Tracker.AddLabel(ctx, repo, name); err != nil {
				errs = append(errs, err)
				continue
			}
			made[name], ok = id, true
		}
		if ok {
			ids[name], keep[name] = id, id
		}
	}
	for name, first := range r.dropTwins(ctx, repo, made) {
		ids[name], keep[name] = first, first
	}
	return ids, errors.Join(errors.Join(errs...), r.opt.State.SetLabels(ctx, repo, keep))
}

// dropTwins deletes those of the labels just made that another installation has made, too, between the listing and now: the first
// one stays. It returns the labels to use instead. If deleting fails, both stay.
func (r *Reconciler) dropTwins(ctx context.Context, repo tracker.Repo, made map[string]int64) map[string]int64 {
	if len(made) == 0 {
		return nil
	}
	now, err := r.opt.Tracker.Labels(ctx, repo)
	maps.DeleteFunc(now, func(name string, first int64) bool { return first >= made[name] })
	for name := range now {
		err = errors.Join(err, r.opt.Tracker.DeleteLabel(ctx, repo, made[name]))
	}
	if err != nil {
		r.opt.Log.Warn("labels may have been created twice", "repo", repo.String(), "err", err)
	}
	return now
}
