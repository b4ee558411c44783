package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/bot"
	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/redact"
	"github.com/terraphim/adfbot/pause"
)

// doneManyJSON is what a pause or resume of several projects did.
type doneManyJSON struct {
	Stop     string   `json:"stop,omitempty"` // id of the stop that was made
	Projects []string `json:"projects"`       // that were paused or resumed
	Others   []string `json:"others"`         // that are paused, as they were before
	Text     string   `json:"text"`
	Problems []string `json:"problems"` // what is left to the next sweep
}

// postPauseMany pauses several projects, or all.
func (s *Server) postPauseMany(w http.ResponseWriter, r *request) error {
	o, err := parseObject(r.body, "projects", "all", "reason", "for")
	if err != nil {
		return err
	}
	var wrong []string
	m := bot.Many{By: r.caller.name + " over HTTP", Names: o.names(&wrong), For: o.pauseFor(&wrong)}
	m.Reason = r.bot.Redactor().Redact(redact.Clean(field[string](o, "reason", "string", &wrong)))
	if len(wrong) > 0 {
		return refused(http.StatusBadRequest, titleBody, "%s", wrong[0])
	}
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	done, err := within(r, s.operateWait, func() (bot.DoneMany, error) { return r.bot.PauseMany(ctx, m) })
	return doneMany(w, "Not paused", done, err)
}

// postResumeMany resumes several projects, or ends a stop.
func (s *Server) postResumeMany(w http.ResponseWriter, r *request) error {
	o, err := parseObject(r.body, "projects", "all", "incidents", "reason")
	if err != nil {
		return err
	}
	var wrong []string
	m := bot.Many{By: r.caller.name + " over HTTP on " + cmp.Or(bot.HostName(r.cfg), "this machine"), Names: o.names(&wrong)}
	m.Reason = r.bot.Redactor().Redact(redact.Clean(field[string](o, "reason", "string", &wrong)))
	if m.Incidents = field[bool](o, "incidents", "boolean", &wrong); m.Incidents && !slices.ContainsFunc(m.Names, config.IsPattern) {
		wrong = append(wrong, "incidents goes with all or a pattern: a project that is named by its id is resumed whatever pauses it")
	}
	if len(wrong) > 0 {
		return refused(http.StatusBadRequest, titleBody, "%s", wrong[0])
	}
	for _, name := range m.Names {
		if config.IsPattern(name) {
			continue
		}
		if err := r.bot.CheckKnown(r.Context(), name); err != nil {
			return err
		}
	}
	ctx, cancel := s.detached(r.Context())
	defer cancel()
	done, err := within(r, s.operateWait, func() (bot.DoneMany, error) { return r.bot.ResumeMany(ctx, m) })
	return doneMany(w, "Not resumed", done, err)
}

// names returns the projects that a body names.
func (o object) names(wrong *[]string) []string {
	names, all := field[[]string](o, "projects", "list of strings", wrong), field[bool](o, "all", "boolean", wrong)
	switch {
	case all && len(names) > 0:
		*wrong = append(*wrong, "all or projects, not both")
	case all:
		return []string{incident.EveryProject}
	case len(names) == 0:
		*wrong = append(*wrong, `which projects? Send "projects" with ids or patterns, or "all": true`)
	}
	return names
}

// pauseFor returns after what time the pause in a body ends by itself.
func (o object) pauseFor(wrong *[]string) time.Duration {
	text := field[string](o, "for", "string", wrong)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || d == 0:
		*wrong = append(*wrong, "for must be a time with a unit, e.g. 90m or 2h, not "+quote(text))
	default:
		if err := bot.CheckPauseFor(d); err != nil {
			*wrong = append(*wrong, err.Error())
		}
	}
	return d
}

func doneMany(w http.ResponseWriter, title string, done bot.DoneMany, err error) error {
	_, none := errors.AsType[*config.NoMatchError](err)
	_, unknown := errors.AsType[*config.UnknownProjectError](err)
	switch {
	case none:
		return refused(http.StatusNotFound, titleUnknown, "%v", err)
	case unknown, errors.Is(err, pause.ErrID):
		return err
	case err != nil:
		return notDone(title, "a project", err)
	}
	return writeJSON(w, http.StatusOK, doneManyJSON{Stop: done.Stop, Projects: append([]string{}, done.Projects...), Others: append([]string{}, done.Others...),
		Text: done.Text, Problems: append([]string{}, done.Problems...)})
}
