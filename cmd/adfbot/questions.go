package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/config"
)

// questions asks people on a terminal.
type questions struct {
	ctx context.Context
	a   *app
	tty *os.File // nil: standard input is no terminal
	in  *bufio.Reader
}

func newQuestions(ctx context.Context, a *app) *questions {
	q := &questions{ctx: ctx, a: a, in: bufio.NewReader(a.stdin)}
	if f, ok := a.stdin.(*os.File); ok && isTerminal(f) {
		q.tty = f
	}
	return q
}

func (q *questions) terminal() bool { return q.tty != nil }

// ask asks until the answer is good. preset is the answer to an empty line; check decides whether an empty one is good.
func (q *questions) ask(question, preset string, check func(string) error) (string, error) {
	for {
		q.a.printf("%s: ", question)
		s, err := q.line()
		if err != nil {
			return "", err
		}
		if s = strings.TrimSpace(s); s == "" {
			s = preset
		}
		if err = check(s); err == nil {
			return s, nil
		}
		q.a.printf("  %s\n", err)
	}
}

// line reads a line, unless somebody interrupts.
func (q *questions) line() (string, error) {
	type answer struct {
		s   string
		err error
	}
	c := make(chan answer, 1)
	go func() {
		s, err := q.in.ReadString('\n')
		c <- answer{s, err}
	}()
	select {
	case x := <-c:
		if errors.Is(x.err, io.EOF) {
			q.a.printf("\n")
			return "", errors.New("init: no answer: nothing was done")
		}
		return strings.TrimRight(x.s, "\r\n"), x.err
	case <-q.ctx.Done():
		q.a.printf("\n")
		return "", errors.New("init: interrupted: nothing was done")
	}
}

// askToken has somebody type a secret, which the terminal does not show.
func (q *questions) askToken() (string, error) {
	fd := int(q.tty.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	silent := *was
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return "", err
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }()
	for {
		q.a.printf("The bot's token (it is not shown): ")
		s, err := q.line()
		if err != nil {
			return "", err
		}
		q.a.printf("\n")
		if s, err = config.CheckSecret(s); err == nil {
			return s, nil
		}
		q.a.printf("  %s\n", err)
	}
}

// tokenFrom reads the token from a file, "-": from standard input.
func (q *questions) tokenFrom(file string) (string, error) {
	if file != "-" {
		s, err := config.ReadSecretFile(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		return s, nil
	}
	if q.terminal() {
		return q.askToken()
	}
	data, err := io.ReadAll(io.LimitReader(q.in, 64<<10))
	if err != nil {
		return "", fmt.Errorf("--token-file: standard input: %w", err)
	}
	s, err := config.CheckSecret(string(data))
	if err != nil {
		return "", usage("--token-file: standard input %w", err)
	}
	return s, nil
}
