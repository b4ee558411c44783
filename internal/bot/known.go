package bot

import (
	"context"
	"slices"
	"sync"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/pause"
)

// A project of a pattern is known from its first result on, or when `adfbot pause` or `adfbot resume` names it. The state keeps that. For
// gate, which reads no state, the pause directory has a file for each: see [pause.KnownName]. The state comes first; a sweep, and in a
// fleet each pass, writes the files that are missing. None is ever removed, so a state that was lost learns its projects from them.

// knownHere is what a process has seen of the files of known projects.
type knownHere struct {
	mu       sync.Mutex
	projects map[string]bool // whose file was there
	counted  int             // how many projects the state knew when all files were there
}

func (k *knownHere) has(project string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.projects[project]
}

func (k *knownHere) add(projects ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.projects == nil {
		k.projects = map[string]bool{}
	}
	for _, id := range projects {
		k.projects[id] = true
	}
}

// isKnown returns a [config.NotKnownError] for a project of a pattern that gate does not know.
func isKnown(cfg *config.Config, dir pause.Dir, project string) error {
	if !cfg.ByPattern(project) {
		return nil
	}
	known, err := dir.Known(project)
	if err != nil {
		return err
	}
	return cfg.CheckKnown(project, known)
}

// markKnown tells gate of a project that the state knows, if a pattern configures it. While the pause directory cannot be believed, it
// leaves that to the next sweep, which says what is wrong.
func (b *Bot) markKnown(ctx context.Context, project string) error {
	if !b.cfg.ByPattern(project) || b.known.has(project) {
		return nil
	}
	known, err := b.rec.IsKnownHere(project)
	if !known && b.rec.CheckPause(ctx) != nil {
		return nil
	}
	if !known {
		if err = b.underStop(ctx, project); err == nil { // gate lets it run from then on
			err = b.rec.MakeKnownHere(project)
		}
	}
	if err == nil {
		b.known.add(project)
	}
	return err
}

// keepKnown writes the files that are missing of known projects, and lets the state know those that only have a file.
func (b *Bot) keepKnown(ctx context.Context) error {
	if !b.cfg.HasPatterns() || b.rec.CheckPause(ctx) != nil {
		return nil
	}
	known, err := b.writeKnown(ctx)
	if err != nil {
		return err
	}
	here, err := b.rec.KnownHere()
	if err != nil {
		return err
	}
	lost := slices.DeleteFunc(here, func(id string) bool {
		_, found := slices.BinarySearch(known, id)
		return found || !b.cfg.ByPattern(id)
	})
	if len(lost) == 0 {
		return nil
	}
	n, err := b.store.MakeKnown(ctx, lost...)
	if n > 0 {
		b.log.Info("the state knows projects again, from the pause directory", "projects", n)
	}
	return err
}

// writeKnown writes the files that are missing in the pause directory of projects that the state knows, and returns those projects.
func (b *Bot) writeKnown(ctx context.Context) (known []string, err error) {
	if !b.cfg.HasPatterns() {
		return nil, nil
	}
	if known, err = b.store.KnownProjects(ctx); err != nil {
		return nil, err
	}
	here, err := b.rec.KnownHere()
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(known), func(id string) bool {
		_, found := slices.BinarySearch(here, id)
		return found || !b.cfg.ByPattern(id)
	})
	if len(missing) > 0 {
		err := b.allUnderStop(ctx, missing)
		if err == nil {
			err = b.rec.MakeKnownHere(missing...)
		}
		if err != nil {
			return nil, err
		}
	}
	b.known.add(missing...)
	b.known.mu.Lock()
	b.known.counted = len(known)
	b.known.mu.Unlock()
	return known, nil
}

// followKnown does what [Bot.keepKnown] does if projects have become known since, perhaps on other hosts.
func (b *Bot) followKnown(ctx context.Context) error {
	if !b.cfg.HasPatterns() {
		return nil
	}
	n, err := b.store.CountKnown(ctx)
	b.known.mu.Lock()
	same := n == b.known.counted
	b.known.mu.Unlock()
	if err != nil || same {
		return err
	}
	return b.keepKnown(ctx)
}

// becomeKnown makes a project of a pattern known, and reports whether it was not.
func (b *Bot) becomeKnown(ctx context.Context, project string) (first bool, err error) {
	if !b.cfg.ByPattern(project) {
		return false, nil
	}
	n, err := b.store.MakeKnown(ctx, project)
	return n > 0, err
}

// addProblem adds what is left to the next sweep.
func (d *Done) addProblem(err error) {
	if err != nil {
		d.Problems = append(d.Problems, err.Error())
	}
}
