package check

import (
	"context"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// chanceKey is of the flag in a context that says whether an evaluation depended on chance: the clock,
// random numbers, the network. Such a test may fail tomorrow with the same content.
type chanceKey struct{}

// offline are built-ins that are not deterministic because of the network alone, which there is none of.
var offline = map[string]bool{"json.match_schema": true, "json.verify_schema": true}

func init() {
	for _, builtin := range ast.Builtins {
		if builtin.Nondeterministic && !offline[builtin.Name] {
			noteChance(builtin.Name)
		}
	}
}

// noteChance wraps a built-in. A test that replaces it with `with` does not call it.
func noteChance(name string) {
	original := topdown.GetBuiltin(name)
	if original == nil {
		return
	}
	topdown.RegisterBuiltinFunc(name, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if bctx.Context != nil {
			if flag, ok := bctx.Context.Value(chanceKey{}).(*atomic.Bool); ok {
				flag.Store(true)
			}
		}
		return original(bctx, operands, iter)
	})
}

func withChance(ctx context.Context) (context.Context, *atomic.Bool) {
	flag := &atomic.Bool{}
	return context.WithValue(ctx, chanceKey{}, flag), flag
}
