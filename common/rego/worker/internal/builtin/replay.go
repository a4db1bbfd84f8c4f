package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"
)

// Recorded is what an evaluation saw of the world when it was first made. An evaluation whose meter has
// it sees the same again and nothing else: no network, no chance, no other clock. Immutable.
type Recorded struct {
	results map[string]map[string]ast.Value // by built-in, by callKey; nil: several, so that none is certain
	timed   bool                            // the evaluation's clock is the recorded one
}

// ReadRecorded reads the results of non-deterministic built-ins as a record has them; empty: none. `timed`
// says that the reading of the clock is known.
func ReadRecorded(text []byte, timed bool) (*Recorded, error) {
	recorded := &Recorded{results: map[string]map[string]ast.Value{}, timed: timed}
	if len(text) == 0 {
		return recorded, nil
	}
	var calls map[string]map[string]any
	if err := util.UnmarshalJSON(text, &calls); err != nil {
		return nil, fmt.Errorf("the recorded results of built-ins: %w", err)
	}
	for name, results := range calls {
		declaration := ast.BuiltinMap[name]
		if declaration == nil {
			continue // of another version: nothing asks for it
		}
		known := map[string]ast.Value{}
		for arguments, result := range results {
			if err := addCall(known, declaration, arguments, result); err != nil {
				return nil, fmt.Errorf("the recorded results of %s: %w", name, err)
			}
		}
		recorded.results[name] = known
	}
	return recorded, nil
}

func addCall(known map[string]ast.Value, declaration *ast.Builtin, arguments string, result any) error {
	var list []any
	if err := util.UnmarshalJSON([]byte(arguments), &list); err != nil {
		return err
	}
	terms := make([]*ast.Term, len(list))
	for i, each := range list {
		value, err := ast.InterfaceToValue(each)
		if err != nil {
			return err
		}
		terms[i] = ast.NewTerm(value)
	}
	value, err := resultOf(declaration, result)
	if err != nil {
		return err
	}
	for _, each := range recordedForms(declaration.Name, terms) {
		key, err := callKey(declaration.Name, each)
		if err != nil {
			return err
		}
		kept := value
		if other, ok := known[key]; ok && (other == nil || other.Compare(value) != 0) {
			kept = nil
		}
		known[key] = kept
	}
	return nil
}

// recordedForms returns the arguments of a call as the inputs of a replay may have them.
func recordedForms(name string, arguments []*ast.Term) [][]*ast.Term {
	forms := [][]*ast.Term{arguments}
	if (isTokens(name) || isTxn(name)) && len(arguments) == 1 {
		if id := idOnly(arguments[0]); id != nil {
			forms = append(forms, []*ast.Term{id})
		}
	}
	return forms
}

// resultOf gives a result the type that JSON cannot say.
func resultOf(declaration *ast.Builtin, result any) (ast.Value, error) {
	value, err := ast.InterfaceToValue(result)
	if err != nil {
		return nil, err
	}
	list, isArray := value.(*ast.Array)
	if _, wantsSet := declaration.Decl.Result().(*types.Set); !wantsSet || !isArray {
		return value, nil
	}
	set := ast.NewSet()
	list.Foreach(set.Add)
	return set, nil
}

// callKey is one text for all arguments that are recorded alike: without secrets, and with arrays for sets.
func callKey(name string, arguments []*ast.Term) (string, error) {
	arguments = append([]*ast.Term(nil), arguments...)
	if redact := redactionOf(name); redact != nil {
		redact(arguments)
	}
	if isTokens(name) || isTxn(name) {
		change(arguments, 0, unsigned) // a token that is recorded without its signature is found
	}
	plain, err := ast.JSON(ast.NewArray(arguments...))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(plain)
	return string(text), err
}

// unrecordedCode marks the end of an evaluation that needs what was not recorded.
const unrecordedCode = "replay_unrecorded_error"

func unrecorded(bctx topdown.BuiltinContext, name string) error {
	return topdown.Halt{Err: &topdown.Error{Code: unrecordedCode, Message: name, Location: bctx.Location}}
}

// Unrecorded returns the built-in whose result an evaluation needed although it was not recorded; empty: it
// did not end because of that.
func Unrecorded(err error) string {
	var found *topdown.Error
	if errors.As(err, &found) && found.Code == unrecordedCode {
		return found.Message
	}
	return ""
}

// init makes every built-in that depends on more than its arguments ask for what was recorded. The file
// follows record.go, whose functions are called otherwise.
func init() {
	for _, declaration := range ast.Builtins {
		if declaration.Nondeterministic || verifies(declaration.Name) {
			replay(declaration)
		}
	}
	replayWith(ast.CryptoX509ParseAndVerifyCertificates, verifiedAt)
	replayWith(ast.CryptoX509ParseAndVerifyCertificatesWithOptions, verifiedWithOptionsAt)
}

func recordedOf(bctx topdown.BuiltinContext) *Recorded {
	if meter, ok := bctx.Cancel.(*Meter); ok {
		return meter.Recorded
	}
	return nil
}

// replayWith lets `again` answer when an evaluation is repeated.
func replayWith(declaration *ast.Builtin, again func(*Recorded) topdown.BuiltinFunc) {
	original := topdown.GetBuiltin(declaration.Name)
	override(declaration, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if recorded := recordedOf(bctx); recorded != nil {
			return again(recorded)(bctx, operands, iter)
		}
		return original(bctx, operands, iter)
	})
}

func replay(declaration *ast.Builtin) {
	name, arity, original := declaration.Name, declaration.Decl.Arity(), topdown.GetBuiltin(declaration.Name)
	replayWith(declaration, func(recorded *Recorded) topdown.BuiltinFunc {
		return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			if calls := recorded.results[name]; calls != nil {
				key, err := callKey(name, operands[:arity])
				if err != nil {
					return err
				}
				if result := calls[key]; result != nil {
					if _, isNull := result.(ast.Null); isNull && name == tokensLookup.Name {
						return nil // it was undefined
					}
					return iter(ast.NewTerm(result))
				}
			}
			if !recorded.computes(name, operands) {
				return unrecorded(bctx, name)
			}
			return original(bctx, operands, iter)
		}
	})
}

// computes reports whether a call gives the same as it would have given when the evaluation was made.
func (r *Recorded) computes(name string, operands []*ast.Term) bool {
	switch {
	case name == ast.NowNanos.Name:
		return r.timed
	case name == ast.JWTDecodeVerify.Name:
		return r.timed && !isStripped(operands[0])
	case verifies(name):
		return !isStripped(operands[0])
	}
	// They are not deterministic only where schemas may be fetched, and nothing is in a replay.
	return name == ast.JSONSchemaVerify.Name || name == ast.JSONMatchSchema.Name
}

// isStripped reports whether a token lacks the signature that it may have had.
func isStripped(token *ast.Term) bool {
	text, ok := token.Value.(ast.String)
	return ok && strings.Contains(string(text), ".") && withoutSignature(token).Equal(token)
}

// verifiedWithOptionsAt verifies certificates by the recorded clock; OPA asks the machine's.
func verifiedWithOptionsAt(recorded *Recorded) topdown.BuiltinFunc {
	name := ast.CryptoX509ParseAndVerifyCertificatesWithOptions.Name
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		options, ok := operands[1].Value.(ast.Object)
		if ok && options.Get(currentTime) == nil {
			if !recorded.timed {
				return unrecorded(bctx, name)
			}
			changed := ast.NewObject([2]*ast.Term{currentTime, bctx.Time})
			options.Foreach(func(key, value *ast.Term) { changed.Insert(key, value) })
			operands = append([]*ast.Term{operands[0], ast.NewTerm(changed)}, operands[2:]...)
		}
		return opaVerifiedWithOptions(bctx, operands, iter)
	}
}

// verifiedAt is the same without options. OPA then lists the certificates with more members.
func verifiedAt(recorded *Recorded) topdown.BuiltinFunc {
	name := ast.CryptoX509ParseAndVerifyCertificates.Name
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if _, ok := operands[0].Value.(ast.String); !ok {
			return opaVerified(bctx, operands, iter)
		}
		if !recorded.timed {
			return unrecorded(bctx, name)
		}
		full := map[string]*ast.Term{}
		err := opaParsed(bctx, operands[:1], func(list *ast.Term) error {
			return list.Value.(*ast.Array).Iter(func(certificate *ast.Term) error {
				full[rawOf(certificate)] = certificate
				return nil
			})
		})
		if err != nil {
			return iter(ast.ArrayTerm(ast.InternedTerm(false), ast.InternedEmptyArray))
		}
		options := ast.ObjectTerm([2]*ast.Term{currentTime, bctx.Time})
		return opaVerifiedWithOptions(bctx, []*ast.Term{operands[0], options}, func(result *ast.Term) error {
			pair := result.Value.(*ast.Array)
			chain := ast.NewArray()
			pair.Elem(1).Value.(*ast.Array).Foreach(func(certificate *ast.Term) {
				chain = chain.Append(full[rawOf(certificate)])
			})
			return iter(ast.ArrayTerm(pair.Elem(0), ast.NewTerm(chain)))
		})
	}
}

var (
	currentTime            = ast.StringTerm("CurrentTime")
	rawCertificate         = ast.StringTerm("Raw")
	opaParsed              = topdown.GetBuiltin(ast.CryptoX509ParseCertificates.Name)
	opaVerified            = topdown.GetBuiltin(ast.CryptoX509ParseAndVerifyCertificates.Name)
	opaVerifiedWithOptions = topdown.GetBuiltin(ast.CryptoX509ParseAndVerifyCertificatesWithOptions.Name)
)

// rawOf returns the encoding of a certificate, which names it.
func rawOf(certificate *ast.Term) string {
	if raw := certificate.Get(rawCertificate); raw != nil {
		return raw.String()
	}
	return ""
}
