package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArrows(t *testing.T) {
	const shown = `  File "app.py", line 7, in go
    return login(self.user, password, self.token, n, {'api_key': password})
           │     │    │     │         │    │      │              └ 'hunter'
           │     │    │     │         │    │      └ 5
           │     │    │     │         │    └ 'hunter'
           │     │    │     │         └ <__main__.C object at 0x7f46f43dca90>
           │     │    │     └ 'hunter'
           │     │    └ 'bob'
           │     └ <__main__.C object at 0x7f46f43dca90>
           └ <function login at 0x7f46f50104a0>

    größe = rate(token_count, 'ä', token)
            │    │                 └ 'hunter'
            │    └ 12345
            └ <function rate at 0x7f>
`
	got := New().Redact(shown)
	require.Equal(t, strings.ReplaceAll(shown, "hunter", masked), got)
	require.Equal(t, got, New().Redact(got), "masking twice")
	requireNoPanic(t, shown)
	for _, text := range []string{
		"├── secret\n│   └ 'store.go'\n└ token.go\n", "token\n└ src\n", "x.password\n└── abc1def\n", "password │ x\n└ 12\n",
	} {
		require.Equal(t, text, New().Redact(text))
	}
}
