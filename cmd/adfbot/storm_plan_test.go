package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// Everything that a seed does is drawn here, before anything is done.

// The people beside alex, whose login is person: he and the operator may act from Gitea where the plan has operators.
const (
	operator = "olaf"
	stranger = "sven"
)

const (
	hookSecret  = "the-webhook-secret-of-the-storm"
	secretVar   = "STORM_SECRET"
	secretValue = "named-in-redact-env-8842"
)

// hostileText is what some commands print: secrets, and everything that could break out of an issue's text.
var hostileText = strings.Join([]string{
	"before the fence", "```", "````", "~~~", "</details>",
	"<!-- adfbot:v1 installation=0123456789abcdef0123456789abcdef project=quick seq=1 incident=0123456789abcdef0123456789abcdef -->",
	"<!-- adfbot:comment 0123456789abcdef0123456789abcdef/resumed -->",
	"@everyone and @" + person + ", closes #1", "/adf resume",
	"\x1b[31mred\x1b[0m \x1b]0;title\x07", "overwritten\rby this", "a NUL \x00 and \xff\xfe no UTF-8", "right \u202e to left",
	"token " + botToken, "Authorization: Bearer " + plantedToken, "https://user:s3cretpass@example.org/", "secret " + secretValue,
	"the last line", "",
}, "\n")

// quotaText and revokedText are what runs print whose failures have a class: one that is built in, and one that pauses at once.
const (
	quotaText   = "working\nYou've hit your usage limit. Try again in 17 minutes.\n"
	revokedText = "working\nFATAL: the key of 17 projects was revoked\n"
)

// stormClass is the class of revokedText.
const stormClass = "revoked"

// stormPlan is a seed.
type stormPlan struct {
	Seed   uint64
	Config string
	Rounds []stormRound

	Operators    bool
	CloseResumes bool
	Served       bool          // some rounds have the daemon
	Timeout      time.Duration // gitea.timeout while the storm blows
	Denied       bool          // the processes are a user's whom permissions concern, and permissions go and come back
	Shared       bool          // incidents of one cause share an issue, and most have one
	Separated    bool          // state and flags belong to the daemon's user, and agents report through its socket
	quietPlan
}

type stormRound struct {
	LoseState bool          // before it
	Later     time.Duration // how much later than the calm before it
	Look      bool          // in its calm, somebody looks for silence a second time
	Cut       hit           // happens to a sweep at the beginning of its calm; none: there is no such sweep
	Answer    string        // in its calm, somebody answers to an incident so: a comment, or [assigns]
	Jumps     bool          // some commands have another clock
	Serve     *hit          // the daemon runs, until it is told to end or something happens to it; nil: it does not
	Length    time.Duration
	Faults    []trouble
	Moves     []move
}

// move is what one actor does once.
type move struct {
	At      time.Duration // after the beginning of the round
	What    string
	Project string
	Args    []string      // of a command, or what a person writes
	Who     string        // of a person
	Pick    int           // which of several issues, counted round
	Agents  bool          // the command is run by the agents' user
	Run     string        // run id of a result; "" where it has none
	Agent   string        //
	Outcome string        // of a result
	For     time.Duration // until something that was taken away comes back
	Jump    time.Duration // of the command's clock
	Hit     hit
}

// hit is what happens to a process on its way.
type hit struct {
	How  string        // "": nothing; kill, term, stop (and later go on), stop-kill
	When string        // step, request, time
	N    int           // the nth step or request
	Step string        // of these steps, or of these requests, see troubled; "": of all
	For  time.Duration // until the time, or how long it is stopped
}

func (h hit) String() string {
	if h.How == "" {
		return ""
	}
	if h.When == "time" {
		return fmt.Sprintf(" [%s after %s]", h.How, h.For)
	}
	return fmt.Sprintf(" [%s at %s %s%d, %s]", h.How, h.When, h.Step, h.N, h.For)
}

// step is where it happens, as the hooks of the command want it.
func (h hit) step() string { return fmt.Sprintf("%s:%d", cmp.Or(h.Step, "*"), h.N) }

func (m move) String() string {
	s := fmt.Sprintf("%4d ms %s", m.At.Milliseconds(), m.What)
	if m.Agents {
		s += " by agents"
	}
	for _, part := range []string{m.Who, m.Project} {
		if part != "" {
			s += " " + part
		}
	}
	if m.Pick > 0 {
		s += fmt.Sprint(" issue ", m.Pick)
	}
	if m.For > 0 {
		s += fmt.Sprint(" for ", m.For)
	}
	if m.Jump != 0 {
		s += fmt.Sprint(" clock ", m.Jump)
	}
	if len(m.Args) > 0 {
		s += fmt.Sprintf(" %q", m.Args)
	}
	return s + m.Hit.String()
}

func (p stormPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, operators %t, closing resumes %t, served %t, denied %t, separated %t, shared %t, timeout %s; %s\n",
		p.Seed, p.Operators, p.CloseResumes, p.Served, p.Denied, p.Separated, p.Shared, p.Timeout, p.quietPlan)
	for n, r := range p.Rounds {
		fmt.Fprintf(&b, "round %d, state lost before %t, %s later, looked again %t, answer %q, cut%s, faults %q\n", n, r.LoseState, r.Later, r.Look, r.Answer, r.Cut, r.Faults)
		if r.Serve != nil {
			fmt.Fprintf(&b, "   0 ms serve%s\n", *r.Serve)
		}
		for _, m := range r.Moves {
			fmt.Fprintf(&b, "  %s\n", m)
		}
	}
	return b.String()
}

// threshold and after a resume, of the projects.
type stormLimits struct{ threshold, resume int }

var stormProjects = map[string]stormLimits{"odilo": {2, 2}, "digital-twins": {3, 1}, "quick": {1, 1}, "night-watch": {1, 1}}

const stormConfig = `instance: bigbox
pause_dir: $WORK/pause
state: $WORK/state/adfbot.db
gitea:
  url: $URL
  token_file: $WORK/token
  owner: terraphim
  repo: adf-fleet
  timeout: $TIMEOUT
escalation:
  redact_env: [STORM_SECRET]
sweep:
  schedule: "@every 1s"
projects:
  - id: odilo
    threshold: 2
  - id: digital-twins
    threshold: 3
    resume_threshold: 1
    ignore_exit_codes: [75]
  - id: quick
    threshold: 1
    repo: other
  - id: night-watch
    threshold: 1
classes:
  - name: revoked
    output: ['^FATAL: .* revoked$']
    outcome: trip
`

// The same projects, in other words.
var otherWords = strings.NewReplacer("  - id: digital-twins\n", "  - match: \"digital-*\"\n",
	"    ignore_exit_codes: [75]\n", "    classes: [{name: nothing-to-do, exit_codes: [75], outcome: ignored}]\n")

const stormHTTP = `http:
  socket: $WORK/s
  webhook_secret_file: $WORK/hook-secret
`

// trouble is a fault of Gitea's.
type trouble struct {
	Which, Effect string
	Ms            int // of an effect that takes time
	Code          int // of an answer
	After, Times  int
}

func (f trouble) String() string {
	return fmt.Sprintf("%s %s %d %d ms, after %d, %d times", f.Which, f.Effect, f.Code, f.Ms, f.After, f.Times)
}

// which requests a fault is about. Single issues and lists are the most interesting.
var troubled = map[string]func(*http.Request) bool{
	"any": giteatest.All(), "create": giteatest.CreateIssue(), "list": giteatest.ListIssues(), "get": giteatest.GetIssue(),
	"edit": giteatest.EditIssue(), "close": giteatest.CloseIssue(), "reopen": giteatest.ReopenIssue(),
	"comment of a step": giteatest.All(giteatest.CommentIssue(), giteatest.BodyHas("/step/")),
	"comment":           giteatest.CommentIssue(), "timeline": giteatest.ListTimeline(), "make label": giteatest.CreateLabel(),
	"comments": giteatest.All(giteatest.Method("GET"), giteatest.PathHas("/comments")),
	"labels":   giteatest.All(giteatest.Method("GET"), giteatest.PathHas("/labels")), "user": giteatest.PathHas("/user"),
}

func (f trouble) fault() giteatest.Fault {
	ms := time.Duration(f.Ms) * time.Millisecond
	message := `{"message":"out of order"}`
	effects := map[string]giteatest.Effect{
		"status": giteatest.Refuse(f.Code, "out of order"), "gateway": giteatest.Status(f.Code, message), "retry": giteatest.RetryAfter(f.Code, 60*f.Ms), "latency": giteatest.Latency(ms),
		"late": giteatest.LateWork(ms), "reset": giteatest.Reset(), "lost": giteatest.LostAnswer(), "hang": giteatest.Hang(),
		"truncated": giteatest.Truncated(), "html": giteatest.HTML(), "html after work": giteatest.HTMLAfterWork(),
		"null": giteatest.NullBody(), "empty": giteatest.EmptyBody(),
	}
	return giteatest.Fault{Name: f.String(), Match: troubled[f.Which], After: f.After, Times: f.Times, Do: effects[f.Effect]}
}

// drawer draws.
// chance is true n times of a hundred.
func drawPlan(seed uint64) stormPlan {
	d := &drawer{Rand: rng(seed)}
	p := stormPlan{Seed: seed, Config: stormConfig, Timeout: 400 * time.Millisecond}
	if d.chance(50) {
		p.Operators = true
		p.Config += "operators: [" + person + ", " + operator + "]\n"
		if d.chance(60) {
			p.CloseResumes = true
			p.Config += "on_issue_closed: resume\n"
		}
	}
	if d.chance(35) {
		p.Config = otherWords.Replace(p.Config)
	}
	if d.chance(40) {
		p.Shared, d.cause = true, pick(d, "quota", "quota", "revoked")
		if d.chance(50) {
			p.Config = strings.Replace(p.Config, "    repo: other\n", "", 1)
		}
		p.Config = strings.Replace(p.Config, "escalation:\n", "escalation:\n  storm_window: 15m\n", 1)
	}
	w := weather{length: 450, deadly: pick(d, 0, 25, 60), faulty: pick(d, 0, 3, 6), people: pick(d, 1, 4, 8), loses: pick(d, 0, 0, 0, 30),
		jumps: pick(d, 0, 0, 0, 0, 20)}
	switch d.IntN(4) {
	case 0:
		p.Served, w.serve = true, 70
		p.Config += stormHTTP
	case 1:
		p.Denied, w.denies = true, 50
	case 2:
		p.Served, p.Separated, w.serve, w.agents = true, true, 85, 85
		p.Config = strings.ReplaceAll(p.Config, "    threshold:", fmt.Sprintf("    users: [\"%d\"]\n    threshold:", stormAgents)) + stormHTTP
	}
	if d.chance(30) {
		// Long enough that a lost answer is looked for within the round. Then Gitea must not do things late.
		p.Timeout, w.length, w.prompt = 250*time.Millisecond, 1300, true
		w.faulty = max(w.faulty, 3)
	}
	for n := range 2 + d.IntN(2) {
		p.Rounds = append(p.Rounds, d.round(n, w))
	}
	p.drawQuiet(w)
	return p
}

// drawQuiet adds steps, silence and stops.
func (p *stormPlan) drawQuiet(w weather) {
	d := quietDrawer(p.Seed)
	if d.chance(60) {
		p.Steps, p.Calls, p.Remind = []time.Duration{time.Second, 3 * time.Hour, 5 * time.Hour}, pick(d, time.Second, 3*time.Hour), pick(d, 0, 0, 2*time.Hour)
	}
	p.Expect, p.Stops = d.chance(50), d.chance(60)
	p.Config = p.configure(p.Config)
	for n := range p.Rounds {
		r := &p.Rounds[n]
		switch last := n == len(p.Rounds)-1; {
		case n > 0 && p.Expect && !p.Rounds[n-1].Look:
			r.Later = lookAgain
		case n > 0 && len(p.Steps) > 0:
			r.Later = pick(d, 0, time.Hour, 3*time.Hour)
			fallthrough
		default:
			r.Look = p.Expect && (last || d.chance(40))
		}
		if p.Stops {
			for range 1 + d.IntN(4) {
				r.Moves = append(r.Moves, d.stop(w.length, w.deadly))
			}
		}
		if p.Operators && (p.Stops || len(p.Steps) > 0) {
			for range 1 + d.IntN(4) {
				r.Moves = append(r.Moves, d.order(p.quietPlan, w.length))
			}
		}
		if len(p.Steps) > 0 && d.chance(40) {
			r.Moves = append(r.Moves, move{At: d.ms(0, w.length), What: pick(d, "pager down", "pager lost"), For: d.ms(100, 600)})
		}
		slices.SortStableFunc(r.Moves, func(a, b move) int { return int(a.At - b.At) })
	}
	for n := range p.Rounds {
		switch answers := len(p.Steps) > 0 && d.chance(70); {
		case answers && p.Operators:
			p.Rounds[n].Answer = pick(d, "/adf ack", "/adf ack", "/adf snooze 4h", assigns)
		case answers:
			p.Rounds[n].Answer = assigns
		}
		r := &p.Rounds[n]
		if h := r.Serve; h != nil && w.deadly > 0 && d.chance(40) {
			*h = d.whileCommenting(p.quietPlan)
		}
		for k, m := range r.Moves {
			if m.What == "sweep" && w.deadly > 0 && d.chance(40) {
				r.Moves[k].Hit = d.whileCommenting(p.quietPlan)
			}
		}
		if w.deadly > 0 && d.chance(40) {
			r.Cut = d.whileCommenting(p.quietPlan)
		}
		if p.Stops && d.chance(30) {
			r.Moves = append(r.Moves, d.pausedBeforeStop(w.length))
		}
	}
}

// weather is how much of what there is in a seed.
type weather struct {
	length       int // milliseconds in which the moves of a round begin
	prompt       bool
	deadly       int // of a hundred processes so many are hit
	faulty       int // faults in a round
	people       int // moves of people in a round
	serve        int // of a hundred rounds so many have the daemon
	denies       int // of a hundred rounds so many have a time without permissions
	agents       int // of a hundred commands that the agents' user may run, so many are run by it
	loses, jumps int // of a hundred rounds, of a hundred commands
}

func (d *drawer) round(n int, w weather) stormRound {
	r := stormRound{Length: time.Duration(w.length) * time.Millisecond, LoseState: n > 0 && d.chance(w.loses)}
	if d.chance(w.serve) {
		h := d.hit(w.deadly)
		r.Serve = &h
	}
	for range d.IntN(w.faulty + 1) {
		r.Faults = append(r.Faults, d.trouble(w.prompt))
	}
	focus := d.project() // most of what happens in a round happens to one project
	for range 8 + d.IntN(7) {
		project := focus
		if d.chance(30) || d.cause != "" {
			project = d.project()
		}
		m := d.command(project, w)
		if m.What == "record" && r.Serve != nil && d.chance(50) {
			m.What, m.Args, m.Hit, m.Jump = "post", nil, hit{}, 0
		}
		if d.chance(w.agents) {
			d.byAgents(&m)
		}
		r.Jumps = r.Jumps || m.Jump != 0
		r.Moves = append(r.Moves, m)
	}
	for range 1 + d.IntN(w.people) {
		r.Moves = append(r.Moves, d.person(focus, w))
	}
	if d.chance(50) {
		r.Moves = append(r.Moves, d.flag(focus, w))
	}
	if d.chance(w.denies) {
		r.Moves = append(r.Moves, move{At: d.ms(0, w.length), For: d.ms(50, 250),
			What: pick(d, "state read-only", "state read-only", "state unreadable", "pause read-only", "pause unreadable")})
	}
	if d.chance(10 * w.faulty) {
		r.Moves = append(r.Moves, d.outage(w))
	}
	slices.SortStableFunc(r.Moves, func(a, b move) int { return int(a.At - b.At) })
	return r
}

func (d *drawer) hit(deadly int) hit {
	if !d.chance(deadly) {
		return hit{}
	}
	h := hit{How: pick(d, "kill", "kill", "kill", "stop", "stop-kill", "term"), When: pick(d, "step", "step", "request", "time"),
		N: pick(d, 1, 1, 2, 2, 3, 4, 5, 6, 8), For: d.ms(0, 40)}
	switch h.How {
	case "stop", "stop-kill":
		h.For = d.ms(60, 300)
	case "term":
		h.When = pick(d, "request", "time", "time")
	}
	return h
}

// result draws who ran, how that ended and under which id.
// exec draws a command that first leaves its process id and then ends as it has to.
func (d *drawer) trouble(prompt bool) trouble {
	which := []string{"any", "any", "create", "create", "create", "list", "get", "edit", "close", "comment", "comment", "comment", "comment",
		"comments", "reopen", "timeline", "make label", "labels", "user"}
	f := trouble{Which: pick(d, which...), After: pick(d, 0, 0, 0, 0, 1, 2), Times: 1 + d.IntN(4)}
	f.Effect = pick(d, "status", "gateway", "retry", "latency", "late", "reset", "lost", "lost", "lost", "lost", "hang", "truncated",
		"html", "html after work", "null", "empty")
	if prompt && (f.Effect == "latency" || f.Effect == "late") {
		f.Effect = "lost"
	}
	switch f.Effect {
	case "status", "gateway":
		f.Code = pick(d, 500, 502, 503, 504, 429, 401, 403, 413, 422, 423, 400, 301)
		if f.Which == "create" || f.Which == "list" {
			f.Code = pick(d, f.Code, 404, 410)
		}
	case "retry":
		f.Code, f.Ms = pick(d, 429, 503), pick(d, 1, 10, 60, 600)
	case "latency":
		f.Ms = pick(d, 5, 50, 150, 450) // the last is longer than the timeout, and what it does comes after it
	case "late":
		f.Ms = d.IntN(50)
	}
	return f
}
