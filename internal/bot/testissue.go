package bot

import (
	"context"
	"slices"
	"strings"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/tracker"
	"github.com/terraphim/adfbot/internal/status"
)

// TestIssue tests what the token may do in the repository of a project or of the entry with a pattern, "": of the first entry of the configuration, as
// [escalate.Reconciler.TestIssue] does. It calls report after each part, and reports whether all went well.
func (b *Bot) TestIssue(ctx context.Context, project string, report func(Finding)) bool {
	p := b.cfg.Projects[0]
	if n := slices.Index(b.cfg.EntryNames(), project); n >= 0 {
		p = b.cfg.Projects[n]
	} else if project != "" {
		p = b.cfg.ProjectOrDefault(project)
	}
	t := escalate.Target{Repo: tracker.Repo{Server: b.cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}, Labels: p.Labels}
	command := status.RunWithTokenAs(b.cfg, b.env.Getenv("PATH")) + "adfbot test-issue" + b.cfg.ShellFlag()
	err := b.rec.TestIssue(ctx, t, command, func(r escalate.TestResult) {
		if r.Err != nil {
			report(Finding{Fail, r.Part, r.Err.Error()})
			return
		}
		report(Finding{OK, r.Part, r.Text})
	})
	if others := b.otherRepositories(t.Repo); project == "" && len(others) > 0 {
		report(Finding{Warn, "repository", "not tested, as the repositories of these projects differ: " + strings.Join(others, ", ") + "; name each with --project"})
	}
	return err == nil
}

// otherRepositories returns the name of the first project of each repository but one.
func (b *Bot) otherRepositories(tested tracker.Repo) (projects []string) {
	seen := []tracker.Repo{tested}
	for _, p := range b.cfg.Projects {
		repo := tracker.Repo{Server: b.cfg.Gitea.URL, Owner: p.Owner, Name: p.Repo}
		if !slices.Contains(seen, repo) {
			seen, projects = append(seen, repo), append(projects, p.Name())
		}
	}
	return projects
}
