package snapshot

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/util"
)

// data is base data as a storage.Store: an immutable tree of plain values. A transaction is the store
// itself, so that readers and activations never wait for each other. Thread-safe.
type data struct {
	storage.PolicyNotSupported
	storage.TriggersNotSupported
	root map[string]any
}

// ID makes a data its own transaction.
func (d *data) ID() uint64 { return 1 }

// NewTransaction begins to read.
func (d *data) NewTransaction(_ context.Context, params ...storage.TransactionParams) (storage.Transaction, error) {
	if len(params) > 0 && params[0].Write {
		return nil, &storage.Error{Code: storage.WritesNotSupportedErr}
	}
	return d, nil
}

// Read returns the value at a path, not to be changed.
func (d *data) Read(_ context.Context, _ storage.Transaction, path storage.Path) (any, error) {
	value, ok := lookup(d.root, path)
	if !ok {
		return nil, errNotFound
	}
	return value, nil
}

var errNotFound = &storage.Error{Code: storage.NotFoundErr, Message: "document does not exist"}

func (d *data) Write(context.Context, storage.Transaction, storage.PatchOp, storage.Path, any) error {
	return &storage.Error{Code: storage.WritesNotSupportedErr}
}

// Commit and Abort end a transaction: nothing to do.
func (d *data) Commit(context.Context, storage.Transaction) error { return nil }
func (d *data) Abort(context.Context, storage.Transaction)        {}

func (d *data) Truncate(context.Context, storage.Transaction, storage.TransactionParams, storage.Iterator) error {
	return &storage.Error{Code: storage.WritesNotSupportedErr}
}

func lookup(at any, path []string) (any, bool) {
	for _, segment := range path {
		switch here := at.(type) {
		case map[string]any:
			next, ok := here[segment]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			index, ok := util.Atoi(segment)
			if !ok || index < 0 || index >= len(here) {
				return nil, false
			}
			at = here[index]
		default:
			return nil, false
		}
	}
	return at, true
}

// occupied reports whether base data leaves no room for a rule at a path: a value is there, or
// something that is not an object is above.
func occupied(root map[string]any, path []string) bool {
	var at any = root
	for _, segment := range path {
		here, ok := at.(map[string]any)
		if !ok {
			return true
		}
		if at, ok = here[segment]; !ok {
			return false
		}
	}
	return true
}

// mergeError says that two documents define the same place.
type mergeError struct {
	path []string
}

func (e *mergeError) Error() string {
	if len(e.path) == 0 {
		return "a document at the root of data that is not an object"
	}
	return fmt.Sprintf("another document defines data.%s, too", strings.Join(e.path, "."))
}

// builder merges documents into one tree as OPA merges the files of a folder: objects are joined, and
// nothing may be defined twice. What the documents hold is shared and not changed.
type builder struct {
	root map[string]any
	own  map[uintptr]bool // maps made here
}

func newBuilder() *builder {
	b := &builder{root: map[string]any{}, own: map[uintptr]bool{}}
	b.own[place(b.root)] = true
	return b
}

func place(object map[string]any) uintptr { return reflect.ValueOf(object).Pointer() }

// put merges a value into the tree at a path.
func (b *builder) put(path []string, value any) error {
	for i := len(path) - 1; i >= 0; i-- {
		made := map[string]any{path[i]: value}
		b.own[place(made)] = true
		value = made
	}
	object, ok := value.(map[string]any)
	if !ok {
		return &mergeError{}
	}
	merged, err := b.merge(b.root, object, nil)
	b.root = merged
	return err
}

func (b *builder) merge(into, from map[string]any, path []string) (map[string]any, error) {
	if len(from) > len(into) && !b.own[place(into)] {
		into, from = from, into
	}
	if !b.own[place(into)] {
		into = maps.Clone(into)
		if into == nil {
			into = map[string]any{}
		}
		b.own[place(into)] = true
	}
	for key, added := range from {
		there, ok := into[key]
		if !ok {
			into[key] = added
			continue
		}
		a, ok1 := there.(map[string]any)
		c, ok2 := added.(map[string]any)
		at := append(path[:len(path):len(path)], key)
		if !ok1 || !ok2 {
			return into, &mergeError{path: at}
		}
		merged, err := b.merge(a, c, at)
		if err != nil {
			return into, err
		}
		into[key] = merged
	}
	return into, nil
}

// withSystem returns the tree with a value at data.system.notp; the tree itself stays as it is.
func withSystem(root map[string]any, system any) map[string]any {
	if system == nil {
		return root
	}
	above, _ := root["system"].(map[string]any)
	root = maps.Clone(root)
	inner := make(map[string]any, len(above)+1)
	maps.Copy(inner, above)
	inner["notp"] = system
	root["system"] = inner
	return root
}
