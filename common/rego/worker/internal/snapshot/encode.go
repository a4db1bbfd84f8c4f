package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// errTooLarge says that a result's JSON is longer than the limit.
var errTooLarge = errors.New("the result is too large")

// lazyObject is the type that OPA gives to objects of base data. Its members are plain values, and
// encoding those does not build terms for all of them.
var lazyObject = reflect.TypeOf(ast.LazyObject(map[string]any{}))

// encoder writes values as OPA's data API writes its results, byte for byte, and stops at a limit.
type encoder struct {
	out   []byte
	limit int // bytes
}

// encode returns the JSON of a value that holds nothing to be evaluated.
func encode(value ast.Value, limit int) ([]byte, error) {
	e := encoder{limit: limit}
	if err := e.value(value); err != nil {
		return nil, err
	}
	return e.out, nil
}

func (e *encoder) raw(text string) error {
	if len(e.out)+len(text) > e.limit {
		return errTooLarge
	}
	e.out = append(e.out, text...)
	return nil
}

func (e *encoder) value(value ast.Value) error {
	switch value := value.(type) {
	case ast.Null:
		return e.raw("null")
	case ast.Boolean:
		return e.boolean(bool(value))
	case ast.Number:
		return e.number(string(value))
	case ast.String:
		return e.text(string(value))
	case *ast.Array:
		return e.list(value.Len(), value.Iter)
	case ast.Set:
		return e.list(value.Len(), value.Iter)
	case ast.Object:
		if reflect.TypeOf(value) == lazyObject {
			plain, err := ast.JSON(value)
			if err != nil {
				return err
			}
			return e.plain(plain)
		}
		return e.object(value)
	}
	return fmt.Errorf("%v requires evaluation", ast.ValueName(value))
}

func (e *encoder) boolean(value bool) error {
	if value {
		return e.raw("true")
	}
	return e.raw("false")
}

func (e *encoder) number(text string) error {
	if text == "" {
		return e.raw("0")
	}
	if !isNumber(text) {
		return fmt.Errorf("invalid number %q", text)
	}
	return e.raw(text)
}

// isNumber knows JSON's numbers. A policy can make others: to_number("-07") is one for OPA.
func isNumber(text string) bool {
	text = strings.TrimPrefix(text, "-")
	digits := func() bool {
		rest := strings.TrimLeft(text, "0123456789")
		found := len(rest) < len(text)
		text = rest
		return found
	}
	if zero := strings.HasPrefix(text, "0"); zero {
		text = text[1:]
	} else if !digits() {
		return false
	}
	if strings.HasPrefix(text, ".") {
		if text = text[1:]; !digits() {
			return false
		}
	}
	if text != "" && (text[0] == 'e' || text[0] == 'E') {
		text = text[1:]
		if text != "" && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		if !digits() {
			return false
		}
	}
	return text == ""
}

// plainText has the characters that stand for themselves in a JSON text of Go's encoder.
var plainText = func() (table [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		table[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return table
}()

func (e *encoder) text(text string) error {
	for i := range len(text) {
		if !plainText[text[i]] {
			if len(e.out)+len(text) > e.limit {
				return errTooLarge
			}
			quoted, err := json.Marshal(text)
			if err != nil {
				return err
			}
			return e.raw(string(quoted))
		}
	}
	if len(e.out)+len(text)+2 > e.limit {
		return errTooLarge
	}
	e.out = append(e.out, '"')
	e.out = append(e.out, text...)
	e.out = append(e.out, '"')
	return nil
}

func (e *encoder) list(count int, each func(func(*ast.Term) error) error) error {
	if err := e.raw("["); err != nil {
		return err
	}
	first := true
	err := each(func(term *ast.Term) error {
		if !first {
			if err := e.raw(","); err != nil {
				return err
			}
		}
		first = false
		return e.value(term.Value)
	})
	if err != nil {
		return err
	}
	return e.raw("]")
}

type member struct {
	key   string
	value ast.Value
}

// object writes the members in the order of their keys' texts. A key that is not a text becomes its
// JSON; where two become the same text, the last one in OPA's order of terms counts.
func (e *encoder) object(object ast.Object) error {
	if object.Len() > e.limit {
		return errTooLarge
	}
	members := make([]member, 0, object.Len())
	sorted, texts := true, true
	err := object.Iter(func(key, value *ast.Term) error {
		text, err := keyText(key.Value, e.limit)
		if _, isText := key.Value.(ast.String); !isText {
			texts = false
		}
		if n := len(members); n > 0 && text < members[n-1].key {
			sorted = false
		}
		members = append(members, member{text, value.Value})
		return err
	})
	if err != nil {
		return err
	}
	if !sorted {
		slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	}
	if err := e.raw("{"); err != nil {
		return err
	}
	first := true
	for i, each := range members {
		if !texts && i+1 < len(members) && members[i+1].key == each.key {
			continue
		}
		if err := e.member(each.key, first); err != nil {
			return err
		}
		first = false
		if err := e.value(each.value); err != nil {
			return err
		}
	}
	return e.raw("}")
}

func keyText(key ast.Value, limit int) (string, error) {
	if text, ok := key.(ast.String); ok {
		return string(text), nil
	}
	text, err := encode(key, limit)
	return string(text), err
}

func (e *encoder) member(key string, first bool) error {
	if !first {
		if err := e.raw(","); err != nil {
			return err
		}
	}
	if err := e.text(key); err != nil {
		return err
	}
	return e.raw(":")
}

// plain writes a value of base data.
func (e *encoder) plain(value any) error {
	switch value := value.(type) {
	case nil:
		return e.raw("null")
	case bool:
		return e.boolean(value)
	case json.Number:
		return e.number(string(value))
	case string:
		return e.text(value)
	case []any:
		return e.plainList(value)
	case map[string]any:
		return e.plainObject(value)
	}
	return fmt.Errorf("a %T in base data", value)
}

func (e *encoder) plainList(values []any) error {
	if err := e.raw("["); err != nil {
		return err
	}
	for i, value := range values {
		if i > 0 {
			if err := e.raw(","); err != nil {
				return err
			}
		}
		if err := e.plain(value); err != nil {
			return err
		}
	}
	return e.raw("]")
}

func (e *encoder) plainObject(values map[string]any) error {
	if len(values) > e.limit {
		return errTooLarge
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if err := e.raw("{"); err != nil {
		return err
	}
	for i, key := range keys {
		if err := e.member(key, i == 0); err != nil {
			return err
		}
		if err := e.plain(values[key]); err != nil {
			return err
		}
	}
	return e.raw("}")
}
