package main

import (
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"
	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	t.Parallel()
	rows := []row{
		{cells: cells("odilo", "may run", "", "12s ago, exit 0")},
		{cells: cells("a-project-with-a-very-long-name", "PAUSED 3m", "", ""), below: []string{"  https://git.example.org/a-long-address/issues/1"}},
		{cells: cells("日本", "held", "", "3m ago, exit 1: project-meta: planning failed: model quota used up")},
	}
	require.Equal(t, strings.TrimPrefix(`
odilo                            may run    12s ago, exit 0
a-project-with-a-very-long-name  PAUSED 3m
  https://git.example.org/a-long-address/issues/1
日本                             held       3m ago, exit 1: project-meta: planning failed: model quota used up
`, "\n"), strings.Join(screen{}.layOut(rows), "\n")+"\n", "no limit; the empty column is left out")

	require.Equal(t, strings.TrimPrefix(`
odilo                            may run    12s ago, exit 0
a-project-with-a-very-long-name  PAUSED 3m
  https://git.example.org/a-long-address/issues/1
日本                             held       3m ago, exit 1: project-meta: pla…
`, "\n"), strings.Join(screen{width: 78}.layOut(rows), "\n")+"\n", "the widest column is cut")

	for _, width := range []int{40, 60, 100} {
		for n, line := range (screen{width: width}).layOut(rows) {
			if n != 2 {
				require.LessOrEqual(t, displaywidth.String(line), width, line)
			}
		}
	}
	require.Equal(t, "odilo       may run    12s ago, …", screen{width: 1}.layOut(rows)[0], "what is left tells projects apart")
	require.Empty(t, screen{width: 80}.layOut(nil))
}

func TestTableColours(t *testing.T) {
	t.Parallel()
	rows := []row{{cells: []cell{{"PAUSED", red}, {"x", ""}}}, {cells: []cell{{"held", yellow}, {"y", ""}}}}
	require.Equal(t, []string{"PAUSED  x", "held    y"}, screen{}.layOut(rows))
	require.Equal(t, []string{"\x1b[31mPAUSED\x1b[m  x", "\x1b[33mheld\x1b[m    y"}, screen{colours: true}.layOut(rows))
}

// It agrees with a library that knows terminals.
func TestTextWidth(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "odilo", "日本語", "é", "e\u0301", "✔✘–…", "🚀 start", "ｆｕｌｌ", "한국", "a\u200bb", "Ж"} {
		require.Equal(t, displaywidth.String(s), textWidth(s), "%q", s)
		for columns := range 4 {
			require.LessOrEqual(t, textWidth(cut(s, columns+1)), columns+1, "%q", s)
		}
	}
	require.Equal(t, "日…", cut("日本語", 4))
	require.Equal(t, "日本語", cut("日本語", 6))
}
