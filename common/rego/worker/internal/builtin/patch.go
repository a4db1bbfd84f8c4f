package builtin

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

func init() {
	original := topdown.GetBuiltin(ast.JSONPatch.Name)
	ast.JSONPatch.CanSkipBctx = false
	topdown.RegisterBuiltinFunc(ast.JSONPatch.Name, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		return patch(bctx, original, operands, iter)
	})
}

// patch applies operations with OPA's function. A document doubles when it is copied into itself, so
// where that could pass the bound, the operations are applied one at a time and the document is
// measured before each copy.
func patch(bctx topdown.BuiltinContext, original topdown.BuiltinFunc, operands []*ast.Term, iter func(*ast.Term) error) error {
	operations, ok := operands[1].Value.(*ast.Array)
	if !ok {
		return original(bctx, operands, iter)
	}
	copies := 0
	operations.Foreach(func(operation *ast.Term) {
		if isCopy(operation) {
			copies++
		}
	})
	if copies == 0 || copies < 20 && nodes(operands[0], nodesMax>>copies)+nodes(operands[1], nodesMax>>copies) < nodesMax>>copies {
		return original(bctx, operands, iter)
	}
	document := operands[0]
	for i := range operations.Len() {
		if cancelled(bctx) {
			return cancelError(bctx, ast.JSONPatch.Name)
		}
		operation := operations.Elem(i)
		if isCopy(operation) && nodes(document, nodesMax) >= nodesMax {
			return beyond(bctx, ast.JSONPatch.Name, "a document of more than %d values", nodesMax)
		}
		var next *ast.Term
		one := []*ast.Term{document, ast.ArrayTerm(operation)}
		if err := original(bctx, one, func(result *ast.Term) error { next = result; return nil }); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		document = next
	}
	return iter(document)
}

func isCopy(operation *ast.Term) bool {
	object, ok := operation.Value.(ast.Object)
	if !ok {
		return false
	}
	name := object.Get(ast.InternedTerm("op"))
	return name != nil && name.Value.Compare(ast.String("copy")) == 0
}

// nodes counts the values in a document, shared ones as often as they appear, up to a limit.
func nodes(term *ast.Term, limit int) int {
	count := 0
	walk(term, 0, func(*ast.Term, int) bool {
		count++
		return count < limit
	})
	return count
}

// walk visits a value and everything in it with its depth, until `visit` returns false.
func walk(term *ast.Term, depth int, visit func(term *ast.Term, depth int) bool) bool {
	if !visit(term, depth) {
		return false
	}
	inside := func(member *ast.Term) bool { return !walk(member, depth+1, visit) } // true stops
	switch value := term.Value.(type) {
	case *ast.Array:
		return !value.Until(inside)
	case ast.Set:
		return !value.Until(inside)
	case ast.Object:
		return !value.Until(func(key, member *ast.Term) bool { return inside(key) || inside(member) })
	}
	return true
}
