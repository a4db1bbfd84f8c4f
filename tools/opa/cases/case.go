package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
)

const (
	// askedPackage holds the rule that a query became.
	askedPackage = "notp_case"
	askedRule    = "result"
)

// offUnlessAllowed are the built-ins that an engine of ours has only where they are configured.
var offUnlessAllowed = []string{"http.send", "net.lookup_ip_addr", "opa.runtime"}

// Module is one policy; RegoVersion is 0 or 1.
type Module struct {
	Text        string `json:"text"`
	RegoVersion int    `json:"rego_version"`
}

// Case is one line of the output.
//
// Wanted is at the value of Path: a value (Binding is set, or Rows is), undefined (Rows empty with
// Binding set), or an error. With Binding set, WantResult has at most one row, and the value of Path
// is that row's Binding. Without it the value of Path is an array of rows, to be compared as a set.
type Case struct {
	Note        string            `json:"note"`
	Suite       string            `json:"suite"` // v0, v1
	Modules     []Module          `json:"modules"`
	RegoVersion int               `json:"rego_version"`
	Query       string            `json:"query"`
	Path        []string          `json:"path"`
	Binding     string            `json:"binding,omitempty"`
	Data        *map[string]any   `json:"data,omitempty"`
	Input       json.RawMessage   `json:"input,omitempty"` // JSON
	InputTerm   *string           `json:"input_term,omitempty"`
	WantResult  *[]map[string]any `json:"want_result,omitempty"`
	// SortBindings: arrays in bindings stand for sets.
	SortBindings  bool              `json:"sort_bindings,omitempty"`
	WantErrorCode *string           `json:"want_error_code,omitempty"`
	WantError     *string           `json:"want_error,omitempty"` // a part of the message
	StrictError   bool              `json:"strict_error,omitempty"`
	Env           map[string]string `json:"env,omitempty"`
	Allow         []string          `json:"allow,omitempty"` // built-ins to be allowed for it
	// DataConflict: a rule lies over base data. The suite asks OPA's evaluator alone; an OPA that is
	// given both refuses them.
	DataConflict bool   `json:"data_conflict,omitempty"`
	Inapplicable string `json:"inapplicable,omitempty"` // why it cannot be asked
}

func load(folder string) ([]Case, error) {
	var all []Case
	for version, name := range []string{"v0", "v1"} {
		set, err := cases.Load(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		for _, given := range set.Sorted().Cases {
			converted, err := convert(given, name, version)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", given.Filename, given.Note, err)
			}
			all = append(all, converted)
		}
	}
	return all, nil
}

func convert(given cases.TestCase, suite string, version int) (Case, error) {
	c := Case{
		Note: given.Note, Suite: suite, RegoVersion: version, Query: given.Query,
		Data: given.Data, InputTerm: given.InputTerm, WantResult: given.WantResult,
		SortBindings: given.SortBindings, WantErrorCode: given.WantErrorCode, WantError: given.WantError,
		StrictError: given.StrictError, Env: given.Env, Modules: []Module{},
	}
	for _, text := range given.Modules {
		c.Modules = append(c.Modules, Module{Text: text, RegoVersion: version})
	}
	if err := c.setInput(given); err != nil {
		return c, err
	}
	if err := c.setQuery(given); err != nil {
		return c, err
	}
	for _, name := range offUnlessAllowed {
		if c.mentions(name) {
			c.Allow = append(c.Allow, name)
		}
	}
	if c.mentions("test.sleep") {
		c.Inapplicable = "test.sleep is a built-in of OPA's own tests alone"
		return c, nil
	}
	compiler, err := c.compile()
	if err != nil {
		return c, err
	}
	if c.Data != nil {
		store := inmem.NewFromObject(*c.Data)
		txn := storage.NewTransactionOrDie(context.Background(), store)
		exists := storage.NonEmpty(context.Background(), store, txn)
		c.DataConflict = len(ast.CheckPathConflicts(compiler, exists)) > 0
	}
	return c, nil
}

func (c *Case) mentions(name string) bool {
	return slices.ContainsFunc(c.Modules, func(m Module) bool { return strings.Contains(m.Text, name) })
}

func (c *Case) compile() (*ast.Compiler, error) {
	modules := map[string]*ast.Module{}
	for i, m := range c.Modules {
		options := ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true}
		if m.RegoVersion == 0 {
			options.RegoVersion = ast.RegoV0
		}
		name := fmt.Sprintf("test-%d.rego", i)
		parsed, err := ast.ParseModuleWithOpts(name, m.Text, options)
		if err != nil {
			return nil, err
		}
		modules[name] = parsed
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compiler.Errors
	}
	return compiler, nil
}

// setInput turns a term that is JSON into JSON. A term may hold what JSON cannot, a set: then the
// query says `with input as` it.
func (c *Case) setInput(given cases.TestCase) error {
	var err error
	if given.InputTerm == nil {
		if given.Input != nil {
			c.Input, err = json.Marshal(*given.Input)
		}
		return err
	}
	term, err := ast.ParseTerm(*given.InputTerm)
	if err != nil {
		return err
	}
	value, err := ast.JSON(term.Value)
	if err != nil {
		return nil // the query will say it
	}
	if back, err := ast.InterfaceToValue(value); err != nil || back.Compare(term.Value) != 0 {
		return nil
	}
	c.Input, err = json.Marshal(value)
	return err
}

func (c *Case) setQuery(given cases.TestCase) error {
	body, err := ast.ParseBody(given.Query)
	if err != nil {
		return err
	}
	termOnly := c.InputTerm != nil && c.Input == nil
	if path, binding, ok := valueOfPath(body); ok && !termOnly {
		c.Path, c.Binding = path, binding
		return nil
	}
	names := map[string]bool{}
	if given.WantResult != nil {
		for _, row := range *given.WantResult {
			for name := range row {
				names[name] = true
			}
		}
	}
	var members []string
	for name := range names {
		members = append(members, fmt.Sprintf("%q: %s", name, name))
	}
	sort.Strings(members)
	query := given.Query
	if termOnly {
		if len(body) != 1 {
			c.Inapplicable = "an input that is not JSON for a query of several expressions"
			return nil
		}
		query += " with input as " + *c.InputTerm
	}
	text := fmt.Sprintf("package %s\n\n%s := [{%s} |\n%s\n]\n", askedPackage, askedRule,
		strings.Join(members, ", "), query)
	c.Modules = append(c.Modules, Module{Text: text, RegoVersion: 1})
	c.Path = []string{askedPackage, askedRule}
	return nil
}

// valueOfPath knows `data.a.b = x`.
func valueOfPath(body ast.Body) (path []string, binding string, ok bool) {
	if len(body) != 1 || !body[0].IsEquality() || len(body[0].With) > 0 || body[0].Negated {
		return nil, "", false
	}
	ref, isRef := body[0].Operand(0).Value.(ast.Ref)
	name, isVar := body[0].Operand(1).Value.(ast.Var)
	if !isRef || !isVar || name.IsWildcard() || !ref[0].Equal(ast.DefaultRootDocument) {
		return nil, "", false
	}
	path = []string{}
	for _, term := range ref[1:] {
		segment, isString := term.Value.(ast.String)
		if !isString {
			return nil, "", false
		}
		path = append(path, string(segment))
	}
	return path, string(name), true
}
