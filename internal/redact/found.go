package redact

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

const (
	valueHead = 8       // bytes; values are looked up by their first ones
	maxAlike  = 16      // values with the same head, so that looking for them takes linear time
	maxFound  = 2 << 10 // bytes of a value, likewise
)

// foundValues are random values that their keys gave away in a text. They are masked wherever else they stand.
type foundValues struct {
	byHead map[uint64][]string
	filter [64]uint64 // a bit for each hash of a head, which nearly always answers no
}

// add adds v, or the password of user:password, if it looks random. A word of the language would be masked everywhere.
func (f *foundValues) add(v string) {
	for _, sign := range [...]string{":", "%"} {
		if _, password, ok := strings.Cut(v[:min(len(v), maxFound)], sign); ok && !strings.Contains(password, sign) {
			f.add(password)
		}
	}
	v = strings.TrimRight(strings.TrimSuffix(v, `\n`), ".,:;") // of the sentence around it
	if len(v) > maxFound || !isRandom(v) || strings.Contains(v, masked) {
		return
	}
	head := binary.LittleEndian.Uint64([]byte(v[:valueHead]))
	alike := f.byHead[head]
	if len(alike) >= maxAlike {
		return
	}
	for _, known := range alike {
		if known == v {
			return
		}
	}
	if f.byHead == nil {
		f.byHead = map[uint64][]string{}
	}
	f.byHead[head] = append(alike, v)
	bit := hashHead(head)
	f.filter[bit/64] |= 1 << (bit % 64)
}

// find finds the values in s.
func (f *foundValues) find(s string, add func(from, to int)) {
	if len(f.byHead) == 0 || len(s) < valueHead {
		return
	}
	head := uint64(0)
	for i := range len(s) {
		head = head>>8 | uint64(s[i])<<56
		if bit := hashHead(head); f.filter[bit/64]>>(bit%64)&1 == 0 {
			continue
		}
		from := i + 1 - valueHead
		for _, v := range f.byHead[head] {
			if from >= 0 && strings.HasPrefix(s[from:], v) {
				add(from, from+len(v))
			}
		}
	}
}

func hashHead(head uint64) uint64 { return head * 0x9e3779b97f4a7c15 >> 52 }

// isRandom reports whether v looks random, also with other characters than letters and digits in it: between the letters
// and digits of names and versions there are few changes.
func isRandom(v string) bool {
	const least = 16
	if len(v) < least || strings.ContainsAny(v, " \t\n") {
		return false
	}
	if looksRandom(v) {
		return true
	}
	changes := 0
	for i := 1; i < len(v); i++ {
		if isDigit(v[i]) && isLetter(v[i-1]) || isLetter(v[i]) && isDigit(v[i-1]) {
			changes++
		}
	}
	return changes >= max(3, len(v)/8)
}

// wrapEnd returns the end of a secret that ends at i or, because many tools wrap at 80 columns, continues on the next line.
func wrapEnd(s string, i int) int {
	const columns, most = 80, 4 * 80
	for i < len(s) && s[i] == '\n' {
		line := s[max(i-most, 0):i]
		line = line[strings.LastIndexByte(line, '\n')+1:]
		from := skipColumn(s, i+1)
		to := from
		for to < len(s) && to-from < columns && (isBase64(s[to]) || s[to] == '.') {
			to++
		}
		word := s[min(from+1, to):to]
		isHeading := to < len(s) && s[to] == ' ' && strings.Trim(s[from:to], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" // FAILED x_test.py
		isWord, isTime := strings.Trim(word, "abcdefghijklmnopqrstuvwxyz.-_=") == "", strings.Trim(word, "0123456789-./T") == ""
		if utf8.RuneCountInString(line) != columns || isWord || isTime || isHeading {
			return i
		}
		i = to
	}
	return i
}
