package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

// restricted do not exist in an engine of ours, so that no program may need them.
var restricted = []string{"http.send", "net.lookup_ip_addr", "opa.runtime"}

func capabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	all.Builtins = slices.DeleteFunc(slices.Clone(all.Builtins), func(b *ast.Builtin) bool {
		return slices.Contains(restricted, b.Name)
	})
	return all
}

// notJSON is the code of a value that JSON cannot say: to_number("-7.") is a number, and its text is "-7.".
const notJSON = "not_json"

// oracle is one state of a program.
type oracle struct {
	modules  map[string]*ast.Module
	compiler *ast.Compiler
	store    storage.Store
	time     time.Time
}

func newOracle(modules []Module, documents []Document, timeNs int64) (*oracle, error) {
	o := &oracle{modules: map[string]*ast.Module{}, time: time.Unix(0, timeNs)}
	data, err := merged(documents)
	if err != nil {
		return nil, err
	}
	o.store = inmem.NewFromObject(data)
	for _, m := range modules {
		options := ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true}
		if m.RegoVersion == 0 {
			options.RegoVersion = ast.RegoV0
		}
		if o.modules[m.Key], err = ast.ParseModuleWithOpts(m.Key, m.Text, options); err != nil {
			return nil, err
		}
	}
	ctx := context.Background()
	txn := storage.NewTransactionOrDie(ctx, o.store)
	defer o.store.Abort(ctx, txn)
	// Without a limit: which errors are among the first ten depends on the order of a map.
	o.compiler = ast.NewCompiler().WithCapabilities(capabilities()).SetErrorLimit(0).
		WithPathConflictsCheck(storage.NonEmpty(ctx, o.store, txn))
	if o.compiler.Compile(o.modules); o.compiler.Failed() {
		return nil, o.compiler.Errors
	}
	return o, nil
}

// merged puts all documents into one object, as OPA's loader does for files of one folder.
func merged(documents []Document) (map[string]any, error) {
	root := map[string]any{}
	for _, d := range documents {
		var value any
		if err := util.UnmarshalJSON(d.Value, &value); err != nil {
			return nil, err
		}
		at := root
		for _, segment := range d.Mount[:len(d.Mount)-1] {
			next, ok := at[segment].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[segment] = next
			}
			at = next
		}
		last := d.Mount[len(d.Mount)-1]
		if _, there := at[last]; there {
			return nil, fmt.Errorf("two documents at %v", d.Mount)
		}
		at[last] = value
	}
	return root, nil
}

// ask gives the answers of all paths to all inputs.
func (o *oracle) ask(name string, paths [][]string, texts []json.RawMessage) (Stage, error) {
	stage := Stage{Name: name}
	var inputs []ast.Value
	for _, text := range texts {
		input, err := ast.ValueFromReader(bytes.NewReader(text))
		if err != nil {
			return stage, err
		}
		inputs = append(inputs, input)
	}
	for _, path := range paths {
		query, err := o.prepared(path)
		if err != nil {
			return stage, fmt.Errorf("%v: %w", path, err)
		}
		var answers []Answer
		for _, input := range inputs {
			answer, err := o.one(query, input)
			if err != nil {
				return stage, fmt.Errorf("%v: %w", path, err)
			}
			answers = append(answers, answer)
		}
		stage.Answers = append(stage.Answers, answers)
	}
	return stage, nil
}

func (o *oracle) prepared(path []string) (rego.PreparedEvalQuery, error) {
	ref := ast.Ref{ast.DefaultRootDocument}
	for _, segment := range path {
		ref = append(ref, ast.StringTerm(segment))
	}
	return rego.New(rego.Compiler(o.compiler), rego.Store(o.store),
		rego.ParsedQuery(ast.NewBody(ast.NewExpr(ast.NewTerm(ref))))).PrepareForEval(context.Background())
}

func (o *oracle) one(query rego.PreparedEvalQuery, input ast.Value) (Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	results, err := query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(o.time))
	var failed *topdown.Error
	switch {
	case errors.As(err, &failed):
		if failed.Code == topdown.CancelErr {
			return Answer{}, err
		}
		return Answer{Code: failed.Code, Message: failed.Message}, nil
	case err != nil:
		return Answer{}, err
	case len(results) == 0:
		return Answer{}, nil
	}
	value, err := json.Marshal(results[0].Expressions[0].Value)
	if err != nil {
		return Answer{Code: notJSON, Message: err.Error()}, nil
	}
	return Answer{Value: value}, nil
}

// test gives the outcomes of `opa test`.
func (o *oracle) test() ([]TestResult, error) {
	ctx := context.Background()
	txn := storage.NewTransactionOrDie(ctx, o.store)
	defer o.store.Abort(ctx, txn)
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithEnablePrintStatements(true).
		WithUseTypeCheckAnnotations(true)
	channel, err := tester.NewRunner().SetCompiler(compiler).SetStore(o.store).CapturePrintOutput(true).
		SetModules(o.modules).RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	var all []TestResult
	for each := range channel {
		one := TestResult{Path: each.Location.File, Package: each.Package, Name: each.Name}
		switch {
		case each.Error != nil:
			one.Outcome = "error"
		case each.Skip:
			one.Outcome = "skip"
		default:
			one.Outcome = outcome(each.Fail)
		}
		leaves := 0
		for trail, sub := range each.SubResults.Iter {
			if len(sub.SubResults) == 0 && each.Error == nil {
				leaf := one
				leaf.Trail, leaf.Outcome = slices.Clone(trail), outcome(sub.Fail)
				all = append(all, leaf)
				leaves++
			}
		}
		if leaves == 0 {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Name, b.Name),
			slices.Compare(a.Trail, b.Trail))
	})
	return all, nil
}

func outcome(failed bool) string {
	if failed {
		return "fail"
	}
	return "pass"
}
