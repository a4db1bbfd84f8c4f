package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

// applicableMin is what version 1.22.2 has, less a few; the suite only grows.
const applicableMin = 4400

// A case must say by path what it says by query: the library of OPA itself judges that.
func TestEveryCaseHoldsByPath(t *testing.T) {
	folder, err := pinnedSuite()
	if err != nil {
		t.Fatal(err)
	}
	all, err := load(folder)
	if err != nil {
		t.Fatal(err)
	}
	applicable := 0
	for i := range all {
		if all[i].Inapplicable != "" {
			continue
		}
		applicable++
		t.Run(all[i].Suite+"/"+all[i].Note, func(t *testing.T) { holds(t, &all[i]) })
	}
	if applicable < applicableMin {
		t.Errorf("%d cases are applicable, want at least %d", applicable, applicableMin)
	}
}

func holds(t *testing.T, c *Case) {
	for name, value := range c.Env {
		t.Setenv(name, value)
	}
	value, defined, err := evaluate(c)
	switch {
	case c.WantError != nil || c.WantErrorCode != nil:
		if err == nil {
			t.Fatalf("no error; value %v", value)
		}
		var failed *topdown.Error
		if c.WantErrorCode != nil && (!errors.As(err, &failed) || failed.Code != *c.WantErrorCode) {
			t.Errorf("error %v, want code %s", err, *c.WantErrorCode)
		}
		if c.WantError != nil && !strings.Contains(err.Error(), *c.WantError) {
			t.Errorf("error %v, want %s", err, *c.WantError)
		}
	case err != nil:
		t.Fatal(err)
	default:
		if got, want := rows(c, value, defined), set(c, *c.WantResult); got.Compare(want) != 0 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// evaluate asks for the value of the case's path.
func evaluate(c *Case) (any, bool, error) {
	compiler, err := c.compile()
	if err != nil {
		return nil, false, err
	}
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, segment := range c.Path {
		ref = append(ref, ast.StringTerm(segment))
	}
	data := map[string]any{}
	if c.Data != nil {
		data = *c.Data
	}
	options := []func(*rego.Rego){
		rego.Compiler(compiler), rego.Store(inmem.NewFromObject(data)),
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(ref)))),
		rego.StrictBuiltinErrors(c.StrictError),
	}
	if c.Input != nil {
		input, err := ast.ValueFromReader(strings.NewReader(string(c.Input)))
		if err != nil {
			return nil, false, err
		}
		options = append(options, rego.ParsedInput(input))
	}
	results, err := rego.New(options...).Eval(context.Background())
	if err != nil || len(results) == 0 {
		return nil, false, err
	}
	return results[0].Expressions[0].Value, true, nil
}

func rows(c *Case, value any, defined bool) ast.Set {
	var all []map[string]any
	switch {
	case !defined:
	case c.Binding != "":
		all = append(all, map[string]any{c.Binding: value})
	default:
		for _, row := range value.([]any) {
			all = append(all, row.(map[string]any))
		}
	}
	return set(c, all)
}

func set(c *Case, all []map[string]any) ast.Set {
	result := ast.NewSet()
	for _, row := range all {
		object := ast.NewObject()
		for name, value := range row {
			if list, ok := value.([]any); ok && c.SortBindings {
				value = slices.Clone(list)
				slices.SortFunc(value.([]any), util.Compare)
			}
			object.Insert(ast.StringTerm(name), ast.NewTerm(ast.MustInterfaceToValue(value)))
		}
		result.Add(ast.NewTerm(object))
	}
	return result
}
