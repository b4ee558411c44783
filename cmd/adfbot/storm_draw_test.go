package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The drawing of single moves, hits and faults.

type drawer struct {
	*rand.Rand
	runs  []move // results with a run id, to be repeated
	cause string // what most runs print; "": they differ
}

func pick[T any](d *drawer, of ...T) T { return of[d.IntN(len(of))] }

func (d *drawer) chance(n int) bool { return d.IntN(100) < n }

func (d *drawer) ms(least, most int) time.Duration {
	return time.Duration(least+d.IntN(most-least+1)) * time.Millisecond
}

func (d *drawer) project() string {
	if d.cause != "" {
		return pick(d, "odilo", "digital-twins", "quick", "night-watch")
	}
	return pick(d, "odilo", "odilo", "digital-twins", "quick")
}

func (d *drawer) command(project string, w weather) move {
	m := move{At: d.ms(0, w.length), Project: project, Hit: d.hit(w.deadly)}
	if d.chance(w.jumps) {
		m.Jump = pick(d, -24*time.Hour, 24*time.Hour, -10*time.Minute, time.Hour)
	}
	switch k := d.IntN(100); {
	case k < 42:
		d.record(&m)
	case k < 62:
		d.exec(&m)
	case k < 76:
		m.What, m.Args, m.Project = "sweep", []string{"sweep"}, ""
	case k < 83:
		m.What, m.Args = "resume", []string{"resume", project}
	case k < 86:
		m.What, m.Args = "pause", []string{"pause", project, "--reason", "holidays, token " + plantedToken}
	case k < 94:
		m.What, m.Args = "gate", []string{"gate", project}
	case k < 98:
		m.What, m.Args = "status", []string{"status", "--json"}
	default:
		m.What, m.Args, m.Project = "restore", []string{"restore"}, ""
	}
	return m
}

// byAgents lets the agents' user run a command. The steps and requests of what it starts are the daemon's, which has the same
// clock.
func (d *drawer) byAgents(m *move) {
	if m.What != "record" && m.What != "exec" && m.What != "gate" {
		return
	}
	m.Agents, m.Jump = true, 0
	if m.Hit.How != "" {
		m.Hit.When = "time"
	}
}

func (d *drawer) agent() string {
	return pick(d, "project-meta", "project-meta", "project-meta", "project-meta", "project-meta", "project-meta-night", "developer", "fleet-meta")
}

func (d *drawer) result(m *move) {
	m.Agent, m.Outcome = d.agent(), pick(d, "failure", "failure", "failure", "failure", "failure", "success", "ignored")
	if len(d.runs) > 0 && d.chance(12) {
		old := pick(d, d.runs...)
		m.Project, m.Agent, m.Run = old.Project, old.Agent, old.Run
		if d.chance(70) {
			m.Outcome = old.Outcome
		}
		return
	}
	m.Run = fmt.Sprintf("run-%08x", d.Uint32())
	d.runs = append(d.runs, *m)
}

// output draws a file that a run prints; "" for none.
func (d *drawer) output(hostile int) string {
	if d.cause != "" && d.chance(85) {
		return d.cause
	}
	if d.chance(hostile) {
		return "hostile"
	}
	return ""
}

func (d *drawer) record(m *move) {
	m.What = "record"
	d.result(m)
	m.Args = []string{"record", "--json", "--project", m.Project, "--agent", m.Agent, "--" + m.Outcome}
	if d.chance(30) {
		m.Run = ""
	} else {
		m.Args = append(m.Args, "--run-id", m.Run)
	}
	if d.chance(15) {
		m.Args = append(m.Args, "--started", "$STARTED")
	}
	if output := d.output(25); output != "" {
		m.Args = append(m.Args, "--output", "$WORK/"+output)
	}
}

func (d *drawer) exec(m *move) {
	m.What = "exec"
	d.result(m)
	end := map[string]string{"success": "exit 0", "failure": pick(d, "exit 3", "exit 1", "kill -9 $$"), "ignored": "exit 75"}
	if m.Project != "digital-twins" && m.Outcome == "ignored" {
		m.Outcome = "failure" // 75 is ignored there only
	}
	script := "echo $$ >> $RAN"
	if output := d.output(40); output != "" {
		script += "; cat $WORK/" + output
	}
	if d.chance(40) {
		script += fmt.Sprintf("; sleep 0.%02d", d.IntN(30))
	}
	m.Args = []string{"exec", "--project", m.Project, "--agent", m.Agent, "--run-id", m.Run}
	if d.chance(10) {
		script += "; sleep 0.3"
		m.Args = append(m.Args, "--timeout", "60ms")
	}
	m.Args = append(m.Args, "--", "sh", "-c", script+"; "+end[m.Outcome])
}

func (d *drawer) person(project string, w weather) move {
	m := move{At: d.ms(30, w.length+100), Project: project, Who: pick(d, person, operator, stranger, stranger), Pick: d.IntN(8)}
	if d.chance(25) {
		m.Project = d.project()
	}
	switch k := d.IntN(100); {
	case k < 20:
		m.What = "close"
	case k < 28:
		m.What = "reopen"
	case k < 52:
		m.What = "comment"
		m.Args = []string{pick(d, "/adf resume mended", "/adf resume", "/adf resume now", "/adf resume please", "/adf pause holidays",
			"/adf resume $PROJECT", "/adf pause $PROJECT holidays",
			"/adf status", "/adf ack", "/adf ack\n/adf status",
			"I am looking at it", "> /adf resume", "/adf dance")}
	case k < 56:
		m.What = "delete"
	case k < 60:
		m.What = "edit"
		m.Args = []string{pick(d, "append", "title")}
	case k < 62:
		m.What = "unmark"
	case k < 66:
		m.What = "label"
		m.Args = []string{pick(d, "", "seen", "adf")}
	case k < 69:
		m.What = "lock"
	case k < 72:
		m.What = "unlock"
	case k < 74:
		m.What = "assign"
	case k < 75:
		m.What = "commit closes"
	case k < 76:
		m.What = "merge closes"
	case k < 78:
		m.What = "commit mentions"
	case k < 89:
		m.What = "copy" // somebody else's issue with the bot's title and marker
	case k < 91:
		m.What = "other installation"
	case k < 94:
		m.What = "duplicate"
	case k < 97:
		m.What = "edit comment"
	default:
		m.What = "plain issue"
	}
	return m
}

func (d *drawer) flag(project string, w weather) move {
	m := move{At: d.ms(0, w.length+100), Project: project, For: d.ms(20, 250)}
	switch k := d.IntN(100); {
	case k < 50:
		m.What = "rm flag"
	case k < 62:
		m.What = "touch flag"
	case k < 74:
		m.What = "sentinel away"
	case k < 84:
		m.What = "directory away"
	case k < 92:
		m.What = "directory wiped"
	default:
		m.What = "rm and touch flag"
	}
	return m
}

func (d *drawer) outage(w weather) move {
	return move{At: d.ms(0, w.length), For: d.ms(50, 400), Pick: d.IntN(2),
		What: pick(d, "gitea down", "gitea down", "token revoked", "archived", "issues off", "renamed", "account renamed")}
}
