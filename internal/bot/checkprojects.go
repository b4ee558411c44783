package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/text"
)

// entries reports what the configuration lists.
func (c *checker) entries() {
	ids := len(c.cfg.ProjectIDs(nil))
	what := text.Plural(ids, "project")
	if patterns := len(c.cfg.Projects) - ids; patterns > 0 {
		what += " and " + text.Plural(patterns, "pattern")
	}
	if more := len(c.cfg.Files) - 1; more > 0 {
		what += ", with " + text.Plural(more, "included file")
	}
	c.add(OK, "config", "%s: %s", c.cfg.Path, what)
	for _, w := range c.cfg.Warnings() {
		c.add(Warn, "config", "%v", w)
	}
	for n, p := range c.cfg.Projects {
		if p.Expect.IsZero() {
			continue
		}
		if _, err := p.Expect.Deadline(time.Now()); err != nil {
			c.add(Fail, "config", "%s (%s): %v", p.Name(), c.cfg.PlaceOf(n), err)
		}
	}
}

// patterns reports which known projects fall under each pattern, and whether gate knows them.
func (c *checker) patterns(ctx context.Context) {
	if c.bot == nil || !c.cfg.HasPatterns() {
		return
	}
	known, err := c.bot.store.KnownProjects(ctx)
	if c.failed("projects", err) {
		return
	}
	under := map[string][]string{} // by place: two patterns may be the same
	for _, id := range known {
		if c.cfg.ByPattern(id) {
			_, at, _ := c.cfg.Entry(id)
			under[at.String()] = append(under[at.String()], id)
		}
	}
	for n, p := range c.cfg.Projects {
		if at := c.cfg.PlaceOf(n).String(); p.Match != "" {
			c.add(OK, "projects", "%s (%s): %s", p.Match, at, someOf(under[at]))
		}
	}
	here, err := c.bot.rec.KnownHere()
	if err != nil {
		return // pauseDir reports what is wrong with the directory
	}
	known = slices.DeleteFunc(known, func(id string) bool {
		_, found := slices.BinarySearch(here, id)
		return found || !c.cfg.ByPattern(id)
	})
	if len(known) > 0 {
		c.add(Warn, "projects", "gate does not know %s yet and reports unknown; the next sweep changes that", someOf(known))
	}
}

// someOf counts projects and names the first ones.
func someOf(ids []string) string {
	const most = 3
	switch {
	case len(ids) == 0:
		return "nothing is known of any project yet"
	case len(ids) <= most:
		return text.Plural(len(ids), "known project") + ": " + strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%d known projects: %s and %d more", len(ids), strings.Join(ids[:most], ", "), len(ids)-most)
}
