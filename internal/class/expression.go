package class

import (
	"regexp"
	"regexp/syntax"
	"sync"
)

// Expression is a regular expression of a rule. It is compiled when a run is first matched with it: compiling takes far longer than
// parsing, and a command that is about one project reads the rules of all.
type Expression struct {
	text string
	size int

	once     sync.Once
	compiled *regexp.Regexp
}

// NewExpression parses an expression. The error is a [syntax.Error].
func NewExpression(text string) (*Expression, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return &Expression{text: text, size: size(tree)}, nil
}

func mustExpression(text string) *Expression {
	e, err := NewExpression(text)
	if err != nil {
		panic(err)
	}
	return e
}

func (e *Expression) String() string { return e.text }

// MarshalText returns the expression as it was written.
func (e *Expression) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// Size returns how many characters and sets the expression has once its repetitions are written out, to which the time and the memory for
// compiling it are proportional.
func (e *Expression) Size() int { return e.size }

// Compile returns a new matcher, which ends with its use.
func (e *Expression) Compile() *regexp.Regexp { return regexp.MustCompile(e.text) } // it was parsed: only that can fail

// matcher returns the matcher that stays.
func (e *Expression) matcher() *regexp.Regexp {
	e.once.Do(func() { e.compiled = e.Compile() })
	return e.compiled
}

// size is bounded, because the parser refuses what would be much larger.
func size(e *syntax.Regexp) int {
	sum := 0
	for _, sub := range e.Sub {
		sum += size(sub)
	}
	switch e.Op {
	case syntax.OpLiteral:
		return len(e.Rune)
	case syntax.OpRepeat:
		return sum * max(e.Min, e.Max, 1)
	}
	return max(sum, 1)
}
