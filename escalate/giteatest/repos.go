package giteatest

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func version(*call) *response {
	return reply(http.StatusOK, map[string]string{"version": "1.26.0"})
}

func apiSettings(*call) *response {
	return reply(http.StatusOK, map[string]int{
		"max_response_items":         maxPage,
		"default_paging_num":         defaultPage,
		"default_git_trees_per_page": 1000,
		"default_max_blob_size":      10485760,
		"default_max_response_size":  104857600,
	})
}

func currentUser(c *call) *response {
	if c.doer == nil {
		return c.s.message(http.StatusUnauthorized, "token is required")
	}
	return reply(http.StatusOK, c.s.userJSON(c.doer, c.doer))
}

func namedUser(c *call) *response {
	u := c.s.userNamed(c.args[0])
	if u == nil {
		if now := c.s.renamed[strings.ToLower(c.args[0])]; now != nil {
			return redirect(c.r, "/api/v1/users/"+url.PathEscape(now.login), http.StatusTemporaryRedirect)
		}
		return c.s.notFound(noUser(c.args[0]))
	}
	return reply(http.StatusOK, c.s.userJSON(u, c.doer))
}

// getRepo builds a map, not a struct, because most values are constant.
func getRepo(c *call) *response {
	r, s := c.repo, c.s
	open := 0
	for _, i := range r.issues {
		if i.state() == "open" {
			open++
		}
	}
	archivedAt := r.archivedAt
	if archivedAt.IsZero() {
		archivedAt = time.Unix(0, 0).UTC()
	}
	m := map[string]any{
		"id": r.id, "owner": s.userJSON(r.owner, c.doer), "name": r.name, "full_name": r.path(),
		"private": r.private, "archived": !r.archivedAt.IsZero(), "archived_at": archivedAt,
		"html_url": s.baseURL + "/" + r.path(), "url": s.baseURL + "/api/v1/repos/" + r.path(),
		"languages_url": s.baseURL + "/api/v1/repos/" + r.path() + "/languages",
		"ssh_url":       "git@localhost:" + r.path() + ".git", "clone_url": s.baseURL + "/" + r.path() + ".git",
		"created_at": r.created, "updated_at": r.updated, "mirror_updated": time.Time{},
		"permissions":       map[string]bool{"admin": c.may(Admin), "push": c.may(Write), "pull": c.may(Read)},
		"has_issues":        !r.issuesOff,
		"open_issues_count": open, "watchers_count": 1, "size": 25,
		"default_branch": "main", "default_merge_style": "merge", "projects_mode": "all", "object_format_name": "sha1",
		"topics": []string{}, "licenses": []string{},
	}
	if !r.issuesOff {
		m["internal_tracker"] = map[string]bool{
			"enable_time_tracker": true, "allow_only_contributors_to_track_time": true, "enable_issue_dependencies": true,
		}
	}
	for v, keys := range map[any][]string{
		"": {"description", "language", "link", "original_url", "website", "avatar_url", "mirror_interval"},
		0:  {"stars_count", "forks_count", "open_pr_counter", "release_counter"},
		true: {
			"has_code", "has_wiki", "has_pull_requests", "has_projects", "has_releases", "has_packages", "has_actions",
			"allow_merge_commits", "allow_rebase", "allow_rebase_explicit", "allow_squash_merge",
			"allow_fast_forward_only_merge", "allow_rebase_update",
		},
		false: {
			"empty", "fork", "template", "mirror", "internal", "ignore_whitespace_conflicts", "allow_manual_merge",
			"autodetect_manual_merge", "default_delete_branch_after_merge", "default_allow_maintainer_edit",
		},
	} {
		for _, k := range keys {
			m[k] = v
		}
	}
	return reply(http.StatusOK, m)
}

type createHookOption struct {
	Type   string            `json:"type" binding:"Required"`
	Config map[string]string `json:"config" binding:"Required"`
	Events []string          `json:"events"`
	Active bool              `json:"active"`
}

// createHook answers as Gitea does, but the hook is never called.
func createHook(c *call) *response {
	if !c.may(Admin) {
		return c.s.message(http.StatusForbidden,
			"user should be an owner or a collaborator with admin write of a repository")
	}
	var form createHookOption
	if resp := c.decode(&form); resp != nil {
		return resp
	}
	events := []string{} // [], not null
	for _, e := range form.Events {
		if e == "issues" { // includes three narrower events
			events = append(events, "issue_label", "issue_milestone", "issues", "issue_assign")
		} else {
			events = append(events, e)
		}
	}
	config := maps.Clone(form.Config)
	delete(config, "secret")
	now := c.s.clock()
	return reply(http.StatusCreated, map[string]any{
		"id": c.s.nextID(), "type": form.Type, "branch_filter": "", "config": config, "events": events,
		"authorization_header": "", "active": form.Active, "created_at": now, "updated_at": now,
	})
}
