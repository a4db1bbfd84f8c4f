package builtin

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

// Bounds of what is looked at when a verification failed, and of what is noted of it.
const (
	unknownKeysMax   = 4         // noted of one evaluation
	failuresMax      = 16        // of one evaluation; later ones are not looked at
	issuerMax        = 512       // bytes; the registry names it kIssuerBytesMax
	kidMax           = 256       // bytes; kKidBytesMax
	tokenMax         = 16 << 10  // bytes
	keySetMax        = 256 << 10 // bytes of a key set's text
	keySetsCachedMax = 16
)

// UnknownKey is the key that a token says it was signed with, and that the JWK Set lacks which should
// verify it.
type UnknownKey struct {
	Issuer string `json:"issuer"` // iss of the payload, which nothing vouches for
	Kid    string `json:"kid"`
}

// UnknownKeys notes the keys that an evaluation did not find, each once. The zero value is ready. Used by
// the one goroutine that evaluates.
type UnknownKeys struct {
	keys     []UnknownKey
	failures int
}

// Found returns what was noted, in the order of the calls.
func (u *UnknownKeys) Found() []UnknownKey { return u.keys }

// init looks at the results of the built-ins that verify tokens by a key set. The file follows record.go
// and replay.go, so that it sees what the policy sees.
func init() {
	for _, declaration := range ast.Builtins {
		switch {
		case declaration == ast.JWTDecodeVerify:
			noteFailures(declaration, certificateOf)
		case verifies(declaration.Name) && !strings.HasPrefix(declaration.Name, "io.jwt.verify_hs"):
			noteFailures(declaration, func(keys *ast.Term) *ast.Term { return keys })
		}
	}
}

// keyIDs is the name of a cache of what key sets have; OPA's own cache has their keys.
const keyIDs = "notp_key_ids"

func init() {
	entries := keySetsCachedMax
	cache.RegisterDefaultInterQueryBuiltinValueCacheConfig(keyIDs, &cache.NamedValueCacheConfig{MaxNumEntries: &entries})
}

// noteFailures looks at the results of a built-in, and changes none. `keysOf` gives the keys among the second
// argument.
func noteFailures(declaration *ast.Builtin, keysOf func(*ast.Term) *ast.Term) {
	original := topdown.GetBuiltin(declaration.Name)
	override(declaration, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		meter, ok := bctx.Cancel.(*Meter)
		if !ok || meter.Unknown == nil {
			return original(bctx, operands, iter)
		}
		return original(bctx, operands, func(output *ast.Term) error {
			if isFailure(output) {
				meter.Unknown.note(bctx, operands[0], keysOf(operands[1]))
			}
			return iter(output)
		})
	})
}

var certificate = ast.InternedTerm("cert")

func certificateOf(constraints *ast.Term) *ast.Term { return constraints.Get(certificate) }

// isFailure knows the results of both kinds: a boolean, or an array that begins with one.
func isFailure(output *ast.Term) bool {
	value := output.Value
	if list, ok := value.(*ast.Array); ok && list.Len() > 0 {
		value = list.Elem(0).Value
	}
	verified, ok := value.(ast.Boolean)
	return ok && !bool(verified)
}

// note looks at a token that was not verified. What is not a token, or verified by what is no JWK Set, is
// not noted, and neither is a nested token.
func (u *UnknownKeys) note(bctx topdown.BuiltinContext, token, keys *ast.Term) {
	if u.failures == failuresMax || len(u.keys) == unknownKeysMax || keys == nil {
		return
	}
	u.failures++
	key, ok := keyOf(token)
	if !ok || slices.Contains(u.keys, key) {
		return
	}
	text, ok := keys.Value.(ast.String)
	if !ok || len(text) > keySetMax {
		return
	}
	if ids := idsOf(bctx, text); ids != nil && !ids[key.Kid] {
		u.keys = append(u.keys, key)
	}
}

// keyOf returns what a compact token says of its key.
func keyOf(token *ast.Term) (key UnknownKey, ok bool) {
	text, ok := token.Value.(ast.String)
	if !ok || len(text) > tokenMax {
		return key, false
	}
	parts := strings.SplitN(string(text), ".", 3)
	if len(parts) != 3 {
		return key, false
	}
	key.Kid = memberOf(parts[0], "kid")
	if key.Kid == "" || len(key.Kid) > kidMax {
		return key, false
	}
	key.Issuer = memberOf(parts[1], "iss")
	return key, key.Issuer != "" && len(key.Issuer) <= issuerMax
}

// memberOf returns a member of an encoded JSON object; empty: it is no text.
func memberOf(encoded, name string) string {
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil || !utf8.Valid(text) {
		return ""
	}
	var members map[string]json.RawMessage // a struct would take other cases of the name
	var value string
	if json.Unmarshal(text, &members) != nil || json.Unmarshal(members[name], &value) != nil {
		return ""
	}
	return value
}

// idsOf returns the ids of the keys in a JWK Set (RFC 7517 section 5); nil: it is none.
func idsOf(bctx topdown.BuiltinContext, set ast.String) map[string]bool {
	var known cache.InterQueryValueCacheBucket
	if bctx.InterQueryBuiltinValueCache != nil {
		known = bctx.InterQueryBuiltinValueCache.GetCache(keyIDs)
	}
	if known != nil {
		if ids, ok := known.Get(set); ok {
			return ids.(map[string]bool)
		}
	}
	ids := readIDs(string(set))
	if known != nil {
		known.Insert(set, ids)
	}
	return ids
}

func readIDs(set string) map[string]bool {
	var document struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if !strings.HasPrefix(strings.TrimLeft(set, " \t\r\n"), "{") || json.Unmarshal([]byte(set), &document) != nil || document.Keys == nil {
		return nil
	}
	ids := map[string]bool{}
	for _, key := range document.Keys {
		var id string
		if json.Unmarshal(key["kid"], &id) == nil {
			ids[id] = true
		}
	}
	return ids
}
