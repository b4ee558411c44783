package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/plan"
)

// A kind without a phase would come first in every plan, as if it were local.
func TestEveryKindHasAPhase(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	require.NoError(t, err)
	var declared []plan.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			declared = append(declared, plan.Kind(name))
		}
		return true
	})
	slices.Sort(declared)
	require.NotEmpty(t, declared)
	require.Equal(t, declared, plan.Kinds())
}
