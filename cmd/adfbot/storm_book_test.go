package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testhost"
)

// The storm's own book: what was done, by whom and when, what was answered, and what was asked of Gitea. The checker
// believes this and what it sees, and nothing that the bot says of itself.

// chance is a time at which somebody may have resumed or held a project.
type chance struct {
	project, incident string // incident: of this one only; "": whichever there is
	why               string
	from, until       time.Time
	round             int
	stop              bool          // of a resume: only of what a stop holds; of a hold: it is a part of one
	lasts             time.Duration // of a hold: until it ends by itself; 0: it does not
	expires           time.Time     // of a hold: when it has ended by itself at the latest; zero: never, or not known yet
	sure              bool          // of a hold: it was answered that it is in force
}

type entry struct {
	begun, ended      time.Time
	who, what, answer string
}

type book struct {
	s *storm

	mu       sync.Mutex
	entries  []entry
	deeds    []*deed
	faults   []string // that were broken promises
	resumes  []*chance
	holds    []*chance
	strangeI map[string][2]string       // title and body of the issues that the bot must never touch
	goneI    map[string]bool            // see gone
	plantedN map[string]int             // second issues of an incident that the storm itself opened
	reads    map[string]map[string]bool // by process: the issues that it has read while they were the bot's own
	epoch    int                        // deeds before this were lost together with the state
	lostAt   []int                      // rounds before which the state was lost
	calm     map[string]projectCalm     // what the last calm ended with
	seen     map[string]incidentSeen    // by id
	writes   []string                   // requests that changed something, since they were last forgotten
	jumped   bool
	told     []told
	looks    map[int]bool // rounds at whose beginning or end somebody looks for silence again
	swept    time.Time    // when the last sweep in the calm began
}

type projectCalm struct {
	open    string // incident; "" none
	flagged bool
	at      time.Time
	stop    string    // that holds the project; "": none
	until   time.Time // when the hold ends by itself; zero: it does not
	silent  string    // open incident of this kind; "" none
}

type incidentSeen struct {
	project string
	first   time.Time
}

func newBook(s *storm) *book {
	return &book{s: s, strangeI: map[string][2]string{}, plantedN: map[string]int{}, goneI: map[string]bool{}, reads: map[string]map[string]bool{},
		calm: map[string]projectCalm{}, seen: map[string]incidentSeen{}, looks: map[int]bool{}}
}

// carriesOne reports whether an issue is about one of the incidents.
func carriesOne(i giteatest.Issue, incidents map[string]bool) bool {
	return slices.ContainsFunc(carried(i.Body), func(m hidden) bool { return incidents[m.incident] })
}

func (b *book) wrong(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

func (b *book) note(begun time.Time, who, what, answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entry{begun, b.s.now(), who, what, answer})
}

func (b *book) begin(n int) { b.note(b.s.now(), "storm", fmt.Sprint("round ", n, " begins"), "") }

func (b *book) fault(f trouble) { b.note(b.s.now(), "gitea", "fault: "+f.String(), "") }

func (b *book) chance(to *[]*chance, project, incident, why string) (done func()) {
	c := &chance{project: project, incident: incident, why: why, from: b.s.now(), round: b.s.at}
	b.mu.Lock()
	defer b.mu.Unlock()
	*to = append(*to, c)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		c.until = b.s.now()
	}
}

func (b *book) resuming(project, why string) (done func()) {
	return b.chance(&b.resumes, project, "", why)
}
func (b *book) holding(project, why string) (done func()) {
	return b.chance(&b.holds, project, "", why)
}

func (b *book) attempt(d *deed) {
	b.mu.Lock()
	b.deeds = append(b.deeds, d)
	b.jumped = b.jumped || d.Jump != 0
	b.mu.Unlock()
	if d.What == "resume" || d.What == "pause" {
		d.over = b.many(d)
	}
}

func (b *book) answered(d *deed) {
	if d.over != nil {
		d.over(d)
	}
	answer := fmt.Sprintf("%d", d.Code)
	if d.killed() {
		answer = "killed"
	}
	b.mu.Lock()
	b.entries = append(b.entries, entry{d.Begun, d.Ended, fmt.Sprintf("p%d", d.N), d.move.String(), answer + "\n" + d.Stdout + d.Stderr})
	b.mu.Unlock()
	if d.What == "exec" { // what its command says is passed through
		var own []string
		for line := range strings.Lines(d.Stderr) {
			if strings.HasPrefix(line, "adfbot: ") {
				own = append(own, line)
			}
		}
		b.heard(d.move.String(), strings.Join(own, ""))
		return
	}
	b.heard(d.move.String(), d.Stdout+d.Stderr)
}

// closing is an order to resume where an operator does it and the plan says so.
func (b *book) closing(who string, i target) {
	if !b.s.plan.CloseResumes || who == stranger {
		return
	}
	for _, m := range carried(i.Body) {
		if m.silent {
			continue // which pauses nothing
		}
		_ = b.chance(&b.resumes, m.project, m.incident, who+" closed the issue")
	}
}

func (b *book) comment(who string, i target, text string) {
	if !b.s.plan.Operators || who == stranger {
		return
	}
	if b.aboutAll(who, text) {
		return
	}
	for _, m := range carried(i.Body) {
		if strings.HasPrefix(text, "/adf resume") {
			// Of this incident, or of whatever hold there is.
			_ = b.chance(&b.resumes, m.project, m.incident, who+" wrote /adf resume")
		}
		if strings.HasPrefix(text, "/adf pause") {
			_ = b.chance(&b.holds, m.project, "", who+" wrote /adf pause")
		}
	}
}

// gone notes that an incident's issue is closed or no longer the bot's. Where a person's flag pauses the project, an incident
// of a lost state can't be rebuilt then: nothing tells of it.
func (b *book) gone(i target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range carried(i.Body) {
		b.goneI[m.incident] = true
	}
}

func (b *book) planted(i target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range carried(i.Body) {
		b.plantedN[m.incident]++
	}
}

func (b *book) strange(repo string, n int64, title, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strangeI[fmt.Sprintf("%s#%d", repo, n)] = [2]string{title, body}
}

func (b *book) stateLost() {
	b.note(b.s.now(), "a person", "deletes the state", "")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch = len(b.deeds)
	b.lostAt = append(b.lostAt, b.s.at)
}

// flagsWritten tells whether the state knows that a flag was ever on disk.
func (b *book) flagsWritten() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calm {
		if c.flagged && !slices.Contains(b.lostAt, b.s.at) {
			return true
		}
	}
	return false
}

// stateKnown tells whether the state is that of the round before.
func (b *book) stateKnown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.Contains(b.lostAt, b.s.at)
}

// refused tells whether Gitea refused to take a comment on an issue: then it is gone on without.
func (b *book) refused(repo string, number int64) bool {
	return refusedComment(b.s.Requests(), repo, number)
}

// secrets that must not be seen anywhere. The token's last part alone would be as bad.
const plantedToken = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"

var secrets = []string{botToken, plantedToken, secretValue, hookSecret, "s3cretpass", pagerPath}

func (b *book) heard(who, text string) {
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			b.wrong("6: %s said a secret: %s\n%s", who, secret, text)
		}
	}
	if strings.Contains(text, syscall.EEXIST.Error()) { // several processes may create any file at once
		b.wrong("7: %s found a file that another process had made: %s", who, text)
	}
}

// hidden is what the last marker of a text says. It is read here in its own way.
type hidden struct {
	installation, project, incident string
	silent                          bool // it pauses nothing
}

// carried is what the markers of all incidents say that an issue is about: the last one, and those of the bot's part of the text.
func carried(body string) []hidden {
	all := []hidden{markerOf(body)}
	if _, part, ok := strings.Cut(body, "<!-- adfbot:incidents -->\n"); ok {
		part, _, _ = strings.Cut(part, "<!-- adfbot:incidents-end -->")
		for _, m := range markerLine().FindAllStringSubmatch(part, -1) {
			if h := hiddenOf(m); !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
	}
	return all
}

var markerLine = expression(`(?m)^<!-- adfbot:(silent-)?v1 installation=([0-9a-f]{32}) project=(\S+) seq=\d+ incident=([0-9a-f]{32}) -->\s*$`)

func hiddenOf(m []string) hidden { return hidden{m[2], m[3], m[4], m[1] != ""} }

func markerOf(body string) hidden {
	all := markerLine().FindAllStringSubmatch(body, -1)
	if len(all) == 0 {
		return hidden{}
	}
	return hiddenOf(all[len(all)-1])
}

var issuePath = expression(`^/api/v1/repos/([^/]+/[^/]+)/issues(?:/(\d+))?(/[a-z]+)?$`)

// watch sees every request as it arrives, before any fault. It never matches.
func (b *book) watch(r *http.Request) bool {
	m := issuePath().FindStringSubmatch(r.URL.Path)
	if m == nil {
		return false
	}
	from, _, _ := strings.Cut(r.RemoteAddr, ":")
	repo, what := m[1], m[3]
	ours := map[string]bool{}
	for _, i := range b.s.Issues(repo) {
		at := fmt.Sprintf("%s#%d", repo, i.Number)
		// Nobody but the bot's own account writes this marker into the bot's issues, so the installation need not be known.
		ours[at] = i.AuthorID == b.s.bot && markerOf(i.Body).installation != "" && !b.isStrange(at)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reads[from] == nil {
		b.reads[from] = map[string]bool{}
	}
	read := b.reads[from]
	at := repo + "#" + m[2]
	switch {
	case r.Method == http.MethodGet && m[2] == "" && what == "":
		for at, mine := range ours {
			if mine {
				read[at] = true
			}
		}
	case r.Method == http.MethodGet && what == "":
		if ours[at] {
			read[at] = true
		}
	case r.Method != http.MethodGet:
		b.writes = append(b.writes, r.Method+" "+r.URL.Path)
		if m[2] != "" && !read[at] {
			b.faults = append(b.faults, fmt.Sprintf("3: %s: %s %s, an issue that it had not read while it was the bot's own",
				b.process(from), r.Method, r.URL.Path))
		}
	}
	return false
}

func (b *book) isStrange(at string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.strangeI[at]
	return ok
}

func (b *book) process(from string) string {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if d := b.s.from[from]; d != nil {
		return fmt.Sprintf("p%d (%s)", d.N, d.What)
	}
	return "the sweep in the calm"
}

// endRuns ends the commands that killed execs have left behind.
func (b *book) endRuns() {
	for _, d := range b.deeds {
		for _, pid := range b.ran(d) {
			if !b.alive(pid) {
				continue
			}
			if err := testhost.WaitGone(pid); err != nil {
				b.wrong("7: the command of p%d: %v", d.N, err)
			}
		}
	}
}

// alive tells whether a command of this storm runs under the id: ids are used again.
func (b *book) alive(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains(string(env), "ADFBOT_CONFIG="+b.s.path("config.yaml"))
}

// ran are the process ids under which the command of an exec was started: none where it was not.
func (b *book) ran(d *deed) []int {
	if d.What != "exec" {
		return nil
	}
	return pids(b.s.path(fmt.Sprint("ran/", d.N)))
}

func pids(file string) []int {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var all []int
	for _, f := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(f); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// String is the whole story, in the order in which things began.
func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries := slices.Clone(b.entries)
	for _, r := range b.s.Requests() {
		if r.Fault != "watch" {
			from, _, _ := strings.Cut(r.From, ":")
			who := "calm"
			if d := b.s.from[from]; d != nil {
				who = fmt.Sprintf("p%d", d.N)
			}
			answer := fmt.Sprint(r.Status)
			if r.Fault != "" {
				answer += " by fault: " + r.Fault
			}
			entries = append(entries, entry{r.At, r.At, who, "  " + r.Method + " " + r.Path, answer})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.begun.Compare(b.begun) })
	var out strings.Builder
	for _, e := range entries {
		took := ""
		if d := e.ended.Sub(e.begun).Milliseconds(); d > 0 {
			took = fmt.Sprintf(" (%d ms)", d)
		}
		answer := strings.ReplaceAll(strings.TrimSpace(e.answer), "\n", "\n              | ")
		fmt.Fprintf(&out, "%s %s: %s%s -> %s\n", e.begun.UTC().Format("02T15:04:05.000"), e.who, e.what, took, answer)
	}
	return out.String()
}

// issues shows what stands in Gitea.
func (b *book) issues() string {
	var out strings.Builder
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range b.s.Issues(repo) {
			fmt.Fprintf(&out, "%s#%d %s by %s, %v, %q\n", repo, i.Number, i.State, i.Author, carried(i.Body), i.Title)
			for _, e := range i.Timeline {
				fmt.Fprintf(&out, "   %s %s by %s: %s\n", e.Created.Format("02T15:04:05"), e.Type, e.Author, strings.ReplaceAll(e.Body, "\n", " / "))
			}
		}
	}
	return out.String()
}

// summary counts what has happened: a storm in which nothing happens proves nothing.
func (b *book) summary() string {
	n := map[string]int{}
	for _, d := range b.deeds {
		n[d.What]++
		switch {
		case d.signaled:
			n["killed"]++
		case strings.Contains(d.Stderr, "is kept in"):
			n["spooled"]++
		}
		n[fmt.Sprintf("%s=%d", d.What, d.Code)]++
		if len(b.ran(d)) > 0 {
			n["ran"]++
		}
	}
	for _, e := range b.entries {
		if e.who != "storm" && e.who[0] != 'p' {
			n[e.who]++
		}
	}
	n["incidents"], n["resumes"], n["holds"], n["lost states"] = len(b.seen), len(b.resumes), len(b.holds), len(b.lostAt)
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range b.s.Issues(repo) {
			n["issues"]++
			n["joined"] += len(carried(i.Body)) - 1
			if markerOf(i.Body).silent {
				n["silent issues"]++
			}
			for _, s := range saidIn(i) {
				n[s.kind+"s"]++
			}
		}
	}
	faulty := 0
	for _, r := range b.s.Requests() {
		if r.Fault != "" {
			faulty++
		}
	}
	n["requests"], n["faulty"], n["pages"], n["told"] = b.s.Operations(), faulty, len(b.s.pager.pages()), len(b.told)
	return fmt.Sprint("did ", n)
}
