package builtin

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// The built-in functions behind the package system.notp.tokens, as they are without a lane: so models
// are judged and tested.
func init() {
	noLane("notp.tokens.lookup", types.NewFunction(types.Args(types.A), types.A), nil)
	noLane("notp.tokens.revoked", types.NewFunction(types.Args(types.A), types.B), ast.BooleanTerm(true))
	noLane("notp.tokens.lane", types.NewFunction(nil, types.NewObject(nil, types.NewDynamicProperty(types.A, types.A))),
		ast.ObjectTerm(
			ast.Item(ast.StringTerm("name"), ast.StringTerm("")),
			ast.Item(ast.StringTerm("mode"), ast.StringTerm("")),
			ast.Item(ast.StringTerm("revision"), ast.NumberTerm("0")),
			ast.Item(ast.StringTerm("state"), ast.StringTerm("unknown"))))
}

func noLane(name string, decl *types.Function, value *ast.Term) {
	if ast.BuiltinMap[name] != nil {
		return
	}
	Register(&ast.Builtin{Name: name, Decl: decl, Nondeterministic: true},
		func(_ topdown.BuiltinContext, _ []*ast.Term, iter func(*ast.Term) error) error {
			if value == nil {
				return nil
			}
			return iter(value)
		})
}
