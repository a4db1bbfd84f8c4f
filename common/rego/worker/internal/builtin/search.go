package builtin

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

func init() { replaceBy(ast.IndexOfN, indexOfN) }

// indexOfN leaves short texts to OPA's function.
func indexOfN(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	base, search := text(operands[0]), text(operands[1])
	if len(search) == 0 || len(base)*len(search) <= 1<<20 {
		return originals[ast.IndexOfN.Name](bctx, operands, iter)
	}
	found, err := places(bctx, []rune(base), []rune(search))
	if err != nil {
		return err
	}
	return iter(ast.ArrayTerm(found...))
}

// places returns where `search` begins in `base`, overlaps included, in time that grows with the sum of
// their lengths (Knuth, Morris and Pratt); OPA's function takes the product.
func places(bctx topdown.BuiltinContext, base, search []rune) ([]*ast.Term, error) {
	border := borders(search)
	var found []*ast.Term
	matched := 0
	for i, r := range base {
		if i&0xffff == 0 && cancelled(bctx) {
			return nil, cancelError(bctx, ast.IndexOfN.Name)
		}
		for matched > 0 && search[matched] != r {
			matched = border[matched-1]
		}
		if search[matched] == r {
			matched++
		}
		if matched == len(search) {
			if len(found) == itemsMax {
				return nil, chargeItems(bctx, ast.IndexOfN.Name, itemsMax+1)
			}
			found = append(found, ast.InternedTerm(i+1-len(search)))
			matched = border[matched-1]
		}
	}
	return found, nil
}

// borders returns, for each prefix, the length of the longest proper prefix of it that also ends it.
func borders(search []rune) []int {
	border := make([]int, len(search))
	length := 0
	for i := 1; i < len(search); i++ {
		for length > 0 && search[i] != search[length] {
			length = border[length-1]
		}
		if search[i] == search[length] {
			length++
		}
		border[i] = length
	}
	return border
}
