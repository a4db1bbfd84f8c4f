package unit

import "github.com/open-policy-agent/opa/v1/ast"

// Replaces reports whether a module that was compiled replaces data, rules or functions by `with`: input
// alone does not count.
func Replaces(compiler *ast.Compiler) bool {
	replaces := false
	visit := ast.NewGenericVisitor(func(x any) bool {
		if with, ok := x.(*ast.With); ok {
			target, ok := with.Target.Value.(ast.Ref)
			replaces = replaces || !ok || !target.HasPrefix(ast.InputRootRef)
		}
		return replaces
	})
	for _, module := range compiler.Modules {
		if visit.Walk(module); replaces {
			break
		}
	}
	return replaces
}
