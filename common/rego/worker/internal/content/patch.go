package content

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/util"
)

// ErrPatch says that a patch does not fit its base, so that the document is needed whole.
var ErrPatch = errors.New("the patch does not fit its base")

// applyPatch replaces values at places of a document and shares everything else with it. `changes` is
// a JSON array of [["segment", …], value]; the places exist.
func applyPatch(base any, changes []byte) (any, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(changes, &list); err != nil {
		return nil, ErrPatch
	}
	p := patcher{own: map[uintptr]bool{}}
	for _, text := range list {
		var parts [2]json.RawMessage
		var path []string
		if json.Unmarshal(text, &parts) != nil || json.Unmarshal(parts[0], &path) != nil {
			return nil, ErrPatch
		}
		var value any
		if util.NewJSONDecoder(bytes.NewReader(parts[1])).Decode(&value) != nil {
			return nil, ErrPatch
		}
		next, err := p.replace(base, path, value)
		if err != nil {
			return nil, err
		}
		base = next
	}
	return base, nil
}

// patcher copies what lies on the way to a change, once.
type patcher struct {
	own map[uintptr]bool // copies made here
}

func (p *patcher) replace(at any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch at := at.(type) {
	case map[string]any:
		old, ok := at[path[0]]
		if !ok {
			return nil, ErrPatch
		}
		next, err := p.replace(old, path[1:], value)
		if err != nil {
			return nil, err
		}
		if !p.own[place(at)] {
			at = maps.Clone(at)
			p.own[place(at)] = true
		}
		at[path[0]] = next
		return at, nil
	case []any:
		index, ok := util.Atoi(path[0])
		if !ok || index < 0 || index >= len(at) {
			return nil, ErrPatch
		}
		next, err := p.replace(at[index], path[1:], value)
		if err != nil {
			return nil, err
		}
		if !p.own[place(at)] {
			at = slices.Clone(at)
			p.own[place(at)] = true
		}
		at[index] = next
		return at, nil
	}
	return nil, ErrPatch
}

// place identifies a map or a slice that is not empty.
func place(container any) uintptr { return reflect.ValueOf(container).Pointer() }
