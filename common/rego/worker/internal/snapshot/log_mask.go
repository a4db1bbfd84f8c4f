package snapshot

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of a mask.
const (
	maskRulesMax = 64
	maskPathMax  = 512 // bytes
)

// maskRule is one rule, as OPA reads it.
type maskRule struct {
	op, path string
	value    ast.Value // of an upsert
}

const (
	opRemove = "remove"
	opUpsert = "upsert"
)

// maskText returns the log's JSON object for a mask; nil: no rule is in it. Errors do not show values of
// the mask, which may be made of the input.
func maskText(mask ast.Value, limit int) ([]byte, error) {
	rules, err := maskRules(mask)
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	e := encoder{limit: limit}
	if err := e.mask(rules); err != nil {
		if err == errTooLarge {
			return nil, fmt.Errorf("the rules have more than %d bytes", limit)
		}
		return nil, err
	}
	return e.out, nil
}

func maskRules(mask ast.Value) ([]maskRule, error) {
	var count int
	var each func(func(*ast.Term) error) error
	switch mask := mask.(type) {
	case ast.Set:
		count, each = mask.Len(), mask.Iter
	case *ast.Array:
		count, each = mask.Len(), mask.Iter
	default:
		return nil, fmt.Errorf("the value is a %s, not a set or an array", ast.ValueName(mask))
	}
	if count > maskRulesMax {
		return nil, fmt.Errorf("%d rules; %d are allowed", count, maskRulesMax)
	}
	rules := make([]maskRule, 0, count)
	err := each(func(term *ast.Term) error {
		rule, err := maskRuleOf(term.Value)
		if err != nil {
			return fmt.Errorf("rule %d: %w", len(rules)+1, err)
		}
		rules = append(rules, rule)
		return nil
	})
	return rules, err
}

func maskRuleOf(value ast.Value) (rule maskRule, err error) {
	switch value := value.(type) {
	case ast.String:
		rule = maskRule{op: opRemove, path: string(value)}
	case ast.Object:
		rule.op, rule.path = textMember(value, "op"), textMember(value, "path")
		if rule.op != opRemove && rule.op != opUpsert {
			return rule, errors.New("op is neither remove nor upsert")
		}
		if found := value.Get(ast.InternedTerm("value")); found != nil && rule.op == opUpsert {
			rule.value = found.Value
		}
	default:
		return rule, fmt.Errorf("it is a %s, not a string or an object", ast.ValueName(value))
	}
	return rule, checkMaskPath(rule.path)
}

func textMember(object ast.Object, name string) string {
	if found := object.Get(ast.InternedTerm(name)); found != nil {
		if text, ok := found.Value.(ast.String); ok {
			return string(text)
		}
	}
	return ""
}

// checkMaskPath refuses what OPA refuses. A path is not changed: OPA escapes the keys in it, and never
// finds those that needed it.
func checkMaskPath(path string) error {
	if len(path) > maskPathMax {
		return fmt.Errorf("the path has %d bytes; %d are allowed", len(path), maskPathMax)
	}
	if !strings.HasPrefix(path, "/") {
		return errors.New("the path does not begin with a slash")
	}
	parts := strings.Split(path[1:], "/")
	switch parts[0] {
	case "input", "result", "nd_builtin_cache":
	default:
		return errors.New("the path begins with neither /input, /result nor /nd_builtin_cache")
	}
	for _, part := range parts {
		if _, err := url.PathUnescape(part); err != nil {
			return errors.New("a % in the path is followed by something else than two hexadecimal digits")
		}
	}
	return nil
}

func (e *encoder) mask(rules []maskRule) error {
	if err := e.raw(`{"mask":[`); err != nil {
		return err
	}
	for i, rule := range rules {
		if i > 0 {
			if err := e.raw(","); err != nil {
				return err
			}
		}
		if err := e.maskRule(rule); err != nil {
			return err
		}
	}
	return e.raw("]}")
}

func (e *encoder) maskRule(rule maskRule) error {
	if err := e.raw(`{"op":"` + rule.op + `","path":`); err != nil {
		return err
	}
	if err := e.text(rule.path); err != nil {
		return err
	}
	if rule.op == opUpsert {
		value := rule.value
		if value == nil {
			value = ast.NullValue
		}
		if err := e.raw(`,"value":`); err != nil {
			return err
		}
		if err := e.value(value); err != nil {
			return err
		}
	}
	return e.raw("}")
}
