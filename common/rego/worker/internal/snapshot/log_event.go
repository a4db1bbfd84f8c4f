package snapshot

import (
	"errors"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

var errLogEvent = errors.New("the members that the supervisor gave for the event are not a JSON object")

// event returns a decision as OPA's log shows it to the rules: the members that the frame has, then those
// that are known here.
func (r *evaluation) event(outcome *Outcome, seen *asked) (ast.Value, error) {
	if r.log.members == nil {
		members, err := eventMembers(r.request.LogEvent)
		if err != nil {
			return nil, err
		}
		r.log.members = members
	}
	event := ast.NewObject()
	r.log.members.Foreach(func(key, value *ast.Term) { event.Insert(key, value) })
	put := func(name string, value ast.Value) { event.Insert(ast.InternedTerm(name), ast.NewTerm(value)) }
	put("path", ast.String(strings.Join(r.request.Path, "/")))
	if seen.input != nil {
		put("input", seen.input)
	}
	if outcome.Failure != nil {
		put("error", errorValue(outcome))
	} else if seen.result != nil {
		result, err := asJSON(seen.result, r.engine.options.ResultMax)
		if err != nil {
			return nil, err
		}
		put("result", result)
	}
	if err := r.putExtras(put, outcome, seen); err != nil {
		return nil, err
	}
	return event, nil
}

// putExtras adds what was collected beside the result, where OPA has it in the event.
func (r *evaluation) putExtras(put func(string, ast.Value), outcome *Outcome, seen *asked) error {
	if seen.cache != nil && seen.omitted == 0 {
		cache, err := asJSON(seen.cache.AsValue(), r.engine.options.ResultMax)
		if err != nil {
			return err
		}
		put("nd_builtin_cache", cache)
	}
	if r.request.Flags&metricFlags != 0 {
		all, err := ast.InterfaceToValue(seen.metrics.All())
		if err != nil {
			return err
		}
		put("metrics", all)
	}
	if seen.labels != nil && outcome.Defined && len(seen.labels.Labels) > 0 {
		labels, err := ast.InterfaceToValue(seen.labels.Labels)
		if err != nil {
			return err
		}
		put("rule_labels", labels)
	}
	return nil
}

func eventMembers(text []byte) (ast.Object, error) {
	if len(text) == 0 {
		return ast.NewObject(), nil
	}
	var plain any
	if util.UnmarshalJSON(text, &plain) != nil {
		return nil, errLogEvent
	}
	value, err := ast.InterfaceToValue(plain)
	if err != nil {
		return nil, err
	}
	members, ok := value.(ast.Object)
	if !ok {
		return nil, errLogEvent
	}
	return members, nil
}

// errorValue is OPA's error as its log has it; without one, a code and a message.
func errorValue(outcome *Outcome) ast.Value {
	var list []any
	if outcome.Details != nil && util.UnmarshalJSON(outcome.Details, &list) == nil && len(list) > 0 {
		if value, err := ast.InterfaceToValue(list[0]); err == nil {
			return value
		}
	}
	return ast.NewObject(
		ast.Item(ast.InternedTerm("code"), ast.StringTerm(outcome.Failure.Code)),
		ast.Item(ast.InternedTerm("message"), ast.StringTerm(outcome.Failure.Message)),
	)
}

// asJSON returns a value as it is after it was JSON: sets are arrays, and keys are texts. What is so
// already is shared. `limit` is for the texts of keys: bytes.
func asJSON(value ast.Value, limit int) (ast.Value, error) {
	switch value := value.(type) {
	case *ast.Array:
		return listAsJSON(value, value.Len(), value.Iter, limit)
	case ast.Set:
		return listAsJSON(nil, value.Len(), value.Iter, limit)
	case ast.Object:
		if reflect.TypeOf(value) == lazyObject {
			return value, nil // base data
		}
		return objectAsJSON(value, limit)
	}
	return value, nil
}

func termAsJSON(term *ast.Term, limit int) (*ast.Term, error) {
	value, err := asJSON(term.Value, limit)
	if err != nil || isSame(value, term.Value) {
		return term, err
	}
	return ast.NewTerm(value), nil
}

// isSame reports whether a value was not changed.
func isSame(value, before ast.Value) bool {
	switch value.(type) {
	case *ast.Array, ast.Object:
		return value == before
	}
	return true
}

// listAsJSON returns `array` if nothing in it changes; nil: it is a set.
func listAsJSON(array *ast.Array, count int, each func(func(*ast.Term) error) error, limit int) (ast.Value, error) {
	terms := make([]*ast.Term, 0, count)
	changed := array == nil
	err := each(func(term *ast.Term) error {
		made, err := termAsJSON(term, limit)
		changed = changed || made != term
		terms = append(terms, made)
		return err
	})
	if err != nil || !changed {
		return array, err
	}
	return ast.NewArray(terms...), nil
}

func objectAsJSON(object ast.Object, limit int) (ast.Value, error) {
	made, changed := ast.NewObject(), false
	err := object.Iter(func(key, value *ast.Term) error {
		if _, isText := key.Value.(ast.String); !isText {
			text, err := keyText(key.Value, limit)
			if err != nil {
				return err
			}
			key, changed = ast.StringTerm(text), true
		}
		member, err := termAsJSON(value, limit)
		if err != nil {
			return err
		}
		changed = changed || member != value
		made.Insert(key, member)
		return nil
	})
	if err != nil || !changed {
		return object, err
	}
	return made, nil
}
