package escalate_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraphim/adfbot/escalate"
	"github.com/terraphim/adfbot/escalate/incident"
	"github.com/terraphim/adfbot/internal/testhost"
	"github.com/terraphim/adfbot/pause"
)

// A model of one project's flags on some hosts that share a state. The reconciler is the real one; the pause directories, the persons at
// work in them, the crashes and the schedule are drawn from a seed. Nothing runs at once: between any two steps of one process, others and
// persons have their turn.

var (
	modelSeed  = flag.Uint64("model-seed", 1, "the first seed of TestFlagModel")
	modelSeeds = flag.Int("model-seeds", 0, "how many seeds TestFlagModel plays; 0: 1,000, or 10,000 with -full")
)

// A flag that somebody removed ends its pause everywhere, and nothing else does; a flag that somebody made or touched is a pause; and in
// the end all directories agree with the state, whatever died in between.
func TestFlagModel(t *testing.T) {
	t.Parallel()
	seeds := cmp.Or(*modelSeeds, 1000)
	if testhost.Exhaustive() && *modelSeeds == 0 {
		seeds = 10000
	}
	for n := range seeds {
		seed := *modelSeed + uint64(n)
		if playModel(t.Context(), seed, false) != "" {
			t.Fatalf("seed %d: %s", seed, playModel(t.Context(), seed, true))
		}
	}
}

// file is a directory entry.
type file struct {
	note  string
	mtime int64
	saved *file // as it is on disk; nil: only its name may be

	// What the checker knows, not the bot.
	pauses  []string // whose flag it is: the bot wrote it or confirmed it for them
	touched bool     // a person made or changed it since that
	back    bool     // a person put it back as it was: the bot may take that for a pause
	over    bool     // a person put it over another flag
}

// disk is a pause directory: as processes see it, and as it will be after a power failure if that came now.
type disk struct {
	now, durable content
	number       int // grows when the directory is replaced by another one
}

// content is what a directory holds.
type content struct {
	flags  map[string]*file
	mark   pause.Mark
	filled bool // the sentinel is there
}

// entries is a copy of the directory, with the same files.
func (c content) entries() content {
	c.flags = maps.Clone(c.flags)
	return c
}

// snapshot is a copy of the directory, with copies of its files.
func (c content) snapshot() *content {
	c = c.entries()
	for id, f := range c.flags {
		as := *f
		as.pauses = slices.Clone(f.pauses)
		c.flags[id] = &as
	}
	return &c
}

// backup is a copy of the state.
type backup struct {
	state     *escalate.Memory
	confirmed []map[string]incident.Confirmation
	marks     []incident.DirMark
}

// world is one play.
type model struct {
	ctx    context.Context
	r      *rand.Rand
	state  *escalate.Memory
	hosts  []*host
	clock  time.Time
	depth  int  // processes that are in the middle of something
	quiet  bool // nothing happens by itself
	fleet  bool
	trips  int
	tell   bool
	log    []string
	faults []string

	backup *backup // of the state, or nil

	ended map[string]bool // pauses that may be over: somebody removed the flag or gave a command
	known map[string]bool // pauses that there were
}

// host is one machine.
type host struct {
	m     *model
	name  string
	id    string
	disk  disk
	saved *content // a snapshot of the directory, or nil
	rec   *escalate.Reconciler
	files []*file // all that there ever were
	aside *file   // a flag that a person has moved away
	taken int     // during which of the host's visits
	visit int     // counts them; odd during one

	replaced int // during which of them its directory was replaced by another one

	confirmed map[string]incident.Confirmation
	mark      incident.DirMark // as the state has it
	// missing is the pause whose confirmed flag a person removed, until somebody puts a flag back; "": none.
	missing string
	// resuming: a person's command to resume is running, which removes whatever flag there is.
	resuming bool
	seen     map[int64]bool // the times of flags that were confirmed or that a person has put back
	// dying: the process was killed in the middle of a call. It ends at the next one.
	dying bool
}

// died is the panic of a process that is killed.
type died struct{ host *host }

const (
	modelProject = "odilo"
	byCommand    = "resumed by a command"
)

// playModel plays a seed and returns what went wrong, after the story of the play if it is to be told.
func playModel(ctx context.Context, seed uint64, tell bool) (faults string) {
	m := &model{ctx: ctx, tell: tell, r: rand.New(rand.NewPCG(seed, 0)), state: escalate.NewMemory(), clock: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		ended: map[string]bool{}, known: map[string]bool{}}
	installation := strings.Repeat("ab", 16)
	hosts := []int{1, 1, 1, 2, 3}[m.r.IntN(5)]
	m.fleet = hosts > 1 || m.r.IntN(3) == 0
	for n := range hosts {
		h := &host{m: m, name: string(rune('a' + n)), confirmed: map[string]incident.Confirmation{}, seen: map[int64]bool{}}
		h.id = strings.Repeat(h.name, 32)
		h.disk.now = content{flags: map[string]*file{}, filled: true}
		h.disk.durable = h.disk.now.entries()
		state := &modelState{m.state, h}
		opt := escalate.Options{Installation: installation, State: state, Host: h.id, Now: m.now}
		if m.fleet {
			opt.Fleet = state
		}
		h.rec, _ = escalate.New(opt)
		h.rec.SetFolder(func() (escalate.Folder, error) { return &modelFolder{h}, nil })
		m.hosts = append(m.hosts, h)
	}
	defer func() {
		if v := recover(); v != nil {
			faults = fmt.Sprintf("panic: %v\n%s", v, strings.Join(m.log, "\n"))
		}
	}()
	for range 30 {
		m.act()
	}
	m.settle()
	if len(m.faults) > 0 {
		return strings.Join(m.faults, "; ") + "\n" + strings.Join(m.log, "\n")
	}
	return ""
}

func (m *model) now() time.Time { m.clock = m.clock.Add(300 * time.Millisecond); return m.clock }

// say adds a line to the story of a play.
func (m *model) say(h *host, format string, args ...any) {
	if !m.tell {
		return
	}
	m.log = append(m.log, fmt.Sprintf("%*s%s: ", 2*m.depth, "", h.name)+fmt.Sprintf(format, args...))
}

func (m *model) fault(h *host, format string, args ...any) {
	m.faults = append(m.faults, h.name+": "+fmt.Sprintf(format, args...))
	m.say(h, "FAULT: "+format, args...)
}

func (m *model) host() *host { return m.hosts[m.r.IntN(len(m.hosts))] }

// act does one thing.
func (m *model) act() {
	h := m.host()
	if m.fleet && m.r.IntN(6) == 0 {
		m.disaster(h)
		return
	}
	switch m.r.IntN(12) {
	case 0, 1:
		h.process("trips", func() error { return h.trip() })
	case 2:
		h.process("resumes", func() error {
			h.resuming = true
			defer func() { h.resuming = false }()
			_, err := h.rec.Resume(m.ctx, modelProject, byCommand)
			return err
		})
	case 3:
		h.process("pauses", func() error { _, err := h.rec.Pause(m.ctx, modelProject, "a holiday"); return err })
	case 4, 5:
		h.person()
	case 6:
		h.powerCut()
	default:
		h.process("passes", h.pass)
	}
}

// disaster is what only a fleet is made for.
func (m *model) disaster(h *host) {
	switch m.r.IntN(6) {
	case 0:
		h.wipe()
	case 1, 2:
		h.process("restores", h.restore)
	case 3:
		h.loseOrSave()
	case 4:
		m.say(h, "backup of the state")
		m.backup = &backup{state: m.state.Backup()}
		for _, h := range m.hosts {
			m.backup.confirmed, m.backup.marks = append(m.backup.confirmed, maps.Clone(h.confirmed)), append(m.backup.marks, h.mark)
		}
	case 5:
		if m.backup == nil {
			return
		}
		m.say(h, "the backup of the state is restored")
		m.state.Restore(m.backup.state)
		for n, h := range m.hosts {
			h.confirmed, h.mark, h.missing = maps.Clone(m.backup.confirmed[n]), m.backup.marks[n], ""
			h.forgets()
		}
	}
}

// forgets is when it may not be known any more that a person's flags were seen before: they are taken for new ones.
func (h *host) forgets() {
	for _, f := range h.files {
		f.back = f.back || !f.isBots()
	}
}

// another puts another content into the directory. Nobody does that twice between two system calls.
func (h *host) another(what string, c content) {
	if h.replaced == h.visit && h.visit%2 == 1 {
		return
	}
	h.m.say(h, "%s", what)
	h.disk.now, h.replaced, h.missing = c, h.visit, ""
	h.disk.number++
	for _, f := range c.flags {
		h.files = append(h.files, f)
		f.touched = f.touched && !h.seen[f.mtime]
		confirmed := h.confirmed[modelProject]
		f.back = !f.isBots() || f.mayBeOf(confirmed.Pause)
		if f.mtime == confirmed.Identity.Mtime {
			f.pauses = append(f.pauses, confirmed.Pause)
		}
		f.save()
	}
	h.disk.durable = h.disk.now.entries()
}

// wipe empties the directory, or mounts another disk.
func (h *host) wipe() {
	h.another("the directory is wiped", content{flags: map[string]*file{}})
}

// restore is what an operator does after that.
func (h *host) restore() error {
	if h.disk.now.filled {
		return nil
	}
	if _, err := h.rec.RestoreFlags(h.m.ctx, pause.New("/flags"), nil); err != nil {
		return err
	}
	if err := h.step(true); err != nil {
		return err
	}
	h.disk.now.filled = true
	h.disk.durable = h.disk.now.entries()
	return nil
}

// loseOrSave takes a snapshot of the directory, or restores it.
func (h *host) loseOrSave() {
	if h.saved == nil || h.m.r.IntN(3) == 0 {
		h.m.say(h, "snapshot of the directory")
		h.saved = h.disk.now.snapshot()
		return
	}
	h.another("the snapshot is restored", *h.saved.snapshot())
}

// isBots reports whether the flag is as the bot wrote it.
func (f *file) isBots() bool {
	return escalate.ViewOf(modelProject, f.flag()).Identity.Kind == incident.BotFlag
}

func (f *file) flag() pause.Flag {
	return pause.Flag{Present: true, Note: f.note, Since: time.Unix(0, f.mtime), Size: int64(len(f.note))}
}

func (h *host) pass() error {
	if h.m.fleet && h.m.r.IntN(2) == 0 {
		_, err := h.rec.SweepLocal(h.m.ctx)
		return err
	}
	return h.passOne()
}

func (h *host) passOne() error { _, _, err := h.rec.Local(h.m.ctx, modelProject); return err }

func (h *host) trip() error {
	m := h.m
	m.trips++
	i := incident.Incident{Project: modelProject, Seq: m.trips, Agent: "project-meta", Failures: 3}
	_, err := h.rec.Open(m.ctx, i)
	if errors.Is(err, incident.ErrOpenIncident) {
		return nil
	}
	return err
}

// process runs a process of the bot, which may be killed on the way.
func (h *host) process(what string, do func() error) {
	h.m.say(h, "%s", what)
	h.m.depth++
	h.visit++
	depth := h.m.depth
	defer func() {
		h.m.depth, h.dying = depth-1, false
		h.visit++
		if v := recover(); v != nil {
			d, ok := v.(died)
			if !ok || d.host != h {
				panic(v) // of the other host's process, or a fault of the program
			}
			h.m.say(h, "%s: killed", what)
		}
	}()
	if err := do(); err != nil {
		h.m.say(h, "%s: %v", what, err)
	}
}

// errDied ends a call in the middle of which the process was killed.
var errDied = errors.New("killed")

// step is between two steps of a process: anything may happen there. It returns an error if the process is killed, which then must do
// nothing more.
func (h *host) step(killable bool) error {
	m := h.m
	if h.dying {
		return errDied
	}
	if m.quiet {
		return nil
	}
	switch m.r.IntN(40) {
	case 0:
		if killable {
			h.dying = true
			return errDied
		}
	case 1, 2:
		m.host().person()
	case 6:
		if m.fleet && m.r.IntN(4) == 0 {
			m.host().wipe()
		} else if m.fleet {
			m.host().loseOrSave()
		}
	case 3, 4:
		if other := m.host(); other != h && m.depth == 1 {
			other.process("passes meanwhile", other.pass)
		}
	case 5:
		if other := m.host(); other != h && m.depth == 1 {
			other.process("trips meanwhile", other.trip)
		}
	}
	return nil
}

// person does something to the host's flag.
func (h *host) person() {
	m := h.m
	f := h.disk.now.flags[modelProject]
	mtime := m.now().UnixNano() + 7 // no whole second
	switch m.r.IntN(6) {
	case 0, 1:
		if f == nil {
			return
		}
		m.say(h, "rm")
		h.took(f)
	case 2:
		if f == nil {
			m.say(h, "touch, a new one")
			h.put(&file{mtime: mtime, touched: true})
			return
		}
		m.say(h, "touch")
		f.mtime, f.touched = mtime, true
	case 3:
		if f != nil {
			m.say(h, "edit")
			f.note, f.mtime, f.touched = "I am on it\n"+f.note, mtime, true
		}
	case 4:
		if f != nil && h.aside == nil {
			m.say(h, "mv flag x")
			h.aside, h.taken = f, h.visit
			h.took(f)
		}
	case 5:
		if h.aside != nil && (h.taken != h.visit || h.visit%2 == 0) { // nobody does both between two system calls
			m.say(h, "mv x flag")
			if h.aside.back = true; f != nil { // over the one that is there
				h.aside.pauses, h.aside.over = append(h.aside.pauses, f.pauses...), true
			}
			h.put(h.aside)
			h.aside = nil
		}
	}
}

// took removes the flag by a person's hand, which ends its pauses.
func (h *host) took(f *file) {
	delete(h.disk.now.flags, modelProject)
	for _, id := range f.pauses {
		h.m.ended[id] = true
	}
	hold, _ := h.m.state.Hold(h.m.ctx, modelProject) // its flag may be that of an incident, too
	if c := h.confirmed[modelProject]; c.Stands() && (f.over || f.mayBeOf(c.Pause) || hold != nil && f.mayBeOf(hold.ID) || slices.Contains(f.pauses, c.Pause)) {
		h.m.ended[c.Pause] = true
		if slices.Contains(f.pauses, c.Pause) {
			h.missing = c.Pause
		}
	}
}

// mayBeOf reports whether somebody who removes the flag can mean that pause: not if it is the bot's, untouched, and names another one.
func (f *file) mayBeOf(id string) bool {
	v := escalate.ViewOf(modelProject, f.flag())
	return v.Identity.Kind != incident.BotFlag || v.Info.Pause.ID == id
}

// put makes a flag by a person's hand.
func (h *host) put(f *file) {
	h.disk.now.flags[modelProject], h.missing = f, ""
	h.files = append(h.files, f)
}

// powerCut loses what is not on disk, or not all of it.
func (h *host) powerCut() {
	h.m.say(h, "power failure")
	was, f := h.disk.now.flags[modelProject], h.disk.durable.flags[modelProject]
	if was != f && h.m.r.IntN(2) == 0 {
		f = was // the directory was written in time
	}
	delete(h.disk.now.flags, modelProject)
	if f != nil {
		if h.m.r.IntN(2) == 0 { // the file was not
			if f.saved != nil {
				f.note, f.mtime, f.touched = f.saved.note, f.saved.mtime, f.saved.touched
			} else {
				f.note = ""
			}
		}
		h.put(f)
	} else if was != nil { // nobody could rely on it
		h.missing = ""
	}
	h.disk.durable = h.disk.now.entries()
}

// save writes the file to disk.
func (f *file) save() {
	as := *f
	f.saved = &as
}

// settle lets everybody finish, and compares.
func (m *model) settle() {
	m.quiet = true
	for range 4 {
		for _, h := range m.hosts {
			h.process("restores", h.restore)
			h.process("passes", h.passOne)
		}
	}
	state, _ := m.hosts[0].rec.Options().State.ProjectState(m.ctx, modelProject)
	for _, h := range m.hosts {
		_, there := h.disk.now.flags[modelProject]
		if paused := state.Pause().ID != ""; there != paused {
			m.fault(h, "flag there: %t, paused: %t", there, paused)
		}
		if h.missing != "" && state.Pause().ID == h.missing {
			m.fault(h, "the removal of the flag of %s had no effect", h.missing)
		}
	}
}

// modelFolder is a host's pause directory.
type modelFolder struct{ h *host }

func (f *modelFolder) Check(id string) (pause.Flag, pause.Sentinel, error) {
	_ = f.h.step(false)
	flag, err := f.look(id)
	_ = f.h.step(false)
	s, sentinelErr := f.sentinel()
	return flag, s, cmp.Or(err, sentinelErr)
}

func (f *modelFolder) sentinel() (pause.Sentinel, error) {
	if !f.h.disk.now.filled {
		return pause.Sentinel{}, pause.ErrNoSentinel
	}
	return pause.Sentinel{Installation: strings.Repeat("ab", 16)}, nil
}

func (f *modelFolder) Sentinel() (pause.Sentinel, error) {
	if err := f.h.step(true); err != nil {
		return pause.Sentinel{}, err
	}
	return f.sentinel()
}

func (f *modelFolder) List() ([]string, error) {
	if err := f.h.step(true); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(f.h.disk.now.flags)), nil
}

func (f *modelFolder) Mark() (pause.Mark, error) {
	if err := f.h.step(true); err != nil {
		return pause.Mark{}, err
	}
	return f.h.disk.now.mark, nil
}

func (f *modelFolder) SetMark(m pause.Mark) error {
	if err := f.h.step(true); err != nil {
		return err
	}
	f.h.disk.now.mark = m
	f.h.m.say(f.h, "mark %d", m.Seq)
	return f.sync()
}

func (f *modelFolder) RaiseMark(was, next pause.Mark) error {
	if err := f.h.step(true); err != nil {
		return err
	}
	directory, found := f.h.disk.number, f.h.disk.now.mark
	if err := f.h.step(true); err != nil {
		return err
	}
	if f.h.disk.number != directory || found != was { // the new mark was under another name in the one before
		return pause.ErrOtherMark
	}
	f.h.disk.now.mark = next
	f.h.m.say(f.h, "mark %d", next.Seq)
	return f.sync()
}

func (f *modelFolder) Look(id string) (pause.Flag, error) {
	if err := f.h.step(true); err != nil {
		return pause.Flag{}, err
	}
	return f.look(id)
}

func (f *modelFolder) look(id string) (pause.Flag, error) {
	file, ok := f.h.disk.now.flags[id]
	if !ok {
		return pause.Flag{}, nil
	}
	return file.flag(), nil
}

// sync writes the directory to disk.
func (f *modelFolder) sync() error {
	if err := f.h.step(true); err != nil {
		return err
	}
	f.h.disk.durable = f.h.disk.now.entries()
	return f.h.step(true)
}

// written is a flag of the bot's.
func (f *modelFolder) written(id, note string, at time.Time) {
	h := f.h
	made := &file{note: note, mtime: at.UnixNano()}
	made.save()
	h.disk.now.flags[id] = made
	h.files = append(h.files, made)
	flag, _ := f.look(id)
	paused := escalate.ViewOf(id, flag).Info.Pause.ID
	made.pauses = []string{paused}
	h.m.known[paused] = true
	if h.missing == paused {
		h.m.fault(h, "a flag that somebody removed is written again: %s", paused)
	}
	h.m.say(h, "flag of %.4s", paused)
}

func (f *modelFolder) Write(id, note string, at time.Time) (created bool, err error) {
	if err := f.h.step(true); err != nil {
		return false, err
	}
	if _, ok := f.h.disk.now.flags[id]; !ok {
		f.written(id, note, at)
		created = true
	}
	return created, f.sync()
}

func (f *modelFolder) Replace(id, note string, at time.Time) error {
	if f.h.dying {
		return errDied
	}
	if old := f.h.disk.now.flags[id]; old != nil && old.touched {
		f.h.m.fault(f.h, "a flag that a person touched is replaced")
	}
	f.written(id, note, at)
	return f.sync()
}

func (f *modelFolder) Remove(id string) (bool, error) {
	if f.h.dying {
		return false, errDied
	}
	old := f.h.disk.now.flags[id]
	if old != nil && old.touched && !f.h.resuming {
		f.h.m.fault(f.h, "a flag that a person touched is removed")
	}
	if c := f.h.confirmed[id]; old != nil && old.back && !f.h.resuming && c.Identity.Kind == incident.RemovedFlag && old.mayBeOf(c.Pause) {
		f.h.m.fault(f.h, "a flag that a person put back is removed")
	}
	if old != nil && f.h.resuming {
		f.h.m.ended[f.h.confirmed[id].Pause] = true
		for _, id := range old.pauses {
			f.h.m.ended[id] = true
		}
	}
	delete(f.h.disk.now.flags, id)
	f.h.m.say(f.h, "flag removed by the bot")
	return old != nil, f.sync()
}

func (f *modelFolder) Sync(id string) error {
	if err := f.h.step(true); err != nil {
		return err
	}
	if file := f.h.disk.now.flags[id]; file != nil {
		file.save()
	}
	return f.sync()
}

func (f *modelFolder) Close() error { return nil }

// modelState is the shared state as a host sees it. Each method is atomic; something may happen before and after it.
type modelState struct {
	*escalate.Memory
	h *host
}

// as runs f with this host's confirmations.
func (s *modelState) as(f func()) {
	if s.h.step(true) != nil {
		panic(died{s.h})
	}
	s.Memory.SetConfirmed(s.h.confirmed)
	f()
	if s.h.step(true) != nil {
		panic(died{s.h})
	}
}

func (s *modelState) Incidents(ctx context.Context, ids ...string) (out []incident.Incident, err error) {
	s.as(func() { out, err = s.Memory.Incidents(ctx, ids...) })
	return out, err
}

func (s *modelState) ProjectState(ctx context.Context, project string) (out incident.ProjectState, err error) {
	s.as(func() { out, err = s.Memory.ProjectState(ctx, project) })
	return out, err
}

func (s *modelState) Confirm(ctx context.Context, project string, c incident.Confirmation, at time.Time) (ok bool, err error) {
	s.as(func() {
		if ok, err = s.Memory.Confirm(ctx, project, c, at); !ok {
			return
		}
		s.h.m.say(s.h, "confirm %.4s as %s", c.Pause, c.Identity.Kind)
		s.h.confirms(c.Pause, c.Identity)
	})
	return ok, err
}

// confirms is what the checker learns from a confirmation. Somebody may have removed the flag since the process looked, or moved it away.
func (h *host) confirms(pause string, as incident.FlagIdentity) {
	f := h.disk.now.flags[modelProject]
	if f == nil {
		h.missing = pause
		h.m.ended[pause] = true
	} else if hold, _ := h.m.state.Hold(h.m.ctx, modelProject); f.mayBeOf(pause) || hold != nil && f.mayBeOf(hold.ID) {
		f.pauses = append(f.pauses, pause)
	}
	h.seen[as.Mtime] = true
	for _, known := range h.files {
		for _, version := range []*file{known, known.saved} {
			if version != nil && version.mtime == as.Mtime {
				version.touched, version.back = false, false
			}
		}
	}
}

func (s *modelState) Unconfirm(ctx context.Context, project, pause string) (err error) {
	s.as(func() { err = s.Memory.Unconfirm(ctx, project, pause) })
	return err
}

func (s *modelState) AddHold(ctx context.Context, h incident.Hold, flag incident.FlagIdentity, generation int64) (ok bool, err error) {
	s.as(func() {
		f := s.h.disk.now.flags[h.Project]
		if ok, err = s.Memory.AddHold(ctx, h, flag, generation); !ok {
			return
		}
		s.h.m.say(s.h, "hold %.4s", h.ID)
		made := s.h.m.known[h.ID] || slices.ContainsFunc(s.h.files, func(f *file) bool { return f.mtime == flag.Mtime && (f.touched || f.back) })
		if f != nil && !f.touched && !f.back && !made {
			s.h.m.fault(s.h, "a hold of nobody")
		}
		s.h.m.known[h.ID] = true
		if s.h.confirms(h.ID, flag); f != nil {
			f.pauses = append(f.pauses, h.ID)
		}
	})
	return ok, err
}

func (s *modelState) Resume(ctx context.Context, r incident.Resumption) (ok bool, err error) {
	s.as(func() {
		if ok, err = s.Memory.Resume(ctx, r); ok {
			s.h.m.say(s.h, "resume %.4s: %s", r.Pause, r.How)
			if !s.h.m.ended[r.Pause] && !strings.HasPrefix(r.How, byCommand) {
				s.h.m.fault(s.h, "%s is resumed, and nobody removed its flag", r.Pause)
			}
			s.h.m.ended[r.Pause] = true // also if a backup of the state has it as open again
		}
	})
	return ok, err
}

func (s *modelState) Insert(ctx context.Context, i incident.Incident) (out incident.Incident, err error) {
	s.as(func() {
		if out, err = s.Memory.Insert(ctx, i); err == nil {
			s.h.m.say(s.h, "incident %.4s", i.ID)
			s.h.m.known[i.ID] = true
		}
	})
	return out, err
}

func (s *modelState) HostFlags(ctx context.Context, projects ...string) (out incident.HostFlags, err error) {
	s.as(func() {
		out.Mark = s.h.mark
		all, _ := s.Memory.ProjectStates(ctx)
		if projects != nil {
			out.States = map[string]incident.ProjectState{}
			for _, id := range projects {
				out.States[id] = all[id]
			}
			return
		}
		out.States = all
		maps.DeleteFunc(all, func(id string, s incident.ProjectState) bool {
			c := s.Confirmed
			current := c.Stands() && c.Pause == s.Pause().ID && c.Identity.Kind != incident.UnknownFlag
			if current {
				out.Confirmed = append(out.Confirmed, incident.FlagConfirmation{Project: id, Confirmation: c})
			}
			return current || s.Pause().ID == "" && c.Pause == ""
		})
	})
	return out, err
}

func (s *modelState) SetMark(_ context.Context, m incident.DirMark) (err error) {
	s.as(func() {
		if err = incident.ErrOtherEpoch; s.h.mark.Epoch == m.Epoch || s.h.mark.Epoch == "" {
			s.h.mark.Epoch, s.h.mark.Seq, err = m.Epoch, max(s.h.mark.Seq, m.Seq), nil
			s.h.m.say(s.h, "mark %d in the state", m.Seq)
		}
	})
	return err
}

func (s *modelState) Void(_ context.Context, m incident.DirMark) error {
	s.as(func() {
		s.h.m.say(s.h, "void")
		s.h.mark, s.h.missing = m, ""
		clear(s.h.confirmed)
		s.h.forgets()
	})
	return nil
}

func (s *modelState) ConfirmAll(ctx context.Context, at time.Time, list []incident.FlagConfirmation) error {
	for _, c := range list {
		if _, err := s.Confirm(ctx, c.Project, c.Confirmation, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *modelState) UnconfirmAll(ctx context.Context, list []incident.FlagConfirmation) error {
	for _, c := range list {
		if err := s.Unconfirm(ctx, c.Project, c.Pause); err != nil {
			return err
		}
	}
	return nil
}

func (s *modelState) FlagFailed(context.Context, string, string, string) error { return nil }

func (s *modelState) Change(ctx context.Context, id string, f func(*incident.Incident)) (out incident.Incident, err error) {
	s.as(func() { out, err = s.Memory.Change(ctx, id, f) })
	return out, err
}

func (s *modelState) LockHere(ctx context.Context, name string, wait time.Duration) (func(), error) {
	return s.Memory.LockHere(ctx, s.h.name+"/"+name, wait)
}
