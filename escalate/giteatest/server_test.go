package giteatest_test

import (
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/giteatest"
)

func TestNewServer(t *testing.T) {
	var s *giteatest.Server
	t.Run("during the test", func(t *testing.T) {
		s = giteatest.NewServer(t)
		require.Regexp(t, `^http://(127\.0\.0\.1|\[::1\]):\d+$`, s.URL())
		s.AddUser("adf-bot", giteatest.UserOptions{})
		s.AddToken("adf-bot", "secret")
		s.AddRepo("terraphim", "rec")
		i, _, err := sdk(t, s.URL(), http.DefaultClient, "secret").GetRepo("terraphim", "rec")
		require.NoError(t, err)
		require.Equal(t, s.URL()+"/terraphim/rec", i.HTMLURL)
	})
	_, err := http.Get(s.URL())
	require.ErrorContains(t, err, "refused", "the server stops when the test ends")
}

func TestURL(t *testing.T) {
	s := giteatest.New(nil)
	require.Equal(t, "http://gitea.example", s.URL())
	s.SetBaseURL("https://git.example.org/")
	require.Equal(t, "https://git.example.org", s.URL())
}

// TestDocLinks checks that the documentation names only what exists. A doc link to anything else is parsed as plain
// text.
func TestDocLinks(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "github.com/terraphim/adfbot/escalate/giteatest")
	require.NoError(t, err)
	texts := []string{pkg.Doc}
	funcs := pkg.Funcs
	for _, typ := range pkg.Types {
		texts = append(texts, typ.Doc)
		funcs = slices.Concat(funcs, typ.Funcs, typ.Methods)
	}
	for _, f := range funcs {
		texts = append(texts, f.Doc)
	}
	links, broken := 0, regexp.MustCompile(`\[[A-Z][\w.]*\]|\b(Server|Person)\.[A-Z]`)
	for _, text := range texts {
		eachText(pkg.Parser().Parse(text).Content, func(text comment.Text) {
			switch text := text.(type) {
			case *comment.DocLink:
				links++
			case comment.Plain:
				require.NotRegexp(t, broken, string(text))
			}
		})
	}
	require.Greater(t, links, 10)
}

// eachText calls f with the texts of a doc comment.
func eachText(blocks []comment.Block, f func(comment.Text)) {
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			for _, text := range block.Text {
				f(text)
			}
		case *comment.List:
			for _, item := range block.Items {
				eachText(item.Content, f)
			}
		}
	}
}
