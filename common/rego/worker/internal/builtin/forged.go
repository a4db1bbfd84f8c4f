package builtin

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// forged is a token whose signature is not that of the key of its kid in a set, as MemoUse.verify found. The
// module asks io.jwt about it then; a signature is not verified twice for one that has none.
type forged struct {
	token, set string // the text of a JWK Set
}

// init goes before that of record.go: what is known here is recorded as any other result.
func init() {
	original := topdown.GetBuiltin(ast.JWTDecodeVerify.Name)
	override(ast.JWTDecodeVerify, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if meter, ok := bctx.Cancel.(*Meter); ok && meter.forged.is(operands[0], operands[1]) {
			return iter(unverified)
		}
		return original(bctx, operands, iter)
	})
}

// unverified is what io.jwt.decode_verify gives for a wrong signature.
var unverified = ast.ArrayTerm(ast.InternedTerm(false), ast.InternedEmptyObject, ast.InternedEmptyObject)

// is reports whether io.jwt.decode_verify would find the same wrong signature again. Constraints that it
// looks at before, and others than the module's, are left to it.
func (f *forged) is(token, constraints *ast.Term) bool {
	if f.token == "" || text(token) != f.token {
		return false
	}
	object, ok := constraints.Value.(ast.Object)
	if !ok || object.Len() != 2 || textIn(object, nameAudience) == "" {
		return false
	}
	return textIn(object, certificate) == f.set
}
