package redact

import (
	"slices"
	"strings"
)

// maxHeading is how many bytes a line of a table may have.
const maxHeading = 200

// isHeading has the last letters of the names of columns that may hold secrets.
var isHeading = [1 << 8]bool{'d': true, 'e': true, 'n': true, 's': true, 't': true, 'y': true}

// mayHead reports whether the key in [key, end) may be the name of a column, by what stands beside it.
func mayHead(s string, key, end int) bool {
	if end == len(s) {
		return false
	}
	if key > 0 && strings.IndexByte(" \t\n,|", s[key-1]) < 0 {
		return end+1 < len(s) && (s[end+1] == ',' || s[end+1] == '\n') && isQuote(s[end]) && s[end] == s[key-1]
	}
	switch s[end] {
	case '\n', '\t', ',', '|':
		return true
	case ' ':
		return strings.HasPrefix(s[end:], "  ") || strings.HasPrefix(s[end:], " |") || strings.HasPrefix(s[end:], " │") || strings.HasPrefix(s[end:], " ┃") || strings.HasPrefix(s[end:], " ┆") || s[end-1] <= 'Z' && isUpperName(s[key:end])
	}
	return false
}

// addColumn adds the values in the column of a table whose name ends with the key in [key, end). They must have letters and digits,
// or look random if they are tokens.
func addColumn(s, low string, key, end int, add func(from, to int)) {
	const most = 50 // rows
	if kind := kindOf(low[key:end]); kind != isPassword && kind != isToken && kind != isKey {
		return
	}
	start := max(key-maxHeading, 0)
	start += 1 + strings.LastIndexByte(s[start:key], '\n')
	heading := lineAt(s, start)
	table, names := tableOf(heading)
	column := slices.IndexFunc(names, func(c span) bool { return start+c.to == end })
	if column < 0 || !areNames(heading, names) {
		return
	}
	kind := kindOf(low[start+names[column].from : end]) // API KEY
	if kind != isPassword && kind != isToken {
		return
	}
	isName := strings.HasSuffix(low[key:end], "secret") // it may be that of a Secret in Kubernetes
	at := start + len(heading)
	for n := range most {
		if at == len(s) || s[at] != '\n' {
			return // no more lines, or one that is too long
		}
		at++
		row := lineAt(s, at)
		if row != "" && (strings.TrimFunc(row, isRule) == "" || n == 0 && len(table.split(row)) == 1) { // pandas shows the name of its index below the others
			at += len(row)
			continue
		}
		cell := table.cell(row, names, column)
		v := row[cell.from:cell.to]
		if v == "" || kindOf(lowerASCII(v)) != notSecret && !isMixed(v) { // the end, or another heading
			return
		}
		if (kind == isPassword && !isName && isMixed(v) && !isType(v) || isRandom(v)) && !isPlaceholder(v) {
			add(at+cell.from, at+cell.to)
		}
		at += len(row)
	}
}

// isRule reports whether a table's lines are drawn with r.
func isRule(r rune) bool { return r >= '─' && r <= '╿' || strings.ContainsRune("-=+|: ", r) }

// table is what separates the cells of a table: a bar, a tab, a comma, two blanks or one.
type table string

// tableOf returns what separates the cells of a heading, and the cells.
func tableOf(heading string) (table, []span) {
	for _, t := range [...]table{"|", "\t", "  ", ",", " "} {
		cells := t.split(heading)
		switch {
		case len(cells) < 2, t == "," && strings.Contains(heading, " "), t == " " && strings.ToUpper(heading) != heading:
			continue
		}
		return t, cells
	}
	return "", nil
}

// areNames reports whether the cells of a heading are names of columns.
func areNames(heading string, cells []span) bool {
	for n, c := range cells {
		if n == 0 && c.from == c.to {
			continue // of an index
		}
		name := strings.Trim(heading[c.from:c.to], "()") // (index), of node's console.table
		if name == "" || !isLetter(name[0]) && name[0] != '#' || strings.Trim(lowerASCII(name), "abcdefghijklmnopqrstuvwxyz0123456789_- #") != "" || isMixed(name) {
			return false
		}
	}
	return true
}

// split returns the cells of a line, without the blanks around them.
func (t table) split(line string) []span {
	bar := string(t)
	if t == "|" {
		for _, b := range [...]string{"│", "┃", "║", "┆"} {
			if strings.Contains(line, b) {
				bar = b
			}
		}
	}
	var cells []span
	for from := 0; from <= len(line); {
		to := len(line)
		if n := strings.Index(line[from:], bar); n >= 0 {
			to = from + n
		}
		cell := strings.TrimSpace(line[from:to])
		if n := len(cell) - 1; t == "," && n > 0 && isQuote(cell[0]) && cell[n] == cell[0] {
			cell = cell[1:n]
		}
		isBlank := t == " " || t == "  "
		isFrame := cell == "" && (isBlank || t == "|" && (from == 0 || to == len(line)))
		if at := from + strings.Index(line[from:to], cell); !isFrame {
			cells = append(cells, span{at, at + len(cell)})
		}
		from = to + len(bar)
	}
	return cells
}

// cell returns the cell of a row in a column, or an empty place. Where some cells of a row are empty, blanks do not tell how
// many: then it is what stands below the column's name.
func (t table) cell(row string, names []span, column int) span {
	cells := t.split(row)
	if len(cells) != len(names) && t == "  " {
		cells = table(" ").split(row)
	}
	switch len(cells) - len(names) {
	case 0:
		return cells[column]
	case 1: // the first one is an index
		return cells[column+1]
	}
	at := names[column].from
	if t != "  " || at >= len(row) || at > 0 && row[at-1] != ' ' {
		return span{}
	}
	return span{at, at + len(row[at:]) - len(strings.TrimLeft(row[at:], "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"))}
}
