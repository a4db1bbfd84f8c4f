package builtin

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"
	"github.com/open-policy-agent/opa/v1/ast"
)

// A token of the form that a Txn-Token Service issues is verified without evaluating the module's rules,
// which take longer than the signature. What is taken here the module takes, with the same claims: each
// rule of the module has a rule here that is as strict or stricter, keys are read and signatures verified
// by the functions that io.jwt calls. A token of any other form, a good one or not, is the module's to
// judge: nothing is refused here.

// txnHeader has the members of a usual header: a token with another one is not usual.
type txnHeader struct {
	typ, alg, kid string
}

// txnSet is a JWK Set. Immutable.
type txnSet struct {
	text string
	keys map[string]*txnKey // by kid
}

// txnKey verifies the tokens of one kid. Immutable.
type txnKey struct {
	alg string
	key any
	set *txnSet
}

// txnAlgorithms are those of the module, with what a key for them has.
var txnAlgorithms = []struct{ alg, kty, crv string }{
	{"ES256", "EC", "P-256"}, {"ES384", "EC", "P-384"}, {"ES512", "EC", "P-521"}, {"EdDSA", "OKP", "Ed25519"},
}

// Bounds of the claims, as common/rego/txn_module.hpp has them: s.
const (
	txnLife   = 600
	txnLatest = 253_402_300_799
	// The module compares times with fractions. Within a second of the end, it decides.
	txnMargin = 1
)

// txnClaims is what a rule looks at.
type txnClaims struct {
	members  ast.Object
	audience string
	iat, exp int64 // s since 1970
	now      int64 // the same, rounded down
}

// txnRule is a condition that the module has, too.
type txnRule struct {
	name  string
	holds func(*txnClaims) bool
}

// txnRules are all that the claims have to fulfil. iat and exp are whole numbers by then.
var txnRules = []txnRule{
	{"aud", func(c *txnClaims) bool { return textIn(c.members, nameAudience) == c.audience && c.audience != "" }},
	{"txn", hasText("txn")},
	{"sub", hasText("sub")},
	{"scope", hasText("scope")},
	{"req_wl", hasText("req_wl")},
	{"iss", orLacks("iss", isSomeText)},
	{"jti", orLacks("jti", isSomeText)},
	{"tctx", orLacks("tctx", isObject)},
	{"rctx", orLacks("rctx", isObject)},
	{"nbf", orLacks("nbf", func(ast.Value) bool { return false })},
	{"not negative", func(c *txnClaims) bool { return c.iat >= 0 }},
	{"ahead", func(c *txnClaims) bool { return c.iat <= c.now+txnAhead }},
	{"expired", func(c *txnClaims) bool { return c.exp > c.now+txnMargin }},
	{"latest", func(c *txnClaims) bool { return c.exp <= txnLatest }},
	{"life", func(c *txnClaims) bool { return c.exp-c.iat <= txnLife }}, // neither is near the ends of int64
}

var (
	nameAudience = ast.InternedTerm("aud")
	nameExpires  = ast.InternedTerm("exp")
	nameIssued   = ast.InternedTerm("iat")
	nameType     = ast.InternedTerm("typ")
	nameAlg      = ast.InternedTerm("alg")
	nameKid      = ast.InternedTerm("kid")
)

func hasText(name string) func(*txnClaims) bool {
	term := ast.InternedTerm(name)
	return func(c *txnClaims) bool { return textIn(c.members, term) != "" }
}

// orLacks is a condition for a claim that may be missing.
func orLacks(name string, holds func(ast.Value) bool) func(*txnClaims) bool {
	term := ast.InternedTerm(name)
	return func(c *txnClaims) bool {
		value := c.members.Get(term)
		return value == nil || holds(value.Value)
	}
}

func isSomeText(value ast.Value) bool {
	text, ok := value.(ast.String)
	return ok && text != ""
}

func isObject(value ast.Value) bool {
	_, ok := value.(ast.Object)
	return ok
}

// textIn returns a member; empty: it is no text.
func textIn(members ast.Object, name *ast.Term) string {
	if found := members.Get(name); found != nil {
		if text, ok := found.Value.(ast.String); ok {
			return string(text)
		}
	}
	return ""
}

// wholeIn returns a member that is written as a whole number.
func wholeIn(members ast.Object, name *ast.Term) (int64, bool) {
	if found := members.Get(name); found != nil {
		if number, ok := found.Value.(ast.Number); ok {
			value, err := strconv.ParseInt(string(number), 10, 64)
			return value, err == nil
		}
	}
	return 0, false
}

func areUsual(rules []txnRule, members ast.Object, audience string, now int64) bool {
	claims := txnClaims{members: members, audience: audience, now: now}
	var hasIat, hasExp bool
	claims.iat, hasIat = wholeIn(members, nameIssued)
	claims.exp, hasExp = wholeIn(members, nameExpires)
	return hasIat && hasExp && !slices.ContainsFunc(rules, func(rule txnRule) bool { return !rule.holds(&claims) })
}

// verify returns the claims of a usual token that is valid by a key of the rules' set; nil: the module
// decides. `now`: s since 1970, rounded down. `wrong` gets a token that has all but the signature.
func (u MemoUse) verify(token string, rules *TxnRules, now int64, wrong *forged) *ast.Term {
	head, rest, _ := strings.Cut(token, ".")
	body, signature, ok := strings.Cut(rest, ".")
	if !ok || len(token) > txnTokenMax {
		return nil
	}
	key, isNew := u.keyOf(rules.Keys, head)
	if key == nil {
		return nil
	}
	sign, ok := plainPart(signature)
	if !ok {
		return nil
	}
	claims, ok := readPart(body)
	if !ok || !areUsual(txnRules, claims, rules.Audience, now) {
		return nil
	}
	if wrong.token == token && wrong.set == key.set.text {
		return nil // it was asked about before in this evaluation
	}
	if jwsbb.Verify(key.key, key.alg, []byte(token[:len(head)+1+len(body)]), sign) != nil {
		*wrong = forged{token, key.set.text}
		return nil
	}
	if isNew {
		u.keepHeader(rules.Keys, head, key)
	}
	return ast.NewTerm(claims)
}

var strictBase64 = base64.RawURLEncoding.Strict()

// plainPart decodes a part of a compact token; false: it is not in canonical base64url.
func plainPart(part string) ([]byte, bool) {
	content, err := strictBase64.DecodeString(part)
	// The decoder skips ends of lines.
	return content, err == nil && strings.IndexByte(part, '\r') < 0 && strings.IndexByte(part, '\n') < 0
}

// readPart reads an encoded object; false: it is none, or not plain.
func readPart(part string) (ast.Object, bool) {
	content, ok := plainPart(part)
	if !ok {
		return nil, false
	}
	value, ok := readPlainJSON(content)
	if !ok {
		return nil, false
	}
	object, ok := value.(ast.Object)
	return object, ok
}

// readHeader reads an encoded header; false: it is not usual.
func readHeader(encoded string) (header txnHeader, ok bool) {
	members, ok := readPart(encoded)
	if !ok || members.Len() != 3 {
		return header, false
	}
	header = txnHeader{textIn(members, nameType), textIn(members, nameAlg), textIn(members, nameKid)}
	return header, header.typ == "txntoken+jwt" && header.alg != "" && header.kid != ""
}

// readKeys returns the keys of a set that verify usual tokens, by kid. io.jwt reads a set as a whole: one key
// that it cannot read makes it take none.
func readKeys(document any) *txnSet {
	text, err := json.Marshal(document)
	if err != nil {
		return &txnSet{}
	}
	parsed, err := jwk.Parse(text)
	if err != nil {
		return &txnSet{}
	}
	set := &txnSet{string(text), map[string]*txnKey{}}
	for i := range parsed.Len() {
		key, ok := parsed.Key(i)
		if !ok {
			continue
		}
		var public any
		if jwk.Export(key, &public) != nil {
			return &txnSet{}
		}
		kid, _ := key.KeyID()
		if alg := algorithmOf(document, kid); alg != "" {
			set.keys[kid] = &txnKey{alg, public, set}
		}
	}
	return set
}

// algorithmOf returns the algorithm of the one key with a kid; empty: there are more, or it is not for
// signatures.
func algorithmOf(document any, kid string) string {
	set, _ := document.(map[string]any)
	list, _ := set["keys"].([]any)
	var found map[string]any
	for _, each := range list {
		if key, ok := each.(map[string]any); ok && key["kid"] == kid {
			if found != nil {
				return ""
			}
			found = key
		}
	}
	if use, there := found["use"]; kid == "" || there && use != "sig" {
		return ""
	}
	if operations, there := found["key_ops"]; there {
		if list, _ := operations.([]any); !slices.Contains(list, any("verify")) {
			return ""
		}
	}
	for _, each := range txnAlgorithms {
		if found["kty"] == each.kty && found["crv"] == each.crv {
			if alg, there := found["alg"]; there && alg != each.alg {
				return ""
			}
			return each.alg
		}
	}
	return ""
}
