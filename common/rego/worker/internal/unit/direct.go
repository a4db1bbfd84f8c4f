package unit

import "github.com/open-policy-agent/opa/v1/ast"

// direct are the functions of the package system.notp.tokens that do nothing but call a built-in function.
var direct = map[string]ast.Ref{
	"data.system.notp.tokens.lookup":  ast.MustParseRef("notp.tokens.lookup"),
	"data.system.notp.tokens.revoked": ast.MustParseRef("notp.tokens.revoked"),
}

// CallDirectly lets the modules that were compiled call the built-in functions behind the package
// system.notp.tokens, without the function between: OPA has no inlining, and a function costs more than a
// lookup. A unit that replaces anything by `with` below data is left as it is.
func CallDirectly(compiler *ast.Compiler) {
	var calls []*ast.Term // operators
	replaces := false
	note := func(terms []*ast.Term) {
		if ref, ok := terms[0].Value.(ast.Ref); ok && ref.HasPrefix(ast.DefaultRootRef) {
			if _, ok := direct[ref.String()]; ok {
				calls = append(calls, terms[0])
			}
		}
	}
	visit := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x.IsCall() {
				note(x.Terms.([]*ast.Term))
			}
		case ast.Call:
			note(x)
		case *ast.With:
			target, ok := x.Target.Value.(ast.Ref)
			replaces = replaces || ok && target.HasPrefix(ast.DefaultRootRef)
		}
		return replaces
	})
	for _, module := range compiler.Modules {
		if visit.Walk(module); replaces {
			return
		}
	}
	for _, each := range calls {
		each.Value = direct[each.Value.(ast.Ref).String()]
	}
}
