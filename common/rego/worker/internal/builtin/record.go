package builtin

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// OPA records the results of built-ins that it calls non-deterministic. Those that verify tokens are not
// among them, although they read the clock, or a token that is masked where it is recorded.
func init() {
	for _, declaration := range ast.Builtins {
		if verifies(declaration.Name) || declaration == ast.JWTDecodeVerify {
			record(declaration)
		}
	}
}

func verifies(name string) bool { return strings.HasPrefix(name, "io.jwt.verify_") }

// record puts the results of a built-in into the cache of the evaluation, if there is one. They are not
// read from there.
func record(declaration *ast.Builtin) {
	name, arity := declaration.Name, declaration.Decl.Arity()
	var original topdown.BuiltinFunc
	original = replaceBy(declaration, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if bctx.NDBuiltinCache == nil {
			return original(bctx, operands, iter)
		}
		return original(bctx, operands, func(output *ast.Term) error {
			bctx.NDBuiltinCache.Put(name, ast.NewArray(operands[:arity]...), output.Value)
			return iter(output)
		})
	})
}

// Redacted returns the cache without the secrets among the arguments of its calls. Calls that differ in
// what is taken away and in nothing else are one call then; if their results differ, it is left out,
// because nothing would tell which one is meant. README.md has the rule for who looks a call up.
func Redacted(cache builtins.NDBCache) builtins.NDBCache {
	redacted := make(builtins.NDBCache, len(cache))
	for name, calls := range cache {
		redact := redactionOf(name)
		if redact == nil {
			redacted[name] = calls
			continue
		}
		if left := redactCalls(calls, redact); left.Len() > 0 {
			redacted[name] = left
		}
	}
	return redacted
}

// redaction takes the secrets out of a copy of the arguments. Terms are shared and must be replaced.
type redaction func(arguments []*ast.Term)

func redactCalls(calls ast.Object, redact redaction) ast.Object {
	all, ambiguous := ast.NewObject(), ast.NewSet()
	calls.Foreach(func(key, result *ast.Term) {
		if list, ok := key.Value.(*ast.Array); ok {
			arguments := make([]*ast.Term, list.Len())
			for i := range arguments {
				arguments[i] = list.Elem(i)
			}
			redact(arguments)
			key = ast.ArrayTerm(arguments...)
		}
		if other := all.Get(key); other != nil && !other.Equal(result) {
			ambiguous.Add(key)
			return
		}
		all.Insert(key, result)
	})
	if ambiguous.Len() == 0 {
		return all
	}
	left := ast.NewObject()
	all.Foreach(func(key, result *ast.Term) {
		if !ambiguous.Contains(key) {
			left.Insert(key, result)
		}
	})
	return left
}

func redactionOf(name string) redaction {
	switch {
	case name == ast.JWTEncodeSign.Name || name == ast.JWTEncodeSignRaw.Name:
		return func(arguments []*ast.Term) { change(arguments, 2, nothing) }
	case strings.HasPrefix(name, "io.jwt.verify_hs"):
		return func(arguments []*ast.Term) {
			change(arguments, 0, withoutSignature)
			change(arguments, 1, nothing)
		}
	case verifies(name):
		return func(arguments []*ast.Term) {
			change(arguments, 0, withoutSignature)
			change(arguments, 1, publicKey)
		}
	case name == ast.JWTDecodeVerify.Name:
		return func(arguments []*ast.Term) {
			change(arguments, 0, withoutSignature)
			change(arguments, 1, named(map[string]func(*ast.Term) *ast.Term{
				"secret": nothing, "cert": publicKey, "key": publicKey,
			}))
		}
	case isTokens(name) || isTxn(name):
		return func(arguments []*ast.Term) { change(arguments, 0, withoutToken) }
	case name == ast.HTTPSend.Name:
		return func(arguments []*ast.Term) {
			change(arguments, 0, named(map[string]func(*ast.Term) *ast.Term{
				"tls_client_key": nothing, "headers": withoutCredentials,
			}))
		}
	}
	return nil
}

func change(arguments []*ast.Term, index int, by func(*ast.Term) *ast.Term) {
	if index < len(arguments) {
		arguments[index] = by(arguments[index])
	}
}

func nothing(*ast.Term) *ast.Term { return ast.InternedTerm("") }

// named replaces those members of an object that have exactly these names.
func named(by map[string]func(*ast.Term) *ast.Term) func(*ast.Term) *ast.Term {
	return func(term *ast.Term) *ast.Term {
		return eachMember(term, func(name string) func(*ast.Term) *ast.Term { return by[name] })
	}
}

func eachMember(term *ast.Term, by func(string) func(*ast.Term) *ast.Term) *ast.Term {
	object, ok := term.Value.(ast.Object)
	if !ok {
		return term
	}
	changed := ast.NewObject()
	object.Foreach(func(key, value *ast.Term) {
		if name, ok := key.Value.(ast.String); ok {
			if replacement := by(string(name)); replacement != nil {
				value = replacement(value)
			}
		}
		changed.Insert(key, value)
	})
	return ast.NewTerm(changed)
}

// credentials are headers whose values let their reader act in the sender's name.
var credentials = []string{"authorization", "proxy-authorization", "cookie", "txn-token"}

func withoutCredentials(headers *ast.Term) *ast.Term {
	return eachMember(headers, func(name string) func(*ast.Term) *ast.Term {
		if slices.Contains(credentials, strings.ToLower(name)) {
			return nothing
		}
		return nil
	})
}

// withoutSignature leaves of a compact token what it says, and takes away what makes it valid. A token
// that was stripped before gives the same.
func withoutSignature(token *ast.Term) *ast.Term {
	text, ok := token.Value.(ast.String)
	if !ok {
		return token
	}
	parts := strings.SplitN(string(text), ".", 3)
	if len(parts) < 2 {
		return token
	}
	return ast.StringTerm(parts[0] + "." + parts[1] + ".")
}

// publicKey leaves a key that is certainly a public one.
func publicKey(key *ast.Term) *ast.Term {
	if text, ok := key.Value.(ast.String); ok && isPublicKey(string(text)) {
		return key
	}
	return nothing(key)
}

// isPublicKey knows certificates, public keys in PEM, and JSON Web Keys or sets of them without a private
// member.
func isPublicKey(text string) bool {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "-----BEGIN ") {
		block, rest := pem.Decode([]byte(text))
		return block != nil && (block.Type == "CERTIFICATE" || block.Type == "PUBLIC KEY") && len(bytes.TrimSpace(rest)) == 0
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	var single map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &single) != nil || json.Unmarshal([]byte(text), &set) != nil {
		return false
	}
	return !slices.ContainsFunc(append(set.Keys, single), func(key map[string]json.RawMessage) bool {
		return slices.ContainsFunc(privateMembers, func(name string) bool { return key[name] != nil })
	})
}

// privateMembers are those of RFC 7518 (6.2.2, 6.3.2, 6.4.1) and RFC 8037, and of keys for ML-DSA.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"}
