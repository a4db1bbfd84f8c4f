package unit

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// opaCases returns OPA's own evaluation cases of one Rego version, from the source of the pinned OPA.
func opaCases(t *testing.T, version int) []cases.TestCase {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatalf("the source of OPA is not there: %v", err)
	}
	set, err := cases.Load(filepath.Join(strings.TrimSpace(string(out)), "v1/test/cases/testdata", fmt.Sprintf("v%d", version)))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Cases) < 500 {
		t.Fatalf("only %d cases", len(set.Cases))
	}
	return set.Cases
}

func TestUnitsAnswerAsOneCompileInOPAsSuite(t *testing.T) {
	for _, version := range []int{0, 1} {
		compared := 0
		for _, each := range opaCases(t, version) {
			modules := parseAll(each.Modules, version)
			query, err := parseQuery(each.Query, version)
			if modules == nil || err != nil {
				continue
			}
			compared++
			part := unitOf(modules, query)
			all, apart := decide(t, modules, query, each), decide(t, part, query, each)
			if all != apart {
				t.Errorf("%s (v%d):\n all  %s\n unit %s", each.Note, version, all, apart)
			}
		}
		t.Logf("v%d: %d cases compared", version, compared)
		if compared < 500 {
			t.Errorf("v%d: only %d cases compared", version, compared)
		}
	}
}

func TestUnitsAcceptWhatOneCompileAccepts(t *testing.T) {
	for _, version := range []int{0, 1} {
		for _, each := range opaCases(t, version) {
			modules := parseAll(each.Modules, version)
			if modules == nil {
				continue
			}
			if whole, apart := accepts(modules), acceptsApart(modules); whole != apart {
				t.Errorf("%s (v%d): one compile accepts: %v, its units: %v", each.Note, version, whole, apart)
			}
		}
	}
}

func accepts(modules map[string]*ast.Module) bool {
	return !Compile(modules, Options{Allow: Restricted}).Failed()
}

func acceptsApart(modules map[string]*ast.Module) bool {
	index := NewIndex(factsOfAll(modules))
	for _, path := range index.Packages() {
		if !accepts(pick(modules, index.OfPackage(path))) {
			return false
		}
	}
	return true
}

func factsOfAll(modules map[string]*ast.Module) map[string]*Facts {
	facts := map[string]*Facts{}
	for key, module := range modules {
		facts[key] = FactsOf(module)
	}
	return facts
}

func pick(modules map[string]*ast.Module, keys []string) map[string]*ast.Module {
	part := map[string]*ast.Module{}
	for _, key := range keys {
		part[key] = modules[key]
	}
	return part
}

func parseAll(texts []string, version int) map[string]*ast.Module {
	modules := map[string]*ast.Module{}
	for i, text := range texts {
		key := fmt.Sprintf("m%d.rego", i)
		module, err := Parse(key, text, version)
		if err != nil {
			return nil
		}
		modules[key] = module
	}
	return modules
}

func parseQuery(text string, version int) (ast.Body, error) {
	options := ast.ParserOptions{RegoVersion: ast.RegoV1}
	if version == 0 {
		options.RegoVersion = ast.RegoV0
	}
	return ast.ParseBodyWithOpts(text, options)
}

// unitOf returns the modules that a query reaches.
func unitOf(modules map[string]*ast.Module, query ast.Body) map[string]*ast.Module {
	wrapped := &ast.Module{Package: &ast.Package{Path: ast.MustParseRef("data.the.query")}}
	wrapped.Rules = []*ast.Rule{{Head: ast.NewHead("q", nil, ast.BooleanTerm(true)), Body: query, Module: wrapped}}
	index := NewIndex(factsOfAll(modules))
	found := map[string]bool{}
	for _, ref := range FactsOf(wrapped).Refs {
		for _, key := range index.OfPath(ref) {
			found[key] = true
		}
	}
	return pick(modules, slices.Collect(maps.Keys(found)))
}

func decide(t *testing.T, modules map[string]*ast.Module, query ast.Body, each cases.TestCase) string {
	t.Helper()
	compiler := Compile(modules, Options{Allow: Restricted})
	if compiler.Failed() {
		return "does not compile"
	}
	data := map[string]any{}
	if each.Data != nil {
		data = *each.Data
	}
	ctx := context.Background()
	store := inmem.NewFromObject(data)
	var result string
	err := storage.Txn(ctx, store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		compiled, err := compiler.QueryCompiler().Compile(query)
		if err != nil {
			return err
		}
		q := topdown.NewQuery(compiled).WithCompiler(compiler).WithStore(store).WithTransaction(txn).
			WithStrictBuiltinErrors(each.StrictError)
		if each.Input != nil {
			q = q.WithInput(ast.NewTerm(ast.MustInterfaceToValue(*each.Input)))
		} else if each.InputTerm != nil {
			q = q.WithInput(ast.MustParseTerm(*each.InputTerm))
		}
		results, err := q.Run(ctx)
		var lines []string
		for _, one := range results {
			lines = append(lines, fmt.Sprint(one[ast.Var("x")]))
		}
		slices.Sort(lines)
		result = strings.Join(lines, "\n")
		return err
	})
	if err != nil {
		result = "error " + err.Error()
	}
	if strings.Contains(each.Query+strings.Join(each.Modules, ""), "rand.") || strings.Contains(each.Query+strings.Join(each.Modules, ""), "uuid") || strings.Contains(strings.Join(each.Modules, ""), "time.now_ns") {
		return "not the same twice"
	}
	return result
}
