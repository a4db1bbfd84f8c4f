package builtin

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

func init() { replaceBy(ast.JSONPatch, patch) }

// patch applies operations with OPA's function. A document doubles when it is copied into itself, so
// where that could pass the bound, the operations are first tried one at a time, and the document is
// measured before each copy.
func patch(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	if operations, ok := operands[1].Value.(*ast.Array); ok && mayGrow(operands[0], operations) {
		if err := tryPatches(bctx, operands[0], operations); err != nil {
			return err
		}
	}
	result, err := applyPatches(bctx, operands[0], operands[1])
	if err != nil {
		return err
	}
	return iter(result)
}

func mayGrow(document *ast.Term, operations *ast.Array) bool {
	copies := 0
	operations.Foreach(func(operation *ast.Term) {
		if isCopy(operation) {
			copies++
		}
	})
	if copies == 0 {
		return false
	}
	limit := nodesMax >> min(copies, 30)
	return nodes(document, limit)+nodes(ast.NewTerm(operations), limit) >= limit
}

func tryPatches(bctx topdown.BuiltinContext, document *ast.Term, operations *ast.Array) error {
	for i := range operations.Len() {
		if cancelled(bctx) {
			return cancelError(bctx, ast.JSONPatch.Name)
		}
		operation := operations.Elem(i)
		if isCopy(operation) && nodes(document, nodesMax) >= nodesMax {
			return beyond(bctx, ast.JSONPatch.Name, "a document of more than %d values", nodesMax)
		}
		next, err := applyPatches(bctx, document, ast.ArrayTerm(operation))
		switch {
		case next != nil:
			document = next
		case topdown.IsCancel(err):
			return err
		default: // all of them together will fail here, unless this one removed the whole document
			document = ast.NullTerm()
		}
	}
	return nil
}

// applyPatches is OPA's function. Some sequences of operations make it panic; the evaluation fails then.
func applyPatches(bctx topdown.BuiltinContext, document, operations *ast.Term) (result *ast.Term, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = topdown.Halt{Err: &topdown.Error{
				Code: topdown.BuiltinErr, Message: fmt.Sprintf("json.patch: panic: %v", problem), Location: bctx.Location,
			}}
		}
	}()
	operands := []*ast.Term{document, operations}
	err = originals[ast.JSONPatch.Name](bctx, operands, func(term *ast.Term) error { result = term; return nil })
	if err == nil && result == nil {
		panic("no document is left")
	}
	return result, err
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
