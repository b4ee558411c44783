// Package config loads and checks adfbot's configuration: one strict YAML file, and those that it
// includes, which hold projects only.
//
// [Load] parses the file into a tree of YAML nodes and walks the tree along the table of keys in schema.go. Each
// mistake becomes a [Problem] with its line, its key and a fix, and the walk goes on, so one run reports all of them. A
// key with a mistake keeps its default. [LoadFor] relies on that: it serves commands that need a few keys only and must
// not be stopped by a mistake in the others.
//
// The file holds no secrets, only the names of the files and variables that hold them. Loading does not open those,
// because the users who run `adfbot gate` may not read them; [ReadSecret], [TokenSource] and [Config.Tokens] do. No
// message repeats the value of a key that names a secret, because people paste the secret itself there.
//
// A loaded [Config] is read-only, so goroutines may share it. They may share a [TokenSource], too.
package config

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/text"
)

// DefaultPath is the path of the configuration if neither --config nor $ADFBOT_CONFIG is set.
const DefaultPath = "/etc/adfbot/config.yaml"

// The values of OnIssueClosed.
const (
	Reopen = "reopen" // reopen the issue of a paused project, whoever closed it
	Resume = "resume" // resume the project if an operator closed its issue
)

// Config is a checked configuration with all defaults filled in.
type Config struct {
	Path     string   // the file it was loaded from
	Files    []string // Path and the files that it includes, in their order
	Instance string   // what people call this bot; the host name by default
	PauseDir string   // absolute
	State    string   // the SQLite file, absolute, or the URL of a database of PostgreSQL; see Shared

	StatePasswordFile string // of the role in the URL, as Gitea.TokenFile; "": none
	StateListen       string // the URL for listening, [ListenOff], or "": State
	LocalDir          string // absolute: what belongs to this host; "": not known, see [LoadFor]
	Fleet             Fleet

	// StateErr is why the place of the state is not known, or nil. Only [LoadFor] returns a configuration with it.
	StateErr error

	// SocketErr is why HTTP.Socket is not known, or nil. Only [LoadFor] returns a configuration with it.
	SocketErr error

	tokenVars []string // see TokenVars

	Gitea          Gitea
	Breaker        Breaker
	Escalation     Escalation
	Operators      []string // Gitea logins that may act from Gitea
	OnIssueClosed  string   // [Reopen] or [Resume]
	Sweep          Sweep
	HTTP           HTTP
	Metrics        Metrics
	History        History
	Classes        []class.Rule // for the failures of all projects, after a project's own
	BuiltinClasses bool         // the built-in rules come last
	Projects       []Project    // in the order of the files, at least one, each with a unique ID or with Match

	index    map[string]int   // positions in Projects, by id; built by inherit
	globs    []glob           // as Projects; nil for an id
	places   []Place          // as Projects
	hiding   []Problem        // mistakes that may hide entries of included files; see [HiddenEntryError]
	warnings func() []Problem // see Warnings
}

// Warnings returns entries that are most likely mistakes. To find them may take seconds where there are very many patterns and
// expressions, so it is not done when the configuration is loaded, which gate and exec do for each job.
func (c *Config) Warnings() []Problem {
	if c.warnings == nil {
		return nil
	}
	return c.warnings()
}

// Gitea is the server, the account, and the repository of projects that have none of their own.
type Gitea struct {
	URL       string // absolute, http or https, without trailing slash, credentials, query or fragment
	TokenFile string // absolute, or $CREDENTIALS_DIRECTORY/name; exactly one of TokenFile and TokenEnv is set
	TokenEnv  string // name of an environment variable
	Login     string // the account of the token; "": ask the server
	Owner     string // "" only if every project has its own owner
	Repo      string // "" only if every project has its own repo
	Timeout   time.Duration
	CAFile    string // PEM, roots besides those of the system; "": none
}

// Breaker holds the defaults of projects. Both thresholds are at least 1.
type Breaker struct {
	Threshold       int
	ResumeThreshold int
	HungAfter       time.Duration // 0: never
}

// Escalation configures the issues.
type Escalation struct {
	Labels    []string
	Assignees []string
	Mentions  []string // login or organisation/team, without @
	DueIn     time.Duration
	// StormWindow is how long after a trip another one of the same cause joins its issue; 0: each gets its own.
	StormWindow time.Duration
	Steps       []Step        // until somebody answers, in their order
	Remind      time.Duration // how often people are reminded of a pause; 0: never
	OutputTail  int           // bytes; 0: keep no output
	RedactEnv   []string      // names of environment variables
	Template    string        // absolute path of a text/template file; "": the built-in one
}

// HTTP configures where serve listens and which tokens it accepts.
type HTTP struct {
	Listen            string   // host:port; "": no TCP
	Socket            string   // absolute path; "": no socket
	Hosts             []string // public names, in lower case, e.g. of a proxy
	TokenFile         string   // set whenever Listen is not loopback
	WebhookSecretFile string   // "": no webhook
}

// Metrics configures what /metrics serves.
type Metrics struct {
	PerProject bool // series for each project, besides those of all together
}

// History configures how long results are kept.
type History struct {
	Keep time.Duration
}

// Project is one project, or all whose ids fit a pattern. What it leaves out is filled in from the top level.
type Project struct {
	ID              string // passes pause.CheckID; "" of an entry in [Config.Projects] with Match
	Match           string `json:",omitempty"` // a pattern, e.g. twins-*
	Threshold       int    // at least 1
	ResumeThreshold int    // at least 1; from the project, else from breaker.resume_threshold, else Threshold
	Owner           string // owner and repository of its issues
	Repo            string
	Labels          []string
	Assignees       []string
	IgnoreExitCodes []int // exit codes that do not count; they come before the classes
	Classes         []class.Rule
	HungAfter       time.Duration // a run that is ended from outside, or reports no result, after this long counts as a failure; 0: never
	Expect          Expect        // when it has to report; zero: at no time
	Actions         Actions       // the workflow whose runs are its results; zero: none
	Users           []string      // Unix users that may report its results through the socket
	TokenFile       string        // a token that reports results of this project only; "": none
}

// defaultState is the default of Config.State.
const defaultState = "/var/lib/adfbot/adfbot.db"

// DefaultPlaces returns the defaults of Config.State and Config.PauseDir.
func DefaultPlaces() (state, pauseDir string) {
	c := defaults("")
	return c.State, c.PauseDir
}

// unset marks a number that the file does not give.
const unset = -1

// defaults returns the configuration of an empty file before [Config.inherit]. The host name may be unknown: "".
func defaults(host string) *Config {
	return &Config{
		Instance: cmp.Or(host, "adfbot"),
		PauseDir: "/opt/ai-dark-factory/data/pause",
		State:    defaultState,
		Fleet:    Fleet{Poll: time.Second, AwayAfter: time.Minute, ForgetAfter: 720 * time.Hour},
		Gitea:    Gitea{Timeout: 10 * time.Second},
		Breaker:  Breaker{Threshold: 3, ResumeThreshold: unset},
		Escalation: Escalation{
			Labels:     []string{"adf", "circuit-breaker", "priority/high"},
			Assignees:  []string{},
			Mentions:   []string{},
			Remind:     168 * time.Hour,
			OutputTail: 8192,
			RedactEnv:  []string{},
		},
		Operators:      []string{},
		OnIssueClosed:  Reopen,
		Sweep:          Sweep{Schedule: "@every 1m", TimeZone: "UTC"},
		HTTP:           HTTP{Hosts: []string{}},
		Metrics:        Metrics{PerProject: true},
		History:        History{Keep: 720 * time.Hour},
		BuiltinClasses: true,
	}
}

// inherit fills in the values that default to those of other keys, and builds the index. A threshold of 0 means 1.
func (c *Config) inherit() {
	c.index = make(map[string]int, len(c.Projects))
	threshold := func(values ...int) int {
		for _, n := range values {
			if n != unset {
				return max(n, 1)
			}
		}
		return 1
	}
	for i := range c.Projects {
		p := &c.Projects[i]
		if p.ID != "" {
			c.index[p.ID] = i
		}
		p.Threshold = threshold(p.Threshold, c.Breaker.Threshold)
		p.ResumeThreshold = threshold(p.ResumeThreshold, c.Breaker.ResumeThreshold, p.Threshold)
		p.Owner = cmp.Or(p.Owner, c.Gitea.Owner)
		p.Repo = cmp.Or(p.Repo, c.Gitea.Repo)
		if p.Labels == nil {
			p.Labels = slices.Clone(c.Escalation.Labels)
		}
		if p.Assignees == nil {
			p.Assignees = slices.Clone(c.Escalation.Assignees)
		}
		if p.HungAfter == unset {
			p.HungAfter = c.Breaker.HungAfter
		}
	}
	c.Breaker.Threshold = threshold(c.Breaker.Threshold)
	c.Breaker.ResumeThreshold = threshold(c.Breaker.ResumeThreshold, c.Breaker.Threshold)
}

// Find returns the path of the configuration: flag, else $ADFBOT_CONFIG, else [DefaultPath]. It never looks in the
// working directory, which may belong to an agent.
func Find(flag string, getenv func(string) string) string {
	return cmp.Or(flag, getenv("ADFBOT_CONFIG"), DefaultPath)
}

// Flag returns the arguments that another user needs to load this configuration: sudo does not pass $ADFBOT_CONFIG on.
func (c *Config) Flag() []string {
	if c.Path == DefaultPath {
		return nil
	}
	return []string{"--config", c.Path}
}

// Credentials returns the directory that a command by hand needs in $CREDENTIALS_DIRECTORY to reach the state, or "" if it needs none. The
// unit that adfbot comes with takes the file from there.
func (c *Config) Credentials() string {
	if _, ok := credential(c.StatePasswordFile); !ok || !c.Shared() {
		return ""
	}
	return c.dir()
}

// TokenCredentials is [Config.Credentials] for a command that asks Gitea, too.
func (c *Config) TokenCredentials() string {
	if _, ok := credential(c.Gitea.TokenFile); ok {
		return c.dir()
	}
	return c.Credentials()
}

// CredentialNames returns the names of all files that systemd is to hand to the daemon.
func (c *Config) CredentialNames() (names []string) {
	files := append([]string{c.Gitea.TokenFile, c.StatePasswordFile, c.HTTP.TokenFile, c.HTTP.WebhookSecretFile}, c.Escalation.WebhookFiles()...)
	for _, p := range c.Projects {
		files = append(files, p.TokenFile)
	}
	for _, file := range files {
		if name, ok := credential(file); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// dir returns the directory of the file.
func (c *Config) dir() string {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		path = DefaultPath
	}
	return filepath.Dir(path)
}

// ShellFlag is [Config.Flag] in any directory, for the end of a command that people copy, or "".
func (c *Config) ShellFlag() string {
	path, err := filepath.Abs(c.Path)
	if err != nil || len(c.Flag()) == 0 {
		return ""
	}
	return " --config " + text.ShellQuote(path)
}

// Loopback reports whether only this machine can reach http.listen.
func (h HTTP) Loopback() bool { return h.Listen != "" && isLoopback(h.Listen) }
