package config

import (
	"path"
	"strings"
)

// Actions is a workflow of Gitea Actions whose runs are a project's results.
type Actions struct {
	Owner    string // and name of the repository
	Repo     string
	Workflow string // file name, e.g. agent.yaml
	Disable  bool   // while the project is paused
}

// IsZero reports whether the project has no workflow.
func (a Actions) IsZero() bool { return a == Actions{} }

// Path returns the repository as owner/name, or "".
func (a Actions) Path() string {
	if a.IsZero() {
		return ""
	}
	return a.Owner + "/" + a.Repo
}

func actionsFields(a *Actions, repo *string) []field {
	return []field{
		leaf("repo", repo, str(repositoryPath)),
		leaf("workflow", &a.Workflow, str(workflowFile)),
		leaf("disable", &a.Disable, boolean),
	}
}

// actions is the workflow of a project. If there is a mistake in it, there is none.
func actions(to *Actions) field {
	return field{name: "actions", read: func(r *reader, v value) {
		var a Actions
		var repo string
		before := len(r.problems)
		r.mapping(v, actionsFields(&a, &repo))
		switch match := strings.TrimSuffix(v.key, ".actions") + ".match"; {
		case len(r.problems) > before || v.checkOnly:
		case repo == "":
			r.report(v.line, v.key, faultf("write repo: owner/name", "does not name the repository of the workflow"))
		case a.Workflow == "":
			r.report(v.line, v.key, faultf("write workflow: and the name of its file, such as agent.yaml", "does not name the workflow"))
		case r.given(match):
			r.report(v.line, v.key, faultf("write an entry with id: for the project of this workflow", "must not be set together with match: a workflow belongs to one project"))
		default:
			a.Owner, a.Repo, _ = strings.Cut(repo, "/")
			*to = a
		}
	}, below: func() []field { repo := to.Path(); return actionsFields(to, &repo) }}
}

// repositoryPath accepts owner/name.
func repositoryPath(s string) (string, *fault) {
	owner, name, ok := strings.Cut(s, "/")
	if _, f := login(owner); owner == "" || !ok || f != nil {
		return "", faultf("write it as owner/name", "must be a repository, not %s", quote(s))
	}
	if _, f := repository(name); f != nil {
		return "", faultf("write it as owner/name", "must be a repository, not %s", quote(s))
	}
	return s, nil
}

// workflowFile accepts the name of a file in .gitea/workflows.
func workflowFile(s string) (string, *fault) {
	if ext := path.Ext(s); !isName(s) || len(s) > 100 || ext != ".yaml" && ext != ".yml" {
		return "", faultf("write the name of its file in .gitea/workflows, such as agent.yaml", "must be a workflow, not %s", quote(s))
	}
	return s, nil
}
