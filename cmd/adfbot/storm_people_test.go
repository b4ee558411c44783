package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
	"github.com/terraphim/adfbot/internal/testworld"
)

// What people, disks and Gitea's own troubles do in the storm.

func (s *storm) act(m move) {
	begun := s.now()
	var answer string
	switch m.What {
	case "rm flag", "touch flag", "rm and touch flag", "sentinel away", "directory away", "directory wiped":
		answer = s.flagMove(m)
	case "state read-only", "state unreadable", "pause read-only", "pause unreadable":
		answer = s.deny(m)
	case "gitea down", "token revoked", "archived", "issues off", "renamed", "account renamed":
		answer = s.outage(m)
	default:
		answer = s.personMove(m)
	}
	who := m.Who
	if who == "" {
		who = "a person"
	}
	s.book.note(begun, who, m.String(), answer)
}

// target is an issue that a person chooses.
type target struct {
	repo string
	giteatest.Issue
	marker hidden
}

// targets are the bot's own issues, those of the project first, in the order of their making.
func (s *storm) targets(project string) []target {
	var own, others []target
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range s.Issues(repo) {
			t := target{repo, i, markerOf(i.Body)}
			switch {
			case i.AuthorID != s.bot || t.marker.incident == "" || s.book.isStrange(fmt.Sprintf("%s#%d", repo, i.Number)):
			case slices.ContainsFunc(carried(i.Body), func(m hidden) bool { return m.project == project }):
				own = append(own, t)
			default:
				others = append(others, t)
			}
		}
	}
	if len(own) > 0 {
		return own
	}
	return others
}

func (s *storm) personMove(m move) string {
	s.moving.RLock()
	defer s.moving.RUnlock()
	if s.away > 0 {
		return "left as it is: a repository has another name now"
	}
	p := s.As(m.Who)
	repo := theRepo
	if m.Project == "quick" {
		repo = otherRepo
	}
	if m.What == "plain issue" {
		return fmt.Sprint("#", s.strange(p, repo, "The build is red", "since yesterday"))
	}
	if m.What == "comment" && m.Pick > 5 {
		if at, ok := s.commentStrange(p, strings.ReplaceAll(m.Args[0], "$PROJECT", m.Project)); ok {
			return at
		}
	}
	all := s.targets(m.Project)
	if len(all) == 0 {
		return "there is no issue"
	}
	// Mostly the latest: it is the one that matters.
	i := all[len(all)-1]
	if m.Pick > 3 {
		i = all[m.Pick%len(all)]
	}
	at := fmt.Sprintf("%s#%d", i.repo, i.Number)
	// Somebody may delete it while it is being looked at.
	defer func() { _ = recover() }()
	switch m.What {
	case "close":
		s.book.closing(m.Who, i)
		s.book.gone(i)
		p.Close(i.repo, i.Number)
	case "reopen":
		p.Reopen(i.repo, i.Number)
	case "comment":
		text := strings.ReplaceAll(m.Args[0], "$PROJECT", m.Project)
		s.book.comment(m.Who, i, text)
		s.book.tell(m.Who, i, text, p.Comment(i.repo, i.Number, text))
	case "edit comment":
		if len(i.Comments) == 0 {
			return at + " has no comment"
		}
		c := i.Comments[m.Pick%len(i.Comments)]
		if c.AuthorID == s.bot {
			return at + ": the bot's comments are left alone"
		}
		p.EditComment(i.repo, c.ID, c.Body+"\nedited")
	case "delete":
		s.book.gone(i)
		p.Delete(i.repo, i.Number)
	case "edit":
		if m.Args[0] == "title" {
			p.EditTitle(i.repo, i.Number, "Taken by "+m.Who+": "+i.Title)
		} else {
			p.EditBody(i.repo, i.Number, i.Body+"\nSomebody looks at it.\n")
		}
	case "unmark":
		s.book.gone(i)
		p.EditBody(i.repo, i.Number, strings.NewReplacer("<!-- adfbot:v1", "<!-- ", "<!-- adfbot:silent-v1", "<!-- ").Replace(i.Body))
	case "label":
		if m.Args[0] == "" {
			p.SetLabels(i.repo, i.Number)
		} else {
			p.SetLabels(i.repo, i.Number, m.Args[0])
		}
	case "lock":
		p.Lock(i.repo, i.Number)
	case "unlock":
		p.Unlock(i.repo, i.Number)
	case "assign":
		s.book.assign(m.Who, i)
		p.Assign(i.repo, i.Number, m.Who)
	case "commit closes":
		s.book.gone(i)
		p.CloseByCommit(i.repo, i.Number, "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b", fmt.Sprintf("Mend it, closes #%d", i.Number))
	case "merge closes":
		s.book.gone(i)
		p.CloseInPull(i.repo, i.Number)(p)
	case "commit mentions":
		p.MentionInCommit(i.repo, i.Number, "7dcd4ce23d88e2ee9568ba546c007c63d9131c1b", fmt.Sprintf("Look at #%d", i.Number))
	case "copy":
		n := s.strange(p, i.repo, i.Title, i.Body)
		at = fmt.Sprintf("%s copied to #%d", at, n)
		if m.Pick != 0 {
			p.Comment(i.repo, n, "/adf status")
			at += ", with an order"
		}
	case "other installation":
		body := strings.ReplaceAll(i.Body, "installation="+i.marker.installation, "installation="+strings.Repeat("a5", 16))
		at = fmt.Sprintf("#%d in place of %s", s.strange(s.As(botLogin), i.repo, i.Title, body), at)
	case "duplicate":
		s.book.planted(i)
		at = fmt.Sprintf("%s doubled as #%d", at, s.As(botLogin).Open(i.repo, i.Title, i.Body))
	default:
		panic(m.What)
	}
	s.hint(i.repo, i.Number)
	return at
}

// commentStrange gives an order in an issue that the bot must never touch, be it one with its title and marker.
func (s *storm) commentStrange(p *giteatest.Person, text string) (at string, ok bool) {
	for _, repo := range []string{theRepo, otherRepo} {
		for _, i := range s.Issues(repo) {
			at = fmt.Sprintf("%s#%d", repo, i.Number)
			if s.book.isStrange(at) {
				p.Comment(repo, i.Number, text)
				s.hint(repo, i.Number)
				return at + ", which is not the bot's", true
			}
		}
	}
	return "", false
}

// strange opens an issue that the bot must never touch.
func (s *storm) strange(p *giteatest.Person, repo, title, body string) int64 {
	n := p.Open(repo, title, body)
	s.book.strange(repo, n, title, body)
	return n
}

func (s *storm) flagMove(m move) string {
	flag, sentinel := s.path("pause/"+m.Project), s.path("pause/.adfbot")
	switch m.What {
	case "rm flag":
		return s.removeFlag(m.Project)
	case "touch flag":
		return s.touchFlag(m.Project)
	case "rm and touch flag":
		answer := s.removeFlag(m.Project)
		return answer + ", " + s.touchFlag(m.Project)
	case "sentinel away":
		if !s.book.stateKnown() {
			return "left where it is: with neither state nor sentinel this would be another installation"
		}
		b, err := os.ReadFile(sentinel)
		if err != nil {
			return err.Error()
		}
		if err := os.Remove(sentinel); err != nil {
			return err.Error()
		}
		s.pass(m.For)
		if _, err := os.Lstat(sentinel); err == nil {
			return "somebody made another" // the first result, as long as no flag was ever written; or a restore
		}
		if m.Pick%2 == 0 {
			b = nil // a bare touch
		}
		return fmt.Sprint("back ", os.WriteFile(sentinel, b, 0o644))
	case "directory away":
		if !s.book.flagsWritten() {
			return "left where it is: no flag was written yet, so a new one would be made"
		}
		if err := os.Rename(s.path("pause"), s.path("pause-away")); err != nil {
			return err.Error()
		}
		s.pass(m.For)
		return s.mountPause()
	case "directory wiped":
		if !s.book.flagsWritten() {
			return "left as it is: no flag was written yet, so the sentinel would come back"
		}
		// All at once: at no moment does a flag look as if a person had removed it.
		errs := []error{os.Rename(s.path("pause"), s.path(fmt.Sprint("pause-wiped-", time.Now().UnixNano()))), os.Mkdir(s.path("pause"), 0o755)}
		if user := s.botUser(); user != 0 {
			errs = append(errs, os.Chown(s.path("pause"), user, user))
		}
		return fmt.Sprint("wiped ", errors.Join(errs...))
	}
	panic(m.What + flag)
}

func (s *storm) removeFlag(project string) string {
	done := s.book.resuming(project, "a person removed the flag")
	defer done()
	if err := os.Remove(s.path("pause/" + project)); err != nil {
		return err.Error()
	}
	return "removed"
}

func (s *storm) touchFlag(project string) string {
	done := s.book.holding(project, "a person touched the flag")
	defer done()
	f, err := os.OpenFile(s.path("pause/"+project), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint("touched ", f.Close())
}

// mountPause brings the pause directory back. What was made in its place is hidden by it.
func (s *storm) mountPause() string {
	if _, err := os.Lstat(s.path("pause-away")); errors.Is(err, fs.ErrNotExist) {
		return "it is there"
	}
	answer := "back"
	if _, err := os.Lstat(s.path("pause")); err == nil {
		// A restore made it meanwhile. What stood in it and does not stand in the one that comes back is gone, and a flag that
		// was removed from it stands there again: a person did that.
		for project := range stormProjects {
			if _, err := os.Lstat(s.path("pause-away/" + project)); errors.Is(err, fs.ErrNotExist) {
				defer s.book.resuming(project, "the directory came back over a restored one")()
			} else {
				defer s.book.holding(project, "the directory came back with its flag")()
			}
		}
		require.NoError(s.t, os.Rename(s.path("pause"), s.path(fmt.Sprint("pause-under-", s.now().UnixNano()))))
		s.remounted.Store(true)
		answer = "back, over one that was made meanwhile"
	}
	require.NoError(s.t, os.Rename(s.path("pause-away"), s.path("pause")))
	return answer
}

// mendPause leaves the pause directory as the operator should: it is there and has its sentinel, and adfbot knows that it is the one
// to be used where it came back over another. Where every first command was refused the state, nobody has made it yet.
func (s *storm) mendPause() {
	if _, err := os.Lstat(s.path("pause-away")); err == nil {
		s.book.note(s.now(), "a person", "brings the pause directory back", s.mountPause())
	}
	if _, err := os.Lstat(s.path("pause/.adfbot")); errors.Is(err, fs.ErrNotExist) || s.remounted.Swap(false) {
		if out, code := s.inProcess("restore"); code != 0 {
			s.book.wrong("restore in the calm: %d\n%s", code, out)
		}
	}
}

// deny takes permissions away for a while.
func (s *storm) deny(m move) string {
	name, how, _ := strings.Cut(m.What, " ")
	mode := fs.FileMode(0o555)
	if how == "unreadable" {
		mode = 0
	}
	if err := os.Chmod(s.path(name), mode); err != nil {
		return err.Error()
	}
	s.pass(m.For)
	// Somebody may have taken the directory away meanwhile.
	return fmt.Sprint("again ", errors.Join(s.allow("state"), s.allow("pause"), s.allow("pause-away")))
}

func (s *storm) allow(name string) error {
	if err := os.Chmod(s.path(name), 0o755); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *storm) outage(m move) string {
	repo := theRepo
	if m.Pick > 0 {
		repo = otherRepo
	}
	switch m.What {
	case "gitea down":
		s.down()
		s.pass(m.For)
		return fmt.Sprint("up ", s.up())
	case "token revoked":
		s.RevokeToken(botToken)
		s.pass(m.For)
		s.AddToken(botLogin, botToken, testworld.Scopes()...)
	case "archived":
		s.Archive(repo)
		s.pass(m.For)
		s.Unarchive(repo)
	case "issues off":
		s.DisableIssues(repo)
		s.pass(m.For)
		s.EnableIssues(repo)
	case "renamed":
		owner, name, _ := strings.Cut(repo, "/")
		s.rename(repo, "elsewhere-"+name, 1)
		s.pass(m.For)
		s.rename(owner+"/elsewhere-"+name, name, -1)
	case "account renamed":
		s.RenameUser(botLogin, botLogin+"-2")
		s.pass(m.For)
		s.RenameUser(botLogin+"-2", botLogin)
	default:
		panic(m.What)
	}
	return "over"
}

// rename waits until nobody works in a repository; while one is away people leave the issues alone.
func (s *storm) rename(repo, name string, away int) {
	s.moving.Lock()
	defer s.moving.Unlock()
	s.Rename(repo, name)
	s.away += away
}

// mendRepo is for what every outage undoes itself.
func (s *storm) mendRepo(repo string) {
	s.Unarchive(repo)
	s.EnableIssues(repo)
}
