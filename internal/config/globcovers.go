package config

// mostStates bounds the search of [glob.coveredBy]. Patterns that people write need a few dozen.
const mostStates = 2000

// mostComparing bounds the comparing of many patterns with each other to seconds. Two that have nothing to do with each other cost 1, others
// stateWork for each state.
const (
	mostComparing = 1_000_000
	stateWork     = 20
)

// positions is a set of places in a pattern, one bit each.
type positions [3]uint64

func (p *positions) add(n int)     { p[n/64] |= 1 << (n % 64) }
func (p positions) has(n int) bool { return p[n/64]&(1<<(n%64)) != 0 }

// coveredBy reports whether the other pattern matches every project id that this one matches. It may report false for patterns that
// are too intricate. It takes its cost from work.
func (g glob) coveredBy(other glob, work *int) bool {
	*work--
	if len(g) > maxID || len(other) > maxID || !g.mayBeCoveredBy(other) {
		return false
	}
	_, first := idChars()
	// Walk through all ids that g matches, a character at a time, and keep all places where other may be.
	type state struct {
		at    int
		there positions
		begun bool
	}
	begin := state{there: other.closure(positions{1})}
	seen, todo := map[state]bool{begin: true}, []state{begin}
	for len(todo) > 0 {
		*work -= stateWork
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		visit := func(at int, there positions) {
			if next := (state{at, there, true}); !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
		switch {
		case len(seen) > mostStates:
			return false
		case s.at == len(g):
			if !s.there.has(len(other)) {
				return false
			}
			continue
		case g[s.at].any && s.begun:
			visit(s.at+1, s.there)
		}
		chars, next := g[s.at].chars, s.at+1
		if g[s.at].any {
			next = s.at
		}
		if !s.begun {
			// An id is not empty. What comes first may also be what follows an asterisk.
			chars = chars.and(first)
			if g[0].any && len(g) > 1 {
				for c := range byte(128) {
					if g[1].chars.and(first).has(c) {
						visit(2, other.step(s.there, c))
					}
				}
			}
		}
		for c := range byte(128) {
			if chars.has(c) {
				visit(next, other.step(s.there, c))
			}
		}
	}
	return true
}

// mayBeCoveredBy is false for most patterns that have nothing to do with each other.
func (g glob) mayBeCoveredBy(other glob) bool {
	for n, part := range other {
		if part.any || n == len(g) || g[n].any {
			break
		}
		if g[n].chars.and(part.chars) != g[n].chars {
			return false
		}
	}
	return true
}

// step returns the places after one more character.
func (g glob) step(there positions, c byte) (next positions) {
	for n, part := range g {
		switch {
		case !there.has(n) || !part.chars.has(c):
		case part.any:
			next.add(n)
		default:
			next.add(n + 1)
		}
	}
	return g.closure(next)
}

// closure adds the places after asterisks, which also stand for nothing.
func (g glob) closure(there positions) positions {
	for n, part := range g {
		if part.any && there.has(n) {
			there.add(n + 1)
		}
	}
	return there
}
