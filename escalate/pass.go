package escalate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/escalate/plan"
	"github.com/terraphim/adfbot/internal/fault"
	"github.com/terraphim/adfbot/pause"
)

// pass visits projects under the lock of their flags, and takes the local steps that are due. The pause directory is opened once.
//
// In a fleet, the directory and the state have a mark, see [incident.DirMark]. Before a pass concludes anything, it compares them: if the
// directory may have gone back in time, this host's confirmations are deleted first. The mark in the directory grows before the first
// flag is written, and before anything is confirmed; then the one in the state follows.
type pass struct {
	r       *Reconciler
	cache   *sweepCache
	folder  *visitFolder
	filling bool            // the directory is being filled: its sentinel comes last
	skip    map[string]bool // projects that are left to somebody else

	mu      sync.Mutex
	mark    pause.Mark // as this pass left it on disk; zero outside of a fleet
	raised  bool       // before a flag was written
	pending []*localVisit
	removed []incident.FlagConfirmation // of flags that this pass has removed
}

// localVisit is a visit to a project in a pass.
type localVisit struct {
	plan.Observation
	*pass
	confirms   string // id of the pause whose flag is to be confirmed at the end of the round, with the identity that it has now
	again      bool
	done       []plan.Action
	notWritten error // a flag that cannot be written keeps no other step waiting
	err        error // why the visit has ended
}

// visitsAtOnce is how many visits of a pass write their flags at the same time: they share the syncs of the directory.
const visitsAtOnce = 64

// LockFlags locks the flag of a project, in a fleet all flags of this host, because their mark is one.
func (r *Reconciler) LockFlags(ctx context.Context, project string) (unlock func(), err error) {
	lock := "flag/" + project
	if r.opt.Fleet != nil {
		lock = "flags"
	}
	return r.opt.State.LockHere(ctx, lock, flagWait)
}

// beginPass takes the lock and opens the pause directory. The caller calls end.
func (r *Reconciler) beginPass(ctx context.Context, project string, c *sweepCache) (p *pass, end func(), err error) {
	unlock, err := r.LockFlags(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	p = &pass{r: r, cache: c, folder: r.openFolder()}
	return p, func() { p.folder.leave(unlock) }, nil
}

// beginFilling is beginPass for a directory that is not to be believed yet.
func (r *Reconciler) beginFilling(ctx context.Context, project string) (p *pass, end func(), err error) {
	unlock, err := r.LockFlags(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	opened, err := r.open()
	if err != nil {
		unlock()
		return nil, nil, err
	}
	p = &pass{r: r, cache: r.visitCache(), folder: &visitFolder{folder: opened, r: r}, filling: true}
	return p, func() { p.folder.leave(unlock) }, nil
}

// run takes the steps that are due for the projects, or in a fleet, if there are none, for all of which this host has or needs a flag. It
// returns an error if it cannot go on with any of them; other errors are those of a visit.
func (p *pass) run(ctx context.Context, projects []string) (visits map[string]*localVisit, err error) {
	visits = map[string]*localVisit{}
	for range plan.MaxRounds {
		seen, err := p.read(ctx, projects)
		if err != nil {
			return visits, err
		}
		observations, err := p.observe(ctx, seen)
		if err != nil {
			return visits, err
		}
		var g errgroup.Group
		g.SetLimit(visitsAtOnce)
		for project, o := range observations {
			if p.skip[project] {
				delete(observations, project)
				continue
			}
			v := visits[project]
			if v == nil {
				v = &localVisit{pass: p}
				visits[project] = v
			}
			v.Observation, v.again = o, false
			g.Go(func() error { v.take(ctx); return nil })
		}
		_ = g.Wait()
		if err := errors.Join(p.unconfirmRemoved(ctx), p.confirmPending(ctx)); err != nil {
			return visits, err
		}
		projects = nil
		for project := range observations {
			if visits[project].again {
				projects = append(projects, project)
			}
		}
		if projects == nil {
			break
		}
	}
	return visits, nil
}

// observe joins what was read of projects with the incidents that their flags and issues name.
func (p *pass) observe(ctx context.Context, seen map[string]pauseState) (map[string]plan.Observation, error) {
	var have [][]incident.Incident
	var named []string
	for project, s := range seen {
		have = append(have, s.Unsettled)
		named = append(append(named, s.Flag.Info.Incident), markersOf(p.r.projectIssues(p.cache, project))...)
	}
	known, err := p.r.knownIncidents(ctx, named, have...)
	if err != nil {
		return nil, err
	}
	out := map[string]plan.Observation{}
	for project, s := range seen {
		fault.Count(ctx, "observation")
		out[project] = p.r.observation(project, p.cache, s.Flag, s.ProjectState, p.r.projectIssues(p.cache, project), known)
	}
	return out, nil
}

// take takes the steps of a visit that are due now.
func (v *localVisit) take(ctx context.Context) {
	_, err := v.r.guarded(v.Project, func() ([]plan.Action, error) {
		for _, a := range v.r.next(ctx, v.Observation) {
			if !a.Kind.Local() || a.Kind == plan.WriteFlag && v.notWritten != nil {
				continue
			}
			err := localSteps[a.Kind](v.r, ctx, v, a)
			var failed *FlagWriteError
			switch {
			case errors.As(err, &failed):
				v.notWritten = err
				continue
			case err != nil:
				return nil, err
			}
			v.done = append(v.done, a)
			v.again = v.again || a.Kind.Uncovers() || v.Hold != nil && v.Hold.Over(v.Now)
		}
		return nil, nil
	})
	if err != nil {
		v.err, v.again = err, false
	}
}

// read reads what pauses the projects, and then their flags.
func (p *pass) read(ctx context.Context, projects []string) (map[string]pauseState, error) {
	if p.r.opt.Fleet != nil {
		return p.readMarked(ctx, projects)
	}
	out := map[string]pauseState{}
	for _, project := range projects {
		state, err := p.r.opt.State.ProjectState(ctx, project)
		if err != nil {
			return nil, err
		}
		out[project] = pauseState{state, p.r.lookBy(ctx, project, 0, p.folder.Check)}
	}
	return out, nil
}

// confirmLater has the flag confirmed at the end of the round, as it was seen. It confirms nothing if the flag is the bot's of another
// pause: the next visit replaces that.
func (v *localVisit) confirmLater(pause string) {
	if v.Flag.Identity.Kind == incident.BotFlag && !v.Named(pause) {
		return
	}
	v.confirm(pause)
}

// confirm is confirmLater for a flag that the plan has seen, whosever it is.
func (v *localVisit) confirm(pause string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.confirms = pause
	v.pending = append(v.pending, v)
}

// unconfirmLater has the confirmation deleted at the end of the round. After a crash before that, a missing flag ends a pause that is over.
func (v *localVisit) unconfirmLater() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.removed = append(v.removed, incident.FlagConfirmation{Project: v.Project, Confirmation: incident.Confirmation{Pause: v.Confirmed.Pause}})
}

func (p *pass) unconfirmRemoved(ctx context.Context) error {
	removed := p.removed
	p.removed = nil
	if len(removed) == 0 {
		return nil
	}
	return p.r.opt.Fleet.UnconfirmAll(ctx, removed)
}

// confirmPending stores that flags are on disk as they were seen: what somebody does to one from now on is noticed. It stores nothing of
// a project that is no longer paused by that pause.
func (p *pass) confirmPending(ctx context.Context) error {
	pending := p.pending
	p.pending = nil
	if len(pending) == 0 {
		return nil
	}
	err := p.remark(ctx)
	if err != nil {
		return err
	}
	var list []incident.FlagConfirmation
	var errs []error
	for _, v := range pending {
		if p.r.opt.Fleet != nil { // the directory was marked meanwhile
			ok, err := v.unchanged()
			if errs = append(errs, err); !ok {
				continue
			}
		}
		list = append(list, incident.FlagConfirmation{Project: v.Project, Confirmation: incident.Confirmation{Pause: v.confirms, Identity: v.Flag.Identity}})
	}
	if p.r.opt.Fleet != nil {
		err := p.r.opt.Fleet.ConfirmAll(ctx, p.r.opt.Now(), list)
		errs = append(errs, err)
		if err == nil {
			p.reportWritten(pending)
		}
	} else {
		for _, c := range list {
			_, err := p.r.opt.State.Confirm(ctx, c.Project, c.Confirmation, p.r.opt.Now())
			errs = append(errs, err)
		}
	}
	fault.Point(ctx, "flag-noted")
	return errors.Join(errs...)
}

// reportWritten reports the flags that this pass has written, unless the directory is new.
func (p *pass) reportWritten(visits []*localVisit) {
	if p.r.opt.FlagConfirmed == nil || p.filling {
		return
	}
	for _, v := range visits {
		id, open := v.Pause()
		since := open.Opened
		if open.ID == "" && v.Hold != nil {
			since = v.Hold.Since
		}
		wrote := slices.ContainsFunc(v.done, func(a plan.Action) bool { return a.Kind == plan.WriteFlag })
		if wrote && id == v.confirms && !since.IsZero() {
			p.r.opt.FlagConfirmed(since)
		}
	}
}

// readMarked is read in a fleet. It ends with the marks compared, after the flags were looked at.
func (p *pass) readMarked(ctx context.Context, projects []string) (map[string]pauseState, error) {
	for range 3 {
		flags, err := p.r.opt.Fleet.HostFlags(ctx, projects...)
		if err != nil {
			return nil, err
		}
		out := map[string]pauseState{}
		for project, s := range flags.States {
			out[project] = pauseState{ProjectState: s}
		}
		for _, project := range projects {
			out[project] = pauseState{ProjectState: flags.States[project]}
		}
		trust := p.checkSentinel(ctx)
		if trust == nil && projects == nil {
			trust = p.addOthers(ctx, flags, out)
		}
		for project, s := range out {
			if trust != nil {
				s.Flag = incident.FlagView{Err: trust}
			} else {
				s.Flag = p.view(ctx, project)
			}
			out[project] = s
		}
		if trust != nil {
			return out, nil
		}
		if ok, err := p.compareMarks(ctx, flags.Mark); err != nil || ok {
			return out, err
		}
	}
	return nil, p.unsteady()
}

func (p *pass) unsteady() error {
	return fmt.Errorf("pause directory %s: its mark %s changes all the time: is it another host's, too?", p.r.opt.Dir.Path(), pause.MarkName)
}

// addOthers adds the projects whose flag is not as this host has confirmed it, and those that have a flag of which the state knows neither
// a pause nor a confirmation.
func (p *pass) addOthers(ctx context.Context, flags incident.HostFlags, out map[string]pauseState) error {
	others, err := p.folder.List()
	if err != nil {
		return err
	}
	confirmed := map[string]bool{}
	for _, c := range flags.Confirmed {
		flag, err := p.folder.Look(c.Project)
		if err != nil {
			return err
		}
		if confirmed[c.Project] = flag.Present && flag.Since.UnixNano() == c.Identity.Mtime && flag.Size == c.Identity.Size; !confirmed[c.Project] {
			others = append(others, c.Project)
		}
	}
	slices.Sort(others)
	others = slices.DeleteFunc(slices.Compact(others), func(id string) bool { _, known := out[id]; return known || confirmed[id] })
	if len(others) == 0 {
		return nil
	}
	more, err := p.r.opt.Fleet.HostFlags(ctx, others...)
	if err != nil {
		return err
	}
	for _, id := range others {
		out[id] = pauseState{ProjectState: more.States[id]}
	}
	return nil
}

// checkSentinel returns why the pause directory is not to be believed, or nil.
func (p *pass) checkSentinel(ctx context.Context) error {
	s, err := p.folder.Sentinel()
	if p.filling && errors.Is(err, pause.ErrNoSentinel) {
		return nil
	}
	if err == nil {
		err = p.r.ours(ctx, s)
	}
	return err
}

func (p *pass) view(ctx context.Context, project string) incident.FlagView {
	fault.Count(ctx, "look")
	flag, err := p.folder.Look(project)
	switch {
	case err != nil:
		return incident.FlagView{Err: err}
	case !flag.Present:
		return incident.FlagView{State: incident.FlagGone}
	}
	return viewOf(project, flag)
}

// compareMarks compares the mark of the directory with the one that was read from the state together with the confirmations. If the
// directory may have gone back in time, or its mark is missing, it voids the confirmations and reports false: all has to be read again.
func (p *pass) compareMarks(ctx context.Context, state incident.DirMark) (bool, error) {
	found, err := p.folder.Mark()
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mark != (pause.Mark{}) && found != p.mark {
		return false, p.otherMark(found)
	}
	if found.Host == p.r.opt.Host && found.Epoch == state.Epoch && found.Seq >= state.Seq && state.Epoch != "" {
		p.mark = found
		return true, nil
	}
	if state.Epoch == "" { // of a new host, or the state has moved here together with the confirmations
		return false, p.markFirst(ctx)
	}
	p.r.warnOfVoid()
	return false, p.void(ctx, max(found.Seq, state.Seq)+1)
}

// voidsAgain is how long nothing more is logged of a directory that is not to be believed: one that two machines take for theirs goes back
// in time with each pass.
const voidsAgain = time.Minute

func (r *Reconciler) warnOfVoid() {
	now := time.Now()
	if last := r.warnedOfVoid.Load(); last != nil && now.Sub(*last) < voidsAgain {
		return
	}
	r.warnedOfVoid.Store(&now)
	r.opt.Log.Warn("nothing is concluded from flags that are missing in the pause directory: they are written again",
		"dir", r.opt.Dir.Path(), "why", "its mark is missing, or older than the state; if that is logged again and again, see adfbot hosts")
}

// markFirst marks the directory of a host that never had a mark. The one on disk comes first: after a crash the state still has none.
func (p *pass) markFirst(ctx context.Context) error {
	mark := pause.Mark{Host: p.r.opt.Host, Epoch: pause.NewRandomID(), Seq: 1}
	if err := p.folder.SetMark(mark); err != nil {
		return err
	}
	p.mark = mark
	return p.r.opt.Fleet.SetMark(ctx, incident.DirMark{Epoch: mark.Epoch, Seq: mark.Seq})
}

// void deletes this host's confirmations and marks the directory anew. After a crash on the way the marks differ, so it is done again.
func (p *pass) void(ctx context.Context, seq int64) error {
	mark := pause.Mark{Host: p.r.opt.Host, Epoch: pause.NewRandomID(), Seq: seq}
	if err := p.r.opt.Fleet.Void(ctx, incident.DirMark{Epoch: mark.Epoch, Seq: mark.Seq}); err != nil {
		return err
	}
	if err := p.folder.SetMark(mark); err != nil {
		return err
	}
	p.mark = mark
	return nil
}

func (p *pass) otherMark(found pause.Mark) error {
	return fmt.Errorf("pause directory %s: %w: its mark was %q, and is %q", p.r.opt.Dir.Path(), pause.ErrOtherMark, p.mark, found)
}

// beforeWrite raises the mark before a flag is written, once in a round.
func (p *pass) beforeWrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r.opt.Fleet == nil || p.raised {
		return nil
	}
	err := p.raise()
	p.raised = err == nil
	return err
}

// raise raises the mark on disk, if it is still as this pass left it.
func (p *pass) raise() error {
	next := p.mark
	next.Seq++
	err := p.folder.RaiseMark(p.mark, next)
	if err == nil {
		p.mark = next
	}
	p.r.unmarked.Store(err != nil && !errors.Is(err, pause.ErrOtherMark))
	return err
}

// sameMark returns an error if the mark is not as this pass left it.
func (p *pass) sameMark() error {
	found, err := p.folder.Mark()
	if err == nil && found != p.mark {
		err = p.otherMark(found)
	}
	return err
}

// unmoved returns an error if the directory is not the one any more that the pass has read.
func (p *pass) unmoved() error {
	if p.r.opt.Fleet == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sameMark()
}

// remark raises the mark on disk and then the one in the state, before a confirmation: any older copy of the directory has a lower one.
func (p *pass) remark(ctx context.Context) error {
	if p.r.opt.Fleet == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.checkSentinel(ctx); err != nil {
		return err
	}
	if err := p.raise(); err != nil {
		return err
	}
	p.raised = false
	return p.r.opt.Fleet.SetMark(ctx, incident.DirMark{Epoch: p.mark.Epoch, Seq: p.mark.Seq})
}

// RaiseMark raises the mark of this host of a fleet and returns it, so that any older copy of the pause directory is known as one. back
// reports that the directory has gone back in time since the state knew it, or may have: what was missing there before this call was not
// removed by anybody. If the directory is not to be believed, RaiseMark does nothing, and the mark is the zero one, as after an error.
func (r *Reconciler) RaiseMark(ctx context.Context, project string) (mark pause.Mark, back bool, err error) {
	p, end, err := r.beginPass(ctx, project, r.visitCache())
	if err != nil {
		return mark, false, err
	}
	defer end()
	for range 3 {
		flags, err := r.opt.Fleet.HostFlags(ctx, project)
		if err != nil || p.checkSentinel(ctx) != nil {
			return mark, back, err
		}
		ok, err := p.compareMarks(ctx, flags.Mark)
		if err != nil {
			return mark, back, err
		}
		if ok {
			if err = p.remark(ctx); err == nil {
				mark = p.mark
			}
			return mark, back, err
		}
		back = back || flags.Mark.Epoch != ""
	}
	return mark, back, p.unsteady()
}

// CheckWritable returns why this host of a fleet cannot confirm flags, as far as a pass has met with it: its directory is full or read-only.
func (r *Reconciler) CheckWritable(ctx context.Context) error {
	if !r.unmarked.Load() {
		return nil
	}
	_, _, err := r.RaiseMark(ctx, "") // somebody may have made room
	return err
}

// LookSince is Look at a flag of a host of a fleet. The flag is unknown if the directory has not had the mark.
func (r *Reconciler) LookSince(ctx context.Context, project string, mark pause.Mark) incident.FlagView {
	v := r.Look(ctx, project)
	now, err := readDir(r, 0, r.opt.Dir.Mark)
	if err == nil && (now.Host != mark.Host || now.Epoch != mark.Epoch || now.Seq < mark.Seq) {
		err = fmt.Errorf("pause directory %s: %w", r.opt.Dir.Path(), pause.ErrOtherMark)
	}
	if err != nil {
		return incident.FlagView{Err: err}
	}
	return v
}

// passAll takes the local steps of all projects of which this host of a fleet has or needs a flag, but for those to skip.
func (r *Reconciler) passAll(ctx context.Context, c *sweepCache, skip map[string]bool) (rep Report, errs []error) {
	p, end, err := r.beginPass(ctx, "", c)
	if err != nil {
		return rep, []error{err}
	}
	defer end()
	p.skip = skip
	visits, err := p.run(ctx, nil)
	errs = append(errs, err)
	rep.Projects = len(visits)
	for _, project := range slices.Sorted(maps.Keys(visits)) {
		v := visits[project]
		rep.Actions = append(rep.Actions, v.done...)
		errs = append(errs, v.notWritten, v.err)
	}
	return rep, slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}
