package gitea

import (
	"cmp"
	"context"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/terraphim/adfbot/escalate/tracker"
)

// labelColors are those of Gitea's default label sets.
var labelColors = map[string]string{"adf": "#ee0701", "circuit-breaker": "#fbca04", "priority/high": "#d93f0b"}

func (g *Client) Labels(ctx context.Context, repo tracker.Repo) (map[string]int64, error) {
	ids := map[string]int64{}
	r := request{op: "list labels", where: repo.String()}
	_, _, err := list(ctx, g, r, func(c *sdk.Client, page sdk.ListOptions) ([]*sdk.Label, *sdk.Response, error) {
		return c.ListRepoLabels(repo.Owner, repo.Name, sdk.ListLabelsOptions{ListOptions: page})
	}, func(l *sdk.Label) {
		if id, ok := ids[l.Name]; !ok || l.ID < id {
			ids[l.Name] = l.ID
		}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// AddLabel makes a label with a scope, like priority/high, exclude other labels of that scope.
func (g *Client) AddLabel(ctx context.Context, repo tracker.Repo, name string) (int64, error) {
	opt := sdk.CreateLabelOption{Name: name, Color: cmp.Or(labelColors[name], "#ededed"), Exclusive: strings.Contains(name, "/")}
	if name == "adf" {
		opt.Description = "AI dark factory escalation"
	}
	valid := func(l *sdk.Label) bool { return l != nil && l.ID != 0 }
	r := request{"make label", name, repo.String()}
	l, err := do(ctx, g, r, valid, func(c *sdk.Client) (*sdk.Label, *sdk.Response, error) {
		return c.CreateLabel(repo.Owner, repo.Name, opt)
	})
	if err != nil {
		return 0, err
	}
	return l.ID, nil
}
