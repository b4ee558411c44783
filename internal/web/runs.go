package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
)

type runsJSON struct {
	Runs []status.ListedRun `json:"runs"`
	Next *string            `json:"next"` // the next value of after; null in the last answer
}

// getRuns returns the runs of a project, also of one that has left the configuration.
func (s *Server) getRuns(w http.ResponseWriter, r *request) error {
	f, err := r.runFilter()
	if err != nil {
		return err
	}
	list, next, err := r.bot.Runs(r.Context(), f)
	if err != nil {
		return err
	}
	out := runsJSON{Runs: list}
	if next != "" {
		out.Next = &next
	}
	return writeJSON(w, http.StatusOK, out)
}

func (r *request) runFilter() (f store.RunFilter, err error) {
	q, err := query(r.Request, "outcome", "class", "agent", "since", "until", "output", "limit", "after")
	if err != nil {
		return f, err
	}
	id := r.PathValue("id")
	if !r.caller.may(id) {
		return f, r.caller.notAllowed("")
	}
	if err := r.bot.CheckRecorded(r.Context(), id); err != nil {
		return f, err
	}
	f = store.RunFilter{Projects: []string{id}, Outcome: q["outcome"], Class: q["class"], Agent: q["agent"]}
	if f.Limit, err = pageLimit(q["limit"]); err != nil {
		return f, err
	}
	if f.Outcome != "" && f.Outcome != status.Outcome(f.Outcome) {
		return f, refused(http.StatusBadRequest, titleQuery, "outcome must be success, failure or ignored, not %s", quote(f.Outcome))
	}
	for name, to := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if *to, err = bot.ParseTime(name, q[name]); err != nil {
			return f, refused(http.StatusBadRequest, titleQuery, "%v", err)
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return f, refused(http.StatusBadRequest, titleQuery, "since, %s, is not before until, %s", q["since"], q["until"])
	}
	switch output := q["output"]; output {
	case "", "false":
	case "true":
		f.Output = true
	default:
		return f, refused(http.StatusBadRequest, titleQuery, "output must be true or false, not %s", quote(output))
	}
	if after, given := q["after"]; given {
		if f.Before, err = status.ParseAfter(after); err != nil {
			return f, refused(http.StatusBadRequest, titleQuery, "after %v", err)
		}
	}
	return f, nil
}

// pageLimit parses how many entries a page has at most.
func pageLimit(given string) (int, error) {
	if given == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > maxLimit {
		return 0, refused(http.StatusBadRequest, titleQuery, "limit must be a number from 1 to %d, not %s", maxLimit, quote(given))
	}
	return n, nil
}
