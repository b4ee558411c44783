package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Everything that a seed of the fleet's storm does is drawn here, before anything is done.

// fleetHosts are the hosts of a fleet's storm.
var fleetHosts = []string{"ann", "ben", "cat"}

// fleetPlan is a seed.
type fleetPlan struct {
	Seed   uint64
	Shared bool // incidents of one cause share an issue, and most have one
	Config string
	Rounds []fleetRound
	quietPlan
}

type fleetRound struct {
	Length  time.Duration
	Later   bool // all was a while ago when it begins, so that every daemon finds who is silent
	Look    bool // in its calm, all hosts look for silence a while later
	Cut     hit  // happens to a sweep at the beginning of its calm; none: there is no such sweep
	Faults  []trouble
	Daemons [][]hit // of each host's daemon, each time it is started; after these nothing happens to it
	Moves   []fleetMove
}

// fleetMove is what one actor does once, on a host.
type fleetMove struct {
	Host int
	move
}

func (m fleetMove) String() string { return fleetHosts[m.Host] + ": " + m.move.String() }

func (p fleetPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, shared %t; %s\n", p.Seed, p.Shared, p.quietPlan)
	for n, r := range p.Rounds {
		fmt.Fprintf(&b, "round %d, later %t, looked again %t, cut%s, faults %q\n", n, r.Later, r.Look, r.Cut, r.Faults)
		for host, hits := range r.Daemons {
			fmt.Fprintf(&b, "     serve on %s%s\n", fleetHosts[host], hits)
		}
		for _, m := range r.Moves {
			fmt.Fprintf(&b, "  %s\n", m)
		}
	}
	return b.String()
}

const fleetConfig = `instance: bigbox
pause_dir: $WORK/pause
state: $STATE
state_listen: "$LISTEN"
local_dir: $WORK/local
fleet: {host: $HOST, poll: 200ms, away_after: 1s}
gitea:
  url: $URL
  token_file: $WORK/token
  owner: terraphim
  repo: adf-fleet
  timeout: 1s
sweep:
  schedule: "@every 1s"
operators: [alex, olaf]
escalation:
  storm_window: $WINDOW
classes:
  - name: revoked
    output: ['^FATAL: .* revoked$']
    outcome: trip
projects:
  - id: odilo
    threshold: 2
  - id: digital-twins
    threshold: 3
    resume_threshold: 1
  - id: quick
    threshold: 1
    repo: other
  - id: night-watch
    threshold: 1
`

func drawFleetPlan(seed uint64) fleetPlan {
	d := &drawer{Rand: rng(seed)}
	p := fleetPlan{Seed: seed, Config: strings.ReplaceAll(fleetConfig, "$LISTEN", pick(d, "", "", "off"))}
	window := "0s"
	if d.chance(40) {
		window, p.Shared, d.cause = "15m", true, pick(d, "quota", "quota", "revoked")
	}
	p.Config = strings.ReplaceAll(p.Config, "$WINDOW", window)
	w := fleetWeather{deadly: pick(d, 0, 20, 50), faulty: pick(d, 0, 2, 4), people: pick(d, 3, 6, 9), broken: pick(d, 0, 1, 2, 3)}
	for range 1 + d.IntN(2) {
		p.Rounds = append(p.Rounds, d.fleetRound(w))
	}
	p.drawQuiet(w)
	return p
}

// drawQuiet adds steps, silence and stops. There is no clock that all share and that could be set: steps come soon.
func (p *fleetPlan) drawQuiet(w fleetWeather) {
	d := quietDrawer(p.Seed)
	if d.chance(60) {
		p.Steps, p.Calls = []time.Duration{time.Second, 2 * time.Second}, pick(d, time.Second, 2*time.Second)
	}
	p.Expect, p.Stops = d.chance(50), d.chance(60)
	p.Config = p.configure(p.Config)
	add := func(r *fleetRound, m move) { r.Moves = append(r.Moves, fleetMove{d.IntN(len(fleetHosts)), m}) }
	for n := range p.Rounds {
		r := &p.Rounds[n]
		if p.Expect {
			r.Later = n == 0 && d.chance(70) || n > 0 && !p.Rounds[n-1].Look
			r.Look = n == len(p.Rounds)-1 || d.chance(30)
		}
		if p.Stops {
			for range 1 + d.IntN(4) {
				m := d.stop(fleetRoundMs, w.deadly)
				for n := range m.Args {
					m.Args[n] = strings.Replace(m.Args[n], "1m", "90m", 1) // which a slow machine does not see the end of
				}
				add(r, m)
			}
		}
		if p.Stops || len(p.Steps) > 0 {
			for range 1 + d.IntN(3) {
				add(r, d.order(p.quietPlan, fleetRoundMs))
			}
		}
		if len(p.Steps) > 0 && d.chance(40) {
			add(r, move{At: d.ms(0, fleetRoundMs), What: pick(d, "pager down", "pager lost"), For: d.ms(300, 1500)})
		}
		if p.Stops && d.chance(40) {
			add(r, d.pausedBeforeStop(fleetRoundMs/3))
		}
		if w.deadly > 0 && d.chance(60) {
			r.Cut = d.whileCommenting(p.quietPlan)
		}
		for host := range r.Daemons { // what a comment says twice is written by whoever was killed, and by who comes next
			if w.deadly > 0 && d.chance(40) {
				r.Daemons[host] = append([]hit{d.whileCommenting(p.quietPlan)}, r.Daemons[host]...)
			}
		}
		slices.SortStableFunc(r.Moves, func(a, b fleetMove) int { return int(a.At - b.At) })
	}
}

// fleetWeather is how much of what there is in a seed.
type fleetWeather struct {
	deadly int // of a hundred processes so many are hit
	faulty int // faults of Gitea in a round
	people int // moves of people in a round
	broken int // connections and servers that break in a round
}

// fleetRoundMs is how long the moves of a round begin.
const fleetRoundMs = 1500

func (d *drawer) fleetRound(w fleetWeather) fleetRound {
	r := fleetRound{Length: fleetRoundMs * time.Millisecond}
	for range d.IntN(w.faulty + 1) {
		f := d.trouble(false)
		if f.Effect == "retry" { // which is a wait of minutes
			f.Effect = "lost"
		}
		r.Faults = append(r.Faults, f)
	}
	if w.faulty > 0 && d.chance(60) { // the most interesting one: is there an issue, or not?
		r.Faults = append(r.Faults, trouble{Which: "create", Effect: pick(d, "lost", "lost", "html after work", "truncated"), After: d.IntN(2), Times: 1})
	}
	for range fleetHosts {
		var hits []hit
		for range d.IntN(3) {
			if h := d.hit(2 * w.deadly); h.How != "" {
				h.For = d.ms(50, 600)
				hits = append(hits, h)
			}
		}
		r.Daemons = append(r.Daemons, hits)
	}
	focus := d.project() // most of what happens in a round happens to one project
	add := func(m move) {
		r.Moves = append(r.Moves, fleetMove{d.IntN(len(fleetHosts)), m})
	}
	project := func() string {
		if d.chance(30) || d.cause != "" {
			return d.project()
		}
		return focus
	}
	for range 14 + d.IntN(10) {
		add(d.fleetCommand(project(), w))
	}
	for range 1 + d.IntN(w.people) {
		add(d.fleetPerson(project()))
	}
	for range d.IntN(w.broken + 1) {
		add(move{At: d.ms(0, fleetRoundMs), For: d.ms(50, 900), Pick: d.IntN(400),
			What: pick(d, "cut", "cut", "hole", "slow", "answers lost", "postgres killed", "gitea down", "gitea away")})
	}
	if d.chance(40) {
		r.Moves = append(r.Moves, d.removedWhileCutOff())
	} else if d.chance(30) { // a directory from before the project was paused
		r.Moves = append(r.Moves, fleetMove{d.IntN(len(fleetHosts)), move{At: d.ms(0, 500), What: "snapshot", Project: "quick", For: d.ms(100, 500),
			Args: []string{fmt.Sprintf("run-%08x", d.Uint32())}}})
	}
	slices.SortStableFunc(r.Moves, func(a, b fleetMove) int { return int(a.At - b.At) })
	return r
}

// removedWhileCutOff draws a flag that is removed on a host which is cut off, while others resume the project and pause it again.
func (d *drawer) removedWhileCutOff() fleetMove {
	return fleetMove{d.IntN(len(fleetHosts)), move{At: d.ms(0, 500), What: "removed while cut off", Project: "quick", For: d.ms(0, 300), Pick: 1 + d.IntN(2),
		Who: pick(d, "cut", "hole"), Args: []string{fmt.Sprintf("run-%08x", d.Uint32()), fmt.Sprintf("run-%08x", d.Uint32())}}}
}

func (d *drawer) fleetCommand(project string, w fleetWeather) move {
	m := move{At: d.ms(0, fleetRoundMs), Project: project, Hit: d.hit(w.deadly)}
	switch k := d.IntN(100); {
	case k < 50:
		m.What = "record"
		d.fleetResult(&m)
		m.Args = []string{"record", "--json", "--project", m.Project, "--agent", m.Agent, "--" + m.Outcome, "--run-id", m.Run}
		if output := d.output(0); output != "" {
			m.Args = append(m.Args, "--output", "$WORK/"+output)
		}
	case k < 70:
		m.What = "exec"
		d.fleetResult(&m)
		end := map[string]string{"success": "exit 0", "failure": pick(d, "exit 3", "kill -9 $$")}[m.Outcome]
		script := "echo $$ >> $RAN; "
		if output := d.output(0); output != "" {
			script += "cat $WORK/" + output + "; "
		}
		if d.chance(40) {
			script += fmt.Sprintf("sleep 0.%02d; ", d.IntN(30))
		}
		m.Args = []string{"exec", "--project", m.Project, "--agent", m.Agent, "--run-id", m.Run, "--", "sh", "-c", script + end}
	case k < 75:
		m.What, m.Args, m.Project = "sweep", []string{"sweep"}, ""
	case k < 82:
		m.What, m.Args = "resume", []string{"resume", project}
	case k < 86:
		m.What, m.Args = "pause", []string{"pause", project, "--reason", "holidays"}
	case k < 97:
		m.What, m.Args = "gate", []string{"gate", project}
	default:
		m.What, m.Args = "status", []string{"status", "--json"}
	}
	return m
}

// fleetResult draws who ran, how that ended and under which id. Some are reported twice, perhaps on two hosts.
func (d *drawer) fleetResult(m *move) {
	if len(d.runs) > 0 && d.chance(12) {
		old := pick(d, d.runs...)
		m.Project, m.Agent, m.Run, m.Outcome = old.Project, old.Agent, old.Run, old.Outcome
		return
	}
	m.Agent = pick(d, "project-meta", "project-meta", "project-meta", "project-meta", "project-meta", "project-meta-night", "developer")
	m.Outcome = pick(d, "failure", "failure", "failure", "failure", "failure", "failure", "success")
	m.Run = fmt.Sprintf("run-%08x", d.Uint32())
	d.runs = append(d.runs, *m)
}

func (d *drawer) fleetPerson(project string) move {
	m := move{At: d.ms(200, fleetRoundMs+300), Project: project, For: d.ms(20, 500), Pick: d.IntN(2)}
	switch k := d.IntN(100); {
	case k < 48:
		m.What = "rm flag"
	case k < 58:
		m.What = "touch flag"
	case k < 65:
		m.What = "edit flag"
	case k < 72:
		m.What = "mv flag"
	case k < 76:
		m.What = "rm and touch flag"
	case k < 81:
		m.What = "wipe"
	case k < 85:
		m.What = "snapshot"
	case k < 95:
		m.What, m.Who = "comment", pick(d, person, operator, stranger)
		m.Args = []string{pick(d, "/adf resume mended", "/adf resume", "/adf resume $PROJECT", "/adf pause $PROJECT holidays")}
	default:
		m.What, m.Who = "close", pick(d, person, stranger)
	}
	return m
}
