package builtin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"notp.core-platform.internal/notp-pdp/internal/tokens"
)

// The built-in functions behind the package system.notp.tokens. An evaluation without a lane, as tests of a
// model are, finds no token, takes everything for revoked, and knows nothing of the lane's state.
//
// To OPA they are deterministic: one evaluation sees one table at one time, and OPA would record only what
// is defined. That is done here, with null for what is undefined.
var (
	tokensLookup = &ast.Builtin{
		Name: "notp.tokens.lookup",
		Decl: types.NewFunction(types.Args(types.A), types.A),
	}
	tokensRevoked = &ast.Builtin{
		Name: "notp.tokens.revoked",
		Decl: types.NewFunction(types.Args(types.A), types.B),
	}
	tokensLane = &ast.Builtin{
		Name: "notp.tokens.lane",
		Decl: types.NewFunction(nil, types.NewObject(nil, types.NewDynamicProperty(types.A, types.A))),
	}
)

// The file follows replay.go.
func init() {
	registerTokens(tokensLookup, func(use *tokens.Use, operands []*ast.Term) (*ast.Term, error) {
		token, ok := operands[0].Value.(ast.String)
		if !ok {
			return nil, nil
		}
		return use.Lookup(string(token))
	})
	registerTokens(tokensRevoked, func(use *tokens.Use, operands []*ast.Term) (*ast.Term, error) {
		revoked, err := use.Revoked(operands[0].Value)
		return ast.InternedTerm(revoked), err
	})
	registerTokens(tokensLane, func(use *tokens.Use, _ []*ast.Term) (*ast.Term, error) {
		return use.Lane(), nil
	})
}

// damagedCode is that of an evaluation that met a damaged table.
const damagedCode = "eval_tokens_error"

func registerTokens(declaration *ast.Builtin, f func(*tokens.Use, []*ast.Term) (*ast.Term, error)) {
	name, arity := declaration.Name, declaration.Decl.Arity()
	Register(declaration, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		var none tokens.Use
		use := &none
		if meter, ok := bctx.Cancel.(*Meter); ok {
			use = &meter.Tokens
		}
		result, err := f(use, operands)
		if err != nil {
			return topdown.Halt{Err: &topdown.Error{Code: damagedCode, Message: name + ": " + err.Error(), Location: bctx.Location}}
		}
		if bctx.NDBuiltinCache != nil {
			recorded := ast.NullValue
			if result != nil {
				recorded = result.Value
			}
			bctx.NDBuiltinCache.Put(name, ast.NewArray(operands[:arity]...), recorded)
		}
		if result == nil {
			return nil
		}
		return iter(result)
	})
	replay(declaration)
}

func isTokens(name string) bool {
	return name == tokensLookup.Name || name == tokensRevoked.Name || name == tokensLane.Name
}

// Members that stand for what is looked up, in a record.
const (
	idMember       = "id"       // of a token
	unsignedMember = "unsigned" // of one with a dot: the id of what is left without its signature
	markMember     = "mark"     // of claims
)

var hashDigits = map[string]int{idMember: 32, unsignedMember: 32, markMember: 64}

// withoutToken leaves of what is looked up the id of a token, or a hash of claims. What was changed before
// gives the same.
func withoutToken(of *ast.Term) *ast.Term {
	if token, ok := of.Value.(ast.String); ok {
		hashes := ast.NewObject(hashMember(idMember, tokens.IDText(string(token))))
		if strings.Contains(string(token), ".") {
			hashes.Insert(ast.InternedTerm(unsignedMember), ast.StringTerm(tokens.IDText(text(withoutSignature(of)))))
		}
		return ast.NewTerm(hashes)
	}
	if object, ok := of.Value.(ast.Object); ok && isHashed(object) {
		return of
	}
	plain, err := ast.JSON(of.Value)
	if err != nil {
		return nothing(of)
	}
	content, err := json.Marshal(plain)
	if err != nil {
		return nothing(of)
	}
	hash := sha256.Sum256(content)
	return ast.ObjectTerm(hashMember(markMember, hex.EncodeToString(hash[:])))
}

func hashMember(member, hash string) [2]*ast.Term {
	return [2]*ast.Term{ast.InternedTerm(member), ast.StringTerm(hash)}
}

// isHashed reports whether an object is what withoutToken makes.
func isHashed(object ast.Object) bool {
	known := object.Len() > 0
	object.Foreach(func(name, hash *ast.Term) {
		_, err := hex.DecodeString(text(hash)) // another text of this length may be a token
		known = known && err == nil && len(text(hash)) == hashDigits[text(name)] && text(hash) != ""
	})
	return known
}

// unsigned leaves of a token that is hashed what a record without its signature gives, too.
func unsigned(of *ast.Term) *ast.Term {
	if object, ok := of.Value.(ast.Object); ok {
		if hash := object.Get(ast.InternedTerm(unsignedMember)); hash != nil {
			return ast.ObjectTerm([2]*ast.Term{ast.InternedTerm(unsignedMember), hash})
		}
	}
	return of
}

// idOnly leaves of a token that is hashed what the input of a record has in its place (the agent's
// MaskRules::for_tokens); nil: it has nothing else.
func idOnly(of *ast.Term) *ast.Term {
	if object, ok := of.Value.(ast.Object); ok && object.Len() > 1 {
		if hash := object.Get(ast.InternedTerm(idMember)); hash != nil {
			return ast.ObjectTerm([2]*ast.Term{ast.InternedTerm(idMember), hash})
		}
	}
	return nil
}
