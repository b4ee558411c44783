package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/terraphim/adfbot/breaker"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/store"
)

func (s *State) Unsettled(ctx context.Context, project string) ([]incident.Incident, error) {
	if project == "" {
		return read(ctx, s, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.incident WHERE NOT settled ORDER BY project, seq`)
	}
	return read(ctx, s, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.incident WHERE NOT settled AND project = ? ORDER BY seq`, project)
}

func (s *State) Incidents(ctx context.Context, ids ...string) ([]incident.Incident, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	const find = `WITH wanted AS (SELECT value AS id FROM json_each(?))
		SELECT doc FROM adfbot.incident WHERE id IN (SELECT id FROM wanted) UNION ALL SELECT doc FROM adfbot.silence WHERE id IN (SELECT id FROM wanted)`
	return read(ctx, s, ScanDoc[incident.Incident], find, string(list))
}

// projectStates are the rows of [ScanStates]. Each table is searched by project, so that a condition on it finds its rows by an index.
const projectStates = `
	SELECT 1 AS place, project, seq AS number, '' AS id, doc AS text, 0 AS size, NULL AS since, NULL AS until, '' AS stop
		FROM adfbot.incident WHERE NOT settled AND %[1]s
	UNION ALL SELECT 2, project, 0, id, note, 0, since, until, stop FROM adfbot.hold WHERE %[1]s
	UNION ALL SELECT 3, project, mtime, pause, kind, size, NULL, NULL, '' FROM adfbot.host_flag WHERE host = ? AND %[1]s
	UNION ALL SELECT 4, id, generation, '', '', 0, NULL, NULL, '' FROM adfbot.project WHERE %[2]s
	UNION ALL SELECT 5, project, seq, '', doc, 0, NULL, NULL, '' FROM adfbot.silence WHERE NOT settled AND %[1]s
	ORDER BY place, number`

var (
	oneProjectState  = sync.OnceValue(func() string { return fmt.Sprintf(projectStates, `project = ?`, `id = ?`) })
	allProjectStates = sync.OnceValue(func() string { return fmt.Sprintf(projectStates, `TRUE`, `TRUE`) })
)

// ScanStates adds a row to the states of projects. Of a project, those of what pauses it come before its confirmation.
func ScanStates(states map[string]incident.ProjectState) func(Row) (struct{}, error) {
	return func(row Row) (_ struct{}, err error) {
		var place int
		var project, id, text, stop string
		var number, size int64
		var since, until Time
		if err = row.Scan(&place, &project, &number, &id, &text, &size, &since, &until, &stop); err != nil {
			return
		}
		s := states[project]
		switch place {
		case 1, 5:
			list := &s.Unsettled
			if place == 5 {
				list = &s.Silent
			}
			*list = append(*list, incident.Incident{})
			err = json.Unmarshal([]byte(text), &(*list)[len(*list)-1])
		case 2:
			s.Hold = &incident.Hold{ID: id, Project: project, Note: text, Since: since.Time, Until: until.Time, Stop: stop}
		case 3:
			c := incident.Confirmation{Pause: id, Identity: incident.FlagIdentity{Kind: incident.FlagKind(text), Mtime: number, Size: size}}
			if c.Identity.Kind != incident.FailedFlag || s.Pause().ID == id { // what pauses the project was read before
				s.Confirmed = c
			}
		default:
			s.Generation = number
		}
		states[project] = s
		return
	}
}

func (s *State) ProjectState(ctx context.Context, project string) (incident.ProjectState, error) {
	states := map[string]incident.ProjectState{}
	_, err := read(ctx, s, ScanStates(states), oneProjectState(), project, project, s.host, project, project, project)
	return states[project], err
}

func (s *State) ProjectStates(ctx context.Context) (map[string]incident.ProjectState, error) {
	states := map[string]incident.ProjectState{}
	_, err := read(ctx, s, ScanStates(states), allProjectStates(), s.host)
	return states, err
}

func (s *State) Evidence(ctx context.Context, id string) (e incident.Evidence, err error) {
	list, err := read(ctx, s, ScanDoc[incident.Evidence], `SELECT doc FROM adfbot.evidence WHERE incident = ?`, id)
	if len(list) > 0 {
		e = list[0]
	}
	return e, err
}

func (s *State) Change(ctx context.Context, id string, f func(*incident.Incident)) (incident.Incident, error) {
	i := &incident.Incident{}
	change := func(ctx context.Context, tx Tx, p *Project) (err error) {
		if i, err = getIncident(ctx, tx, id); err != nil {
			return err
		}
		ended, wasOpen, wasSettled := i.Ended, i.IsOpen(), i.Settled
		f(i)
		switch {
		case i.Ended.Equal(ended) && i.Settled == wasSettled:
			return setIncidentDoc(ctx, tx, i)
		case i.IsOpen() == wasOpen, i.IsSilent():
		case p == nil:
			return errLockProject
		case i.IsOpen():
			p.open(i)
		case p.Open == i.ID:
			p.end()
		}
		return updateIncident(ctx, tx, i)
	}
	err := s.db.Tx(ctx, func(ctx context.Context, tx Tx) error { return change(ctx, tx, nil) })
	if errors.Is(err, errLockProject) {
		err = s.changeProject(ctx, i.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) { return true, change(ctx, tx, p) })
	}
	return *i, err
}

// errLockProject means that a change ends an incident. Then the project has to be locked first, see the package comment.
var errLockProject = errors.New("the project is not locked")

// Join lets nobody else decide meanwhile: whoever decides has locked a row that is nobody's. In SQLite any transaction is alone.
func (s *State) Join(ctx context.Context, id string, choose func(incident.Incident, []incident.Incident) incident.Joining) (incident.Incident, error) {
	i := &incident.Incident{}
	err := s.db.Tx(ctx, func(ctx context.Context, tx Tx) error {
		var installation string
		if err := First(ctx, tx, `SELECT value FROM adfbot.meta WHERE key = 'installation' FOR UPDATE`).Scan(&installation); err != nil {
			return err
		}
		unsettled, err := List(ctx, tx, ScanDoc[incident.Incident], `SELECT doc FROM adfbot.incident WHERE NOT settled ORDER BY project, seq`)
		if err != nil {
			return err
		}
		var join incident.Joining
		if n := slices.IndexFunc(unsettled, func(u incident.Incident) bool { return u.ID == id }); n >= 0 && unsettled[n].MayJoin() {
			join = choose(unsettled[n], unsettled)
		}
		if join.Lead == "" {
			if i, err = getIncident(ctx, tx, id); err != nil || !i.MayJoin() {
				return err
			}
			i.KeepOwn(join.Continues)
			return setIncidentDoc(ctx, tx, i)
		}
		var lead *incident.Incident
		for _, lock := range slices.Sorted(slices.Values([]string{id, join.Lead})) {
			found, err := getIncident(ctx, tx, lock)
			if err != nil {
				return err
			}
			if lock == id {
				i = found
			} else {
				lead = found
			}
		}
		switch {
		case !i.MayJoin():
			return nil
		case lead.Settled || lead.Lead != "": // just now
			i.KeepOwn("")
			return setIncidentDoc(ctx, tx, i)
		}
		i.JoinLead(lead.ID)
		lead.TakeIn(*i, join.Continues)
		if err := setIncidentDoc(ctx, tx, lead); err != nil {
			return err
		}
		return setIncidentDoc(ctx, tx, i)
	})
	return *i, err
}

func (s *State) Insert(ctx context.Context, new incident.Incident) (i incident.Incident, err error) {
	err = s.changeProject(ctx, new.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) {
		if known, err := getIncident(ctx, tx, new.ID); !errors.Is(err, sql.ErrNoRows) {
			i = *known
			return false, err
		}
		if i = new; i.IsOpen() && p.Open != "" {
			return false, fmt.Errorf("project %s: %w", i.Project, incident.ErrOpenIncident)
		}
		var next int
		var taken bool
		if err := First(ctx, tx, `SELECT coalesce(max(seq), 0) + 1, count(*) FILTER (WHERE seq = ?) > 0 FROM adfbot.incident WHERE project = ?`,
			i.Seq, i.Project).Scan(&next, &taken); err != nil {
			return false, err
		}
		if taken || i.Seq <= 0 {
			i.Seq = next
		}
		p.raiseGeneration(i.Generation)
		if i.Generation = 0; i.IsOpen() {
			p.open(&i)
		}
		if len(i.Evidence.Runs) > 0 || i.Evidence.Output != "" {
			if len(i.Evidence.Earlier) == 0 {
				before, _ := earlier(ctx, tx, i.Project)
				i.Evidence.Earlier = incident.EarlierOf(before)
			}
			if err := putEvidence(ctx, tx, &i); err != nil {
				return false, err
			}
		}
		return true, s.insertIncident(ctx, tx, &i)
	})
	return i, err
}

// Resume locks the project in one statement and reads the incident in another one: a single statement would see the incident as it
// was before it waited for the lock.
func (s *State) Resume(ctx context.Context, r incident.Resumption) (ended bool, err error) {
	err = s.changeProject(ctx, r.Project, func(ctx context.Context, tx Tx, p *Project) (bool, error) {
		ended = r.Pause != "" && p.Pause() == r.Pause // else another process has ended it
		if err := s.unconfirm(ctx, tx, r, ended); err != nil || !ended {
			return false, err
		}
		if p.Open != "" {
			i, err := getIncident(ctx, tx, p.Open)
			if err != nil {
				return false, err
			}
			i.Ended, i.EndedHow, i.NextTry = r.At.UTC(), r.How, time.Time{}
			if err := updateIncident(ctx, tx, i); err != nil {
				return false, err
			}
		}
		p.end()
		p.resume(r.At)
		return true, leaveStops(ctx, tx, r.Project)
	})
	return ended, err
}

func (s *State) BeginCount(ctx context.Context, project string, at time.Time) (begun bool, err error) {
	at = stamp(at)
	err = s.changeProject(ctx, project, func(ctx context.Context, tx Tx, p *Project) (bool, error) {
		if begun = !p.isPaused() && p.Resumed.Before(at); !begun {
			return false, nil
		}
		var succeeded bool
		err := First(ctx, tx, `SELECT count(*) > 0 FROM adfbot.result WHERE project = ? AND counted AND outcome = ? AND coalesce(finished_at, recorded_at) > ?`,
			project, store.Success, at).Scan(&succeeded)
		if begun = err == nil && !succeeded; begun {
			p.beginCount(at)
		}
		return begun, err
	})
	return begun, err
}

// resume drops the hold and begins the project's next generation.
func (p *Project) resume(at time.Time) {
	p.dropHold()
	p.beginCount(at)
}

// beginCount begins the project's next generation.
func (p *Project) beginCount(at time.Time) {
	p.Generation++
	p.Breaker, p.HalfOpen, p.Resumed = breaker.State{}, true, at
}

// tableOf is where an incident is stored.
func tableOf(i *incident.Incident) string {
	if i.IsSilent() {
		return `adfbot.silence`
	}
	return `adfbot.incident`
}

// getIncident reads an incident and locks it.
// It never returns nil.
func getIncident(ctx context.Context, tx Tx, id string) (*incident.Incident, error) {
	i := &incident.Incident{}
	var doc string
	err := First(ctx, tx, `SELECT doc FROM adfbot.incident WHERE id = ? FOR UPDATE`, id).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		err = First(ctx, tx, `SELECT doc FROM adfbot.silence WHERE id = ? FOR UPDATE`, id).Scan(&doc)
	}
	if err != nil {
		return i, fmt.Errorf("incident %s: %w", id, err)
	}
	return i, inContent(json.Unmarshal([]byte(doc), i))
}

// insertIncident stores a new incident. If its flag was written already, that is confirmed: nobody has looked at it.
func (s *State) insertIncident(ctx context.Context, tx Tx, i *incident.Incident) error {
	if !i.FlagWritten.IsZero() && i.IsOpen() {
		if err := s.confirmFlag(ctx, tx, i.Project, incident.Confirmation{Pause: i.ID}); err != nil {
			return err
		}
	}
	return execDoc(ctx, tx, i, `INSERT INTO adfbot.incident (doc, id, project, seq, opened_at, ended_at, settled) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		i.ID, i.Project, i.Seq, stamp(i.Opened), At(i.Ended), i.Settled)
}

// setIncidentDoc is updateIncident for one whose other columns have not changed: SQLite writes the pages of each index whose columns are
// named, changed or not.
func setIncidentDoc(ctx context.Context, tx Tx, i *incident.Incident) error {
	return execDoc(ctx, tx, i, `UPDATE `+tableOf(i)+` SET doc = ? WHERE id = ?`, i.ID)
}

func updateIncident(ctx context.Context, tx Tx, i *incident.Incident) error {
	return execDoc(ctx, tx, i, `UPDATE `+tableOf(i)+` SET doc = ?, ended_at = ?, settled = ? WHERE id = ?`, At(i.Ended), i.Settled, i.ID)
}

func putEvidence(ctx context.Context, tx Tx, i *incident.Incident) error {
	return execDoc(ctx, tx, &i.Evidence, `INSERT INTO adfbot.evidence (doc, incident) VALUES (?, ?)`, i.ID)
}

// earlier returns the last ended incidents of a project, the newest first.
func earlier(ctx context.Context, tx Tx, project string) ([]incident.Incident, error) {
	return List(ctx, tx, ScanDoc[incident.Incident],
		`SELECT doc FROM adfbot.incident WHERE project = ? AND ended_at IS NOT NULL ORDER BY seq DESC LIMIT ?`, project, incident.TrendOf)
}
