package builtin

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// Bounds of a transaction token, as common/rego/txn_module.hpp and common/jose have them.
const (
	txnTokenMax    = 8 << 10 // bytes
	txnAhead       = 30      // s
	txnLevelsMax   = 16
	exponentDigits = 3
)

// The built-in functions behind the package system.notp.txn, whose module verifies a token by io.jwt:
//
//	recall(token)       the claims of a token that was verified with this snapshot and is still valid
//	keep(token, claims) remembers them; true
//	plain(token)        whether all readers of base64url and JSON read the same in it
//	presented(claims)   what the agent has counted for their txn; undefined: it has not
//
// An evaluation whose unit replaces rules, data or functions by `with` has no memo: what it verifies is
// not what others do. Others find most results without the module: txn_results.go.
var (
	txnRecall = &ast.Builtin{
		Name: "notp.txn.recall",
		Decl: types.NewFunction(types.Args(types.A), types.A),
	}
	txnKeep = &ast.Builtin{
		Name: "notp.txn.keep",
		Decl: types.NewFunction(types.Args(types.A, types.A), types.B),
	}
	txnPlain = &ast.Builtin{
		Name: "notp.txn.plain",
		Decl: types.NewFunction(types.Args(types.A), types.B),
	}
	txnPresented = &ast.Builtin{
		Name: "notp.txn.presented",
		Decl: types.NewFunction(types.Args(types.A), types.N),
	}
)

// The file follows replay.go.
func init() {
	registerTxn(txnRecall, recallTxn)
	registerTxn(txnPresented, presentedTxn)
	replay(txnRecall)
	replay(txnPresented)
	Register(txnKeep, keepTxn)
	Register(txnPlain, func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		return iter(ast.InternedTerm(isPlainToken(text(operands[0]))))
	})
}

// registerTxn registers a function whose result is recorded, null for undefined.
func registerTxn(declaration *ast.Builtin, f func(*Meter, topdown.BuiltinContext, []*ast.Term) *ast.Term) {
	Register(declaration, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		var result *ast.Term
		if meter, ok := bctx.Cancel.(*Meter); ok {
			result = f(meter, bctx, operands)
		}
		if bctx.NDBuiltinCache != nil {
			recorded := ast.NullValue
			if result != nil {
				recorded = result.Value
			}
			bctx.NDBuiltinCache.Put(declaration.Name, ast.NewArray(operands[0]), recorded)
		}
		if result == nil {
			return nil
		}
		return iter(result)
	})
}

func isTxn(name string) bool { return name == txnRecall.Name || name == txnPresented.Name }

func recallTxn(meter *Meter, bctx topdown.BuiltinContext, operands []*ast.Term) *ast.Term {
	token, ok := operands[0].Value.(ast.String)
	if !ok {
		return nil
	}
	return meter.Memo.recall(string(token), secondsOf(bctx.Time)/1e9)
}

func keepTxn(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	meter, ok := bctx.Cancel.(*Meter)
	token, isText := operands[0].Value.(ast.String)
	if ok && isText && meter.Memo.memo != nil {
		meter.Memo.keep(string(token), operands[1])
		// A replay may lack the token, and takes this in place of all that verified it.
		if bctx.NDBuiltinCache != nil {
			bctx.NDBuiltinCache.Put(txnRecall.Name, ast.NewArray(operands[0]), operands[1].Value)
		}
	}
	return iter(ast.InternedTerm(true))
}

func presentedTxn(meter *Meter, _ topdown.BuiltinContext, operands []*ast.Term) *ast.Term {
	claims, ok := operands[0].Value.(ast.Object)
	if !ok {
		return nil
	}
	count, ok := meter.Presented[text(claims.Get(ast.InternedTerm("txn")))]
	if !ok {
		return nil
	}
	return ast.IntNumberTerm(count)
}

// ReadPresented reads the counts of one input: a JSON object of numbers by txn; empty: none.
func ReadPresented(text []byte) (map[string]int, error) {
	if len(text) == 0 {
		return nil, nil
	}
	counts := map[string]int{}
	return counts, json.Unmarshal(text, &counts)
}

// secondsOf returns a number; NaN: it is none.
func secondsOf(term *ast.Term) float64 {
	if term != nil {
		if number, ok := term.Value.(ast.Number); ok {
			if value, ok := number.Float64(); ok {
				return value
			}
		}
	}
	return math.NaN()
}

func numberIn(object ast.Object, name string) float64 {
	return secondsOf(object.Get(ast.InternedTerm(name)))
}

// isPlainToken reports whether a compact token is canonical base64url, and its header and claims are JSON
// that has each name once, no deeper than common/jose reads it, in UTF-8, with numbers that fit 64 bits.
// A record has tokens without their signature.
func isPlainToken(token string) bool {
	parts := strings.Split(token, ".")
	if len(token) > txnTokenMax || len(parts) != 3 {
		return false
	}
	for i, part := range parts {
		content, ok := plainPart(part)
		if !ok || i < 2 && !isPlainJSON(content) {
			return false
		}
	}
	return true
}

func isPlainJSON(content []byte) bool {
	_, ok := readPlainJSON(content)
	return ok
}

// readPlainJSON returns what json.unmarshal gives for such a text; false: it is another one.
func readPlainJSON(content []byte) (ast.Value, bool) {
	if !utf8.Valid(content) || !json.Valid(content) || bytes.Contains(content, replacement) {
		return nil, false
	}
	reader := plainReader{content: string(content)}
	return reader.value()
}

// plainReader reads JSON that is known to be valid. Its functions give false for what is not plain. Texts
// that it makes are parts of the content.
type plainReader struct {
	content string
	at      int
	level   int            // of the objects and arrays that are open
	pairs   [][2]*ast.Term // of the objects that are open
	terms   []ast.Term     // that are not used yet
}

func (r *plainReader) term(value ast.Value) *ast.Term {
	if len(r.terms) == 0 {
		r.terms = make([]ast.Term, 16)
	}
	term := &r.terms[0]
	r.terms = r.terms[1:]
	term.Value = value
	return term
}

// next returns the byte that is next, after white space.
func (r *plainReader) next() byte {
	for {
		switch c := r.content[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
}

func (r *plainReader) value() (ast.Value, bool) {
	switch r.next() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		value, ok := r.text()
		return ast.String(value), ok
	case 't':
		r.at += len("true")
		return ast.Boolean(true), true
	case 'f':
		r.at += len("false")
		return ast.Boolean(false), true
	case 'n':
		r.at += len("null")
		return ast.NullValue, true
	}
	return r.number()
}

// open begins an object or an array.
func (r *plainReader) open() bool {
	r.at++
	r.level++
	return r.level <= txnLevelsMax
}

// more moves to the next member of an object or an array that ends with `last`, or behind its end.
func (r *plainReader) more(last byte) bool {
	switch r.next() {
	case last:
		r.at++
		r.level--
		return false
	case ',':
		r.at++
		r.next()
	}
	return true
}

func (r *plainReader) object() (ast.Value, bool) {
	first := len(r.pairs)
	if !r.open() {
		return nil, false
	}
	for r.more('}') {
		name, ok := r.text()
		if !ok {
			return nil, false
		}
		r.next()
		r.at++ // the colon
		value, ok := r.value()
		if !ok {
			return nil, false
		}
		key := txnNames[name]
		if key == nil {
			key = r.term(ast.String(name))
		}
		r.pairs = append(r.pairs, [2]*ast.Term{key, r.term(value)})
	}
	pairs := r.pairs[first:]
	object := ast.NewObject(pairs...)
	for _, pair := range pairs {
		if object.Get(pair[0]) != pair[1] {
			return nil, false // the name is there twice
		}
	}
	r.pairs = r.pairs[:first]
	return object, true
}

func (r *plainReader) array() (ast.Value, bool) {
	if !r.open() {
		return nil, false
	}
	var elements []*ast.Term
	for r.more(']') {
		value, ok := r.value()
		if !ok {
			return nil, false
		}
		elements = append(elements, r.term(value))
	}
	return ast.NewArray(elements...), true
}

func (r *plainReader) text() (string, bool) {
	begin := r.at
	for r.at++; r.content[r.at] != '"'; r.at++ {
		if r.content[r.at] == '\\' {
			r.at++
		}
	}
	r.at++
	return plainText(r.content[begin:r.at])
}

func (r *plainReader) number() (ast.Value, bool) {
	begin := r.at
	for r.at < len(r.content) && strings.IndexByte("0123456789+-.eE", r.content[r.at]) >= 0 {
		r.at++
	}
	text := r.content[begin:r.at]
	return ast.Number(text), isPlainNumber(text)
}

// txnNames are the names that most tokens have.
var txnNames = func() map[string]*ast.Term {
	names := map[string]*ast.Term{}
	for _, name := range []string{"typ", "alg", "kid", "iss", "iat", "exp", "aud", "txn", "sub", "scope", "req_wl", "tctx", "rctx", "req_ip", "authn", "actor", "chain", "origin", "parent_txn"} {
		names[name] = ast.InternedTerm(name)
	}
	return names
}()

// replacement is what readers put in the place of what is not text.
var replacement = []byte("\uFFFD")

// plainText returns the value of a string with its quotes; false: it has half a surrogate pair.
func plainText(quoted string) (string, bool) {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], true
	}
	var value string
	err := json.Unmarshal([]byte(quoted), &value)
	return value, err == nil && !strings.Contains(value, string(replacement))
}

func isPlainNumber(text string) bool {
	if at := strings.IndexAny(text, "eE"); at >= 0 && len(strings.TrimLeft(text[at+1:], "+-")) > exponentDigits {
		return false
	}
	if strings.ContainsAny(text, ".eE") {
		_, err := strconv.ParseFloat(text, 64)
		return err == nil
	}
	_, signed := strconv.ParseInt(text, 10, 64)
	_, unsigned := strconv.ParseUint(text, 10, 64)
	return signed == nil || unsigned == nil
}
