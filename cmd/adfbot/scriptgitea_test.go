package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

// giteaCommand is the script's hand on its Gitea. Commands on issues are those of $GITEA_REPO.
//
//	gitea down | up                       off the network, and back
//	gitea issues [open|closed|all] N      there are so many
//	gitea await [open|closed|all] N       wait until there are
//	[!] gitea grep N REGEXP               issue N's title, state, labels, body and comments
//	gitea comments N COUNT                so many comments
//	gitea body N                          print the body; it has at most 60,000 bytes
//	gitea close|reopen|delete LOGIN N     what people do
//	gitea comment LOGIN N TEXT
//	gitea open LOGIN TITLE BODY
//	gitea copy LOGIN N                    open an issue with the title and body of N
//	gitea fault WHICH EFFECT [TIMES]      see faultOf
//	gitea mend                            end all faults
//	gitea settle                          let late work be done
//	gitea archive|unarchive|disable|enable|forget    the repository; forget deletes it
//	gitea rename NAME | add OWNER NAME
//	gitea revoke | grant [SCOPE...]       the bot's token
//	gitea reset                           forget the requests so far
//	gitea requests METHOD N               so many since then; METHOD * for all
func giteaCommand(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 0 && args[0] == "grep", args, 1, "gitea COMMAND ...")
	g := ts.Value("gitea").(*gitea)
	c := giteaScript{ts, g, ts.Getenv("GITEA_REPO"), neg, args[1:]}
	do, ok := giteaCommands[args[0]]
	if !ok {
		ts.Fatalf("no such command: gitea %s", args[0])
	}
	do(c)
}

type giteaScript struct {
	ts   *testscript.TestScript
	g    *gitea
	repo string
	neg  bool
	args []string
}

func (c giteaScript) arg(n int) string {
	if n >= len(c.args) {
		c.ts.Fatalf("an argument is missing")
	}
	return c.args[n]
}

func (c giteaScript) number(n int) int64 {
	i, err := strconv.ParseInt(c.arg(n), 10, 64)
	c.ts.Check(err)
	return i
}

func (c giteaScript) issue(n int) giteatest.Issue {
	i, ok := c.g.Issue(c.repo, c.number(n))
	if !ok {
		c.ts.Fatalf("%s has no issue %s", c.repo, c.arg(n))
	}
	return i
}

func (c giteaScript) text(i giteatest.Issue) string {
	s := fmt.Sprintf("title: %s\nstate: %s\nlabels: %s\nassignees: %s\n%s\n", i.Title, i.State, strings.Join(i.Labels, ", "), strings.Join(i.Assignees, ", "), i.Body)
	for _, m := range i.Comments {
		s += "comment by " + m.Author + ": " + m.Body + "\n"
	}
	return s
}

// issues complains unless there are so many.
func (c giteaScript) issues() string {
	state, want := c.arg(0), c.number(1)
	if got := c.g.count(c.repo, state); got != int(want) {
		s := fmt.Sprintf("%d issues are %s, not %d", got, state, want)
		for _, i := range c.g.Issues(c.repo) {
			s += fmt.Sprintf("\n#%d %s %q by %s", i.Number, i.State, i.Title, i.Author)
		}
		return s
	}
	return ""
}

var giteaCommands map[string]func(giteaScript)

func init() { // a variable's initial value may not refer to itself
	people := func(do func(p *giteatest.Person, repo string, n int64)) func(giteaScript) {
		return func(c giteaScript) { do(c.g.As(c.arg(0)), c.repo, c.number(1)) }
	}
	repo := func(do func(*giteatest.Server, string)) func(giteaScript) {
		return func(c giteaScript) { do(c.g.Server, c.repo) }
	}
	giteaCommands = map[string]func(giteaScript){
		"down": func(c giteaScript) { c.g.down() },
		"up":   func(c giteaScript) { c.ts.Check(c.g.up()) },
		"issues": func(c giteaScript) {
			if s := c.issues(); s != "" {
				c.ts.Fatalf("%s", s)
			}
		},
		"await": func(c giteaScript) { c.ts.Check(c.g.changes.Await(c.issues)) },
		"grep": func(c giteaScript) {
			re, text := regexp.MustCompile("(?m)"+c.arg(1)), c.text(c.issue(0))
			if re.MatchString(text) == c.neg {
				c.ts.Fatalf("%s in:\n%s", re, text)
			}
		},
		"comments": func(c giteaScript) {
			if i := c.issue(0); len(i.Comments) != int(c.number(1)) {
				c.ts.Fatalf("%d comments:\n%s", len(i.Comments), c.text(i))
			}
		},
		"body": func(c giteaScript) {
			i := c.issue(0)
			if len(i.Body) > 60000 {
				c.ts.Fatalf("the body has %d bytes", len(i.Body))
			}
			_, err := fmt.Fprintln(c.ts.Stdout(), i.Body)
			c.ts.Check(err)
		},
		"close":     people((*giteatest.Person).Close),
		"reopen":    people((*giteatest.Person).Reopen),
		"delete":    people((*giteatest.Person).Delete),
		"comment":   func(c giteaScript) { c.g.As(c.arg(0)).Comment(c.repo, c.number(1), c.arg(2)) },
		"open":      func(c giteaScript) { c.g.As(c.arg(0)).Open(c.repo, c.arg(1), c.arg(2)) },
		"copy":      func(c giteaScript) { i := c.issue(1); c.g.As(c.arg(0)).Open(c.repo, i.Title, i.Body) },
		"fault":     func(c giteaScript) { c.g.spoil(c.fault()) },
		"settle":    func(c giteaScript) { c.g.release(); c.g.Wait() },
		"archive":   repo((*giteatest.Server).Archive),
		"unarchive": repo((*giteatest.Server).Unarchive),
		"disable":   repo((*giteatest.Server).DisableIssues),
		"enable":    repo((*giteatest.Server).EnableIssues),
		"forget":    repo((*giteatest.Server).DeleteRepo),
		"rename":    func(c giteaScript) { c.g.Rename(c.repo, c.arg(0)) },
		"add": func(c giteaScript) {
			c.g.AddRepo(c.arg(0), c.arg(1))
			c.g.SetPermission(c.arg(0), c.arg(1), botLogin, giteatest.Write)
		},
		"revoke": func(c giteaScript) { c.g.RevokeToken(botToken) },
		"grant":  func(c giteaScript) { c.g.AddToken(botLogin, botToken, c.args...) },
		"reset":  func(c giteaScript) { c.g.ResetRequests() },
		"requests": func(c giteaScript) {
			n, all := 0, ""
			for _, r := range c.g.Requests() {
				all += fmt.Sprintf("\n%s %s %d", r.Method, r.Path, r.Status)
				if c.arg(0) == "*" || r.Method == c.arg(0) {
					n++
				}
			}
			if n != int(c.number(1)) {
				c.ts.Fatalf("%d requests:%s", n, all)
			}
		},
		"mend": func(c giteaScript) { c.g.mend() },
	}
}

// fault reads WHICH EFFECT [TIMES].
func (c giteaScript) fault() giteatest.Fault {
	which := map[string]func(*http.Request) bool{
		"create": giteatest.CreateIssue(), "list": giteatest.ListIssues(), "get": giteatest.GetIssue(), "close": giteatest.CloseIssue(),
		"reopen": giteatest.ReopenIssue(), "comment": giteatest.CommentIssue(), "label": giteatest.CreateLabel(), "any": nil,
	}
	match, ok := which[c.arg(0)]
	if !ok {
		c.ts.Fatalf("no such requests: %s", c.arg(0))
	}
	f := giteatest.Fault{Name: strings.Join(c.args, " "), Match: match}
	if len(c.args) > 2 {
		f.Times = int(c.number(2))
	}
	name, value, _ := strings.Cut(c.arg(1), ":")
	duration := func() time.Duration {
		d, err := time.ParseDuration(value)
		c.ts.Check(err)
		return d
	}
	switch name {
	case "hang":
		f.Do = giteatest.Hang()
	case "late":
		f.Do = giteatest.Meanwhile(func() { <-c.g.late }) // the client gives up before that
	case "slow":
		f.Do = giteatest.Latency(duration())
	case "lost":
		f.Do = giteatest.LostAnswer()
	case "reset":
		f.Do = giteatest.Reset()
	case "html":
		f.Do = giteatest.HTML()
	case "truncated":
		f.Do = giteatest.Truncated()
	case "status":
		code, err := strconv.Atoi(value)
		c.ts.Check(err)
		f.Do = giteatest.Refuse(code, "out of order")
	default:
		c.ts.Fatalf("no such effect: %s", name)
	}
	return f
}
