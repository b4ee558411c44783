package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/text/width"
)

// screen is what standard output can show.
type screen struct {
	width    int // columns; 0: any number
	height   int // lines of a terminal; 0: any number
	terminal bool
	colours  bool
}

// screen returns what standard output can show. Where that is no terminal, $COLUMNS may limit the width, and there are no colours: the
// output goes into a file, or to a program.
func (a *app) screen() (s screen) {
	s.width, _ = strconv.Atoi(a.getenv("COLUMNS"))
	s.width = max(s.width, 0)
	f, ok := a.stdout.(*os.File)
	if !ok || !isTerminal(f) {
		return s
	}
	s.terminal = true
	s.colours = a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" // see no-color.org
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		s.width, s.height = int(size.Col), int(size.Row)
	}
	return s
}

// Colours of a terminal, as parameters of its sequence for them.
const (
	red    = "31"
	yellow = "33"
	dim    = "2"
)

// paint gives a text a colour, if there are any.
func (s screen) paint(text, colour string) string {
	if !s.colours || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[m"
}

// noticef prints a line about something that needs somebody.
func (a *app) noticef(format string, args ...any) {
	a.printf("%s "+format, append([]any{a.screen().paint("!", yellow)}, args...)...)
}

// cell is a part of a row. Its text has no line ends and no sequences of a terminal.
type cell struct{ text, colour string }

// row is a line of a table. What is below is not cut: it may be an address.
type row struct {
	cells []cell
	below []string
}

func (a *app) printRows(rows []row) {
	for _, line := range a.screen().layOut(rows) {
		a.printf("%s\n", line)
	}
}

func cells(texts ...string) (out []cell) {
	for _, t := range texts {
		out = append(out, cell{text: t})
	}
	return out
}

const (
	gap       = 2  // columns between two cells
	leastCell = 10 // columns that a cell keeps, however narrow the screen is
)

// layOut aligns rows. Columns without any text are left out. If the screen is too narrow, the widest columns are cut.
func (s screen) layOut(rows []row) (lines []string) {
	var widths []int
	for _, r := range rows {
		for n, c := range r.cells {
			if n == len(widths) {
				widths = append(widths, 0)
			}
			widths[n] = max(widths[n], textWidth(c.text))
		}
	}
	s.fit(widths)
	for _, r := range rows {
		var line strings.Builder
		blanks := 0
		for n, c := range r.cells {
			if widths[n] == 0 {
				continue
			}
			text := cut(c.text, widths[n])
			if text != "" {
				line.WriteString(strings.Repeat(" ", blanks) + s.paint(text, c.colour))
				blanks = 0
			}
			blanks += widths[n] - textWidth(text) + gap
		}
		lines = append(append(lines, line.String()), r.below...)
	}
	return lines
}

// fit cuts the widest columns until all fit on the screen, or none can be cut any more.
func (s screen) fit(widths []int) {
	if s.width == 0 {
		return
	}
	over := -gap - s.width
	for _, w := range widths {
		if w > 0 {
			over += w + gap
		}
	}
	for ; over > 0; over-- {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= leastCell {
			return
		}
		widths[widest]--
	}
}

// textWidth returns how many columns a text takes. Libraries that know more of this build tables when a process starts, which takes ten times
// as long as gate.
func textWidth(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut returns a text that takes no more than some columns. One that is cut ends with a mark.
func cut(s string, columns int) string {
	if textWidth(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > columns-1 {
			return s[:i] + "…"
		}
	}
	return s
}
