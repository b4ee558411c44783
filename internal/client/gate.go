package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/terraphim/adfbot/internal/status"
)

// gateTimeout limits the question whether a project is paused: the job that waits for the answer runs without one, too.
const gateTimeout = 2 * time.Second

// Paused returns why a project is paused. It returns "" if the project may run, and if the daemon gives no answer in time. The error is the daemon's
// own answer that it cannot tell, [status.ErrOtherPauseDir] if that is why.
func (c *Client) Paused(ctx context.Context, project string) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.gateTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://adfbot/api/v1/projects/"+url.PathEscape(project)+"/gate", nil)
	if err != nil {
		return "", nil
	}
	c.tellPlace(req)
	res, err := c.http.Do(req)
	if err != nil {
		return "", nil
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusLocked && res.StatusCode != http.StatusServiceUnavailable {
		return "", nil
	}
	problem := struct{ Title, Detail string }{}
	_ = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&problem) // the status is the answer
	switch {
	case res.StatusCode == http.StatusLocked:
		return cmp.Or(problem.Detail, project+" is paused"), nil
	case problem.Detail == "": // the daemon always says why
		return "", nil
	case problem.Title == status.TitleOtherPauseDir:
		return "", fmt.Errorf("%w: the daemon at %s says: %s", status.ErrOtherPauseDir, c.socket, problem.Detail)
	}
	return "", fmt.Errorf("the daemon at %s cannot tell: %s", c.socket, problem.Detail)
}
