package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/util"

	"notp.core-platform.internal/notp-pdp/internal/frame"
	"notp.core-platform.internal/notp-pdp/internal/unit"
)

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
	return set.Cases
}

// pathOf returns the path that a case asks for, if it asks for one.
func pathOf(each cases.TestCase) (string, bool) {
	body, err := ast.ParseBody(each.Query)
	if err != nil || len(body) != 1 || !body[0].IsEquality() {
		return "", false
	}
	ref, ok := body[0].Operand(0).Value.(ast.Ref)
	if _, isVar := body[0].Operand(1).Value.(ast.Var); !ok || !isVar || !ref.HasPrefix(ast.DefaultRootRef) {
		return "", false
	}
	var segments []string
	for _, term := range ref[1:] {
		text, ok := term.Value.(ast.String)
		if !ok || strings.ContainsAny(string(text), "\"/") || text == "" {
			return "", false
		}
		if _, isNumber := util.Atoi64(string(text)); isNumber {
			return "", false
		}
		segments = append(segments, string(text))
	}
	return strings.Join(segments, "/"), true
}

func inputOf(each cases.TestCase) string {
	if each.Input != nil {
		return string(util.MustMarshalJSON(*each.Input))
	}
	return ""
}

// TestOPAsSuite asks the worker's engine what OPA's own cases ask, and compares with what they want.
func TestOPAsSuite(t *testing.T) {
	for _, version := range []int{0, 1} {
		asked := 0
		for _, each := range opaCases(t, version) {
			path, ok := pathOf(each)
			if !ok || each.InputTerm != nil || strings.Contains(strings.Join(each.Modules, ""), "test.sleep") {
				continue // a built-in of OPA's test program
			}
			asked++
			for key, value := range each.Env {
				t.Setenv(key, value)
			}
			got, failed := askCase(t, each, path, version)
			wantFailure := each.WantErrorCode != nil || each.WantError != nil
			switch {
			case wantFailure != failed:
				t.Errorf("%s (v%d): failed: %v (%s), want %v", each.Note, version, failed, got, wantFailure)
			case !failed && each.WantResult != nil && !sameAnswer(t, got, *each.WantResult):
				t.Errorf("%s (v%d): got %s, want %v", each.Note, version, got, *each.WantResult)
			}
		}
		t.Logf("v%d: %d cases asked", version, asked)
		if asked < 500 {
			t.Errorf("only %d cases", asked)
		}
	}
}

func askCase(t *testing.T, each cases.TestCase, path string, version int) (string, bool) {
	w := newWorld(t)
	w.ledgers[0].Capabilities = []byte(`{"allow": ["http.send", "net.lookup_ip_addr", "opa.runtime"]}`)
	r := release{modules: map[string]string{}, versions: map[string]uint8{}, documents: map[string]string{}}
	for i, text := range each.Modules {
		key := fmt.Sprintf("m%d.rego", i)
		r.modules[key], r.versions[key] = text, uint8(version)
	}
	if each.Data != nil {
		r.documents[""] = string(util.MustMarshalJSON(*each.Data))
	}
	if _, failure := w.try(r); failure != nil {
		return failure.Error(), true
	}
	flags := uint32(0)
	if each.StrictError {
		flags = frame.FlagStrict
	}
	outcome := w.evaluate(path, inputOf(each), flags)
	if outcome.Failure != nil {
		return outcome.Failure.Error(), true
	}
	if !outcome.Defined {
		return "", false
	}
	return string(outcome.Value), false
}

func sameAnswer(t *testing.T, got string, want []map[string]any) bool {
	if len(want) == 0 || got == "" {
		return len(want) == 0 && got == ""
	}
	var value any
	if err := util.UnmarshalJSON([]byte(got), &value); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range want[0] {
		a, b := ast.MustInterfaceToValue(value), ast.MustInterfaceToValue(wanted)
		if a.Compare(b) == 0 {
			return true
		}
		// Sets became arrays whose order the case may not care for.
		return sorted(value) == sorted(wanted)
	}
	return false
}

func sorted(value any) string {
	if list, ok := value.([]any); ok {
		set := ast.NewSet()
		for _, each := range list {
			set.Add(ast.NewTerm(ast.MustInterfaceToValue(each)))
		}
		return set.String()
	}
	return ast.MustInterfaceToValue(value).String()
}

// TestBytesOfTheDataAPI compares the text of whole packages and of all data with what OPA's server
// writes: the JSON encoding of what package rego returns.
func TestBytesOfTheDataAPI(t *testing.T) {
	compared := 0
	for _, each := range opaCases(t, 1) {
		if each.InputTerm != nil || strings.Contains(strings.Join(each.Modules, ""), "http.send") ||
			strings.Contains(strings.Join(each.Modules, ""), "opa.runtime") {
			continue
		}
		w := newWorld(t)
		r := release{modules: map[string]string{}, documents: map[string]string{}}
		modules := map[string]*ast.Module{}
		for i, text := range each.Modules {
			key := fmt.Sprintf("m%d.rego", i)
			module, err := unit.Parse(key, text, 1)
			if err != nil {
				modules = nil
				break
			}
			modules[key], r.modules[key] = module, text
		}
		data := map[string]any{}
		if each.Data != nil {
			data = *each.Data
			r.documents[""] = string(util.MustMarshalJSON(data))
		}
		if _, failure := w.try(r); modules == nil || failure != nil {
			continue
		}
		for _, path := range []string{"", "test", "generated", "partial"} {
			want := stockAnswer(t, modules, data, path, inputOf(each))
			outcome := w.evaluate(path, inputOf(each), 0)
			got := string(outcome.Value)
			if outcome.Failure != nil {
				got = "failed"
			}
			if got != want && !strings.Contains(strings.Join(each.Modules, ""), "rand.") &&
				!strings.Contains(strings.Join(each.Modules, ""), "time.now_ns") && !strings.Contains(strings.Join(each.Modules, ""), "uuid") {
				t.Errorf("%s: data.%s\n got %s\nwant %s", each.Note, path, got, want)
			}
			compared++
		}
	}
	t.Logf("%d answers compared", compared)
	if compared < 2000 {
		t.Errorf("only %d answers compared", compared)
	}
}

func stockAnswer(t *testing.T, modules map[string]*ast.Module, data map[string]any, path, input string) string {
	query := "data"
	if path != "" {
		query = "data." + strings.ReplaceAll(path, "/", ".")
	}
	compiler := unit.Compile(modules, unit.Options{})
	if compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	options := []func(*rego.Rego){rego.Query(query), rego.Compiler(compiler), rego.Store(inmem.NewFromObject(data))}
	if input != "" {
		options = append(options, rego.ParsedInput(ast.MustInterfaceToValue(util.MustUnmarshalJSON([]byte(input)))))
	}
	set, err := rego.New(options...).Eval(context.Background())
	if err != nil {
		return "failed"
	}
	if len(set) == 0 {
		return ""
	}
	var buffer bytes.Buffer
	if err := json.NewEncoder(&buffer).Encode(set[0].Expressions[0].Value); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(buffer.String(), "\n")
}
