package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"
)

// gateTimeout limits the question whether a project is paused: the job that waits for the answer runs without one, too.
const gateTimeout = 2 * time.Second

// Paused returns why a project is paused. It returns "" if the project may run, and if the daemon does not know or gives no answer in time.
func (c *Client) Paused(ctx context.Context, project string) (why string) {
	ctx, cancel := context.WithTimeout(ctx, c.gateTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://adfbot/api/v1/projects/"+url.PathEscape(project)+"/gate", nil)
	if err != nil {
		return ""
	}
	res, err := c.http.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusLocked {
		return ""
	}
	problem := struct{ Detail string }{}
	_ = json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&problem) // the status is the answer
	if problem.Detail == "" {
		return project + " is paused"
	}
	return problem.Detail
}
