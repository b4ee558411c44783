// Package config reads adfbot's configuration: one strict YAML file.
//
// The file is parsed once into a tree of nodes, which is then walked beside the table of keys in schema.go. Whatever is
// wrong becomes a [Problem] with its line, its key and the way to mend it, and the walk goes on, so that one run shows all
// of them. A value is taken over only when it passed its rule; so a key with a mistake keeps its default, and that is what
// [LoadFor] hands to the commands which must not be stopped by a mistake that is none of their business.
//
// No secret stands in the file. It names where a secret is, [ReadSecretFile] and [TokenSource] fetch it; nothing here
// touches those files while loading, because the users who ask the gate may not read them. For the same reason no message
// repeats the value of a key that names a secret: people paste the secret itself there.
package config

import (
	"slices"
	"time"
)

// DefaultPath is where the configuration is when neither --config nor $ADFBOT_CONFIG names another place.
const DefaultPath = "/etc/adfbot/config.yaml"

// What OnIssueClosed may be.
const (
	Reopen = "reopen" // the issue of a paused project is opened again, whoever closed it
	Resume = "resume" // an operator's closing resumes the project
)

// Config is a checked configuration, all defaults filled in. It is only read after loading, so it may be shared.
type Config struct {
	Path          string // the file that it was read from
	Instance      string // what people call this bot; by default the host's name
	PauseDir      string // absolute
	State         string // the SQLite file, absolute
	Gitea         Gitea
	Breaker       Breaker
	Escalation    Escalation
	Operators     []string // Gitea logins that may act from Gitea
	OnIssueClosed string   // [Reopen] or [Resume]
	Sweep         Sweep
	HTTP          HTTP
	History       History
	Projects      []Project // in the file's order, at least one, ids unique
}

// Gitea is the server, the account and the repository for the issues of projects that name none of their own.
type Gitea struct {
	URL       string // absolute, http or https, without a trailing slash, credentials, query and fragment
	TokenFile string // absolute, or $CREDENTIALS_DIRECTORY/name; exactly one of TokenFile and TokenEnv is set
	TokenEnv  string // a variable's name
	Login     string // the token's account; "": ask the server
	Owner     string // "" only if every project has owner and repo
	Repo      string
	Timeout   time.Duration
	CAFile    string // PEM, an extra root; "": the system's alone
}

// Breaker holds the defaults of projects. Both are at least 1.
type Breaker struct {
	Threshold       int
	ResumeThreshold int
}

// Escalation says how an issue looks.
type Escalation struct {
	Labels     []string
	Assignees  []string
	Mentions   []string // login or organisation/team, without the @
	DueIn      time.Duration
	OutputTail int      // bytes; 0: no output is kept
	RedactEnv  []string // names of variables
	Template   string   // absolute path of a text/template file; "": the built-in one
}

// HTTP says where serve listens and whom it believes.
type HTTP struct {
	Listen            string // host:port; "": no TCP
	Socket            string // absolute path; "": no socket
	TokenFile         string // set whenever Listen is not loopback
	WebhookSecretFile string // "": no webhook
}

// History says how long results are kept.
type History struct {
	Keep time.Duration
}

// Project is one project with everything filled in that it leaves to the top level.
type Project struct {
	ID              string // passes pause.CheckID
	Threshold       int    // at least 1
	ResumeThreshold int    // at least 1; from the project, else from breaker.resume_threshold, else Threshold
	Owner           string // where its issues go
	Repo            string
	Labels          []string
	Assignees       []string
	IgnoreExitCodes []int    // exit codes that do not count
	Users           []string // Unix users that may report its results through the socket
	TokenFile       string   // a token that reports results of this project alone; "": none
}

// Default is the configuration of an empty file: every key but gitea.* and projects has its default. host is the name of
// this machine.
func Default(host string) *Config {
	c := unresolved(host)
	c.resolve()
	return c
}

// unset marks a number that the file does not give.
const unset = -1

// unresolved is Default before the values that follow from others are filled in.
func unresolved(host string) *Config {
	return &Config{
		Instance: host,
		PauseDir: "/opt/ai-dark-factory/data/pause",
		State:    "/var/lib/adfbot/adfbot.db",
		Gitea:    Gitea{Timeout: 10 * time.Second},
		Breaker:  Breaker{Threshold: 3, ResumeThreshold: unset},
		Escalation: Escalation{
			Labels:     []string{"adf", "circuit-breaker", "priority/high"},
			Assignees:  []string{},
			Mentions:   []string{},
			OutputTail: 8192,
			RedactEnv:  []string{},
		},
		Operators:     []string{},
		OnIssueClosed: Reopen,
		Sweep:         Sweep{Schedule: "@every 1m", TimeZone: "UTC"},
		History:       History{Keep: 720 * time.Hour},
	}
}

// resolve fills in what follows from other keys. A threshold of 0 means 1.
func (c *Config) resolve() {
	b := &c.Breaker
	b.Threshold = max(b.Threshold, 1)
	for i := range c.Projects {
		p := &c.Projects[i]
		if p.Threshold == unset {
			p.Threshold = b.Threshold
		}
		p.Threshold = max(p.Threshold, 1)
		if p.ResumeThreshold == unset {
			p.ResumeThreshold = b.ResumeThreshold
		}
		if p.ResumeThreshold == unset {
			p.ResumeThreshold = p.Threshold
		}
		p.ResumeThreshold = max(p.ResumeThreshold, 1)
		if p.Owner == "" {
			p.Owner = c.Gitea.Owner
		}
		if p.Repo == "" {
			p.Repo = c.Gitea.Repo
		}
		if p.Labels == nil {
			p.Labels = slices.Clone(c.Escalation.Labels)
		}
		if p.Assignees == nil {
			p.Assignees = slices.Clone(c.Escalation.Assignees)
		}
	}
	if b.ResumeThreshold == unset {
		b.ResumeThreshold = b.Threshold
	}
	b.ResumeThreshold = max(b.ResumeThreshold, 1)
}

// Project gives the project with this id; false: it is not configured.
func (c *Config) Project(id string) (Project, bool) {
	for _, p := range c.Projects {
		if p.ID == id {
			return p, true
		}
	}
	return Project{}, false
}

// ProjectIDs gives the ids in the file's order.
func (c *Config) ProjectIDs() []string {
	ids := make([]string, len(c.Projects))
	for i, p := range c.Projects {
		ids[i] = p.ID
	}
	return ids
}

// CanEscalate reports whether all that an issue for the project needs is known: server, token and repository. After
// [Load] it always is. After [LoadFor] it need not be; the issue is then left to serve.
func (c *Config) CanEscalate(id string) bool {
	p, ok := c.Project(id)
	g := c.Gitea
	return ok && g.URL != "" && (g.TokenFile != "" || g.TokenEnv != "") && p.Owner != "" && p.Repo != ""
}

// Find gives the path of the configuration: flag, else $ADFBOT_CONFIG, else [DefaultPath]. The working directory is never
// searched: it may belong to an agent.
func Find(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if p := getenv("ADFBOT_CONFIG"); p != "" {
		return p
	}
	return DefaultPath
}

// Loopback reports whether only this machine can reach http.listen.
func (h HTTP) Loopback() bool { return h.Listen != "" && loopback(h.Listen) }
